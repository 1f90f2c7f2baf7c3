"""Reads: what happened on a day, and what the dashboard shows.

Days are Beijing days. Money counts on the day the order was paid; net sums and commission are
as they stand now. Accounts marked as left out of metrics count nowhere.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields
from datetime import date, datetime, timedelta
from typing import Any

from django.db.models import Count, F, Q, QuerySet, Sum
from django.db.models.functions import TruncDate

from analytics.models import Event, ShopDay
from analytics.rules import Light, days_between, share_of
from commissions.models import Commission, Withdrawal
from distro.clock import BEIJING, beijing_day, day_start
from distro.models import MissedFact
from orders.models import Order, Refund
from orders.selectors import PAID
from referrals.models import Application, Identity, Member, Promoter, Visit

GOODS_PAID = F("paid_fen") - F("freight_fen")
GOODS_REFUNDED = F("refunded_fen") - F("freight_refunded_fen")
KEPT = F("amount_fen") - F("reversed_fen")
NEEDS_A_PERSON = [
    Withdrawal.Status.REVIEWING,
    Withdrawal.Status.HELD,
    Withdrawal.Status.TAX_REVIEW,
]


@dataclass(frozen=True)
class DayFacts:
    """What happened on one day; the names are those of ShopDay's columns."""

    day: date
    orders: int = 0
    buyers: int = 0
    gmv_paid_fen: int = 0
    gmv_net_fen: int = 0
    commission_fen: int = 0
    members_joined: int = 0
    promoters_joined: int = 0
    visits: int = 0

    @property
    def share(self) -> tuple[int | None, Light]:
        """Return the commission share of the day in bps, and its light."""
        return share_of(commission_fen=self.commission_fen, net_fen=self.gmv_net_fen)


NUMBERS = [field.name for field in fields(DayFacts) if field.name != "day"]


@dataclass(frozen=True)
class PromoterRank:
    """One promoter of a period: commission kept, net GMV of the orders attributed to him."""

    promoter: Promoter
    kept_fen: int
    gmv_fen: int
    orders: int


@dataclass(frozen=True)
class Waiting:
    """How many things wait for a person."""

    applications: int
    identities: int
    refunds: int
    withdrawals: int
    missed_facts: int


# --- Counted from the rows themselves -------------------------------------------------------


def facts_of(first: date, last: date) -> dict[date, DayFacts]:
    """Count the facts of the days from first to last; days without any are left out."""
    found: dict[date, dict[str, int]] = {}
    for rows in _sums(first, last):
        for row in rows:
            found.setdefault(row.pop("day"), {}).update(row)
    return {day: DayFacts(day=day, **numbers) for day, numbers in found.items()}


def events_of(first: date, last: date) -> QuerySet[Event, dict[str, Any]]:
    """Count events and persons by day and name."""
    events = Event.objects.filter(member__excluded=False)
    by_day = _by_day(events, "occurred_at", first, last, "name")
    return by_day.annotate(count=Count("id"), persons=Count("member", distinct=True))


def today(at: datetime) -> DayFacts:
    """Return the facts of the day so far."""
    day = beijing_day(at)
    return facts_of(day, day).get(day, DayFacts(day=day))


def _sums(first: date, last: date) -> Iterable[QuerySet[Any, dict[str, Any]]]:
    """Yield one query a table, each with the numbers it knows by day."""
    span = (first, last)
    orders = Order.objects.filter(status__in=PAID, member__excluded=False)
    yield _by_day(orders, "paid_at", *span).annotate(
        orders=Count("id"),
        buyers=Count("member", distinct=True),
        gmv_paid_fen=Sum(GOODS_PAID),
        gmv_net_fen=Sum(GOODS_PAID - GOODS_REFUNDED),
    )
    live = Commission.objects.filter(voided_at=None, order__member__excluded=False)
    yield _by_day(live, "paid_at", *span).annotate(commission_fen=Sum(KEPT))
    members = Member.objects.filter(excluded=False, merged_into=None)  # persons
    yield _by_day(members, "joined_at", *span).annotate(members_joined=Count("id"))
    promoters = Promoter.objects.filter(member__excluded=False)
    yield _by_day(promoters, "approved_at", *span).annotate(promoters_joined=Count("id"))
    visits = Visit.objects.exclude(member__excluded=True)
    yield _by_day(visits, "occurred_at", *span).annotate(visits=Count("id"))


def _by_day(
    rows: QuerySet[Any], column: str, first: date, last: date, *others: str
) -> QuerySet[Any, dict[str, Any]]:
    """Group the rows of some days by the Beijing day of a column."""
    within = _within(column, first, last)
    days = rows.filter(within).annotate(day=TruncDate(column, tzinfo=BEIJING))
    return days.order_by().values("day", *others)


def _within(column: str, first: date, last: date) -> Q:
    """Select what happened from the first day to the last, both included."""
    end = day_start(last + timedelta(days=1))
    return Q(**{f"{column}__gte": day_start(first), f"{column}__lt": end})


# --- Read from the daily facts --------------------------------------------------------------


def series(first: date, last: date) -> list[DayFacts]:
    """Return every day from first to last, those without facts with zeros."""
    rows = ShopDay.objects.filter(day__gte=first, day__lte=last).values("day", *NUMBERS)
    known = {row["day"]: DayFacts(**row) for row in rows}
    return [known.get(day) or DayFacts(day=day) for day in days_between(first, last)]


def commission_share(first: date, last: date) -> tuple[int | None, Light]:
    """Return commission kept / net GMV of all orders paid in these days, in bps, and its light."""
    days = ShopDay.objects.filter(day__gte=first, day__lte=last)
    sums = days.aggregate(
        commission_fen=Sum("commission_fen", default=0), net_fen=Sum("gmv_net_fen", default=0)
    )
    return share_of(**sums)


# --- Promoters, queues ----------------------------------------------------------------------


def top_promoters(
    first: date, last: date, limit: int, *, by: str = "commission"
) -> list[PromoterRank]:
    """Return the promoters that kept the most commission, or sold the most, in these days.

    by: "commission" or "gmv". Of equals the older promoter comes first.
    """
    assert by in ("commission", "gmv")
    kept = _kept(first, last)
    sold = _sold(first, last)
    ranked = kept.order_by("-fen", "who") if by == "commission" else sold.order_by("-fen", "who")
    ids = [row["who"] for row in ranked.filter(fen__gt=0)[:limit]]
    kept_by = {row["who"]: row["fen"] for row in kept.filter(promoter__in=ids)}
    sold_by = {row["who"]: row for row in sold.filter(promoter_1__in=ids)}
    promoters = Promoter.objects.select_related("member").in_bulk(ids)
    nothing = {"fen": 0, "orders": 0}
    return [
        PromoterRank(
            promoter=promoters[pk],
            kept_fen=kept_by.get(pk, 0),
            gmv_fen=sold_by.get(pk, nothing)["fen"],
            orders=sold_by.get(pk, nothing)["orders"],
        )
        for pk in ids
    ]


def waiting_queues() -> Waiting:
    """Return how many things wait for a person."""
    stuck = [Refund.Status.REQUESTED, Refund.Status.ABNORMAL]
    withdrawals = Withdrawal.objects.filter(status__in=NEEDS_A_PERSON)
    return Waiting(
        applications=Application.objects.filter(status=Application.Status.PENDING).count(),
        identities=Identity.objects.filter(status=Identity.Status.PENDING).count(),
        refunds=Refund.objects.filter(status__in=stuck).count(),
        withdrawals=withdrawals.values("request").distinct().count(),
        missed_facts=MissedFact.objects.filter(done_at=None).count(),
    )


def _kept(first: date, last: date) -> QuerySet[Any, Any]:
    """Sum the commission kept by promoter, by the days their orders were paid."""
    live = Commission.objects.filter(_within("paid_at", first, last), voided_at=None)
    counted = live.filter(order__member__excluded=False)
    return counted.order_by().values(who=F("promoter")).annotate(fen=Sum(KEPT))


def _sold(first: date, last: date) -> QuerySet[Any, Any]:
    """Sum net GMV and orders by the promoter they are attributed to."""
    paid = Order.objects.filter(_within("paid_at", first, last), status__in=PAID)
    counted = paid.filter(promoter_1__isnull=False, member__excluded=False)
    by_promoter = counted.order_by().values(who=F("promoter_1"))
    return by_promoter.annotate(fen=Sum(GOODS_PAID - GOODS_REFUNDED), orders=Count("id"))
