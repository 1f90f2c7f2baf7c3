"""Decisions on events, days and shares."""

from __future__ import annotations

from datetime import date, datetime, timedelta

import pytest

from analytics.errors import EventInFuture, EventRefused, EventTooOld, UnknownEvent
from analytics.rules import Light, days_between, ranges_of, share_of, time_of_event

DAY = timedelta(days=1)


@pytest.mark.parametrize(
    ("commission", "net", "share"),
    [
        (0, 10_000, (0, Light.GOOD)),
        (2_000, 10_000, (2_000, Light.GOOD)),
        (20_001, 100_000, (2_000, Light.WATCH)),  # shown as 20.00 %, yet above it
        (3_000, 10_000, (3_000, Light.WATCH)),
        (3_001, 10_000, (3_001, Light.RISK)),
        (15_000, 10_000, (15_000, Light.RISK)),
        (1, 3, (3_333, Light.RISK)),
        (2, 3, (6_667, Light.RISK)),
        (0, 0, (None, Light.NONE)),
        (500, 0, (None, Light.NONE)),
    ],
)
def test_the_light_goes_by_the_exact_share(
    commission: int, net: int, share: tuple[int | None, Light]
) -> None:
    assert share_of(commission_fen=commission, net_fen=net) == share


@pytest.mark.parametrize(
    ("name", "offset", "refusal"),
    [
        ("liked", timedelta(0), UnknownEvent),
        ("shared", timedelta(0), UnknownEvent),  # nobody can know that
        ("page_view", timedelta(minutes=5, microseconds=1), EventInFuture),
        ("page_view", timedelta(days=400), EventInFuture),
        ("page_view", -timedelta(hours=72, microseconds=1), EventTooOld),
    ],
)
def test_events_that_are_not_taken(
    at: datetime, name: str, offset: timedelta, refusal: type[EventRefused]
) -> None:
    with pytest.raises(refusal):
        time_of_event(name=name, occurred_at=at + offset, at=at)


@pytest.mark.parametrize(
    ("offset", "kept"),
    [
        (-timedelta(hours=72), -timedelta(hours=72)),
        (timedelta(0), timedelta(0)),
        (timedelta(minutes=5), timedelta(0)),  # a phone's clock may be ahead
    ],
)
def test_events_count_at_their_time_but_never_after_now(
    at: datetime, offset: timedelta, kept: timedelta
) -> None:
    assert time_of_event(name="page_view", occurred_at=at + offset, at=at) == at + kept


def test_days_are_counted_with_both_ends() -> None:
    first = date(2026, 2, 27)
    assert days_between(first, date(2026, 3, 1)) == [first, first + DAY, first + 2 * DAY]
    assert days_between(first, first) == [first]
    assert days_between(first, first - DAY) == []


def test_days_close_together_form_one_range() -> None:
    first = date(1997, 1, 1)
    days = [first + n * DAY for n in (15, 0, 7, 0, 30)]
    assert list(ranges_of(days)) == [
        (first, first + 7 * DAY),
        (first + 15 * DAY, first + 15 * DAY),
        (first + 30 * DAY, first + 30 * DAY),
    ]
    assert list(ranges_of([])) == []
