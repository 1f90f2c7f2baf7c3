"""The tree beside a plain dict of parents: the same things happen to both, then all is compared.

Who adds a way to change the tree adds it to OPERATIONS: a function of the world and two numbers
that choose among what is there.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any

from django.db import transaction

from distro.actors import Actor
from distro.errors import DomainError
from referrals import bulk
from referrals.errors_tree import MoveMakesCycle
from referrals.models import Member, Promoter
from referrals.proofs import tree_faults
from referrals.services.closing import close_promoter
from referrals.services.merging import approve_merge, propose_merge
from tests.factories import AT, make_promoter

ANNA, BORIS = Actor("staff", 1), Actor("staff", 2)


class World:
    """Promoters numbered from 0; `parents` is the truth they are compared with."""

    def __init__(self) -> None:
        self.parents: dict[int, int | None] = {}
        self.made: dict[int, Promoter] = {}  # as they were read once, never again
        self.join(None)

    def pick(self, number: int) -> int:
        return list(self.parents)[number % len(self.parents)]

    def join(self, parent: int | None) -> int:
        node = len(self.parents)
        self.made[node] = make_promoter(None if parent is None else self.made[parent])
        self.parents[node] = parent
        return node

    def move(self, node: int, to: int | None) -> None:
        """Move in both; what the dict knows to be a circle must be refused."""
        circle = to is not None and node in self.line(to)
        nodes, target = [self.made[node].pk], None if to is None else self.made[to].pk
        try:
            with transaction.atomic():
                bulk.move(nodes=nodes, to=target)
        except MoveMakesCycle:
            assert circle
        else:
            assert not circle
            self.parents[node] = to

    def line(self, node: int | None) -> list[int]:
        """Return a node and everybody above it."""
        found = []
        while node is not None:
            found.append(node)
            node = self.parents[node]
        return found

    def team(self, node: int) -> set[int]:
        """Return the descendants by walking upwards from everybody: the naive way."""
        return {other for other in self.parents if other != node and node in self.line(other)}

    def check(self) -> None:
        """Compare chains, depths, trees, teams and their sizes; prove the labels."""
        number = {promoter.pk: node for node, promoter in self.made.items()}
        rows = {number[row.pk]: row for row in Promoter.objects.all()}
        assert rows.keys() == self.parents.keys()
        sizes = Promoter.objects.team_sizes(list(number))
        for node, row in rows.items():
            line, team = self.line(node), self.team(node)
            chain = [row.parent_id, row.upline_1_id, row.upline_2_id, row.upline_3_id]
            above = [*(self.made[up].pk for up in line[1:4]), None, None, None][:3]
            assert chain == [above[0], *above]
            assert (row.level, row.tree_id) == (len(line) - 1, self.made[line[-1]].pk)
            assert sizes[row.pk] == len(team)
            assert {number[x.pk] for x in self.made[node].get_descendants()} == team
        assert not list(tree_faults())


def move_under(world: World, one: int, other: int) -> None:
    world.move(world.pick(one), world.pick(other))


def move_to_the_top(world: World, one: int, other: int) -> None:
    world.move(world.pick(one), None)


def relabel_one(world: World, one: int, other: int) -> None:
    bulk.rebuild_labels(trees=[world.made[world.line(world.pick(one))[-1]].pk])


def close(world: World, one: int, other: int) -> None:
    """Close a promoter; nobody's upline changes. Who is closed, or was merged, is refused."""
    promoter = world.made[world.pick(one)]
    with suppress(DomainError), transaction.atomic():
        close_promoter(promoter_id=promoter.pk, reason="leaves", by=ANNA, at=AT)


def merge(world: World, one: int, other: int) -> None:
    """Merge two promoters' accounts; the nodes stay where they are, and lead to one person."""
    merged, stays = (world.made[world.pick(number)].member_id for number in (one, other))
    with suppress(DomainError), transaction.atomic():
        ask = {"merged_id": merged, "survivor_id": stays, "reason": "one person"}
        row = propose_merge(**ask, by=ANNA, at=AT)
        approve_merge(merge_id=row.pk, by=BORIS, at=AT)
    assert not Member.objects.filter(merged_into__merged_into__isnull=False).exists()


Operation = Callable[[World, int, int], Any]
OPERATIONS: dict[str, Operation] = {
    "join": lambda world, one, other: world.join(world.pick(one)),
    "join as a root": lambda world, one, other: world.join(None),
    "move": move_under,
    "move to the top": move_to_the_top,
    "place": lambda world, one, other: bulk.place_pending(at=AT),
    "relabel": lambda world, one, other: bulk.rebuild_labels(),
    "relabel one tree": relabel_one,
    "close": close,
    "merge": merge,
}
