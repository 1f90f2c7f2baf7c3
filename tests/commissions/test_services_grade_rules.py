"""Rules are refused when they are saved, final once published, and never suddenly worse."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta
from typing import Any

import pytest
from django.db import IntegrityError, transaction

from commissions import errors_grades as errors
from commissions.models import GradeCondition, GradeReview, GradeRule
from commissions.rules_grades import COUNTS_HEADS, ORDERS, REFUNDS, WITHOUT_DATA, Condition
from commissions.selectors_grades import ladder_at
from commissions.services.grade_rules import Draft, draft_rule, publish_rule
from distro.models import AuditEntry, StateChange
from referrals.errors import ReasonMissing
from referrals.errors_grades import BadProtection, GradeMoved, PromoterClosed
from referrals.models import Grade, GradeChange, Message, Promoter
from referrals.services.grades import Change, set_grade, set_grade_by_hand
from tests.commissions.grade_world import STAFF, at_least, grade_of, make_grade, make_rule
from tests.factories import AT, make_promoter

pytestmark = pytest.mark.django_db
DAY = timedelta(days=1)


@pytest.fixture
def gold() -> Grade:
    return make_grade("Gold", 2)


def draft(*conditions: Condition, start: Any = AT) -> GradeRule:
    return draft_rule(draft=Draft("Grades", start, conditions), by=STAFF, at=AT)


# --- Saving ---------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [*sorted(COUNTS_HEADS), *sorted(WITHOUT_DATA), "team_gmv"])
def test_a_rule_with_a_forbidden_input_is_not_saved(gold: Grade, name: str) -> None:
    with pytest.raises(errors.GradeRuleRefused):
        draft(at_least(gold, 1), at_least(gold, 1, name))
    assert not GradeRule.objects.exists()
    assert not GradeCondition.objects.exists()
    assert not AuditEntry.objects.exists()


def test_rules_are_numbered_and_remember_their_maker(gold: Grade) -> None:
    first, second = draft(at_least(gold, 1)), draft()
    assert (first.version, second.version) == (1, 2)
    assert (first.status, first.created_by) == ("draft", str(STAFF))
    assert AuditEntry.objects.filter(action="grade_rule.draft").count() == 2


# --- Publishing -----------------------------------------------------------------------------


def empty(gold: Grade) -> list[Condition]:
    return []


def upper_limits_only(gold: Grade) -> list[Condition]:
    return [at_least(gold, 500, REFUNDS)]


def two_of_one_rank(gold: Grade) -> list[Condition]:
    return [at_least(gold, 1), at_least(make_grade("Other", gold.rank), 2)]


@pytest.mark.parametrize("make", [empty, upper_limits_only, two_of_one_rank])
def test_a_senseless_rule_is_not_published(
    gold: Grade, make: Callable[[Grade], list[Condition]]
) -> None:
    rule = draft(*make(gold))
    with pytest.raises(errors.GradeRuleRefused):
        publish_rule(rule_id=rule.pk, by=STAFF, at=AT)
    rule.refresh_from_db()
    assert (rule.status, rule.published_at) == ("draft", None)
    assert not rule.conditions.filter(published=True).exists()
    assert not StateChange.objects.exists()


def test_a_rule_does_not_begin_in_the_past(gold: Grade) -> None:
    rule = draft(at_least(gold, 1), start=AT - timedelta(seconds=1))
    with pytest.raises(errors.GradeRuleStartsTooEarly):
        publish_rule(rule_id=rule.pk, by=STAFF, at=AT)
    assert ladder_at(AT) is None


def test_a_worse_rule_needs_seven_days_of_notice(gold: Grade) -> None:
    make_rule(at_least(gold, 1_000))
    harder = draft(at_least(gold, 1_001), start=AT + 7 * DAY - timedelta(seconds=1))
    with pytest.raises(errors.GradeRuleStartsTooEarly):
        publish_rule(rule_id=harder.pk, by=STAFF, at=AT)
    GradeRule.objects.filter(pk=harder.pk).update(effective_from=AT + 7 * DAY)
    publish_rule(rule_id=harder.pk, by=STAFF, at=AT)
    easier = draft(at_least(gold, 999), start=AT)
    publish_rule(rule_id=easier.pk, by=STAFF, at=AT)
    now, later = ladder_at(AT), ladder_at(AT + 7 * DAY)
    assert now
    assert later
    assert (now.rule, later.rule) == (easier, harder)


def test_an_easier_rule_gives_seven_days_before_the_planned_one(gold: Grade) -> None:
    make_rule(at_least(gold, 1_000))
    planned = draft(at_least(gold, 1_000), start=AT + 7 * DAY)
    publish_rule(rule_id=planned.pk, by=STAFF, at=AT)
    easier = draft(at_least(gold, 100), start=AT + DAY)
    with pytest.raises(errors.GradeRuleBeforeHarder):
        publish_rule(rule_id=easier.pk, by=STAFF, at=AT + timedelta(seconds=1))
    publish_rule(rule_id=easier.pk, by=STAFF, at=AT)


def test_a_rule_is_published_once(gold: Grade) -> None:
    rule = draft(at_least(gold, 1))
    publish_rule(rule_id=rule.pk, by=STAFF, at=AT)
    with pytest.raises(errors.GradeRuleNotDraft):
        publish_rule(rule_id=rule.pk, by=STAFF, at=AT)
    assert AuditEntry.objects.filter(action="grade_rule.publish").count() == 1


def test_a_published_rule_can_not_be_changed_by_anybody(gold: Grade) -> None:
    rule = make_rule(at_least(gold, 1_000))
    condition = rule.conditions.get()
    for refused in (
        lambda: GradeRule.objects.filter(pk=rule.pk).update(name="other"),
        lambda: GradeRule.objects.filter(pk=rule.pk).delete(),
        lambda: GradeCondition.objects.filter(pk=condition.pk).update(bar=1),
        lambda: GradeCondition.objects.filter(pk=condition.pk).delete(),
        lambda: GradeCondition.objects.create(rule=rule, grade=gold, input=ORDERS, bar=1),
    ):
        with pytest.raises(Exception, match=r"frozen|closed|protected"), transaction.atomic():
            refused()
    assert rule.conditions.get().bar == 1_000


# --- By hand --------------------------------------------------------------------------------


def by_hand(promoter: Promoter, grade: Grade | None, **kw: Any) -> GradeChange:
    given: dict[str, Any] = {"reason": "won the contest", "protected_until": date(2026, 12, 31)}
    grade_id = grade.pk if grade else None
    return set_grade_by_hand(
        promoter_id=promoter.pk, grade_id=grade_id, by=STAFF, at=AT, **given | kw
    )


def test_staff_set_a_grade_with_reason_and_protection(gold: Grade) -> None:
    promoter = make_promoter()
    change = by_hand(promoter, gold)
    assert grade_of(promoter) == "Gold"
    assert (change.cause, change.why, change.changed_by) == (
        "by_hand", "won the contest", str(STAFF)
    )  # fmt: skip
    entry = AuditEntry.objects.get(action="promoter.set_grade")
    assert (entry.reason, entry.target) == ("won the contest", f"referrals.promoter:{promoter.pk}")
    assert Message.objects.get().body == "won the contest"
    by_hand(promoter, None)
    assert grade_of(promoter) is None


@pytest.mark.parametrize(
    ("change", "refusal"),
    [
        ({"reason": " "}, ReasonMissing),
        ({"protected_until": date(2026, 11, 2)}, BadProtection),
        ({"protected_until": date(2026, 11, 1)}, BadProtection),
        ({"protected_until": date(2029, 1, 1)}, BadProtection),
    ],
)
def test_a_decision_without_reason_or_end_is_refused(
    gold: Grade, change: dict[str, Any], refusal: type[Exception]
) -> None:
    promoter = make_promoter()
    with pytest.raises(refusal):
        by_hand(promoter, gold, **change)
    nothing_happened(promoter)


def test_a_closed_promoter_gets_no_grade(gold: Grade) -> None:
    promoter = make_promoter(status="closed")
    with pytest.raises(PromoterClosed):
        by_hand(promoter, gold)
    nothing_happened(promoter)


def test_a_change_that_was_decided_for_another_grade_is_refused(gold: Grade) -> None:
    promoter = make_promoter()
    change = Change(gold.pk, None, GradeChange.Cause.LOWERED, "why", rule_version=1)
    with pytest.raises(GradeMoved):
        set_grade(promoter_id=promoter.pk, change=change, by=STAFF, at=AT)
    nothing_happened(promoter)


def nothing_happened(promoter: Promoter) -> None:
    assert grade_of(promoter) is None
    assert not GradeChange.objects.exists()
    assert not AuditEntry.objects.exists()
    assert not Message.objects.exists()


# --- What the database refuses --------------------------------------------------------------


def change_row(promoter: Promoter, **kw: Any) -> GradeChange:
    fields = {"cause": "raised", "why": "x", "changed_by": "test", "changed_at": AT}
    return GradeChange.objects.create(promoter=promoter, **fields | {"rule_version": 1} | kw)


@pytest.mark.parametrize(
    "kw",
    [
        {"rule_version": None},
        {"cause": "lowered", "protected_until": AT},
        {"cause": "by_hand", "protected_until": AT},
        {"cause": "by_hand", "rule_version": None},
        {"cause": "other"},
        {"why": ""},
    ],
)
def test_a_change_that_does_not_add_up_is_no_row(gold: Grade, kw: dict[str, Any]) -> None:
    promoter = make_promoter()
    with pytest.raises(IntegrityError), transaction.atomic():
        change_row(promoter, to_grade=gold, **kw)
    assert not GradeChange.objects.exists()


def test_the_rule_never_changes_a_grade_into_itself(gold: Grade) -> None:
    promoter = make_promoter()
    with pytest.raises(IntegrityError), transaction.atomic():
        change_row(promoter, from_grade=gold, to_grade=gold)
    by_hand_twice = {"cause": "by_hand", "rule_version": None, "protected_until": AT}
    change_row(promoter, from_grade=gold, to_grade=gold, **by_hand_twice)


def test_the_history_is_append_only(gold: Grade) -> None:
    change = change_row(make_promoter(), to_grade=gold)
    with pytest.raises(IntegrityError), transaction.atomic():
        GradeChange.objects.filter(pk=change.pk).update(why="y")
    with pytest.raises(Exception, match="append-only"), transaction.atomic():
        change.delete()


@pytest.mark.parametrize(
    "kw",
    [
        {"input": "team_size"},
        {"input": "complaint_rate"},
        {"months": 0},
        {"months": 25},
        {"group": 0},
        {"bar": 0},
        {"bar": -1, "input": REFUNDS},
    ],
)
def test_a_forbidden_condition_is_no_row(gold: Grade, kw: dict[str, Any]) -> None:
    rule = draft()
    with pytest.raises(IntegrityError), transaction.atomic():
        GradeCondition.objects.create(
            **{"rule": rule, "grade": gold, "input": ORDERS, "bar": 1} | kw
        )
    assert not rule.conditions.exists()


def test_one_condition_stands_once_in_a_group(gold: Grade) -> None:
    rule = draft(at_least(gold, 1))
    with pytest.raises(IntegrityError), transaction.atomic():
        GradeCondition.objects.create(rule=rule, grade=gold, input=at_least(gold, 1).input, bar=2)


def test_a_month_is_reviewed_once(gold: Grade) -> None:
    promoter, rule = make_promoter(), make_rule(at_least(gold, 1))
    fields: dict[str, Any] = {
        "promoter": promoter, "month": date(2026, 10, 1), "rule": rule, "grade": gold,
        "reviewed_at": AT,
    }  # fmt: skip
    GradeReview.objects.create(outcome="kept", **fields)
    for kw in (
        {"outcome": "warned"},
        {"outcome": "lowered", "month": date(2026, 9, 1)},
        {"outcome": "other", "month": date(2026, 9, 1)},
    ):
        with pytest.raises(IntegrityError), transaction.atomic():
            GradeReview.objects.create(**fields | kw)
    assert GradeReview.objects.count() == 1


def test_a_status_of_a_rule_is_known_and_dated(gold: Grade) -> None:
    for kw in ({"status": "other"}, {"status": "published"}):
        with pytest.raises(IntegrityError), transaction.atomic():
            GradeRule.objects.create(version=9, name="x", effective_from=AT, **kw)
