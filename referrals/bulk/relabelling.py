"""Relabelling: the labels of whole trees anew, from the parents, or of one subtree in its place."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from itertools import islice

from django.db import connection, transaction

from distro.locks import Lock, advisory
from referrals.bulk.writing import read_parents, write_places
from referrals.errors_tree import TreeHasCycle
from referrals.models import Promoter
from referrals.rules import labels
from referrals.rules.labels import ROOT_LEFT, ROOT_RIGHT, Forest, Place

WORK_MEM = "128MB"


def rebuild_labels(*, trees: Collection[int] | None = None) -> int:
    """Compute labels anew from the parents, of some trees or of all; return the rows written.

    Reads go on as before until the end; a join below a row that was written waits for it. Raises
    TreeHasCycle.
    """
    with transaction.atomic():
        advisory(Lock.TREE_MOVE)
        _take_memory()
        roots = Promoter.objects.filter(pk__in=trees, parent=None) if trees is not None else None
        forest = _forest(None if roots is None else list(roots.values_list("pk", flat=True)))
        return write_places(_places_of_trees(forest))


def relabel_below(node: Promoter) -> int:
    """Lay out everybody below a labelled node anew inside its interval; return the rows written.

    Call it under the tree's lock.
    """
    _take_memory()
    forest = _forest([node.pk])
    size = len(forest.nodes)
    step = labels.step_within(lft=node.lft, rght=node.rght, nodes=size - 1)
    facts = {"tree": node.tree_id, "first": node.lft, "step": step, "level": node.level}
    return write_places(islice(labels.lay_out(forest, 0, size, **facts), 1, None))


def _forest(tops: Sequence[int] | None) -> Forest:
    """Read whole trees, or some nodes with their teams, in tree order."""
    ids, parents = read_parents(tops)
    children = labels.children_of(ids, parents)
    forest = labels.in_tree_order(children.get(0, ()) if tops is None else tops, children)
    if len(forest.nodes) != len(ids):
        raise TreeHasCycle(count=len(ids) - len(forest.nodes))
    return forest


def _places_of_trees(forest: Forest) -> Iterator[Place]:
    """Yield the places of whole trees; each root takes the whole interval."""
    for start in forest.tops():
        root, size = forest.nodes[start], forest.sizes[start]
        facts = {"tree": root, "step": labels.step_of_relabel(size - 1), "level": 0}
        laid = labels.lay_out(forest, start, start + size, first=ROOT_LEFT, **facts)
        yield next(laid)._replace(rght=ROOT_RIGHT)
        yield from laid


def _take_memory() -> None:
    """Let the labels of a million promoters meet their rows without a file in between."""
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("SELECT set_config('work_mem', %s, true)", [WORK_MEM])
