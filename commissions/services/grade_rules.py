"""Grade rules: drafted, checked, published; a rule that counts heads is never saved."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import Max

from commissions.errors_grades import (
    GradeRuleBeforeHarder,
    GradeRuleNotDraft,
    GradeRuleStartsTooEarly,
)
from commissions.models import GradeCondition, GradeRule
from commissions.rules_grades import Condition, Rung, check_condition, check_ladder, is_worse
from commissions.selectors_grades import ladder_after, ladder_at, ladder_of
from distro import audit
from distro.actors import Actor
from distro.clock import BEIJING
from distro.states import advance

NOTICE = timedelta(days=7)  # 电子商务法 art. 34: notice before a worsening change


@dataclass(frozen=True)
class Draft:
    """A rule as it is written down."""

    name: str
    effective_from: datetime
    conditions: Sequence[Condition]


def next_version() -> int:
    """Return the number of the next rule."""
    return (GradeRule.objects.aggregate(last=Max("version"))["last"] or 0) + 1


def draft_rule(*, draft: Draft, by: Actor, at: datetime) -> GradeRule:
    """Save a rule that does not rule yet.

    Raises a GradeRuleRefused that says what to change; nothing is saved then.
    """
    for condition in draft.conditions:
        check_condition(condition)
    with transaction.atomic():
        rule = GradeRule.objects.create(
            version=next_version(),
            name=draft.name,
            effective_from=draft.effective_from,
            created_by=str(by),
        )
        GradeCondition.objects.bulk_create(_rows(rule, draft.conditions))
        audit.record(by=by, action="grade_rule.draft", target=rule, at=at)
    return rule


def _rows(rule: GradeRule, conditions: Iterable[Condition]) -> list[GradeCondition]:
    return [
        GradeCondition(
            rule=rule,
            grade_id=one.grade_id,
            group=one.group,
            input=one.input,
            months=one.months,
            bar=one.bar,
        )
        for one in conditions
    ]


def publish_rule(*, rule_id: int, by: Actor, at: datetime) -> GradeRule:
    """Make a draft final; it decides about grades from `effective_from` on.

    Raises a GradeRuleRefused that says what to change.
    """
    with transaction.atomic():
        rule = GradeRule.objects.select_for_update().get(pk=rule_id)
        if rule.status != GradeRule.Status.DRAFT:
            raise GradeRuleNotDraft
        rungs = ladder_of(rule).rungs
        check_ladder(rungs)
        _refuse_short_notice(rungs, begins=rule.effective_from, at=at)
        rule.conditions.update(published=True)
        advance(
            rule,
            GradeRule.Status.PUBLISHED,
            by=by,
            at=at,
            published_at=at,
            published_by=str(by),
        )
        audit.record(by=by, action="grade_rule.publish", target=rule, at=at)
    return rule


def _refuse_short_notice(rungs: Sequence[Rung], *, begins: datetime, at: datetime) -> None:
    """Refuse a change for the worse with less than seven days' notice.

    The change to the rule planned next counts too. Raises GradeRuleStartsTooEarly,
    GradeRuleBeforeHarder.
    """
    before = ladder_at(max(at, begins))
    earliest = at + NOTICE if before and is_worse(before.rungs, rungs) else at
    if begins < earliest:
        raise GradeRuleStartsTooEarly(field="effective_from", earliest=_minute(earliest))
    planned = ladder_after(begins)
    if planned is None or planned.rule.effective_from >= at + NOTICE:
        return
    if is_worse(rungs, planned.rungs):
        day = _minute(planned.rule.effective_from)
        raise GradeRuleBeforeHarder(field="effective_from", planned=day)


def _minute(at: datetime) -> str:
    return f"{at.astimezone(BEIJING):%Y-%m-%d %H:%M}"
