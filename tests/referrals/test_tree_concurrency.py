"""Many at once in one tree, on real transactions; stock mptt fails here, see the last test."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any

import pytest
from django.db import connection, models, transaction
from mptt.models import MPTTModel, TreeForeignKey

from distro.actors import Actor
from referrals import bulk
from referrals.errors_tree import MoveMakesCycle
from referrals.models import Promoter, PromoterMove
from referrals.proofs import tree_faults
from referrals.services.moving import approve_move, request_move
from tests.factories import AT, make_member, make_promoter
from tests.referrals.locks import somebody_waits

pytestmark = [pytest.mark.postgres, pytest.mark.django_db(transaction=True)]

Threads = Callable[..., Any]
MAKER, SECOND = Actor("staff", 1), Actor("staff", 2)
SECONDS = 20


def join(parent_id: int | None, code: str) -> int:
    member = make_member()
    with transaction.atomic():
        return bulk.attach(member_id=member.pk, parent_id=parent_id, code=code, at=AT)


def ask(promoter: Promoter, to: Promoter) -> int:
    move = request_move(promoter_id=promoter.pk, to_parent_id=to.pk, reason="why", by=MAKER, at=AT)
    return move.pk


def approve(move_id: int) -> PromoterMove:
    return approve_move(move_id=move_id, by=SECOND, at=AT)


def uplines(promoter_id: int) -> list[int | None]:
    rows = Promoter.objects.filter(pk=promoter_id)
    return list(rows.values_list("upline_1", "upline_2", "upline_3").get())


@pytest.fixture(params=["labelled", "pending"])
def line(request: Any) -> list[Promoter]:
    """Return A > P > C and, in another tree, X > Y; with their places or without."""
    a = make_promoter()
    p = make_promoter(a)
    c = make_promoter(p)
    x = make_promoter()
    y = make_promoter(x)
    if request.param == "labelled":
        bulk.place_pending(at=AT)
    return [a, p, c, x, y]


# --- A join and a move ----------------------------------------------------------------------


def test_a_join_that_came_first_is_moved_along(run_threads: Threads, line: list[Promoter]) -> None:
    _, p, c, x, y = line
    move_id, member = ask(p, y), make_member()
    joined = threading.Event()

    def work(thread: int) -> int:
        if thread == 1:
            assert joined.wait(SECONDS)
            return approve(move_id).moved or 0
        with transaction.atomic():
            pk = bulk.attach(member_id=member.pk, parent_id=c.pk, code="NEW", at=AT)
            joined.set()
            somebody_waits()  # the move, for the row of C
        return pk

    newcomer, moved = run_threads(2, work)
    assert moved == 3
    assert uplines(newcomer) == [c.pk, p.pk, y.pk]
    assert uplines(c.pk) == [p.pk, y.pk, x.pk]
    assert not list(tree_faults())


def test_a_chain_that_joined_first_is_moved_along(
    run_threads: Threads, line: list[Promoter]
) -> None:
    _, p, c, x, y = line
    move_id = ask(p, y)
    members, joined = [make_member(), make_member()], threading.Event()

    def work(thread: int) -> list[int]:
        if thread == 1:
            assert joined.wait(SECONDS)
            approve(move_id)
            return []
        with transaction.atomic():
            one = bulk.attach(member_id=members[0].pk, parent_id=c.pk, code="ONE", at=AT)
            two = bulk.attach(member_id=members[1].pk, parent_id=one, code="TWO", at=AT)
            joined.set()
            somebody_waits()
        return [one, two]

    (one, two), _ = run_threads(2, work)
    assert uplines(two) == [one, c.pk, p.pk]
    assert Promoter.objects.get(pk=two).tree_id == x.pk
    assert not list(tree_faults())


def test_a_join_that_came_second_copies_the_new_uplines(
    run_threads: Threads, line: list[Promoter]
) -> None:
    _, p, c, _, y = line
    member, moved = make_member(), threading.Event()

    def work(thread: int) -> int:
        if thread == 1:
            assert moved.wait(SECONDS)
            with transaction.atomic():
                return bulk.attach(member_id=member.pk, parent_id=c.pk, code="NEW", at=AT)
        with transaction.atomic():
            bulk.move(nodes=[p.pk], to=y.pk)
            moved.set()
            somebody_waits()  # the join, for the row of C
        return 0

    _, newcomer = run_threads(2, work)
    assert uplines(newcomer) == [c.pk, p.pk, y.pk]
    assert not list(tree_faults())


# --- Moves ----------------------------------------------------------------------------------


def test_of_two_opposite_moves_at_once_one_is_refused(run_threads: Threads) -> None:
    for _ in range(5):
        a, b = make_promoter(), make_promoter()
        deep = make_promoter(make_promoter(b))
        moves = [ask(a, deep), ask(b, a)]
        run = run_threads(2, lambda n, moves=moves: approve(moves[n]))
        assert len(run.results) == 1
        assert {type(error) for error in run.errors.values()} == {MoveMakesCycle}
        assert not list(tree_faults())


def test_eight_approvals_move_once(run_threads: Threads) -> None:
    a, b = make_promoter(), make_promoter()
    move_id = ask(a, b)
    run = run_threads(8, lambda _: approve(move_id))
    assert len(run.results) == 1
    assert Promoter.objects.get(pk=a.pk).parent_id == b.pk


def test_eight_requests_for_one_promoter_are_one(run_threads: Threads) -> None:
    a, b = make_promoter(), make_promoter()
    run = run_threads(8, lambda _: ask(a, b))
    assert len(run.results) == 1
    assert PromoterMove.objects.count() == 1


def test_joins_moves_placings_and_relabels_beside_each_other_keep_the_tree_right(
    run_threads: Threads, at: datetime
) -> None:
    roots = [make_promoter() for _ in range(3)]
    heads = [make_promoter(roots[n % 3]) for n in range(6)]

    def work(thread: int) -> None:
        for n in range(15):
            if thread == 0:
                bulk.place_pending(at=at)
            elif thread == 1:
                bulk.rebuild_labels()
            elif thread < 4:
                with transaction.atomic():
                    bulk.move(nodes=[heads[(thread + n) % 6].pk], to=roots[(n + thread) % 3].pk)
            else:
                pk = join(heads[(n + thread) % 6].pk, f"T{thread}N{n}")
                join(pk, f"T{thread}N{n}B")

    list(run_threads(8, work))
    assert not list(tree_faults())
    assert sum(root.get_descendant_count() for root in roots) == 6 + 4 * 15 * 2
    bulk.place_pending(at=at)
    assert not Promoter.objects.filter(pending=True).exists()
    assert not list(tree_faults())


# --- Labels ---------------------------------------------------------------------------------


def test_who_joins_while_labels_are_computed_gets_the_new_point(
    run_threads: Threads, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = make_promoter()
    parent = make_promoter(root)
    read, joined = threading.Event(), threading.Event()
    original = bulk.relabelling.read_parents

    def read_slowly(tops: Any = None) -> Any:
        found = original(tops)
        read.set()
        assert joined.wait(SECONDS)
        return found

    monkeypatch.setattr(bulk.relabelling, "read_parents", read_slowly)

    def work(thread: int) -> None:
        if thread == 0:
            bulk.rebuild_labels()
            return
        assert read.wait(SECONDS)
        pk = join(parent.pk, "NEW")
        join(pk, "NEWER")
        joined.set()

    list(run_threads(2, work))
    assert parent.get_descendant_count() == 2
    assert Promoter.objects.filter(pending=True).count() == 2
    assert not list(tree_faults())


def test_teams_are_read_rightly_while_they_are_relabelled_and_moved(run_threads: Threads) -> None:
    here, there = make_promoter(), make_promoter()
    head = make_promoter(here)
    for _ in range(4):
        make_promoter(make_promoter(head))
    bulk.place_pending(at=AT)
    loaded = [Promoter.objects.get(pk=p.pk) for p in (head, here, there)]

    def work(thread: int) -> set[tuple[int, ...]]:
        seen = set()
        for n in range(20):
            if thread == 0:
                with transaction.atomic():
                    bulk.move(nodes=[head.pk], to=(here if n % 2 else there).pk)
            elif thread == 1:
                bulk.rebuild_labels()
                bulk.place_pending(at=AT)
            else:
                sizes = Promoter.objects.team_sizes([p.pk for p in loaded])
                seen.add((sizes[head.pk], sizes[here.pk] + sizes[there.pk]))
                seen.add((len(loaded[0].get_descendants()), 9))
                assert len(loaded[1].get_descendants()) in {0, 9}
        return seen

    assert set().union(*filter(None, run_threads(5, work))) == {(8, 9)}


# --- Stock mptt -----------------------------------------------------------------------------


class StockNode(MPTTModel):
    """A tree as django-mptt writes it."""

    parent = TreeForeignKey("self", models.CASCADE, null=True, related_name="children")

    class Meta:
        app_label = "stock"
        managed = False


@pytest.fixture
def stock_table(transactional_db: None) -> Iterator[None]:
    with connection.schema_editor() as editor:
        editor.create_model(StockNode)
    yield
    with connection.schema_editor() as editor:
        editor.delete_model(StockNode)


def test_stock_mptt_breaks_its_tree_where_ours_stays_right(
    run_threads: Threads, stock_table: None
) -> None:
    root = StockNode.objects.create()
    first = threading.Event()

    def work(thread: int) -> None:
        if thread == 1:
            assert first.wait(SECONDS)
        with transaction.atomic():
            StockNode.objects.create(parent=StockNode.objects.get(pk=root.pk))
            if thread == 0:
                first.set()
                somebody_waits()

    list(run_threads(2, work))
    labels = StockNode.objects.values_list("lft", flat=True)
    assert len(labels) == 3
    assert len(set(labels)) < 3
