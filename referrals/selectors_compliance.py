"""Reads of the compliance monitor: how large trees are, which belong to one organiser."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import Count, Max, Q, QuerySet

from referrals.models import ComplianceDay, CompliancePolicy, ComplianceState, Promoter
from referrals.rules.compliance import Size, groups_of, together

# What tells that one person is behind two roots, as `rules.people.Person` compares them.
MARKS = ("member__unionid", "member__phone_index", "member__identity__id_index")
AT_ONCE = 10_000  # roots a statement
FLAGGED = [ComplianceState.Status.AMBER, ComplianceState.Status.RED]


@dataclass(frozen=True)
class Tree:
    """A tree, and all trees of its organiser together."""

    own: Size
    organiser: Size
    roots: tuple[int, ...]


def compliance_policy_at(at: datetime) -> CompliancePolicy:
    """Return the policy in force; the model's defaults before the first row."""
    rows = CompliancePolicy.objects.filter(effective_from__lte=at).order_by("-effective_from")
    return rows.first() or CompliancePolicy(effective_from=at)


def trees_to_judge(policy: CompliancePolicy, *, also: Collection[int] = ()) -> dict[int, Tree]:
    """Return the trees that may be flagged, by root: large, deep, or one of several of a person.

    also: roots to look at in any case. One statement over all promoters, and one for each ten
    thousand roots that are looked at one by one; `level` is right for nodes without labels too.
    """
    groups = {root: roots for roots in organisers() for root in roots}
    rows = _sizes()
    large = Q(people__gte=policy.people_from) | Q(deepest__gte=policy.depth_from - 1)
    sizes = dict(_read(rows.filter(large)))
    one_by_one = sorted((groups.keys() | set(also)) - sizes.keys())
    for first in range(0, len(one_by_one), AT_ONCE):
        sizes |= _read(_sizes(one_by_one[first : first + AT_ONCE]))
    return {root: _tree(root, sizes, groups) for root in sizes}


def _tree(root: int, sizes: Mapping[int, Size], groups: Mapping[int, list[int]]) -> Tree:
    group = tuple(one for one in groups.get(root, [root]) if one in sizes)
    return Tree(sizes[root], together(sizes[one] for one in group), group)


def _sizes(trees: Collection[int] | None = None) -> QuerySet[Promoter, Any]:
    rows = Promoter.objects.order_by()
    rows = rows if trees is None else rows.filter(tree_id__in=trees)
    return rows.values("tree_id").annotate(people=Count("pk"), deepest=Max("level"))


def _read(rows: QuerySet[Promoter, Any]) -> Iterator[tuple[int, Size]]:
    found = rows.values_list("tree_id", "people", "deepest").iterator()
    return ((tree, Size(people, deepest + 1)) for tree, people, deepest in found)


def organisers() -> list[list[int]]:
    """Return the roots that one person is behind: unionid, phone, ID number, merged accounts."""
    return groups_of(_marks())


def _marks() -> Iterator[tuple[tuple[str, str | int], int]]:
    """Yield what two or more roots have in common."""
    roots = Promoter.objects.filter(parent=None).order_by()
    for mark in MARKS:
        known = roots.filter(**{f"{mark}__gt": ""})
        shared = known.values(mark).annotate(n=Count("pk")).filter(n__gt=1).values(mark)
        rows = known.filter(**{f"{mark}__in": shared}).values_list(mark, "pk")
        for value, root in rows.iterator():
            yield (mark, value), root
    merged = roots.filter(member__merged_into__isnull=False)
    for person, root in merged.values_list("member__merged_into", "pk"):
        yield ("account", person), root
    stayed = roots.filter(member__in=merged.values("member__merged_into"))
    for person, root in stayed.values_list("member", "pk"):
        yield ("account", person), root


# --- States ---------------------------------------------------------------------------------


def flagged_trees() -> QuerySet[ComplianceState]:
    """Return the amber and red trees, with their organisers."""
    rows = ComplianceState.objects.filter(status__in=FLAGGED)
    return rows.select_related("root__member")


def unacknowledged_trees() -> QuerySet[ComplianceState]:
    """Return the amber and red trees that nobody has acknowledged."""
    return flagged_trees().filter(acknowledged_at=None)


def trees_of_organiser(state: ComplianceState) -> QuerySet[ComplianceState]:
    """Return all trees of the person behind a tree, that one included."""
    rows = ComplianceState.objects.filter(first_root=state.first_root_id)
    return rows.select_related("root__member").order_by("root")


def state_of_tree(promoter: Promoter) -> ComplianceState | None:
    """Return what the monitor thinks of the tree that a promoter stands in."""
    return ComplianceState.objects.filter(root=promoter.tree_id).first()


def newest_day() -> ComplianceDay | None:
    """Return the last day of the monitor."""
    return ComplianceDay.objects.order_by("-day").first()


def newest_rewards() -> ComplianceDay | None:
    """Return the last day on which rewards were looked at."""
    return ComplianceDay.objects.exclude(rewards_fen=None).order_by("-day").first()
