"""Closing a month of the books."""

from __future__ import annotations

from datetime import date, datetime, timedelta

from django.db import OperationalError, transaction
from django.db.models import Count, Min, Sum

from commissions.errors_books import BooksBusy, MonthAlreadyClosed, MonthNotNext, MonthNotOver
from commissions.models import Period, Transfer
from commissions.selectors_periods import closed_through
from distro import audit
from distro.actors import Actor
from distro.clock import beijing_day
from distro.locks import Lock, advisory, wait_briefly


def close_month(*, month: date, by: Actor, at: datetime) -> Period:
    """Close a month for ever; what belongs to it and comes later is booked after it.

    month: any day of it. Waits briefly for the postings under way; those after it see the month
    closed. Raises MonthNotOver, MonthAlreadyClosed, MonthNotNext, BooksBusy.
    """
    with transaction.atomic():
        _wait_for_postings()
        refuse_month(month, at=at)
        last_day = end_of_month(month)
        booked = Transfer.objects.filter(
            booked_on__gte=last_day.replace(day=1), booked_on__lte=last_day
        )
        sums = booked.aggregate(transfers=Count("pk"), fen=Sum("amount_fen"))
        period = Period.objects.create(
            last_day=last_day,
            transfers=sums["transfers"],
            amount_fen=sums["fen"] or 0,
            closed_by=str(by),
            closed_at=at,
        )
        audit.record(by=by, action="month.close", target=period, at=at)
    return period


def _wait_for_postings() -> None:
    wait_briefly()
    try:
        advisory(Lock.PERIOD)
    except OperationalError:
        raise BooksBusy from None


def refuse_month(month: date, *, at: datetime) -> None:
    """Refuse a month that is not the next one to close, or not over; see `close_month`."""
    today = beijing_day(at)
    following = next_to_close(today)
    if month.replace(day=1) < following.replace(day=1):
        raise MonthAlreadyClosed(field="month", month=f"{month:%Y-%m}")
    if month.replace(day=1) >= today.replace(day=1):
        raise MonthNotOver(field="month")
    if end_of_month(month) != following:
        raise MonthNotNext(field="month", month=f"{following:%Y-%m}")


def next_to_close(today: date) -> date:
    """Return the last day of the next month to close.

    Months close in order, from the month of the first transfer on, or from the last one that is
    over while nothing was ever booked.
    """
    closed = closed_through()
    if closed is not None:
        return end_of_month(closed + timedelta(days=1))
    first: date | None = Transfer.objects.aggregate(day=Min("booked_on"))["day"]
    return end_of_month(first) if first else today.replace(day=1) - timedelta(days=1)


def end_of_month(day: date) -> date:
    """Return the last day of a day's month."""
    return (day.replace(day=1) + timedelta(days=31)).replace(day=1) - timedelta(days=1)
