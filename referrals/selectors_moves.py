"""What a move would touch, told before anybody asks for it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from django.db.models import Count, Max, Q, QuerySet

from referrals.models import Promoter, PromoterMove
from referrals.rules.compliance import Flag, Size, tree_flag
from referrals.selectors_compliance import compliance_policy_at

LEVELS = 3  # uplines that stand on each row


@dataclass(frozen=True)
class TreeEffect:
    """One tree before and after: people, the longest chain, and what the law makes of both."""

    root: Promoter
    before: Size
    after: Size
    flag_before: Flag
    flag_after: Flag


@dataclass(frozen=True)
class MovePreview:
    """What one move changes.

    people: he and everybody below. chains: rows whose uplines change. level: 1 for a root.
    """

    promoter: Promoter
    upline: Promoter | None
    people: int
    chains: int
    level_before: int
    level_after: int
    line_before: list[Promoter]
    line_after: list[Promoter]
    trees: list[TreeEffect]


def preview_move(promoter: Promoter, upline: Promoter | None, *, at: datetime) -> MovePreview:
    """Return what putting a promoter under an upline, or under nobody, would change."""
    team = promoter.get_descendants(include_self=True).order_by()
    near = Count("pk", filter=Q(level__lt=promoter.level + LEVELS))
    found = team.aggregate(people=Count("pk"), deepest=Max("level"), chains=near)
    level_after = upline.level + 1 if upline else 0
    own = Size(found["people"], found["deepest"] + 1 - promoter.level)
    return MovePreview(
        promoter=promoter,
        upline=upline,
        people=own.people,
        chains=found["chains"],
        level_before=promoter.level + 1,
        level_after=level_after + 1,
        line_before=_line([promoter.upline_1_id, promoter.upline_2_id, promoter.upline_3_id]),
        line_after=_line([upline.pk, upline.upline_1_id, upline.upline_2_id] if upline else []),
        trees=_effects(promoter, upline, own, level_after, team, at),
    )


def _line(ids: list[int | None]) -> list[Promoter]:
    known = Promoter.objects.select_related("member").in_bulk([pk for pk in ids if pk])
    return [known[pk] for pk in ids if pk]


def _effects(
    promoter: Promoter,
    upline: Promoter | None,
    own: Size,
    level_after: int,
    team: QuerySet[Promoter],
    at: datetime,
) -> list[TreeEffect]:
    """Return the trees that grow, shrink, begin or change their depth; the old one first."""
    old_tree, new_tree = promoter.tree_id, upline.tree_id if upline else promoter.pk
    rest = _size(Promoter.objects.filter(tree_id=old_tree).exclude(pk__in=team.values("pk")))
    before = {old_tree: _together(rest, own, promoter.level)}
    after = {old_tree: rest}
    if new_tree != old_tree:
        before[new_tree] = _size(Promoter.objects.filter(tree_id=new_tree)) if upline else NOBODY
    base = rest if new_tree == old_tree else before[new_tree]
    after[new_tree] = _together(base, own, level_after)
    roots = Promoter.objects.select_related("member").in_bulk([old_tree, new_tree])
    policy = compliance_policy_at(at)

    def flag(size: Size) -> Flag:
        return tree_flag(size, people_from=policy.people_from, depth_from=policy.depth_from)

    return [
        TreeEffect(roots[tree], before[tree], after[tree], flag(before[tree]), flag(after[tree]))
        for tree in before
    ]


NOBODY = Size(0, 0)


def _size(rows: QuerySet[Promoter]) -> Size:
    found = rows.order_by().aggregate(people=Count("pk"), deepest=Max("level"))
    return Size(found["people"], found["deepest"] + 1) if found["people"] else NOBODY


def _together(rest: Size, team: Size, level: int) -> Size:
    return Size(rest.people + team.people, max(rest.depth, level + team.depth))


# --- Requests -------------------------------------------------------------------------------


def moves_of(promoter: Promoter) -> QuerySet[PromoterMove]:
    """Return the moves of a promoter, asked for and made, newest first."""
    rows = PromoterMove.objects.filter(promoter=promoter).order_by("-pk")
    return rows.select_related("from_parent__member", "to_parent__member")
