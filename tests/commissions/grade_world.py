"""Grades, a rule and settled sales for the tests of grades."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from commissions.models import Commission, GradeRule, Settlement
from commissions.rules_grades import SALES, Condition
from commissions.services.accruing import accrue
from commissions.services.grade_rules import NOTICE, Draft, draft_rule, publish_rule
from distro.actors import Actor
from orders.models import Order, OrderLine
from referrals.models import Grade, Promoter
from tests.commissions.builders import make_attributed
from tests.factories import AT, counter

STAFF = Actor("staff", 1)
LONG_AGO = AT - timedelta(days=400)
YUAN = 100


def make_grade(name: str, rank: int) -> Grade:
    return Grade.objects.create(code=f"{name.lower()}-{next(counter)}", name=name, rank=rank)


def at_least(
    grade: Grade, bar: int, name: str = SALES, *, months: int = 1, group: int = 1
) -> Condition:
    return Condition(grade.pk, group, name, months, bar)


def make_rule(*conditions: Condition, effective_from: datetime = LONG_AGO) -> GradeRule:
    """Make a published rule that has been in force for long."""
    draft = Draft("Grades", effective_from, conditions)
    published_at = effective_from - NOTICE
    rule = draft_rule(draft=draft, by=STAFF, at=published_at)
    return publish_rule(rule_id=rule.pk, by=STAFF, at=published_at)


def sell(chain: Sequence[Promoter], paid_fen: int, settled_at: datetime) -> Order:
    """Sell something and settle its commissions at a moment, without the facts in between."""
    order = make_attributed(chain, paid_fen, paid_at=settled_at - timedelta(days=20))
    accrue(order_id=order.pk, at=order.paid_at)  # type: ignore[arg-type]
    settle(order, settled_at)
    return order


def settle(order: Order, at: datetime) -> Settlement:
    settlement = Settlement.objects.create(number=f"T{next(counter)}", settled_at=at)
    for row in Commission.objects.filter(order=order, voided_at=None):
        Commission.objects.filter(pk=row.pk).update(
            status="settled", settlement=settlement, settled_fen=row.kept_fen
        )
    return settlement


def refund(order: Order, fen: int) -> None:
    """Take back a part of an order's only line, as sums alone."""
    Order.objects.filter(pk=order.pk).update(refunded_fen=fen)
    OrderLine.objects.filter(order=order).update(refunded_fen=fen)


def grade_of(promoter: Promoter) -> str | None:
    row = Promoter.objects.select_related("grade").get(pk=promoter.pk)
    return row.grade.name if row.grade else None
