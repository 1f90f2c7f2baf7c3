"""How a promoter stands, and what a rule would change; nothing is written."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime
from itertools import islice
from typing import TypeVar

from commissions.models import GradeReview
from commissions.rules_grades import Verdict
from commissions.selectors_grades import (
    Ladder,
    Review,
    Rise,
    closed_month,
    graded,
    ladder_at,
    reviews,
    rises,
)
from distro.clock import beijing_month
from referrals.models import Grade, GradeChange, Promoter

Found = TypeVar("Found")

SHOWN_MAX = 100


@dataclass(frozen=True)
class GradeStanding:
    """A promoter's grade, its last change, the warning that is open, and the rule in force."""

    grade: Grade | None
    change: GradeChange | None
    warning: GradeReview | None
    ladder: Ladder | None
    names: dict[int, str]


@dataclass(frozen=True)
class Preview:
    """Whose grade a rule would change: now, and if the last month were looked at again."""

    month: date
    rising: int
    rises: list[Rise]
    closed: date
    falling: int
    below: list[Review]


def standing_of(promoter: Promoter, *, at: datetime) -> GradeStanding:
    """Return how a promoter stands."""
    changes = GradeChange.objects.filter(promoter=promoter)
    change = changes.select_related("from_grade", "to_grade").order_by("-pk").first()
    reviews_of = GradeReview.objects.filter(promoter=promoter, month=closed_month(at))
    review = reviews_of.select_related("grade").first()
    warned = review is not None and review.outcome == GradeReview.Outcome.WARNED
    if review and change and change.changed_at > review.reviewed_at:
        warned = False
    names = dict(Grade.objects.order_by().values_list("pk", "name"))
    ladder = ladder_at(at)
    return GradeStanding(promoter.grade, change, review if warned else None, ladder, names)


def preview_of(ladder: Ladder, *, at: datetime) -> Preview:
    """Return what a rule would do, draft or published."""
    month, closed = beijing_month(at), closed_month(at)
    rising, first_rises = _count(rises(ladder, month, at=at))
    found = reviews(ladder, closed, graded(ladder, closed))
    weak = (one for one in found if one.verdict in (Verdict.WARNED, Verdict.LOWERED))
    falling, first_below = _count(weak)
    return Preview(month, rising, first_rises, closed, falling, first_below)


def _count(found: Iterator[Found]) -> tuple[int, list[Found]]:
    first = list(islice(found, SHOWN_MAX))
    return len(first) + sum(1 for _one in found), first
