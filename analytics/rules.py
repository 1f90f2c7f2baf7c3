"""Decisions on events, days and shares: no database, clock or settings."""

from __future__ import annotations

import enum
from collections.abc import Iterable, Iterator
from datetime import date, datetime, timedelta

from analytics.errors import EventInFuture, EventTooOld, UnknownEvent
from distro.money import BPS

# What the mini-program may tell. WeChat tells nobody that a share was finished: "share_intent" is
# the share panel opened or the card made. Nothing here is ever a condition for a reward.
EVENT_NAMES = frozenset(
    {
        "session_start",
        "page_view",
        "product_view",
        "search",
        "add_to_cart",
        "checkout_start",
        "share_intent",
        "campaign_exposure",
        "campaign_click",
        "material_view",
        "promoter_entry_view",
    }
)
BATCH_MAX = 100  # events a call
AGE_MAX = timedelta(hours=72)
SKEW_MAX = timedelta(minutes=5)  # how much a phone's clock may be ahead
RECENT_DAYS = 3  # full days before today that are still counted anew
GAP_DAYS = 7  # days so close are counted in one go

GOOD_BPS = 2_000  # of net GMV; the commission share is good up to here
WATCH_BPS = 3_000  # and to be watched up to here


class Light(enum.StrEnum):
    """How healthy a commission share is; NONE where nothing was sold."""

    GOOD = "good"
    WATCH = "watch"
    RISK = "risk"
    NONE = "none"


def time_of_event(*, name: str, occurred_at: datetime, at: datetime) -> datetime:
    """Return when an event counts as having happened: never after it was received.

    Raises UnknownEvent, EventInFuture, EventTooOld.
    """
    if name not in EVENT_NAMES:
        raise UnknownEvent(field="name")
    if occurred_at > at + SKEW_MAX:
        raise EventInFuture(field="occurred_at")
    if occurred_at < at - AGE_MAX:
        raise EventTooOld(field="occurred_at")
    return min(occurred_at, at)


def share_of(*, commission_fen: int, net_fen: int) -> tuple[int | None, Light]:
    """Return the commission share in bps, rounded half up, and its light.

    The light goes by the exact share. (None, NONE) where nothing was sold.
    Source: docs/rules.md, "Commission share".
    """
    if net_fen <= 0:
        return None, Light.NONE
    exact = commission_fen * BPS
    bps = (2 * exact + net_fen) // (2 * net_fen)
    if exact <= GOOD_BPS * net_fen:
        return bps, Light.GOOD
    return bps, Light.WATCH if exact <= WATCH_BPS * net_fen else Light.RISK


def days_between(first: date, last: date) -> list[date]:
    """Return every day from the first to the last, both included."""
    return [first + timedelta(days=n) for n in range((last - first).days + 1)]


def ranges_of(days: Iterable[date]) -> Iterator[tuple[date, date]]:
    """Yield (first, last) of the stretches that days form, small gaps included."""
    stretch: tuple[date, date] | None = None
    for day in sorted(set(days)):
        if stretch and day - stretch[1] <= timedelta(days=GAP_DAYS):
            stretch = stretch[0], day
            continue
        if stretch:
            yield stretch
        stretch = day, day
    if stretch:
        yield stretch
