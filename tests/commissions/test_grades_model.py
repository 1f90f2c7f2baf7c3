"""Grades over a year of random sales, refunds and decisions, against a plain model of the rule."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from random import Random
from zoneinfo import ZoneInfo

import pytest

from commissions.models import GradeReview
from commissions.services.grading import close_grades, raise_grades
from distro.clock import beijing_day
from orders.models import Order
from referrals.models import Grade, GradeChange, Promoter
from referrals.services.grades import set_grade_by_hand
from tests.commissions.builders import make_chain, make_plan
from tests.commissions.grade_world import (
    LONG_AGO,
    STAFF,
    at_least,
    make_grade,
    make_rule,
    refund,
    sell,
)

pytestmark = pytest.mark.django_db
BEIJING = ZoneInfo("Asia/Shanghai")
BARS = {1: 1_000, 2: 5_000}  # rank -> fen of own settled sales in a month
MONTHS = [date(2026, month, 1) for month in range(1, 13)]


@dataclass
class Person:
    """One promoter as a plain record."""

    held: int = 0  # 0 is no grade
    changed_at: datetime = LONG_AGO
    sold: dict[date, dict[int, int]] = field(default_factory=lambda: defaultdict(dict))
    warned: tuple[date, int, datetime] | None = None  # month, grade, when
    hand: tuple[int, int, datetime] | None = None  # before, after, protected until

    def earned(self, month: date) -> int:
        total = sum(self.sold[month].values())
        return max([rank for rank, bar in BARS.items() if total >= bar], default=0)

    def in_force(self, at: datetime) -> tuple[int, int] | None:
        return self.hand[:2] if self.hand and self.hand[2] > at else None

    def rise(self, month: date, at: datetime) -> None:
        end = after(month)
        hand = self.in_force(min(at, end))
        kept_down = hand is not None and hand[1] < hand[0]
        if self.changed_at < end and self.earned(month) > self.held and not kept_down:
            self.held, self.changed_at = self.earned(month), at

    def close(self, month: date, at: datetime) -> str:
        self.rise(month, at)
        end = after(month)
        if not self.held or self.changed_at >= end:
            return ""
        hand, got = self.in_force(end), self.earned(month)
        floor = hand[1] if hand and hand[1] >= hand[0] else 0
        warned = self.warned
        if got >= self.held:
            return "kept"
        if floor >= self.held:
            return "protected"
        last = date(month.year, month.month - 1, 1) if month.month > 1 else None
        if warned and warned[:2] == (last, self.held) and self.changed_at <= warned[2]:
            self.held, self.changed_at = max(got, floor), at
            return "lowered"
        self.warned = (month, self.held, at)
        return "warned"


def after(month: date) -> datetime:
    first = (month + timedelta(days=32)).replace(day=1)
    return datetime(first.year, first.month, first.day, tzinfo=BEIJING)


@pytest.mark.parametrize("seed", range(4))
def test_a_year_of_grades_is_what_a_plain_model_says(seed: int) -> None:
    rng = Random(seed)
    make_plan(1000, effective_from=LONG_AGO)
    grades: dict[int, Grade | None] = {0: None} | {
        rank: make_grade(name, rank) for rank, name in ((1, "Silver"), (2, "Gold"))
    }
    make_rule(*(at_least(grades[rank], bar) for rank, bar in BARS.items() if grades[rank]))  # type: ignore[arg-type]
    promoters = [make_chain(1)[0] for _ in range(4)]
    naive = {promoter.pk: Person() for promoter in promoters}
    orders: list[tuple[Order, int, date]] = []
    for month in MONTHS:
        for day in sorted(rng.sample(range(2, 28), 6)):
            at = datetime(month.year, month.month, day, 12, tzinfo=BEIJING)
            act(rng, at, promoters, naive, grades, orders)
            raise_grades(at=at)
            for person in naive.values():
                person.rise(month, at)
            check(naive, grades)
        at = after(month) + timedelta(hours=4)
        close_grades(at=at)
        expected = {pk: outcome for pk in naive if (outcome := naive[pk].close(month, at))}
        rows = GradeReview.objects.filter(month=month).values_list("promoter_id", "outcome")
        assert dict(rows) == expected
        check(naive, grades)
    assert GradeChange.objects.filter(cause="raised").exists()


def act(
    rng: Random,
    at: datetime,
    promoters: list[Promoter],
    naive: dict[int, Person],
    grades: dict[int, Grade | None],
    orders: list[tuple[Order, int, date]],
) -> None:
    """Let one thing happen: mostly a sale, sometimes a refund or a decision of staff."""
    promoter, chance = rng.choice(promoters), rng.random()
    person = naive[promoter.pk]
    if chance < 0.7:
        fen = rng.choice((300, 700, 1_000, 5_000))
        order = sell([promoter], fen, at)
        month = beijing_day(at).replace(day=1)
        orders.append((order, promoter.pk, month))
        person.sold[month][order.pk] = fen
    elif chance < 0.88 and orders:
        order, pk, month = rng.choice(orders)
        back = rng.randrange(order.paid_fen + 1)
        refund(order, back)
        naive[pk].sold[month][order.pk] = order.paid_fen - back
    else:
        rank, until = rng.randrange(3), beijing_day(at) + timedelta(days=rng.randrange(1, 90))
        grade = grades[rank]
        set_grade_by_hand(
            promoter_id=promoter.pk, grade_id=grade.pk if grade else None, reason="test",
            protected_until=until, by=STAFF, at=at,
        )  # fmt: skip
        end = datetime(until.year, until.month, until.day, tzinfo=BEIJING) + timedelta(days=1)
        person.hand = (person.held, rank, end)
        person.held, person.changed_at = rank, at


def check(naive: dict[int, Person], grades: dict[int, Grade | None]) -> None:
    held = dict(Promoter.objects.order_by().values_list("pk", "grade__rank"))
    assert {pk: held[pk] or 0 for pk in naive} == {pk: naive[pk].held for pk in naive}
    for promoter_id in naive:
        last = GradeChange.objects.filter(promoter=promoter_id).order_by("pk").last()
        assert (last.to_grade_id if last else None) == getattr(
            grades[naive[promoter_id].held], "pk", None
        )
