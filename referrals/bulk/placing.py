"""Placing: newcomers get intervals of their own inside the gaps, at a cost that only they set."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from datetime import datetime

from django.db import transaction
from django.db.models import OuterRef, Subquery

from distro.clock import BEIJING
from distro.locks import Lock, advisory
from referrals.bulk.relabelling import relabel_below
from referrals.bulk.writing import read_parents, write_places
from referrals.models import Promoter
from referrals.models.tree import above
from referrals.rules import labels
from referrals.rules.labels import Forest, Place

logger = logging.getLogger(__name__)

PLACED_AT_ONCE = 2_000  # newcomers per transaction, with everybody below them
# Joins below what is being relabelled wait for it, some 50 microseconds a node.
RELABELLED_BY_DAY = 100_000
QUIET_HOURS = range(2, 6)  # in Beijing


def place_pending(*, at: datetime) -> int:
    """Give newcomers intervals of their own inside the gaps; return how many were placed.

    Only their rows are written. Where there is no room the smallest team around that has some is
    relabelled; if that is a very large one it waits for the night, and every read stays right.
    """
    placed, after = 0, 0
    crowded: set[int] = set()
    while True:
        with transaction.atomic():
            advisory(Lock.TREE_MOVE)
            tops = _newcomers(after)
            placed += _place(tops, crowded)
        if len(tops) < PLACED_AT_ONCE:
            break
        after = tops[-1].pk
    return placed + sum([_make_room(parent, at) for parent in sorted(crowded)])


def _newcomers(after: int) -> list[Promoter]:
    """Return pending promoters whose upline has its place, by id."""
    rows = Promoter.objects.filter(pending=True, parent__pending=False, pk__gt=after)
    return list(rows.order_by("pk").only("pk", "parent_id")[:PLACED_AT_ONCE])


def _place(newcomers: Sequence[Promoter], crowded: set[int]) -> int:
    """Place newcomers with everybody below them; note the parents that have no room."""
    if not newcomers:
        return 0
    tops: dict[int, list[int]] = {}
    for newcomer in newcomers:
        tops.setdefault(newcomer.parent_id, []).append(newcomer.pk)
    children = labels.children_of(*read_parents([newcomer.pk for newcomer in newcomers]))
    places: list[Place] = []
    for parent in _with_room(list(tops)):
        forest = labels.in_tree_order(tops[parent.pk], children)
        found = list(_places_below(parent, forest))
        places += found
        if not found:
            crowded.add(parent.pk)
    return write_places(places) if places else 0


def _with_room(ids: Sequence[int]) -> list[Promoter]:
    """Return labelled promoters, each with `used_to`: the last label taken inside it."""
    placed = Promoter.objects.filter(parent=OuterRef("pk"), pending=False)
    last = placed.order_by("-lft").values("rght")[:1]
    return list(Promoter.objects.filter(pk__in=ids).annotate(used_to=Subquery(last)))


def _places_below(parent: Promoter, forest: Forest) -> Iterator[Place]:
    """Yield places inside the parent's free tail; none without room."""
    used_to, size = parent.used_to or parent.lft, len(forest.nodes)
    step = labels.step_of_placement(used_to=used_to, rght=parent.rght, nodes=size)
    if step is None:
        return
    facts = {"tree": parent.tree_id, "step": step, "level": parent.level + 1}
    yield from labels.lay_out(forest, 0, size, first=used_to + step, **facts)


# --- Making room ----------------------------------------------------------------------------


def _make_room(parent_id: int, at: datetime) -> int:
    """Relabel the smallest team around a crowded parent; return the newcomers placed by that."""
    with transaction.atomic():
        advisory(Lock.TREE_MOVE)
        if not Promoter.objects.filter(parent=parent_id, pending=True).exists():
            return 0  # a larger team around was relabelled a moment ago
        head, size = _roomy(parent_id)
        if size > RELABELLED_BY_DAY and at.astimezone(BEIJING).hour not in QUIET_HOURS:
            logger.warning("promoter %d: no room before the night, team of %d", head.pk, size)
            return 0
        waiting = head.get_descendants().filter(pending=True).count()
        relabel_below(head)
        return waiting


def _roomy(parent_id: int) -> tuple[Promoter, int]:
    """Return the next head above whose team fits comfortably, with its size; else the root.

    Each look goes twice as far up as the one before: all together cost what the last one does.
    """
    rows = Promoter.objects.filter(pk__in=above([parent_id])).order_by("-level")
    line, steps = list(rows), 1
    while True:
        head = line[min(steps, len(line)) - 1]
        size = head.get_descendant_count()
        step = labels.step_within(lft=head.lft, rght=head.rght, nodes=size)
        if step >= labels.STRIDE_ROOMY or head.parent_id is None:
            return head, size
        steps *= 2
