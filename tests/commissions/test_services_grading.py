"""Grades up at once, down after a month of warning, by own settled sales alone."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.utils import translation

from commissions.explaining_grades import explain_change
from commissions.models import GradeReview
from commissions.rules_grades import MONTHS, ORDERS, REFUNDS, Condition
from commissions.selectors_grades import closed_month, ladder_of
from commissions.selectors_standing import preview_of
from commissions.services.accruing import accrue, set_release
from commissions.services.grading import close_grades, raise_grades, raise_settled
from commissions.services.settling import settle_due
from distro import clock, facts, outbox
from referrals.models import Grade, GradeChange, Message, Promoter
from referrals.services.grades import set_grade_by_hand
from referrals.signals import promoter_changed
from tests.commissions.builders import make_attributed, make_chain, make_plan, receive
from tests.commissions.grade_world import (
    LONG_AGO,
    STAFF,
    YUAN,
    at_least,
    grade_of,
    make_grade,
    make_rule,
    refund,
    sell,
    settle,
)

pytestmark = pytest.mark.django_db
BEIJING = ZoneInfo("Asia/Shanghai")


def on(month: int, day: int = 15, hour: int = 12, year: int = 2026) -> datetime:
    return datetime(year, month, day, hour, tzinfo=BEIJING)


@pytest.fixture
def silver() -> Grade:
    return make_grade("Silver", 1)


@pytest.fixture
def gold() -> Grade:
    return make_grade("Gold", 2)


@pytest.fixture
def seller(silver: Grade, gold: Grade) -> Promoter:
    """A promoter under a plan, and a rule of two grades by own settled sales of a month."""
    make_plan(1000, 500, effective_from=LONG_AGO)
    make_rule(at_least(silver, 2_000 * YUAN), at_least(gold, 10_000 * YUAN))
    return make_chain(1)[0]


@pytest.fixture
def told() -> Iterator[list[int]]:
    found: list[int] = []

    def hear(*, promoter_id: int) -> None:
        found.append(promoter_id)

    facts.hear(promoter_changed, hear, "test.grades")
    yield found
    facts.unhear(promoter_changed, "test.grades")


def outcomes() -> list[tuple[str, str]]:
    rows = GradeReview.objects.order_by("month", "pk").values_list("month", "outcome")
    return [(f"{month:%Y-%m}", outcome) for month, outcome in rows]


# --- Up at once -----------------------------------------------------------------------------


def test_who_reaches_the_bar_is_raised_at_once_with_his_reason(
    seller: Promoter, told: list[int]
) -> None:
    sell([seller], 12_000 * YUAN, on(10))
    assert raise_grades(at=on(10, 16)) == 1
    assert grade_of(seller) == "Gold"
    change = GradeChange.objects.get()
    assert (change.cause, change.from_grade, change.to_grade.name) == ("raised", None, "Gold")
    assert (change.rule_version, change.changed_by, change.changed_at) == (
        1,
        "system:0",
        on(10, 16),
    )
    assert change.facts == [
        {
            "group": 1, "input": "own_settled_sales_fen", "month": "2026-10", "months": 1,
            "value": 1_200_000, "bar": 1_000_000,
        }
    ]  # fmt: skip
    with translation.override("en"):
        assert explain_change(change) == (
            "Gold because own settled sales in 2026-10 were ¥12,000.00 ≥ ¥10,000.00."
        )
    message = Message.objects.get(key=f"grade:{change.pk}")
    assert (message.member_id, message.body) == (seller.member_id, change.why)
    assert told == [seller.pk]


def test_one_fen_below_the_bar_is_below(seller: Promoter) -> None:
    order = sell([seller], 2_000 * YUAN, on(10))
    refund(order, 1)
    assert raise_grades(at=on(10, 16)) == 0
    refund(order, 0)
    assert raise_grades(at=on(10, 16)) == 1
    assert grade_of(seller) == "Silver"


def test_raising_again_changes_nothing(seller: Promoter) -> None:
    sell([seller], 12_000 * YUAN, on(10))
    assert [raise_grades(at=on(10, 16)) for _ in range(3)] == [1, 0, 0]
    assert (GradeChange.objects.count(), Message.objects.count()) == (1, 1)


def test_only_ones_own_settled_sales_count(silver: Grade) -> None:
    make_plan(1000, 500, effective_from=LONG_AGO)
    make_rule(at_least(silver, 100))
    chain = make_chain(2)
    sell(chain, 5_000, on(10))
    order = make_attributed([chain[1]], 5_000, paid_at=on(9))  # frozen still
    accrue(order_id=order.pk, at=on(9))
    assert raise_grades(at=on(10, 16)) == 1
    assert [grade_of(who) for who in chain] == ["Silver", None]


@pytest.mark.parametrize("moment", [on(9, 30, 23), on(11, 1, 0)])
def test_the_month_of_the_settlement_counts(seller: Promoter, moment: datetime) -> None:
    sell([seller], 12_000 * YUAN, moment)
    assert raise_grades(at=on(10, 31)) == 0


def test_what_was_refunded_since_does_not_count(seller: Promoter) -> None:
    order = sell([seller], 12_000 * YUAN, on(10))
    refund(order, 10_000 * YUAN + 1)
    assert raise_grades(at=on(10, 16)) == 0
    refund(order, 10_000 * YUAN)
    assert raise_grades(at=on(10, 16)) == 1
    assert grade_of(seller) == "Silver"


@pytest.mark.parametrize("status", ["suspended", "closing", "closed"])
def test_who_is_not_active_is_left_alone(seller: Promoter, status: str) -> None:
    Promoter.objects.filter(pk=seller.pk).update(status=status)
    sell([seller], 12_000 * YUAN, on(10))
    Promoter.objects.filter(pk=seller.pk).update(status=status)
    assert raise_grades(at=on(10, 16)) == 0
    assert grade_of(seller) is None


def test_without_a_rule_in_force_nothing_happens(gold: Grade) -> None:
    make_plan(1000, effective_from=LONG_AGO)
    (seller,) = make_chain(1)
    sell([seller], 12_000 * YUAN, on(10))
    make_rule(at_least(gold, 1), effective_from=on(11))
    assert (raise_grades(at=on(10, 16)), close_grades(at=on(11, 2))) == (0, 0)
    assert not GradeChange.objects.exists()


@pytest.mark.parametrize(
    ("condition", "met"),
    [
        (lambda grade: at_least(grade, 3, ORDERS), True),
        (lambda grade: at_least(grade, 4, ORDERS), False),
        (lambda grade: at_least(grade, 5, ORDERS, months=3), True),
        (lambda grade: at_least(grade, 6, ORDERS, months=3), False),
        (lambda grade: at_least(grade, 700, months=3), True),
        (lambda grade: at_least(grade, 701, months=3), False),
        (lambda grade: at_least(grade, 2, MONTHS, months=3), True),
        (lambda grade: at_least(grade, 3, MONTHS, months=3), False),
    ],
)
def test_every_input_is_counted_over_its_months(gold: Grade, condition: Any, met: bool) -> None:
    make_plan(1000, effective_from=LONG_AGO)
    make_rule(condition(gold))
    (seller,) = make_chain(1)
    for month, fen in ((10, 100), (10, 100), (10, 100), (8, 200), (8, 200), (7, 10_000)):
        sell([seller], fen, on(month))
    assert raise_grades(at=on(10, 20)) == int(met)


def test_a_group_holds_together_and_another_group_is_enough(gold: Grade) -> None:
    make_plan(1000, effective_from=LONG_AGO)
    make_rule(
        at_least(gold, 1_000),
        Condition(gold.pk, 1, REFUNDS, 2, 500),
        at_least(gold, 5, ORDERS, group=2),
    )
    chains = [make_chain(1) for _ in range(3)]
    for chain in chains:
        sell(chain, 2_000, on(10, 25))
    returned = make_attributed(chains[1], 1_000, paid_at=on(10, 10))
    refund(returned, 900)
    for _ in range(4):
        sell(chains[2], 10, on(10, 25))
    refund(make_attributed(chains[2], 1_000, paid_at=on(10, 10)), 900)
    assert raise_grades(at=on(10, 26)) == 2
    assert [grade_of(chain[0]) for chain in chains] == ["Gold", None, "Gold"]
    groups = {row.promoter_id: row.facts[0]["group"] for row in GradeChange.objects.all()}
    assert groups == {chains[0][0].pk: 1, chains[2][0].pk: 2}


def test_the_settlement_itself_raises(
    silver: Grade, monkeypatch: pytest.MonkeyPatch, django_capture_on_commit_callbacks: Any
) -> None:
    make_plan(1000, effective_from=LONG_AGO)
    make_rule(at_least(silver, 10_000))
    chain = make_chain(1)
    order = make_attributed(chain, 10_000)
    accrue(order_id=order.pk, at=order.paid_at)  # type: ignore[arg-type]
    due_at = receive(order)
    set_release(order_id=order.pk)
    monkeypatch.setattr(clock, "now", lambda: due_at)
    assert settle_due(at=due_at) == 1
    assert grade_of(chain[0]) is None
    outbox.deliver(at=due_at + timedelta(seconds=1))
    assert grade_of(chain[0]) == "Silver"


def test_only_those_of_the_settlement_are_looked_at(seller: Promoter) -> None:
    other = make_chain(1)
    order = sell([seller], 12_000 * YUAN, on(10))
    sell(other, 12_000 * YUAN, on(10))
    settlement = settle(order, on(10))
    assert raise_settled(settlement_id=settlement.pk, at=on(10)) == 1
    assert (grade_of(seller), grade_of(other[0])) == ("Gold", None)


# --- Down after a warning -------------------------------------------------------------------


def reach_gold(seller: Promoter) -> None:
    sell([seller], 12_000 * YUAN, on(8))
    assert raise_grades(at=on(8, 16)) == 1
    assert close_grades(at=on(9, 1)) == 0
    assert outcomes() == [("2026-08", "kept")]


def test_a_weak_month_warns_and_the_next_one_lowers(seller: Promoter, told: list[int]) -> None:
    reach_gold(seller)
    sell([seller], 3_000 * YUAN, on(9))
    assert close_grades(at=on(10, 1)) == 0
    assert grade_of(seller) == "Gold"
    warning = Message.objects.get(key=f"grade_warned:{seller.pk}:2026-09")
    sell([seller], 2_500 * YUAN, on(10))
    assert close_grades(at=on(11, 1)) == 1
    assert grade_of(seller) == "Silver"
    assert outcomes() == [("2026-08", "kept"), ("2026-09", "warned"), ("2026-10", "lowered")]
    change = GradeChange.objects.latest("pk")
    assert (change.cause, change.to_grade.name) == ("lowered", "Silver")  # type: ignore[union-attr]
    assert GradeReview.objects.get(outcome="lowered").change == change
    with translation.override("en"):
        assert explain_change(change) == (
            "Silver instead of Gold, as announced, because own settled sales in 2026-10 were"
            " ¥2,500.00 < ¥10,000.00."
        )
    assert "2026-10" in warning.body
    assert "¥3,000.00" in warning.body
    assert told == [seller.pk] * 2


def test_who_sells_nothing_ends_without_a_grade(seller: Promoter) -> None:
    reach_gold(seller)
    assert [close_grades(at=on(month, 1)) for month in (10, 11, 12)] == [0, 1, 0]
    assert grade_of(seller) is None
    assert outcomes()[1:] == [("2026-09", "warned"), ("2026-10", "lowered")]


def test_a_good_month_takes_the_warning_back(seller: Promoter) -> None:
    reach_gold(seller)
    close_grades(at=on(10, 1))
    sell([seller], 10_000 * YUAN, on(10))
    assert close_grades(at=on(11, 1)) == 0
    assert close_grades(at=on(12, 1)) == 0
    assert grade_of(seller) == "Gold"
    assert [outcome for _month, outcome in outcomes()] == ["kept", "warned", "kept", "warned"]


def test_a_month_is_closed_once_and_not_before_its_settlements_are_there(
    seller: Promoter,
) -> None:
    reach_gold(seller)
    assert closed_month(on(10, 1, 2)) == date(2026, 8, 1)
    close_grades(at=on(10, 1, 2))
    assert outcomes() == [("2026-08", "kept")]
    for hour in (3, 4, 12):
        close_grades(at=on(10, 1, hour))
    close_grades(at=on(10, 30))
    assert outcomes() == [("2026-08", "kept"), ("2026-09", "warned")]
    assert Message.objects.filter(key__startswith="grade_warned").count() == 1


def test_a_warning_of_an_earlier_month_does_not_count_when_one_was_not_looked_at(
    seller: Promoter,
) -> None:
    reach_gold(seller)
    close_grades(at=on(10, 1))
    assert close_grades(at=on(12, 1)) == 0
    assert grade_of(seller) == "Gold"
    assert outcomes()[1:] == [("2026-09", "warned"), ("2026-11", "warned")]


def test_what_was_earned_in_the_last_hours_of_a_month_is_given_after_it(seller: Promoter) -> None:
    sell([seller], 12_000 * YUAN, on(10, 31, 23))
    assert raise_grades(at=on(11, 1, 0)) == 0  # November has nothing yet
    assert close_grades(at=on(11, 1, 3)) == 1
    assert grade_of(seller) == "Gold"
    assert outcomes() == []  # he did not hold it in October
    assert close_grades(at=on(11, 1, 4)) == 0


def test_a_grade_won_after_the_month_is_not_judged_by_it(seller: Promoter) -> None:
    sell([seller], 12_000 * YUAN, on(11, 1, 1))
    assert raise_grades(at=on(11, 1, 2)) == 1
    assert close_grades(at=on(11, 1, 3)) == 0
    assert outcomes() == []


def test_a_grade_that_the_rule_does_not_name_stays(seller: Promoter) -> None:
    honour = make_grade("Honour", 9)
    set_by_hand(seller, honour, on(8), until=date(2026, 8, 20))
    assert [close_grades(at=on(month, 1)) for month in (10, 11, 12)] == [0, 0, 0]
    assert grade_of(seller) == "Honour"
    assert outcomes() == []


def test_the_rule_of_the_month_judges_the_month(seller: Promoter, gold: Grade) -> None:
    reach_gold(seller)
    make_rule(at_least(gold, 1), effective_from=on(10, 1, 1))
    sell([seller], 100, on(9))
    close_grades(at=on(10, 1, 6))
    assert outcomes()[-1] == ("2026-09", "warned")  # by the rule of September
    sell([seller], 100, on(10))
    close_grades(at=on(11, 1, 6))
    assert outcomes()[-1] == ("2026-10", "kept")


# --- By hand --------------------------------------------------------------------------------


def set_by_hand(seller: Promoter, grade: Grade | None, at: datetime, until: date) -> GradeChange:
    return set_grade_by_hand(
        promoter_id=seller.pk, grade_id=grade.pk if grade else None, reason="a decision",
        protected_until=until, by=STAFF, at=at,
    )  # fmt: skip


def test_what_staff_gave_is_protected_and_then_judged_like_any_other(
    seller: Promoter, gold: Grade
) -> None:
    change = set_by_hand(seller, gold, on(8), until=date(2026, 9, 30))
    assert change.protected_until == on(10, 1, 0)
    assert [close_grades(at=on(month, 1)) for month in (9, 10, 11, 12)] == [0, 0, 1, 0]
    assert outcomes() == [
        ("2026-08", "protected"), ("2026-09", "warned"), ("2026-10", "lowered")
    ]  # fmt: skip
    assert grade_of(seller) is None


def test_protection_ends_where_the_next_month_begins(seller: Promoter, gold: Grade) -> None:
    set_by_hand(seller, gold, on(8), until=date(2026, 10, 1))  # a day more than September
    close_grades(at=on(9, 1))
    close_grades(at=on(10, 1))
    close_grades(at=on(11, 1))
    assert [outcome for _month, outcome in outcomes()] == ["protected", "protected", "warned"]


def test_what_staff_gave_does_not_stop_a_rise(seller: Promoter, silver: Grade) -> None:
    set_by_hand(seller, silver, on(8), until=date(2026, 12, 31))
    sell([seller], 12_000 * YUAN, on(9))
    assert raise_grades(at=on(9, 20)) == 1
    assert grade_of(seller) == "Gold"
    for month in (10, 11, 12):
        close_grades(at=on(month, 1))
    assert grade_of(seller) == "Silver"  # and no lower: that is protected


def test_what_staff_took_is_not_given_back_before_its_time(seller: Promoter, silver: Grade) -> None:
    reach_gold(seller)
    set_by_hand(seller, None, on(9), until=date(2026, 10, 31))
    for month in (9, 10, 11):
        sell([seller], 12_000 * YUAN, on(month))
    assert raise_grades(at=on(9, 20)) == 0
    assert close_grades(at=on(10, 1)) == 0
    assert raise_grades(at=on(10, 20)) == 0
    assert raise_grades(at=on(11, 20)) == 1
    assert grade_of(seller) == "Gold"


def test_a_decision_after_the_month_is_not_undone_by_its_numbers(seller: Promoter) -> None:
    sell([seller], 12_000 * YUAN, on(10, 31, 23))
    set_by_hand(seller, None, on(11, 1, 1), until=date(2026, 11, 3))
    assert close_grades(at=on(11, 9)) == 0
    assert grade_of(seller) is None


def test_confirming_a_grade_protects_it_and_tells_nobody(
    seller: Promoter, gold: Grade, told: list[int]
) -> None:
    reach_gold(seller)
    close_grades(at=on(10, 1))
    messages = Message.objects.count()
    set_by_hand(seller, gold, on(10, 2), until=date(2026, 10, 20))
    assert (Message.objects.count(), told) == (messages, [seller.pk])
    assert close_grades(at=on(11, 1)) == 0
    assert outcomes()[-1] == ("2026-10", "warned")  # the warning before it is over


# --- Looking without writing ----------------------------------------------------------------


def test_a_preview_names_who_would_change_and_writes_nothing(seller: Promoter, gold: Grade) -> None:
    (rising,) = make_chain(1)
    reach_gold(seller)
    sell([rising], 12_000 * YUAN, on(10))
    before = list(Promoter.objects.order_by("pk").values())
    counts = (GradeChange.objects.count(), GradeReview.objects.count(), Message.objects.count())
    rule = make_rule(at_least(gold, 10_000 * YUAN), effective_from=on(10, 20))
    found = preview_of(ladder_of(rule), at=on(10, 21))
    assert [(row.promoter_id, row.rung.grade_id) for row in found.rises] == [(rising.pk, gold.pk)]
    assert [(row.promoter_id, row.verdict.value) for row in found.below] == [(seller.pk, "warned")]
    assert (found.rising, found.falling) == (1, 1)
    assert (found.month, found.closed) == (date(2026, 10, 1), date(2026, 9, 1))
    assert list(Promoter.objects.order_by("pk").values()) == before
    assert counts == (
        GradeChange.objects.count(), GradeReview.objects.count(), Message.objects.count()
    )  # fmt: skip
