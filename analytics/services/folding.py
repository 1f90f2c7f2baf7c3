"""Daily facts: counted anew, in few statements, for the days that something changed."""

from __future__ import annotations

from dataclasses import asdict
from datetime import date, datetime, timedelta
from typing import Any

from django.db import transaction
from django.db.models import Max, Model, QuerySet
from django.db.models.functions import TruncDate

from analytics.models import EventDay, FoldCursor, ShopDay
from analytics.rules import RECENT_DAYS, days_between, ranges_of
from analytics.selectors import NUMBERS, DayFacts, events_of, facts_of
from commissions.models import Accrual, Commission, Reversal
from distro.clock import BEIJING, beijing_day, day_start
from orders.models import Order, Refund

BATCH = 500  # rows an INSERT

# Tables that only grow, or whose old rows change in ways seen below; where the payment's time is.
GROWING: dict[str, tuple[type[Model], str]] = {
    "order": (Order, "paid_at"),
    "accrual": (Accrual, "order__paid_at"),
    "reversal": (Reversal, "commission__paid_at"),
}


def fold_days(*, at: datetime) -> int:
    """Count today, the three days before and every older day that changed; return how many days.

    Older days change by imports, late accruals, refunds and reversals.
    """
    today = beijing_day(at)
    recent = days_between(today - timedelta(days=RECENT_DAYS), today)
    changed, positions = _changed_days(at)
    folded = [
        fold_range(first=first, last=last, at=at)
        for first, last in ranges_of(changed | set(recent))
    ]
    for position in positions:  # only now: what failed is looked at again
        position.save()
    return sum(folded)


def fold_range(*, first: date, last: date, at: datetime) -> int:
    """Count the days from first to last anew; return how many were written.

    Days without facts are written only to empty a row that is already there, or to say of a
    recent day that nothing happened.
    """
    facts = facts_of(first, last)
    wanted = set(facts) | _known_days(first, last) | _recent_days(first, last, at)
    rows = [
        ShopDay(**asdict(facts.get(day) or DayFacts(day=day)), as_of=at) for day in sorted(wanted)
    ]
    event_rows = [EventDay(**row) for row in events_of(first, last)]
    with transaction.atomic():
        ShopDay.objects.bulk_create(
            rows,
            batch_size=BATCH,
            update_conflicts=True,
            unique_fields=["day"],
            update_fields=[*NUMBERS, "as_of"],
        )
        EventDay.objects.bulk_create(
            event_rows,
            batch_size=BATCH,
            update_conflicts=True,
            unique_fields=["day", "name"],
            update_fields=["count", "persons"],
        )
    return len(rows)


def _known_days(first: date, last: date) -> set[date]:
    days = ShopDay.objects.filter(day__gte=first, day__lte=last)
    return set(days.values_list("day", flat=True))


def _recent_days(first: date, last: date, at: datetime) -> set[date]:
    today = beijing_day(at)
    begin = max(first, today - timedelta(days=RECENT_DAYS))
    return set(days_between(begin, min(last, today)))


# --- What changed since the last run --------------------------------------------------------


def _changed_days(at: datetime) -> tuple[set[date], list[FoldCursor]]:
    """Return the payment days of all orders touched, and how far the tables are read by that."""
    days: set[date] = set()
    positions = []
    for table, (model, paid_at) in GROWING.items():
        position, _ = FoldCursor.objects.get_or_create(table=table)
        newest = model._base_manager.aggregate(pk=Max("pk"))["pk"] or 0
        days |= _days(model._base_manager.filter(pk__gt=position.checked_id), paid_at)
        positions.append(FoldCursor(table=table, checked_id=position.seen_id, seen_id=newest))
    since = day_start(beijing_day(at) - timedelta(days=RECENT_DAYS))
    days |= _days(Refund.objects.filter(succeeded_at__gte=since), "order__paid_at")
    days |= _days(Commission.objects.filter(voided_at__gte=since), "paid_at")
    return days, positions


def _days(rows: QuerySet[Any], paid_at: str) -> set[date]:
    paid = rows.filter(**{f"{paid_at}__isnull": False}).order_by()
    return set(paid.values_list(TruncDate(paid_at, tzinfo=BEIJING), flat=True).distinct())
