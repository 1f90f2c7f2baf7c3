"""What a grade may depend on, which conditions make sense, and who has earned what."""

from __future__ import annotations

import pytest
from django.utils import translation

from commissions import errors_grades as errors
from commissions.rules_grades import (
    BAR_MAX,
    COUNTS_HEADS,
    MONTHS,
    ORDERS,
    REFUNDS,
    SALES,
    WITHOUT_DATA,
    Condition,
    Rung,
    Standing,
    Verdict,
    check_condition,
    check_input,
    check_ladder,
    earned,
    is_met,
    is_worse,
    met_group,
    rank_of,
    refund_rate_bps,
    verdict,
)

SILVER, GOLD = 1, 2


def one(
    bar: int, name: str = SALES, *, grade: int = GOLD, group: int = 1, months: int = 1
) -> Condition:
    return Condition(grade, group, name, months, bar)


def rung(grade: int, *groups: tuple[Condition, ...]) -> Rung:
    return Rung(grade, grade * 10, groups)


# --- Inputs ---------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["downline_count", "team_size", "recruits", "active_downline"])
def test_a_rule_that_counts_heads_is_refused_with_the_reason(name: str) -> None:
    with pytest.raises(errors.GradeInputCountsHeads) as refusal:
        check_condition(one(1, name))
    with translation.override("en"):
        assert name in str(refusal.value)
        assert "pyramid selling" in str(refusal.value)
    assert name in COUNTS_HEADS


@pytest.mark.parametrize("name", sorted(WITHOUT_DATA))
def test_what_nothing_records_is_refused_not_taken_for_zero(name: str) -> None:
    with pytest.raises(errors.GradeInputWithoutData):
        check_input(name)


@pytest.mark.parametrize("name", ["", "own_settled_sales", "team_gmv", "own_sales_fen", "level"])
def test_whatever_else_is_refused(name: str) -> None:
    with pytest.raises(errors.GradeInputUnknown):
        check_input(name)


def test_the_inputs_are_those_of_the_rule_book() -> None:
    assert set(BAR_MAX) | WITHOUT_DATA == {
        "own_settled_sales_fen", "own_settled_orders", "own_refund_rate", "complaint_rate",
        "training_passed", "months_active",
    }  # fmt: skip


# --- Conditions -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("condition", "refusal"),
    [
        (one(0), errors.GradeBarOutOfRange),
        (one(-1), errors.GradeBarOutOfRange),
        (one(BAR_MAX[SALES] + 1), errors.GradeBarOutOfRange),
        (one(0, ORDERS), errors.GradeBarOutOfRange),
        (one(-1, REFUNDS), errors.GradeBarOutOfRange),
        (one(10_001, REFUNDS), errors.GradeBarOutOfRange),
        (one(4, MONTHS, months=3), errors.GradeBarOutOfRange),
        (one(1, months=0), errors.GradeMonthsOutOfRange),
        (one(1, months=25), errors.GradeMonthsOutOfRange),
    ],
)
def test_a_condition_that_makes_no_sense_is_refused(
    condition: Condition, refusal: type[Exception]
) -> None:
    with pytest.raises(refusal):
        check_condition(condition)


@pytest.mark.parametrize(
    "condition",
    [
        one(1), one(BAR_MAX[SALES]), one(0, REFUNDS), one(10_000, REFUNDS), one(1, ORDERS),
        one(3, MONTHS, months=3), one(24, MONTHS, months=24), one(1, months=24),
    ],
)  # fmt: skip
def test_a_condition_in_range_is_taken(condition: Condition) -> None:
    check_condition(condition)


@pytest.mark.parametrize(
    ("rungs", "refusal"),
    [
        ([], errors.GradeRuleEmpty),
        ([rung(GOLD)], errors.GradeRuleEmpty),
        ([Rung(1, 5, ((one(1, grade=1),),)), Rung(2, 5, ((one(2),),))], errors.GradeRanksEqual),
        ([rung(GOLD, (one(1), one(2)))], errors.GradeConditionTwice),
        ([rung(GOLD, (one(100, REFUNDS),))], errors.GradeCannotBeEarned),
        ([rung(GOLD, (one(1),), (one(100, REFUNDS, group=2),))], errors.GradeCannotBeEarned),
        ([rung(GOLD, (one(1, "team_size"),))], errors.GradeInputCountsHeads),
    ],
)
def test_a_ladder_that_makes_no_sense_is_refused(
    rungs: list[Rung], refusal: type[Exception]
) -> None:
    with pytest.raises(refusal):
        check_ladder(rungs)


def test_the_same_input_over_other_months_is_another_condition() -> None:
    check_ladder([rung(GOLD, (one(1), one(2, months=3), one(500, REFUNDS)))])


# --- Earning --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("condition", "value", "met"),
    [
        (one(1_000), 999, False),
        (one(1_000), 1_000, True),
        (one(500, REFUNDS), 500, True),
        (one(500, REFUNDS), 501, False),
        (one(500, REFUNDS), None, False),
        (one(0, REFUNDS), 0, True),
        (one(2, MONTHS, months=2), 1, False),
    ],
)
def test_a_bar_is_reached_or_not_passed(condition: Condition, value: int | None, met: bool) -> None:
    assert is_met(condition, value) is met


LADDER = [
    rung(SILVER, (one(1_000, grade=SILVER),)),
    rung(
        GOLD,
        (one(5_000), one(500, REFUNDS)),
        (one(100, ORDERS, group=2),),
    ),
]


@pytest.mark.parametrize(
    ("sales", "orders", "refunds", "grade"),
    [
        (999, 0, 0, None),
        (1_000, 0, 0, SILVER),
        (5_000, 0, 501, SILVER),
        (5_000, 0, None, SILVER),
        (5_000, 0, 500, GOLD),
        (0, 100, 10_000, GOLD),
        (0, 99, 0, None),
    ],
)
def test_all_of_a_group_or_all_of_another_earn_a_grade(
    sales: int, orders: int, refunds: int | None, grade: int | None
) -> None:
    numbers = {(SALES, 1): sales, (ORDERS, 1): orders, (REFUNDS, 1): refunds}
    got = earned(LADDER, numbers)
    assert (got.grade_id if got else None) == grade
    assert rank_of(got) == (-1 if grade is None else grade * 10)
    if got:
        group = met_group(got, numbers)
        assert group
        assert all(is_met(each, numbers[each.measure]) for each in group)


@pytest.mark.parametrize(
    ("paid", "refunded", "bps"),
    [(0, 0, None), (1, 0, 0), (3, 1, 3_334), (100, 5, 500), (20_001, 1_000, 500), (1, 1, 10_000)],
)
def test_a_refund_rate_is_rounded_up_so_that_it_compares_exactly(
    paid: int, refunded: int, bps: int | None
) -> None:
    assert refund_rate_bps(paid_fen=paid, refunded_fen=refunded) == bps
    for limit in (0, 499, 500, 3_333, 3_334, 10_000) if paid else ():
        exact = refunded * 10_000 <= limit * paid
        assert is_met(one(limit, REFUNDS), bps) is exact


# --- Worse ----------------------------------------------------------------------------------

BEFORE = [rung(GOLD, (one(5_000), one(500, REFUNDS)))]


@pytest.mark.parametrize(
    ("after", "worse"),
    [
        (BEFORE, False),
        ([rung(GOLD, (one(4_000), one(500, REFUNDS)))], False),
        ([rung(GOLD, (one(5_000), one(600, REFUNDS)))], False),
        ([rung(GOLD, (one(5_000),))], False),
        ([*BEFORE, rung(SILVER, (one(1, grade=SILVER),))], False),
        ([rung(GOLD, (one(5_000), one(500, REFUNDS)), (one(9, ORDERS, group=2),))], False),
        ([rung(GOLD, (one(5_001), one(500, REFUNDS)))], True),
        ([rung(GOLD, (one(5_000), one(499, REFUNDS)))], True),
        ([rung(GOLD, (one(5_000), one(500, REFUNDS), one(1, ORDERS)))], True),
        ([rung(GOLD, (one(5_000, months=2), one(500, REFUNDS)))], True),
        ([rung(SILVER, (one(1, grade=SILVER),))], True),
    ],
)
def test_a_rule_is_worse_when_anybody_could_lose(after: list[Rung], worse: bool) -> None:
    assert is_worse(BEFORE, after) is worse


# --- The end of a month ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("held", "got", "warned", "floor", "outcome"),
    [
        (20, 20, False, -1, Verdict.KEPT),
        (20, 30, True, -1, Verdict.KEPT),
        (20, 10, False, -1, Verdict.WARNED),
        (20, -1, False, -1, Verdict.WARNED),
        (20, 10, True, -1, Verdict.LOWERED),
        (20, 10, True, 20, Verdict.PROTECTED),
        (20, 10, False, 20, Verdict.PROTECTED),
        (20, -1, True, 10, Verdict.LOWERED),
        (20, -1, False, 10, Verdict.WARNED),
    ],
)
def test_one_weak_month_warns_and_the_next_one_lowers(
    held: int, got: int, warned: bool, floor: int, outcome: Verdict
) -> None:
    assert verdict(Standing(held, warned, floor), got) == outcome
