"""Reads of grades: the rule in force, what promoters sold, and what the rule makes of it.

"Own settled" is an order line of the promoter's own customer (level 1) whose commission was
settled: received, return period over, nobody objected. It counts in the Beijing month of its
settlement, with what was paid for its goods less what was refunded since. The buyer is never the
promoter himself, so self-purchases are left out. The refund rate looks at the orders paid in the
same months.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from itertools import groupby
from typing import Any

from django.db.models import Count, Exists, F, OuterRef, QuerySet, Sum
from django.db.models.functions import TruncMonth

from commissions.models import Commission, GradeCondition, GradeReview, GradeRule
from commissions.rules_grades import (
    MONTHS,
    ORDERS,
    REFUNDS,
    SALES,
    Condition,
    Measured,
    Rung,
    Standing,
    Verdict,
    earned,
    met_group,
    rank_of,
    refund_rate_bps,
    verdict,
)
from distro.clock import BEIJING, beijing_month, day_start
from orders.models import Order
from orders.selectors import PAID
from referrals.models import Grade, GradeChange, Promoter

CHUNK = 500  # promoters looked at together
SETTLED_BY = timedelta(hours=3)  # after a month's end no settlement of that month is under way


@dataclass(frozen=True)
class Ladder:
    """A rule with its grades, the lowest first."""

    rule: GradeRule
    rungs: tuple[Rung, ...]

    def of(self, grade_id: int | None) -> Rung | None:
        """Return a grade's rung; None when the rule does not name it."""
        return next((rung for rung in self.rungs if rung.grade_id == grade_id), None)

    @property
    def measures(self) -> set[tuple[str, int]]:
        return {condition.measure for rung in self.rungs for condition in rung.conditions}


@dataclass(frozen=True)
class Rise:
    """A promoter who has earned a higher grade, with the numbers that earned it."""

    promoter_id: int
    before_id: int | None
    rung: Rung
    facts: list[dict[str, Any]]


@dataclass(frozen=True)
class Review:
    """What becomes of a promoter's grade at the end of a month; after_id: if it is lowered."""

    promoter_id: int
    grade_id: int
    verdict: Verdict
    after_id: int | None
    facts: list[dict[str, Any]]


# --- Rules ----------------------------------------------------------------------------------


def rule_at(at: datetime) -> GradeRule | None:
    """Return the rule in force at a moment."""
    rows = GradeRule.objects.filter(status=GradeRule.Status.PUBLISHED, effective_from__lte=at)
    return rows.order_by("-effective_from", "-version").first()


def ladder_of(rule: GradeRule) -> Ladder:
    """Return a rule's grades; of a published rule only the conditions published with it."""
    rows = rule.conditions.select_related("grade").order_by(
        "grade__rank", "grade_id", "group", "pk"
    )
    if rule.status == GradeRule.Status.PUBLISHED:
        rows = rows.filter(published=True)
    rungs = [
        Rung(grade.pk, grade.rank, _groups(list(conditions)))
        for grade, conditions in groupby(rows, key=lambda row: row.grade)
    ]
    return Ladder(rule, tuple(rungs))


def _groups(rows: Sequence[GradeCondition]) -> tuple[tuple[Condition, ...], ...]:
    conditions = [Condition(r.grade_id, r.group, r.input, r.months, r.bar) for r in rows]
    return tuple(tuple(group) for _number, group in groupby(conditions, key=lambda one: one.group))


def ladder_at(at: datetime) -> Ladder | None:
    """Return the grades of the rule in force at a moment."""
    rule = rule_at(at)
    return ladder_of(rule) if rule else None


def ladder_after(at: datetime) -> Ladder | None:
    """Return the grades of the next rule that is to come into force after a moment."""
    rows = GradeRule.objects.filter(status=GradeRule.Status.PUBLISHED, effective_from__gt=at)
    rule = rows.order_by("effective_from", "-version").first()
    return ladder_of(rule) if rule else None


def month_end(month: date) -> datetime:
    """Return the first moment after a month."""
    return day_start(month_before(month, -1))


def month_before(month: date, count: int = 1) -> date:
    """Return the month so many months earlier."""
    year, index = divmod(month.year * 12 + month.month - 1 - count, 12)
    return date(year, index + 1, 1)


def closed_month(at: datetime) -> date:
    """Return the last month whose settlements are all there."""
    return month_before(beijing_month(at - SETTLED_BY))


# --- Numbers --------------------------------------------------------------------------------


def measured(
    promoter_ids: Sequence[int], month: date, measures: Iterable[tuple[str, int]]
) -> dict[int, dict[tuple[str, int], int | None]]:
    """Return the numbers of promoters, over as many months up to this one as each asks for."""
    found: dict[int, dict[tuple[str, int], int | None]] = {pk: {} for pk in promoter_ids}
    by_months: dict[int, set[str]] = defaultdict(set)
    for name, months in measures:
        by_months[months].add(name)
    for months, names in by_months.items():
        start, end = day_start(month_before(month, months - 1)), month_end(month)
        sold = _settled(promoter_ids, start, end) if names - {REFUNDS} else {}
        rates = _refund_rates(promoter_ids, start, end) if REFUNDS in names else {}
        for pk in promoter_ids:
            row = sold.get(pk, {SALES: 0, ORDERS: 0, MONTHS: 0}) | {REFUNDS: rates.get(pk)}
            found[pk] |= {(name, months): row[name] for name in names}
    return found


def own_settled(start: datetime, end: datetime) -> QuerySet[Commission]:
    """Return the commissions of own order lines that were settled in [start, end)."""
    return Commission.objects.filter(
        level=1,
        voided_at=None,
        settlement__settled_at__gte=start,
        settlement__settled_at__lt=end,
        line__paid_fen__gt=F("line__refunded_fen"),
    ).order_by()


def _settled(
    promoter_ids: Sequence[int], start: datetime, end: datetime
) -> dict[int, dict[str, int]]:
    rows = own_settled(start, end).filter(promoter__in=promoter_ids).values("promoter_id")
    rows = rows.annotate(
        sales=Sum(F("line__paid_fen") - F("line__refunded_fen")),
        orders=Count("order", distinct=True),
        months=Count(TruncMonth("settlement__settled_at", tzinfo=BEIJING), distinct=True),
    )
    return {
        row["promoter_id"]: {SALES: row["sales"], ORDERS: row["orders"], MONTHS: row["months"]}
        for row in rows
    }


def _refund_rates(
    promoter_ids: Sequence[int], start: datetime, end: datetime
) -> dict[int, int | None]:
    orders = Order.objects.filter(status__in=PAID, paid_at__gte=start, paid_at__lt=end).order_by()
    rows = orders.filter(promoter_1__in=promoter_ids).values("promoter_1_id")
    rows = rows.annotate(
        paid=Sum(F("paid_fen") - F("freight_fen")),
        refunded=Sum(F("refunded_fen") - F("freight_refunded_fen")),
    )
    return {
        row["promoter_1_id"]: refund_rate_bps(paid_fen=row["paid"], refunded_fen=row["refunded"])
        for row in rows
    }


def _facts(conditions: Iterable[Condition], numbers: Measured, month: date) -> list[dict[str, Any]]:
    """Return what was looked at, as whole numbers that a change of grade keeps."""
    return [
        {
            "group": one.group,
            "input": one.input,
            "month": f"{month:%Y-%m}",
            "months": one.months,
            "value": numbers[one.measure],
            "bar": one.bar,
        }
        for one in conditions
    ]


# --- Who rises ------------------------------------------------------------------------------


def rises(
    ladder: Ladder, month: date, *, at: datetime, promoter_ids: Iterable[int] | None = None
) -> Iterator[Rise]:
    """Yield the promoters whose numbers of a month earn more than they have.

    promoter_ids: None for everybody with own settled orders in the months that the rule looks at.
    A grade that was changed after the month's end is left alone: a later decision stands.
    """
    ranks, everybody = _ranks(), _sellers(ladder, month)
    if promoter_ids is not None:
        everybody = everybody.filter(promoter__in=promoter_ids)
    moment = min(at, month_end(month))
    active = Promoter.objects.filter(status=Promoter.Status.ACTIVE).order_by()
    active = active.filter(~Exists(_changes_after(month)))
    for ids in _chunks(sorted(everybody)):
        held = dict(active.filter(pk__in=ids).values_list("pk", "grade_id"))
        by_hand = _by_hand(list(held), ranks, moment)
        numbers = measured(list(held), month, ladder.measures)
        for pk, before_id in sorted(held.items()):
            rung = earned(ladder.rungs, numbers[pk])
            if rung is None or rung.rank <= ranks[before_id] or by_hand[pk].kept_down:
                continue
            group = met_group(rung, numbers[pk]) or ()
            yield Rise(pk, before_id, rung, _facts(group, numbers[pk], month))


def _chunks(ids: Sequence[int]) -> Iterator[Sequence[int]]:
    return (ids[start : start + CHUNK] for start in range(0, len(ids), CHUNK))


def _sellers(ladder: Ladder, month: date) -> QuerySet[Commission, int]:
    longest = max([months for _name, months in ladder.measures], default=1)
    rows = own_settled(day_start(month_before(month, longest - 1)), month_end(month))
    return rows.values_list("promoter_id", flat=True).distinct()


def _ranks() -> dict[int | None, int]:
    return {None: rank_of(None), **dict(Grade.objects.order_by().values_list("pk", "rank"))}


@dataclass(frozen=True)
class ByHand:
    """What the last decision of staff, while it is protected, means for the rule."""

    kept_down: bool = False
    floor_id: int | None = None
    floor: int = -1


def _by_hand(
    promoter_ids: Sequence[int], ranks: Mapping[int | None, int], at: datetime
) -> dict[int, ByHand]:
    rows = GradeChange.objects.filter(
        promoter__in=promoter_ids, cause=GradeChange.Cause.BY_HAND, changed_at__lte=at
    )
    found = dict.fromkeys(promoter_ids, ByHand())
    columns = ("promoter_id", "from_grade_id", "to_grade_id", "protected_until")
    for pk, before_id, after_id, until in rows.order_by("pk").values_list(*columns):
        if until <= at:
            found[pk] = ByHand()
        elif ranks[after_id] < ranks[before_id]:
            found[pk] = ByHand(kept_down=True)
        else:
            found[pk] = ByHand(floor_id=after_id, floor=ranks[after_id])
    return found


# --- What becomes of the grades at the end of a month ---------------------------------------


def graded(ladder: Ladder, month: date) -> QuerySet[Promoter]:
    """Return those who held their grade when a month ended, and hold it still.

    Of a grade that the rule does not name nobody is asked for anything.
    """
    grades = [rung.grade_id for rung in ladder.rungs]
    rows = Promoter.objects.filter(status=Promoter.Status.ACTIVE, grade__in=grades)
    return rows.filter(~Exists(_changes_after(month))).order_by("pk")


def _changes_after(month: date) -> QuerySet[GradeChange]:
    return GradeChange.objects.filter(promoter=OuterRef("pk"), changed_at__gte=month_end(month))


def to_review(ladder: Ladder, month: date) -> QuerySet[Promoter]:
    """Return those who held their grade when a month ended and were not reviewed for it yet."""
    reviewed = GradeReview.objects.filter(promoter=OuterRef("pk"), month=month)
    return graded(ladder, month).filter(~Exists(reviewed))


def reviews(ladder: Ladder, month: date, people: QuerySet[Promoter]) -> Iterator[Review]:
    """Yield what becomes of the grades of some promoters when a month is over."""
    ranks, after = _ranks(), 0
    while True:
        held = dict(people.filter(pk__gt=after).values_list("pk", "grade_id")[:CHUNK])
        if not held:
            return
        yield from _reviews(ladder, month, held, ranks)
        after = max(held)


def _reviews(
    ladder: Ladder, month: date, held: dict[int, int], ranks: Mapping[int | None, int]
) -> Iterator[Review]:
    ids = list(held)
    numbers = measured(ids, month, ladder.measures)
    by_hand = _by_hand(ids, ranks, month_end(month))
    warned = _warned(held, month_before(month))
    for pk, grade_id in held.items():
        rung = ladder.of(grade_id)
        assert rung is not None
        reached = earned(ladder.rungs, numbers[pk])
        standing = Standing(rung.rank, pk in warned, by_hand[pk].floor)
        low = reached is None or reached.rank < by_hand[pk].floor
        after_id = by_hand[pk].floor_id if low or reached is None else reached.grade_id
        yield Review(
            pk,
            grade_id,
            verdict(standing, rank_of(reached)),
            after_id,
            _facts(rung.conditions, numbers[pk], month),
        )


def _warned(held: Mapping[int, int], month: date) -> set[int]:
    """Return who was warned for a month about the grade he still has, never changed since."""
    rows = GradeReview.objects.filter(
        promoter__in=list(held), month=month, outcome=GradeReview.Outcome.WARNED
    )
    changed = GradeChange.objects.filter(
        promoter=OuterRef("promoter"), changed_at__gt=OuterRef("reviewed_at")
    )
    columns = rows.filter(~Exists(changed)).values_list("promoter_id", "grade_id")
    return {pk for pk, grade_id in columns if held[pk] == grade_id}
