"""The one clock: the only module that may ask what time it is."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

from django.apps import apps
from django.conf import settings
from django.db import transaction
from django.db.models import F

BEIJING = ZoneInfo("Asia/Shanghai")

travelled: ContextVar[datetime | None] = ContextVar("travelled", default=None)


def real_now() -> datetime:
    """Return the true time in UTC; for tokens, signatures and leases, which no demo moves."""
    return datetime.now(UTC)


def now() -> datetime:
    """Return the business time in UTC: the true time, plus the offset of the demo clock.

    Inside `travel()` it is the moment travelled to.
    """
    if moment := travelled.get():
        return moment
    if not settings.DEMO_CLOCK:
        return real_now()
    rows = apps.get_model("distro", "DemoClock").objects.filter(pk=1)
    offset = rows.values_list("seconds", flat=True).first() or 0
    return real_now() + timedelta(seconds=offset)


def move(seconds: int) -> None:
    """Put the demo clock forward; business time never runs backwards."""
    if not settings.DEMO_CLOCK:
        raise RuntimeError("The clock moves only where DEMO_CLOCK is on.")
    assert seconds >= 0
    clocks = apps.get_model("distro", "DemoClock").objects
    with transaction.atomic():
        clocks.get_or_create(pk=1)
        clocks.filter(pk=1).update(seconds=F("seconds") + seconds)


@contextmanager
def travel(at: datetime) -> Iterator[None]:
    """Let now() answer one moment in this thread, so that a demo can live its past again."""
    if not (settings.DEMO_CLOCK or settings.TESTING):
        raise RuntimeError("Nobody travels in time where DEMO_CLOCK is off.")
    assert at.tzinfo is not None
    token = travelled.set(at)
    try:
        yield
    finally:
        travelled.reset(token)


def ticking(at: datetime) -> Callable[[], datetime]:
    """Return a clock that starts at `at` and runs on: for loops that outlive their start."""
    started = time.monotonic()
    return lambda: at + timedelta(seconds=time.monotonic() - started)


def beijing_day(at: datetime) -> date:
    """Return the calendar day in Beijing."""
    assert at.tzinfo is not None
    return at.astimezone(BEIJING).date()


def beijing_month(at: datetime) -> date:
    """Return the first day of the calendar month in Beijing."""
    return beijing_day(at).replace(day=1)


def day_start(day: date) -> datetime:
    """Return the first moment of a Beijing day, in UTC."""
    return datetime(day.year, day.month, day.day, tzinfo=BEIJING).astimezone(UTC)
