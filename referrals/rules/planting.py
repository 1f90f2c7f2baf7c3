"""Where promoters who come all at once stand in the tree: uplines, depth and labels.

Whole trees get the labels that a relabel would give them. Who comes below a promoter that is
there already is pending, at that promoter's point, as after any join.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from referrals.rules.labels import ROOT_LEFT, ROOT_RIGHT, step_of_relabel
from referrals.rules.relations import NOBODY, Relations

NONE = 0  # no promoter has this id


class Node(NamedTuple):
    """A promoter in the tree; uplines are ids, NONE where there is nobody."""

    id: int
    upline_1: int
    upline_2: int
    upline_3: int
    tree: int
    lft: int
    rght: int
    level: int
    pending: bool


class Planting:
    """New promoters and those they come below, as columns; a slot is a position in all of them.

    Parents come before their children.
    """

    def __init__(self) -> None:
        self.old: dict[int, Node] = {}  # the promoters that are there already, by slot
        self.person = array("q")
        self.parent = array("q")  # a slot, or NOBODY
        self.size = array("q")  # he and everybody new below him

    def add(self, person: int, parent: int) -> int:
        """Plant a person below a slot; return his own."""
        self.person.append(person)
        self.parent.append(parent)
        self.size.append(1)
        return len(self.person) - 1

    def new(self) -> list[int]:
        """Return the slots of those who are new."""
        return [slot for slot in range(len(self.person)) if slot not in self.old]


def plant(relations: Relations, order: Sequence[int], nearest: Mapping[int, Node]) -> Planting:
    """Plant those who promote, each below the nearest promoter above him.

    order: the sound persons, nobody before his inviter. nearest: for known persons the promoter
    at or next above them.
    """
    planting = Planting()
    slot_of = array("q", [NOBODY]) * len(relations.line)
    slots: dict[int, int] = {}  # of promoters that are there already, by id
    for person, node in nearest.items():
        if node.id not in slots:
            slots[node.id] = planting.add(NOBODY, NOBODY)
            planting.old[slots[node.id]] = node
        slot_of[person] = slots[node.id]
    for person in order:
        above = relations.inviter[person]
        slot = slot_of[above] if above != NOBODY else NOBODY
        slot_of[person] = planting.add(person, slot) if relations.promotes[person] else slot
    for slot in range(len(planting.person) - 1, -1, -1):
        if planting.parent[slot] != NOBODY:
            planting.size[planting.parent[slot]] += planting.size[slot]
    return planting


class Columns:
    """The nodes of a planting, a column for each of their fields."""

    def __init__(self, count: int) -> None:
        self.all = [array("q", [NONE]) * count for _ in Node._fields]
        self.id, self.upline_1, self.upline_2, self.upline_3 = self.all[:4]
        self.tree, self.lft, self.rght, self.level, self.pending = self.all[4:]


def grow(planting: Planting, ids: Sequence[int]) -> Iterator[tuple[int, Node]]:
    """Give (person, node) of everybody new, parents first.

    ids: the new promoters' ids, in that order; a tree is named by its root's.
    """
    columns = Columns(len(planting.person))
    for slot, node in planting.old.items():
        for column, value in zip(columns.all, node):
            column[slot] = value
    for slot, pk in zip(planting.new(), ids):
        columns.id[slot] = pk
    _join(planting, columns)
    _label(planting, columns)
    rows = zip(planting.person, map(Node._make, zip(*columns.all)))
    return (row for row in rows if row[0] != NOBODY)


def _join(planting: Planting, columns: Columns) -> None:
    """Fill uplines, tree and depth of everybody new."""
    id_of, up_1, up_2, up_3 = columns.all[:4]
    tree, level = columns.tree, columns.level
    for slot, parent in enumerate(planting.parent):
        if parent != NOBODY:
            up_1[slot], up_2[slot], up_3[slot] = id_of[parent], up_1[parent], up_2[parent]
            tree[slot], level[slot] = tree[parent], level[parent] + 1
        elif slot not in planting.old:
            tree[slot] = id_of[slot]


def _label(planting: Planting, columns: Columns) -> None:
    """Fill the labels of everybody new."""
    lft, rght, pending = columns.lft, columns.rght, columns.pending
    step, free = (array("q", [0]) * len(lft) for _ in range(2))  # free: the next label inside
    for slot, parent in enumerate(planting.parent):
        if slot in planting.old:
            continue
        if parent == NOBODY:
            lft[slot], rght[slot] = ROOT_LEFT, ROOT_RIGHT
            step[slot] = step_of_relabel(planting.size[slot] - 1)
        elif pending[parent]:
            lft[slot], rght[slot], pending[slot] = lft[parent], rght[parent], True
        elif parent in planting.old:
            lft[slot], rght[slot], pending[slot] = rght[parent] - 2, rght[parent] - 1, True
        else:
            step[slot] = step[parent]
            width = 2 * planting.size[slot] * step[slot]
            lft[slot], rght[slot] = free[parent], free[parent] + width - step[slot]
            free[parent] += width
        free[slot] = lft[slot] + step[slot]
