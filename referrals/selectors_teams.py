"""Who is below a promoter, exact at every moment, in statements that the database plans well.

The labels of the team's head are read first and stand in the next statement as numbers: with a
sub-select in their place the planner takes every team for a small one. That statement looks at
them once more, and finds nobody when they have changed meanwhile; then both are repeated. A head
without labels has his team read along `parent`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

from django.db.models import Exists, F, QuerySet

from distro.prepared import keeping_plans
from referrals.models import Promoter
from referrals.models.tree import below

Rows = TypeVar("Rows")


COUNT = """
    SELECT head.pending, (
        SELECT COUNT(*) FROM referrals_promoter p
        WHERE p.tree_id = head.tree_id AND p.lft > head.lft AND p.lft < head.rght
    )
    FROM referrals_promoter head WHERE head.id = %s
"""


class Head(NamedTuple):
    """Where a team's head stands in the tree."""

    pk: int
    pending: bool
    tree_id: int
    lft: int
    rght: int
    level: int


def read_team(
    promoter_id: int, read: Callable[[QuerySet[Promoter]], Rows], *, level: int | None = None
) -> Rows:
    """Return what `read` finds in the team of a promoter, in one statement.

    read: gets the whole team, or those at one level below the head, each with `depth` (1 = direct),
    in no order; what it returns is false when it finds nobody.
    """
    while True:
        head = _head(promoter_id)
        found = read(_below(head, level))
        if found or _head(promoter_id) == head:
            return found


def team_count(promoter_id: int) -> int:
    """Count everybody below a promoter; of a labelled one from the index alone."""
    with keeping_plans() as cursor:
        cursor.execute(COUNT, [promoter_id])
        row = cursor.fetchone()
    if row is None:
        raise Promoter.DoesNotExist(f"no promoter {promoter_id}")
    pending, count = row
    return read_team(promoter_id, lambda team: team.count()) if pending else int(count)


def _head(promoter_id: int) -> Head:
    row = Promoter.objects.filter(pk=promoter_id).order_by().values_list(*Head._fields)
    return Head(*row.get())


def _below(head: Head, level: int | None) -> QuerySet[Promoter, Any]:
    same = Promoter.objects.filter(**head._asdict()).order_by()
    rows = Promoter.objects.order_by().filter(Exists(same))
    if head.pending:
        rows = rows.filter(pk__in=below([head.pk])).exclude(pk=head.pk)
    else:
        rows = rows.filter(tree_id=head.tree_id, lft__gt=head.lft, lft__lt=head.rght)
    if level is not None:
        rows = rows.filter(level=head.level + level)
    return rows.annotate(depth=F("level") - head.level)
