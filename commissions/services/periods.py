"""Closing a month of the books."""

from __future__ import annotations

from datetime import date, datetime, timedelta

from django.db import transaction
from django.db.models import Count, Min, Sum

from commissions.errors_books import MonthAlreadyClosed, MonthNotNext, MonthNotOver
from commissions.models import Period, Transfer
from commissions.selectors_periods import closed_through
from distro import audit
from distro.actors import Actor
from distro.clock import beijing_day
from distro.locks import Lock, advisory


def close_month(*, month: date, by: Actor, at: datetime) -> Period:
    """Close a month for ever; what belongs to it and comes later is booked after it.

    month: any day of it. Waits for the postings under way; those after it see the month closed.
    Raises MonthNotOver, MonthAlreadyClosed, MonthNotNext.
    """
    last_day = end_of_month(month)
    with transaction.atomic():
        advisory(Lock.PERIOD)
        refuse_month(month, at=at)
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


def refuse_month(month: date, *, at: datetime) -> None:
    """Refuse a month that is not the next one to close, or not over; see `close_month`."""
    last_day, following = end_of_month(month), next_to_close()
    if following and last_day < following:
        raise MonthAlreadyClosed(field="month", month=f"{last_day:%Y-%m}")
    if beijing_day(at) <= last_day:
        raise MonthNotOver(field="month")
    if following and last_day != following:
        raise MonthNotNext(field="month", month=f"{following:%Y-%m}")


def next_to_close() -> date | None:
    """Return the last day of the next month to close; None while nothing was ever booked.

    Months close in order, from the month of the first transfer on.
    """
    closed = closed_through()
    if closed is not None:
        return end_of_month(closed + timedelta(days=1))
    first: date | None = Transfer.objects.aggregate(day=Min("booked_on"))["day"]
    return end_of_month(first) if first else None


def end_of_month(day: date) -> date:
    """Return the last day of a day's month."""
    return (day.replace(day=1) + timedelta(days=31)).replace(day=1) - timedelta(days=1)
