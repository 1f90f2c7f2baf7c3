"""What a promoter's team sells, counted from the orders themselves: true at every moment.

A team's orders are those attributed to its promoters at their first level, by time of payment;
net of refunds (docs: metrics). A day is active when one of its orders was not refunded in full.
The promoter's own orders are his own, not his team's. Every read takes the same number of
queries for any team.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from django.db import connection
from django.db.models import Count, F, Q, QuerySet, Sum, TextChoices
from django.db.models.functions import TruncDate
from django.utils.translation import gettext_lazy as _

from distro.clock import BEIJING
from orders.models import Order
from orders.selectors import PAID
from referrals.models import Promoter
from referrals.selectors_teams import read_team

FIRST_DAY, LAST_DAY = date(2000, 1, 1), date(2100, 12, 31)  # that a team can be asked about
Key = tuple[str, int]  # a row's place in the list: what it is sorted by, as text, and its id


class TeamSort(TextChoices):
    """What a team is sorted by; the newest or the most comes first."""

    JOINED = "joined", _("Newest first")
    GMV = "gmv", _("Net GMV")
    ORDERS = "orders", _("Orders")
    ACTIVE = "active_days", _("Most active")
    DIRECT = "direct", _("Largest direct team")


@dataclass(frozen=True)
class TeamQuery:
    """Whose team in which time [start, end); level 1 is the direct team, None everybody.

    joined: only those who joined in that time.
    """

    promoter_id: int
    start: datetime
    end: datetime
    level: int | None = None
    joined: bool = False
    sort: TeamSort = TeamSort.JOINED


@dataclass(frozen=True)
class Sold:
    """What one promoter sold himself; orders and days without those refunded in full."""

    orders: int = 0
    days: int = 0
    paid_fen: int = 0
    refunded_fen: int = 0

    @property
    def net_fen(self) -> int:
        return self.paid_fen - self.refunded_fen


@dataclass(frozen=True)
class Teammate:
    """One promoter of a team, with what he did in the time asked for."""

    promoter: Promoter
    level: int
    direct: int
    sold: Sold
    key: Key


@dataclass(frozen=True)
class TeamLevel:
    """All promoters at one level below the head, with what they sold in the time asked for."""

    level: int
    promoters: int
    joined: int
    sellers: int
    orders: int
    paid_fen: int
    refunded_fen: int

    @property
    def net_fen(self) -> int:
        return self.paid_fen - self.refunded_fen


LEVELS = """
    SELECT t.depth, COUNT(*),
        COUNT(CASE WHEN t.approved_at >= %s AND t.approved_at < %s THEN 1 END),
        COUNT(CASE WHEN s.orders > 0 THEN 1 END), COALESCE(SUM(s.orders), 0),
        COALESCE(SUM(s.paid), 0), COALESCE(SUM(s.refunded), 0)
    FROM ({team}) t LEFT JOIN ({sold}) s ON s.seller = t.id
    GROUP BY t.depth ORDER BY t.depth
"""
RANKED = """
    SELECT t.id, t.depth, COALESCE(r.value, 0) AS value
    FROM ({team}) t LEFT JOIN ({ranks}) r ON r.who = t.id
    {after} ORDER BY value DESC, t.id DESC LIMIT %s
"""
AFTER = "WHERE COALESCE(r.value, 0) <= %s AND (COALESCE(r.value, 0) < %s OR t.id < %s)"

KEPT = ~Q(status=Order.Status.REFUNDED)
GOODS_PAID = F("paid_fen") - F("freight_fen")
GOODS_REFUNDED = F("refunded_fen") - F("freight_refunded_fen")


def team_levels(promoter_id: int, *, start: datetime, end: datetime) -> list[TeamLevel]:
    """Return the whole team by level, the nearest first; its sums are those of the team."""

    def read(team: QuerySet[Promoter]) -> list[TeamLevel]:
        people, people_params = _sql(team.values("id", "depth", "approved_at"))
        sold, sold_params = _sql(_sums(_orders(start, end, team), "orders", "paid", "refunded"))
        sql = LEVELS.format(team=people, sold=sold)
        rows = _rows(sql, [*_moments(start, end), *people_params, *sold_params])
        return [TeamLevel(*map(int, row)) for row in rows]

    return read_team(promoter_id, read)


def own_sales(promoter_id: int, *, start: datetime, end: datetime) -> Sold:
    """Return what a promoter sold himself."""
    himself = Promoter.objects.filter(pk=promoter_id).order_by()
    return _sold(_orders(start, end, himself)).get(promoter_id, Sold())


def team_page(query: TeamQuery, *, after: Key | None, limit: int) -> list[Teammate]:
    """Return one page of a team; after: the key of the last row of the page before."""

    def read(team: QuerySet[Promoter]) -> list[tuple[int, int, str]]:
        if query.joined:
            team = team.filter(approved_at__gte=query.start, approved_at__lt=query.end)
        if query.sort == TeamSort.JOINED:
            return _newest(team, after, limit)
        return _ranked(team, query, after, limit)

    return _teammates(read_team(query.promoter_id, read, level=query.level), query)


# --- Steps ----------------------------------------------------------------------------------


def _newest(team: QuerySet[Promoter], after: Key | None, limit: int) -> list[tuple[int, int, str]]:
    if after:
        joined_at = datetime.fromisoformat(after[0])
        older = Q(approved_at__lt=joined_at) | Q(pk__lt=after[1])
        team = team.filter(older, approved_at__lte=joined_at)
    rows = team.order_by("-approved_at", "-pk").values_list("pk", "depth", "approved_at")
    return [(pk, depth, joined_at.isoformat()) for pk, depth, joined_at in rows[:limit]]


def _ranked(
    team: QuerySet[Promoter], query: TeamQuery, after: Key | None, limit: int
) -> list[tuple[int, int, str]]:
    people, people_params = _sql(team.values("id", "depth"))
    ranks, rank_params = _sql(_ranks(team, query))
    place = [int(after[0]), int(after[0]), after[1]] if after else []
    sql = RANKED.format(team=people, ranks=ranks, after=AFTER if after else "")
    rows = _rows(sql, [*people_params, *rank_params, *place, limit])
    return [(pk, depth, str(int(value))) for pk, depth, value in rows]


def _ranks(team: QuerySet[Promoter], query: TeamQuery) -> QuerySet[Any, Any]:
    """Return (who, value) for those in the team who have one above 0."""
    if query.sort == TeamSort.DIRECT:
        children = Promoter.objects.filter(parent__in=team.values("pk")).order_by()
        return children.values(who=F("parent_id")).annotate(value=Count("pk"))
    column = {TeamSort.GMV: "net", TeamSort.ORDERS: "orders", TeamSort.ACTIVE: "days"}[query.sort]
    orders = _orders(query.start, query.end, team).values(who=F("promoter_1_id"))
    return orders.annotate(value=SUMS[column]).values("who", "value")


SUMS: dict[str, Any] = {
    "orders": Count("status", filter=KEPT),  # in the index, as all that is read is
    "days": Count(TruncDate("paid_at", tzinfo=BEIJING), filter=KEPT, distinct=True),
    "paid": Sum(GOODS_PAID),
    "refunded": Sum(GOODS_REFUNDED),
    "net": Sum(GOODS_PAID - GOODS_REFUNDED),
}


def _orders(start: datetime, end: datetime, sellers: QuerySet[Promoter]) -> QuerySet[Order]:
    orders = Order.objects.filter(status__in=PAID, paid_at__gte=start, paid_at__lt=end)
    return orders.filter(promoter_1__in=sellers.values("pk")).order_by()


def _sums(orders: QuerySet[Order], *names: str) -> QuerySet[Order, Any]:
    return orders.values(seller=F("promoter_1_id")).annotate(**{n: SUMS[n] for n in names})


def _sold(orders: QuerySet[Order]) -> dict[int, Sold]:
    """Add up the orders of each promoter."""
    rows = _sums(orders, "orders", "days", "paid", "refunded")
    return {
        row["seller"]: Sold(row["orders"], row["days"], row["paid"], row["refunded"])
        for row in rows
    }


def _teammates(found: list[tuple[int, int, str]], query: TeamQuery) -> list[Teammate]:
    """Read what is shown of the promoters of one page; three queries."""
    ids = [pk for pk, _depth, _value in found]
    page = Promoter.objects.filter(pk__in=ids).order_by()
    people = {row.pk: row for row in page.select_related("member", "grade")}
    sold = _sold(_orders(query.start, query.end, page))
    children = Promoter.objects.filter(parent__in=ids).order_by().values_list("parent")
    direct = dict(children.annotate(Count("pk")))
    return [
        Teammate(people[pk], depth, direct.get(pk, 0), sold.get(pk, Sold()), (value, pk))
        for pk, depth, value in found
    ]


def _sql(rows: QuerySet[Any, Any]) -> tuple[str, tuple[Any, ...]]:
    """Return a queryset as SQL, to stand inside a larger statement."""
    return rows.query.sql_with_params()


def _rows(sql: str, params: list[Any]) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(sql, params)
        return cursor.fetchall()


def _moments(*moments: datetime) -> list[Any]:
    return [connection.ops.adapt_datetimefield_value(moment) for moment in moments]
