"""Periodic work from one schedule: each job by one runner at a time, each run on record.

settings.SCHEDULE: name -> (dotted path of a function with the keyword `at` that returns a count,
seconds between two runs).
"""

from __future__ import annotations

import logging
import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta

from django.conf import settings
from django.db import DatabaseError, connection
from django.db.models import Q, QuerySet
from django.utils.module_loading import import_string

from distro import clock
from distro.errors import brief
from distro.models import Job, JobRun

logger = logging.getLogger(__name__)

LEASE_S = 60  # how long after SIGKILL another runner may take over
RENEW_S = 15
RETRY_MAX_S = 300  # a failed job runs again after this, even if its interval is longer
LATE_INTERVALS = 3
KEPT = timedelta(days=14)


def run_due(at: datetime) -> list[str]:
    """Run each due job once; return the names of those that ran."""
    return [name for name in due(at) if run_job(name, at)]


def due(at: datetime) -> list[str]:
    """Return the jobs whose time has come, the longest waiting first."""
    _make_rows(at)
    rows = Job.objects.filter(name__in=settings.SCHEDULE, next_at__lte=at)
    return list(rows.order_by("next_at", "name").values_list("name", flat=True))


def run_until(stop: threading.Event, *, every_s: float, tell: Callable[[str], object]) -> None:
    """Run what is due again and again, in any thread, and tell the names; end between two."""
    while not stop.is_set():
        try:
            for name in due(clock.now()):
                if not stop.is_set() and run_job(name, clock.now()):
                    tell(name)
        except DatabaseError as error:  # a restart of the database is no reason to leave
            logger.error("no look at the schedule: %s", brief(error))
            connection.close()
        stop.wait(every_s)


def run_job(name: str, at: datetime, force: bool = False) -> JobRun | None:
    """Run a job if it is due, or by force; None if it is not, or if another runner has it."""
    assert name in settings.SCHEDULE
    _make_rows(at)
    runner = uuid.uuid4().hex
    rows = _free().filter(name=name) if force else _free().filter(name=name, next_at__lte=at)
    if rows.update(runner=runner, leased_until=_lease()) != 1:
        return None
    run = JobRun.objects.create(name=name, started_at=at)
    now = clock.ticking(at)
    with _leased(name, runner):
        _work(run, at)
    run.finished_at = now()
    run.save()
    _finish(run, runner, at)
    return run


def overdue(at: datetime) -> list[str]:
    """Return the jobs without a success for more than three intervals, or never started."""
    rows = {job.name: job.last_ok_at or job.created_at for job in Job.objects.all()}
    return [name for name in settings.SCHEDULE if name not in rows or _late(name, rows[name], at)]


def prune_runs(*, at: datetime) -> int:
    """Delete the records of runs older than 14 days; return how many."""
    rows = JobRun.objects.filter(started_at__lt=at - KEPT)
    return rows._raw_delete(rows.db)


def _interval(name: str) -> timedelta:
    return timedelta(seconds=settings.SCHEDULE[name][1])


def _late(name: str, last: datetime, at: datetime) -> bool:
    return at - last > LATE_INTERVALS * _interval(name)


def _make_rows(at: datetime) -> None:
    """Give every job of the schedule its row; a new one is due at once."""
    known = set(Job.objects.values_list("name", flat=True))
    new = [Job(name=n, created_at=at, next_at=at) for n in settings.SCHEDULE if n not in known]
    if new:
        Job.objects.bulk_create(new, ignore_conflicts=True)


def _work(run: JobRun, at: datetime) -> None:
    """Do the work and note how it went; nothing a job raises stops the others."""
    try:
        run.count = int(import_string(settings.SCHEDULE[run.name][0])(at=at) or 0)
        run.ok = True
    except Exception as error:
        run.error = brief(error)
        logger.exception("job %s failed", run.name)
        if not connection.in_atomic_block:  # the next query opens a new one if this one is dead
            connection.close_if_unusable_or_obsolete()


def _finish(run: JobRun, runner: str, at: datetime) -> None:
    """Free the job and set its next time: in step with its interval, sooner after a failure."""
    interval = _interval(run.name)
    mine = Job.objects.filter(name=run.name, runner=runner)
    if not run.ok:
        pause = min(interval, timedelta(seconds=RETRY_MAX_S))
        mine.update(runner="", leased_until=None, next_at=at + pause)
        return
    job = mine.first()
    if job is None:
        logger.error("job %s lost its lease and may have run twice at once", run.name)
        return
    in_step = job.next_at + interval
    next_at = in_step if at < in_step <= at + interval else at + interval
    mine.update(runner="", leased_until=None, next_at=next_at, last_ok_at=at)


# --- Lease ----------------------------------------------------------------------------------


def _free() -> QuerySet[Job]:
    """Return the jobs that nobody runs; leases go by the true time, which no demo moves."""
    return Job.objects.filter(Q(leased_until=None) | Q(leased_until__lte=clock.real_now()))


def _lease() -> datetime:
    return clock.real_now() + timedelta(seconds=LEASE_S)


@contextmanager
def _leased(name: str, runner: str) -> Iterator[None]:
    """Renew the lease from a thread for as long as the work takes."""
    stop = threading.Event()
    thread = threading.Thread(target=_renew, args=(name, runner, stop), daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def _renew(name: str, runner: str, stop: threading.Event) -> None:
    while not stop.wait(RENEW_S):
        try:
            Job.objects.filter(name=name, runner=runner).update(leased_until=_lease())
        except DatabaseError as error:  # the next turn may succeed before the lease ends
            logger.warning("lease of job %s not renewed: %s", name, brief(error))
        finally:
            connection.close()
