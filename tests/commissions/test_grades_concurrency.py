"""Grades looked at from eight sides at once, on a real PostgreSQL: everything happens once."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.db import transaction

from commissions.models import GradeReview
from commissions.services.grading import close_grades, raise_grades
from referrals.bulk import attach
from referrals.models import GradeChange, Message, Promoter
from referrals.services.grades import set_grade_by_hand
from tests.commissions.builders import make_chain, make_plan
from tests.commissions.grade_world import LONG_AGO, STAFF, at_least, make_grade, make_rule, sell
from tests.factories import counter, make_member

pytestmark = [pytest.mark.postgres, pytest.mark.django_db(transaction=True)]
Threads = Callable[[int, Callable[[int], Any]], Any]
BEIJING = ZoneInfo("Asia/Shanghai")


def on(month: int, day: int = 15) -> datetime:
    return datetime(2026, month, day, 12, tzinfo=BEIJING)


def shop(count: int) -> list[Promoter]:
    """Return promoters of whom every second one sold enough in August and nothing since."""
    make_plan(1000, 500, effective_from=LONG_AGO)
    silver, gold = make_grade("Silver", 1), make_grade("Gold", 2)
    make_rule(at_least(silver, 1_000), at_least(gold, 5_000))
    promoters = [make_chain(1)[0] for _ in range(count)]
    for promoter in promoters[::2]:
        sell([promoter], 6_000, on(8))
    return promoters


def test_raising_eight_times_at_once_raises_each_promoter_once(run_threads: Threads) -> None:
    promoters = shop(12)
    counts = list(run_threads(8, lambda _: raise_grades(at=on(8, 16))))
    assert sum(counts) == 6
    assert GradeChange.objects.count() == 6
    assert Message.objects.filter(key__startswith="grade:").count() == 6
    grades = [promoter.grade for promoter in Promoter.objects.order_by("pk")]
    assert [str(grade) for grade in grades] == ["Gold", "None"] * (len(promoters) // 2)


def test_closing_a_month_eight_times_at_once_warns_and_lowers_each_once(
    run_threads: Threads,
) -> None:
    shop(8)
    raise_grades(at=on(8, 16))
    counts = list(run_threads(8, lambda _: close_grades(at=on(10, 1))))
    assert sum(counts) == 0
    assert GradeReview.objects.filter(outcome="warned").count() == 4
    assert Message.objects.filter(key__startswith="grade_warned").count() == 4
    counts = list(run_threads(8, lambda _: close_grades(at=on(11, 1))))
    assert sum(counts) == 4
    assert GradeReview.objects.filter(outcome="lowered").count() == 4
    assert GradeChange.objects.filter(cause="lowered").count() == 4
    assert not Promoter.objects.filter(grade__isnull=False).exists()


def test_rises_decisions_and_joins_at_once_leave_one_history(run_threads: Threads) -> None:
    (promoter,) = shop(1)
    grade = make_grade("Honour", 9)

    def work(number: int) -> None:
        if number % 4 == 0:
            raise_grades(at=on(8, 16))
        elif number % 4 == 1:
            close_grades(at=on(9, 1))
        elif number % 4 == 2:
            set_grade_by_hand(
                promoter_id=promoter.pk, grade_id=grade.pk, reason="test",
                protected_until=date(2026, 12, 31), by=STAFF, at=on(8, 16),
            )  # fmt: skip
        else:
            with transaction.atomic():
                code, member_id = f"J{next(counter)}", make_member().pk
                attach(member_id=member_id, parent_id=promoter.pk, code=code, at=on(8, 16))

    list(run_threads(8, work))
    rows = list(GradeChange.objects.order_by("pk"))
    for before, after in pairwise(rows):
        assert after.from_grade_id == before.to_grade_id
    promoter.refresh_from_db()
    assert promoter.grade_id == rows[-1].to_grade_id == grade.pk
    assert Promoter.objects.filter(parent=promoter).count() == 2
