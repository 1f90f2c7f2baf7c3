"""Receivers that run after the commit: one row for all of them, and repeated when they fail."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

import pytest
import time_machine
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext

from distro import outbox
from distro.facts import Fact, hear_later, receivers, repeat_missed, tell, unhear
from distro.models import Job, MissedFact, OutboxMessage

kettle_boiled = Fact("kettle_boiled")


@pytest.fixture(autouse=True)
def silence(at: datetime) -> Iterator[None]:
    """Forget after each test who listened."""
    known = set(receivers)
    with time_machine.travel(at, tick=False):
        yield
    for uid in set(receivers) - known:
        unhear(kettle_boiled, uid)


def note(name: str) -> None:
    Job.objects.create(name=name, created_at="2026-01-01T00:00Z", next_at="2026-01-01T00:00Z")


def noted() -> list[str]:
    return sorted(Job.objects.values_list("name", flat=True))


def test_they_run_after_the_commit_and_cost_the_teller_one_row(db: None, at: datetime) -> None:
    hear_later(kettle_boiled, lambda **ids: note(f"tea {ids['cup']}"), "tea")
    hear_later(kettle_boiled, lambda **ids: note(f"egg {ids['cup']}"), "egg")
    with CaptureQueriesContext(connection) as queries:
        tell(kettle_boiled, cup=3)
    assert (len(queries), noted()) == (1, [])
    assert outbox.deliver(at=at) == 1
    assert noted() == ["egg 3", "tea 3"]
    assert outbox.deliver(at=at + timedelta(days=1)) == 0


def test_a_fact_told_twice_is_heard_twice(db: None, at: datetime) -> None:
    heard = []
    hear_later(kettle_boiled, lambda **ids: heard.append(ids), "tea")
    tell(kettle_boiled, cup=3)
    tell(kettle_boiled, cup=3)
    outbox.deliver(at=at)
    assert heard == [{"cup": 3}] * 2


def test_what_is_rolled_back_is_never_heard(db: None, at: datetime) -> None:
    hear_later(kettle_boiled, lambda **ids: note("tea"), "tea")
    with transaction.atomic():
        tell(kettle_boiled, cup=3)
        transaction.set_rollback(True)
    assert (outbox.deliver(at=at), noted()) == (0, [])
    assert not OutboxMessage.objects.exists()


def test_one_that_fails_takes_nothing_with_it_and_is_repeated(db: None, at: datetime) -> None:
    broken = [True]

    def egg(**ids: int) -> None:
        note("egg")
        if broken:
            raise ValueError("no egg")

    hear_later(kettle_boiled, egg, "egg")
    hear_later(kettle_boiled, lambda **ids: note("tea"), "tea")
    tell(kettle_boiled, cup=3)
    outbox.deliver(at=at)
    assert noted() == ["tea"]
    missed = MissedFact.objects.get()
    assert (missed.fact, missed.uid, missed.ids) == ("kettle_boiled", "egg", {"cup": 3})
    broken.clear()
    assert repeat_missed(at=at + timedelta(minutes=2)) == 1
    assert noted() == ["egg", "tea"]


def test_a_fact_that_nobody_waits_for_writes_nothing(db: None) -> None:
    with CaptureQueriesContext(connection) as queries:
        tell(kettle_boiled, cup=3)
    assert len(queries) == 0
