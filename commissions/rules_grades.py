"""Grades: what a rule may look at, what it gives, and what becomes of a grade at month's end.

A grade may depend only on what a promoter sells and does himself. Pay that grows with the number
of people recruited is pyramid selling (禁止传销条例 art. 7(1)), and a grade has rates of its own.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from commissions.errors_grades import (
    GradeBarOutOfRange,
    GradeCannotBeEarned,
    GradeConditionTwice,
    GradeInputCountsHeads,
    GradeInputUnknown,
    GradeInputWithoutData,
    GradeMonthsOutOfRange,
    GradeRanksEqual,
    GradeRuleEmpty,
)
from distro.money import BPS, FEN_MAX, yuan

SALES = "own_settled_sales_fen"
ORDERS = "own_settled_orders"
REFUNDS = "own_refund_rate"  # basis points
MONTHS = "months_active"

# The largest bar of each; an input that must be reached, or must not be passed.
BAR_MAX = {SALES: FEN_MAX, ORDERS: 1_000_000, REFUNDS: BPS, MONTHS: 24}
AT_MOST = frozenset({REFUNDS})
HUNDREDTHS = frozenset({SALES, REFUNDS})  # fen, basis points
WITHOUT_DATA = frozenset({"complaint_rate", "training_passed"})  # lawful, but nothing records them
COUNTS_HEADS = frozenset({"downline_count", "team_size", "recruits", "active_downline"})
MONTHS_MAX = 24  # of one condition


@dataclass(frozen=True)
class Condition:
    """One bar: of the month in question and the months before it, so many together.

    group: conditions of one group hold together; one group of a grade is enough.
    """

    grade_id: int
    group: int
    input: str
    months: int
    bar: int

    @property
    def measure(self) -> tuple[str, int]:
        return self.input, self.months


@dataclass(frozen=True)
class Rung:
    """A grade, how high it stands, and the groups of conditions that earn it."""

    grade_id: int
    rank: int
    groups: tuple[tuple[Condition, ...], ...]

    @property
    def conditions(self) -> list[Condition]:
        return [condition for group in self.groups for condition in group]


Measured = Mapping[tuple[str, int], int | None]


# --- Saving, publishing ---------------------------------------------------------------------


def check_input(name: str) -> None:
    """Refuse whatever a grade may not, or cannot yet, depend on."""
    if name in COUNTS_HEADS:
        raise GradeInputCountsHeads(field="input", name=name)
    if name in WITHOUT_DATA:
        raise GradeInputWithoutData(field="input", name=name)
    if name not in BAR_MAX:
        raise GradeInputUnknown(field="input", name=name)


def check_condition(condition: Condition) -> None:
    """Refuse a condition that is not allowed, or that nobody or everybody would meet."""
    check_input(condition.input)
    if not 1 <= condition.months <= MONTHS_MAX:
        raise GradeMonthsOutOfRange(field="months", maximum=MONTHS_MAX)
    lowest = 0 if condition.input in AT_MOST else 1
    highest = condition.months if condition.input == MONTHS else BAR_MAX[condition.input]
    if not lowest <= condition.bar <= highest:
        shown = yuan if condition.input in HUNDREDTHS else str  # yuan, percent, pieces
        raise GradeBarOutOfRange(field="bar", minimum=shown(lowest), maximum=shown(highest))


def check_ladder(rungs: Sequence[Rung]) -> None:
    """Refuse a rule without conditions, with a doubtful order, or with a grade for everybody."""
    if not any(rung.groups for rung in rungs):
        raise GradeRuleEmpty(field="conditions")
    if len({rung.rank for rung in rungs}) < len(rungs):
        raise GradeRanksEqual(field="grade")
    for rung in rungs:
        for group in rung.groups:
            for condition in group:
                check_condition(condition)
            if len({condition.measure for condition in group}) < len(group):
                raise GradeConditionTwice(field="conditions", group=group[0].group)
            if all(condition.input in AT_MOST for condition in group):
                raise GradeCannotBeEarned(field="conditions", group=group[0].group)


def is_worse(before: Iterable[Rung], after: Iterable[Rung]) -> bool:
    """Tell whether anybody who holds or would earn a grade could lose it by the new rule.

    Every old group has to entail a new group of the same grade; what is not sure counts as worse.
    A grade that the new rule does not name can no longer be earned.
    """
    new = {rung.grade_id: rung for rung in after}
    for rung in before:
        groups = new[rung.grade_id].groups if rung.grade_id in new else ()
        if not all(any(_entails(old, group) for group in groups) for old in rung.groups):
            return True
    return False


def _entails(old: Iterable[Condition], new: Iterable[Condition]) -> bool:
    """Say whether whoever meets the old conditions meets the new ones for sure."""
    return all(any(_is_stricter(have, wanted) for have in old) for wanted in new)


def _is_stricter(one: Condition, other: Condition) -> bool:
    if one.measure != other.measure:
        return False
    return one.bar <= other.bar if one.input in AT_MOST else one.bar >= other.bar


# --- Looking at a promoter ------------------------------------------------------------------


def is_met(condition: Condition, value: int | None) -> bool:
    """Say whether a condition holds; what cannot be computed holds never.

    value: a rate is rounded up to whole basis points, so that it is compared exactly.
    """
    if value is None:
        return False
    return value <= condition.bar if condition.input in AT_MOST else value >= condition.bar


def met_group(rung: Rung, measured: Measured) -> tuple[Condition, ...] | None:
    """Return the first group of conditions that all hold."""
    for group in rung.groups:
        if all(is_met(condition, measured[condition.measure]) for condition in group):
            return group
    return None


def earned(rungs: Iterable[Rung], measured: Measured) -> Rung | None:
    """Return the highest grade that is earned."""
    got = [rung for rung in rungs if met_group(rung, measured)]
    return max(got, key=lambda rung: rung.rank, default=None)


def rank_of(rung: Rung | None) -> int:
    """Return how high a grade stands; none stands below all."""
    return -1 if rung is None else rung.rank


def refund_rate_bps(*, paid_fen: int, refunded_fen: int) -> int | None:
    """Return the share refunded, rounded up; None when nothing was sold."""
    return -(-refunded_fen * BPS // paid_fen) if paid_fen else None


# --- The end of a month ---------------------------------------------------------------------


class Verdict(enum.Enum):
    """What becomes of a grade when a month is over."""

    KEPT = "kept"
    PROTECTED = "protected"
    WARNED = "warned"
    LOWERED = "lowered"


@dataclass(frozen=True)
class Standing:
    """What a promoter holds when a month is over.

    warned: the month before was already too weak for this grade. floor: the rank that a decision
    by hand protects, -1 for none.
    """

    held_rank: int
    warned: bool
    floor: int = -1


def verdict(standing: Standing, earned_rank: int) -> Verdict:
    """Decide about a grade: one weak month warns, the next one lowers."""
    if earned_rank >= standing.held_rank:
        return Verdict.KEPT
    if standing.floor >= standing.held_rank:
        return Verdict.PROTECTED
    return Verdict.LOWERED if standing.warned else Verdict.WARNED
