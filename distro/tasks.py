"""Celery tasks of the ground."""

from __future__ import annotations

from typing import Any

from celery import shared_task

from distro import clock, jobs, outbox


@shared_task(name="distro.tasks.run_due_jobs", ignore_result=True)
def run_due_jobs(**kwargs: Any) -> None:
    """Run what is due; beat asks every few seconds."""
    jobs.run_due(clock.now())


@shared_task(name="distro.tasks.deliver_outbox", ignore_result=True)
def deliver_outbox(**kwargs: Any) -> None:
    """Send what waits in the outbox."""
    outbox.deliver(at=clock.now())
