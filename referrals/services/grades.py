"""A promoter's grade: the one place that writes it, with its history."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any

from django.db import transaction
from django.utils.translation import gettext as _

from distro import audit
from distro.actors import Actor
from distro.clock import beijing_day, day_start
from distro.facts import tell
from referrals.errors import ReasonMissing
from referrals.errors_grades import BadProtection, GradeMoved, PromoterClosed
from referrals.models import GradeChange, Promoter
from referrals.services.messages import in_members_language, notify
from referrals.signals import promoter_changed

MESSAGE_KIND = "promoter_grade"
PAGE = "pages/promoter/index"
PROTECTED_DAYS_MAX = 732  # two years
WHY_CHARS = 400


@dataclass(frozen=True)
class Change:
    """Which grade instead of which, and why.

    why: the sentence that the promoter reads and the history keeps. facts: the numbers behind it.
    """

    before_id: int | None
    after_id: int | None
    cause: GradeChange.Cause
    why: str
    rule_version: int | None = None
    facts: Sequence[dict[str, Any]] = field(default_factory=list)
    protected_until: datetime | None = None


def lock_promoter(promoter_id: int) -> Promoter:
    """Lock a promoter's row against other changes of his grade; joins below him wait."""
    rows = Promoter.objects.select_for_update(of=("self",), no_key=True).order_by()
    promoter: Promoter = rows.select_related("member").get(pk=promoter_id)
    return promoter


def set_grade(*, promoter_id: int, change: Change, by: Actor, at: datetime) -> GradeChange:
    """Give a promoter another grade, keep why, and tell him.

    Raises GradeMoved when he no longer has the grade that this was decided for.
    """
    with transaction.atomic():
        promoter = lock_promoter(promoter_id)
        if promoter.grade_id != change.before_id:
            raise GradeMoved
        Promoter.objects.filter(pk=promoter_id).update(grade=change.after_id)
        row = GradeChange.objects.create(
            promoter_id=promoter_id,
            cause=change.cause,
            from_grade_id=change.before_id,
            to_grade_id=change.after_id,
            rule_version=change.rule_version,
            facts=list(change.facts),
            why=change.why[:WHY_CHARS],
            changed_by=str(by),
            changed_at=at,
            protected_until=change.protected_until,
        )
        if change.before_id != change.after_id:
            _tell_promoter(row, promoter.member_id, at)
            tell(promoter_changed, promoter_id=promoter_id)
        return row


def set_grade_by_hand(
    *,
    promoter_id: int,
    grade_id: int | None,
    reason: str,
    protected_until: date,
    by: Actor,
    at: datetime,
) -> GradeChange:
    """Set a grade, or none, by a decision of staff; the same grade only protects it.

    protected_until: the last Beijing day on which the rule leaves the decision alone.
    Raises ReasonMissing, BadProtection, PromoterClosed.
    """
    if not reason.strip():
        raise ReasonMissing(field="reason")
    today = beijing_day(at)
    if not today < protected_until <= today + timedelta(days=PROTECTED_DAYS_MAX):
        raise BadProtection(field="protected_until", days=PROTECTED_DAYS_MAX)
    with transaction.atomic():
        promoter = lock_promoter(promoter_id)
        if promoter.status == Promoter.Status.CLOSED:
            raise PromoterClosed
        change = Change(
            before_id=promoter.grade_id,
            after_id=grade_id,
            cause=GradeChange.Cause.BY_HAND,
            why=reason.strip(),
            protected_until=day_start(protected_until + timedelta(days=1)),
        )
        row = set_grade(promoter_id=promoter_id, change=change, by=by, at=at)
        audit.record(by=by, action="promoter.set_grade", target=promoter, reason=reason, at=at)
        return row


def _tell_promoter(row: GradeChange, member_id: int, at: datetime) -> None:
    """Write the change into the promoter's inbox."""
    grade = row.to_grade
    with in_members_language():
        if grade:
            title = _("Your grade is now %(grade)s") % {"grade": grade.name}
        else:
            title = _("You have no grade any more")
    notify(
        member_id=member_id,
        kind=MESSAGE_KIND,
        key=f"grade:{row.pk}",
        title=title,
        body=row.why,
        page=PAGE,
        at=at,
    )
