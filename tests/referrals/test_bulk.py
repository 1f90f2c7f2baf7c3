"""The tree: joining, placing, relabelling, reading, on both databases."""

from __future__ import annotations

import random
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from distro.triggers import drop_triggers
from referrals import bulk
from referrals.bulk import placing
from referrals.errors_tree import TreeHasCycle
from referrals.models import Promoter
from referrals.proofs import tree_faults
from referrals.rules import labels
from tests.factories import AT, make_member, make_promoter

pytestmark = pytest.mark.django_db


def faults() -> list[str]:
    return list(tree_faults())


def grow(parents: dict[int, int | None]) -> dict[int, Promoter]:
    """Make promoters 0, 1, 2 ... below the given ones, in this order."""
    made: dict[int, Promoter] = {}
    for node, parent in parents.items():
        made[node] = make_promoter(None if parent is None else made[parent])
    return made


def below(parents: dict[int, int | None], node: int) -> set[int]:
    """Return the descendants by walking upwards from everybody: the naive way."""
    return {other for other in parents if other != node and node in line(parents, other)}


def line(parents: dict[int, int | None], node: int | None) -> list[int]:
    found = []
    while node is not None:
        found.append(node)
        node = parents[node]
    return found


def check_reads(parents: dict[int, int | None], made: dict[int, Promoter]) -> None:
    """Compare every reading method of every node with the plain dict of parents."""
    number = {promoter.pk: node for node, promoter in made.items()}

    def named(rows: Any) -> list[int]:
        return [number[row.pk] for row in rows]

    for node, stale in made.items():
        for promoter in (stale, Promoter.objects.get(pk=stale.pk)):
            team = below(parents, node)
            assert set(named(promoter.get_descendants())) == team
            assert set(named(promoter.get_descendants(include_self=True))) == team | {node}
            assert promoter.get_descendant_count() == len(team)
            assert promoter.is_leaf_node() is (not team)
            assert named(promoter.get_ancestors(ascending=True)) == line(parents, node)[1:]
            assert named(promoter.get_ancestors(include_self=True)) == line(parents, node)[::-1]
            children = [other for other, parent in parents.items() if parent == node]
            assert sorted(named(promoter.get_children())) == children
            assert promoter.get_root() == made[line(parents, node)[-1]]
            assert promoter.get_level() == len(line(parents, node)) - 1


# --- Joining --------------------------------------------------------------------------------


def test_a_root_owns_the_whole_interval_of_a_tree_named_after_it() -> None:
    root = make_promoter()
    assert (root.tree_id, root.lft, root.rght, root.level) == (root.pk, 1, 2**62, 0)
    assert (root.parent_id, root.upline_1_id, root.pending) == (None, None, False)


def test_a_newcomer_gets_a_point_inside_every_ancestor_and_waits_for_its_place() -> None:
    root = make_promoter()
    child = make_promoter(root)
    grandchild = make_promoter(child)
    assert (child.lft, child.rght, child.level, child.pending) == (2**62 - 2, 2**62 - 1, 1, True)
    assert (grandchild.lft, grandchild.rght, grandchild.level) == (child.lft, child.rght, 2)
    assert not faults()


def test_uplines_are_the_three_above() -> None:
    a = make_promoter()
    b = make_promoter(a)
    c = make_promoter(b)
    d = make_promoter(c)
    e = make_promoter(d)
    assert (e.upline_1_id, e.upline_2_id, e.upline_3_id) == (d.pk, c.pk, b.pk)
    assert (b.upline_1_id, b.upline_2_id, b.upline_3_id) == (a.pk, None, None)


def test_joining_is_one_statement_and_changes_no_other_row() -> None:
    root = make_promoter()
    for _ in range(20):
        make_promoter(root)
    before = list(Promoter.objects.order_by("pk").values())
    member = make_member()
    with (
        CaptureQueriesContext(
            connection,
        ) as queries,
        transaction.atomic(),
    ):
        pk = bulk.attach(member_id=member.pk, parent_id=root.pk, code="NEW", at=AT)
    statements = [q["sql"] for q in queries if "SAVEPOINT" not in q["sql"]]
    assert len(statements) == 1
    assert list(Promoter.objects.exclude(pk=pk).order_by("pk").values()) == before


def test_joining_below_nobody_known_is_an_error_and_writes_nothing() -> None:
    member = make_member()
    with pytest.raises(Promoter.DoesNotExist), transaction.atomic():
        bulk.attach(member_id=member.pk, parent_id=404, code="NEW", at=AT)
    assert not Promoter.objects.exists()


def test_many_roots_come_in_one_call(at: datetime) -> None:
    members = [make_member() for _ in range(5)]
    with transaction.atomic():
        made = bulk.attach_roots([bulk.Root(m.pk, f"R{m.pk}") for m in members], at=at)
    assert set(made) == {m.pk for m in members}
    for member_id, pk in made.items():
        promoter = Promoter.objects.get(pk=pk)
        assert (promoter.member_id, promoter.code) == (member_id, f"R{member_id}")
        assert (promoter.tree_id, promoter.approved_at) == (pk, at)
    assert not faults()


# --- Placing --------------------------------------------------------------------------------


def test_placing_gives_everybody_an_interval_and_touches_only_newcomers() -> None:
    made = grow({0: None, 1: 0, 2: 0, 3: 1, 4: 3, 5: None})
    assert bulk.place_pending(at=AT) == 4
    assert not Promoter.objects.filter(pending=True).exists()
    before = {row["id"]: row for row in Promoter.objects.values()}
    late = make_promoter(made[3])
    assert bulk.place_pending(at=AT) == 1
    after = {row["id"]: row for row in Promoter.objects.exclude(pk=late.pk).values()}
    assert after == before
    assert bulk.place_pending(at=AT) == 0
    assert not faults()


def test_placing_takes_at_most_an_eighth_of_the_free_tail() -> None:
    assert labels.step_of_placement(used_to=0, rght=8 * 300 + labels.FREE, nodes=1) == 100
    assert labels.step_of_placement(used_to=0, rght=8 * 23 + labels.FREE, nodes=1) is None


def full_chain(at: datetime) -> list[Promoter]:
    """Return a chain, placed one by one, whose last ones found no room."""
    chain = [make_promoter()]
    for _ in range(40):
        chain.append(make_promoter(chain[-1]))
        bulk.place_pending(at=at)
    return chain


def test_where_there_is_no_room_the_team_around_is_relabelled() -> None:
    chain = full_chain(AT)
    assert not Promoter.objects.filter(pending=True).exists()
    assert not faults()
    assert [node.get_descendant_count() for node in chain] == list(range(40, -1, -1))


def test_making_room_leaves_the_rest_of_the_tree_alone() -> None:
    root = make_promoter()
    others = [make_promoter(root) for _ in range(5)]
    bulk.place_pending(at=AT)
    before = list(Promoter.objects.filter(pk__in=[o.pk for o in others[1:]]).values())
    node = others[0]
    for _ in range(12):
        node = make_promoter(node)
        assert bulk.place_pending(at=AT) == 1
    assert list(Promoter.objects.filter(pk__in=[o.pk for o in others[1:]]).values()) == before
    assert not faults()


def test_a_very_large_team_without_room_waits_for_the_night_and_is_read_rightly(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(placing, "RELABELLED_BY_DAY", 0)
    chain = full_chain(AT)
    assert Promoter.objects.filter(pending=True).exists()
    assert not faults()
    counts = [node.get_descendant_count() for node in chain]
    assert counts == list(range(40, -1, -1))
    waiting = Promoter.objects.filter(pending=True).count()
    assert bulk.place_pending(at=AT) == 0
    night = AT + timedelta(hours=16)  # two in the morning
    assert bulk.place_pending(at=night) == waiting
    assert not Promoter.objects.filter(pending=True).exists()
    assert not faults()


def test_more_newcomers_than_one_transaction_takes_are_all_placed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(placing, "PLACED_AT_ONCE", 3)
    grow({0: None} | dict.fromkeys(range(1, 9), 0))
    assert bulk.place_pending(at=AT) == 8
    assert not faults()


# --- Relabelling ----------------------------------------------------------------------------


def test_relabelling_writes_the_rows_that_change_and_no_other() -> None:
    made = grow({0: None, 1: 0, 2: 0, 3: 1, 4: None})
    assert bulk.rebuild_labels() == 3
    assert not Promoter.objects.filter(pending=True).exists()
    assert bulk.rebuild_labels() == 0
    make_promoter(made[2])  # the last of his tree: nobody comes after him
    assert bulk.rebuild_labels() == 2
    assert not faults()


def test_relabelling_one_tree_leaves_the_others() -> None:
    made = grow({0: None, 1: 0, 2: None, 3: 2})
    assert bulk.rebuild_labels(trees=[made[0].tree_id]) == 1
    assert not Promoter.objects.get(pk=made[1].pk).pending
    assert Promoter.objects.get(pk=made[3].pk).pending
    assert bulk.rebuild_labels(trees=[made[3].pk]) == 0  # no root, no tree
    assert not faults()


def test_parents_in_a_circle_are_refused_and_nothing_is_written() -> None:
    made = grow({0: None, 1: 0, 2: 1})
    drop_triggers(connection)
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE referrals_promoter SET parent_id = %s, upline_1_id = %s WHERE id = %s",
            [made[2].pk, made[2].pk, made[1].pk],
        )
    before = list(Promoter.objects.order_by("pk").values())
    with pytest.raises(TreeHasCycle):
        bulk.rebuild_labels()
    assert list(Promoter.objects.order_by("pk").values()) == before


# --- Rules ----------------------------------------------------------------------------------


def test_a_deep_chain_needs_no_recursion() -> None:
    chain = {node: [node + 1] for node in range(20_000)}
    forest = labels.in_tree_order([0], chain)
    assert (forest.sizes[0], forest.depths[-1]) == (20_001, 20_000)
    facts = {"tree": 7, "first": 1, "step": 1, "level": 3}
    laid = list(labels.lay_out(forest, 0, 20_001, **facts))
    assert laid[0] == labels.Place(node=0, tree=7, lft=1, rght=2 * 20_001, level=3)
    assert laid[-1] == labels.Place(20_000, 7, 20_001, 20_002, 20_003)


def test_trees_side_by_side_are_laid_out_in_the_order_given() -> None:
    forest = labels.in_tree_order([5, 1], {1: [2, 3], 3: [4]})
    assert list(forest.nodes) == [5, 1, 2, 3, 4]
    assert list(forest.depths) == [0, 0, 1, 1, 2]
    assert list(forest.sizes) == [1, 4, 1, 2, 1]
    assert list(forest.tops()) == [0, 1]
    laid = labels.lay_out(forest, 0, 5, tree=9, first=10, step=10, level=1)
    assert [(x.node, x.lft, x.rght, x.level) for x in laid] == [
        (5, 10, 20, 1), (1, 30, 100, 1), (2, 40, 50, 2), (3, 60, 90, 2), (4, 70, 80, 3),
    ]  # fmt: skip


def test_a_relabelled_tree_of_any_size_fits() -> None:
    for nodes in (0, 1, 10**6, 10**9):
        step = labels.step_of_relabel(nodes)
        assert step >= labels.STRIDE_MIN
        assert step * (2 * nodes + 2) <= 2**61


# --- Against a plain dict -------------------------------------------------------------------


@settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(st.lists(st.tuples(st.integers(0, 60), st.sampled_from("jjjjjjprn")), max_size=24))
def test_any_order_of_joins_and_placings_reads_like_a_dict_of_parents(
    steps: list[tuple[int, str]],
) -> None:
    with transaction.atomic():
        parents: dict[int, int | None] = {0: None}
        made = grow(parents)
        for number, kind in steps:
            if kind == "p":
                bulk.place_pending(at=AT)
            elif kind == "r":
                bulk.rebuild_labels()
            else:
                node = len(parents)
                parents[node] = None if kind == "n" else number % node
                above = parents[node]
                made[node] = make_promoter(None if above is None else made[above])
        assert not faults()
        check_reads(parents, made)
        transaction.set_rollback(True)


def test_a_grown_tree_reads_rightly_between_placings() -> None:
    chooser = random.Random(7)
    parents: dict[int, int | None] = {0: None}
    made = grow(parents)
    for node in range(1, 60):
        parents[node] = chooser.randrange(node)
        made[node] = make_promoter(made[parents[node]])
        if node % 17 == 0:
            bulk.place_pending(at=AT)
    check_reads(parents, made)
    assert not faults()
