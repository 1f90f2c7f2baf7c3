"""Grades as the rule gives them: up at once, down at the end of a month, after a weak one before.

Any number of runs may work at once: each change is decided again under the promoter's lock, and a
month is reviewed once.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime, timedelta

from django.db import transaction
from django.utils.translation import gettext as _

from commissions.explaining_grades import lowered_text, raised_text, warned_text
from commissions.models import Commission, GradeReview, GradeRule, Settlement
from commissions.rules_grades import Verdict
from commissions.selectors_grades import (
    Ladder,
    Review,
    Rise,
    closed_month,
    ladder_at,
    month_before,
    month_end,
    reviews,
    rises,
    to_review,
)
from distro.actors import SYSTEM
from distro.clock import beijing_month
from referrals.errors_grades import GradeMoved
from referrals.models import Grade, GradeChange, Promoter
from referrals.services.grades import Change, lock_promoter, set_grade
from referrals.services.messages import in_members_language, notify

MESSAGE_KIND = "promoter_grade"
PAGE = "pages/promoter/index"
KEPT_AT_ONCE = 500  # reviews in one statement
MOMENT = timedelta(microseconds=1)


def raise_grades(*, at: datetime) -> int:
    """Raise everybody who has earned it in the running month; return how many."""
    return _raise_all(beijing_month(at), at=at)


def raise_settled(*, settlement_id: int, at: datetime) -> int:
    """Raise those whose own sales were just settled, if that earned it; return how many."""
    settled_at = Settlement.objects.values_list("settled_at", flat=True).get(pk=settlement_id)
    own = Commission.objects.filter(settlement=settlement_id, level=1).order_by()
    promoter_ids = list(own.values_list("promoter_id", flat=True).distinct())
    return _raise_all(beijing_month(settled_at), at=at, promoter_ids=promoter_ids)


def close_grades(*, at: datetime) -> int:
    """Review all grades for the last month that is over, once each; return how many were changed.

    A month that nobody looked at before the next one was over is not made up for: nobody loses
    his grade for a weak month that he was not told of.
    """
    month = closed_month(at)
    ladder = _ladder(month, at)
    if ladder is None:
        return 0
    changed = _raise_all(month, at=at)
    grades = {grade.pk: grade for grade in Grade.objects.all()}
    kept: list[GradeReview] = []
    for review in reviews(ladder, month, to_review(ladder, month)):
        if review.verdict in (Verdict.KEPT, Verdict.PROTECTED):
            kept.append(_row(review, ladder.rule, month, at))
        else:
            changed += _act(review, ladder, month, grades, at)
        if len(kept) == KEPT_AT_ONCE:
            _keep(kept)
    _keep(kept)
    return changed


# --- Steps ----------------------------------------------------------------------------------


def _ladder(month: date, at: datetime) -> Ladder | None:
    """Return the rule for a month: the one in force now, or when the month ended."""
    return ladder_at(min(at, month_end(month) - MOMENT))


def _raise_all(month: date, *, at: datetime, promoter_ids: Sequence[int] | None = None) -> int:
    ladder = _ladder(month, at)
    if ladder is None:
        return 0
    grades = {grade.pk: grade for grade in Grade.objects.all()}
    found = rises(ladder, month, at=at, promoter_ids=promoter_ids)
    return sum([_raise(rise, ladder.rule, grades, at) for rise in found])


def _raise(rise: Rise, rule: GradeRule, grades: dict[int, Grade], at: datetime) -> bool:
    """Raise one promoter, unless his grade was changed since it was looked at."""
    with in_members_language():
        why = raised_text(grades[rise.rung.grade_id], rise.facts)
    change = Change(
        before_id=rise.before_id,
        after_id=rise.rung.grade_id,
        cause=GradeChange.Cause.RAISED,
        why=why,
        rule_version=rule.version,
        facts=rise.facts,
    )
    try:
        set_grade(promoter_id=rise.promoter_id, change=change, by=SYSTEM, at=at)
    except GradeMoved:
        return False
    return True


def _act(
    review: Review, ladder: Ladder, month: date, grades: dict[int, Grade], at: datetime
) -> bool:
    """Warn or lower one promoter; tell whether his grade changed.

    Whom another run reviewed since, or staff gave a grade or protected, is left alone.
    """
    with transaction.atomic():
        promoter = lock_promoter(review.promoter_id)
        still = to_review(ladder, month).filter(pk=promoter.pk, grade=review.grade_id)
        if not still.exists():
            return False
        row = _row(review, ladder.rule, month, at)
        if review.verdict == Verdict.WARNED:
            row.save(force_insert=True)
            _warn(promoter, row, grades[review.grade_id], at)
            return False
        row.change = _lower(review, ladder.rule, grades, at)
        row.save(force_insert=True)
        return True


def _lower(review: Review, rule: GradeRule, grades: dict[int, Grade], at: datetime) -> GradeChange:
    after = grades[review.after_id] if review.after_id else None
    with in_members_language():
        why = lowered_text(grades[review.grade_id], after, review.facts)
    change = Change(
        before_id=review.grade_id,
        after_id=review.after_id,
        cause=GradeChange.Cause.LOWERED,
        why=why,
        rule_version=rule.version,
        facts=review.facts,
    )
    return set_grade(promoter_id=review.promoter_id, change=change, by=SYSTEM, at=at)


def _warn(promoter: Promoter, row: GradeReview, grade: Grade, at: datetime) -> None:
    with in_members_language():
        title = _("Your grade %(grade)s is at risk") % {"grade": grade.name}
        body = warned_text(grade, month_before(row.month, -1), row.facts)
    notify(
        member_id=promoter.member_id,
        kind=MESSAGE_KIND,
        key=f"grade_warned:{promoter.pk}:{row.month:%Y-%m}",
        title=title,
        body=body,
        page=PAGE,
        at=at,
    )


def _row(review: Review, rule: GradeRule, month: date, at: datetime) -> GradeReview:
    return GradeReview(
        promoter_id=review.promoter_id,
        month=month,
        rule=rule,
        grade_id=review.grade_id,
        outcome=review.verdict.value,
        facts=review.facts,
        reviewed_at=at,
    )


def _keep(rows: list[GradeReview]) -> None:
    """Write reviews that change nothing, unless another run did."""
    GradeReview.objects.bulk_create(rows, ignore_conflicts=True)
    rows.clear()
