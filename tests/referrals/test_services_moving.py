"""Another upline: asked for by one person, carried out by the approval of another."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from django.db import IntegrityError, transaction

from distro.actors import Actor
from distro.errors import IllegalTransition
from distro.models import AuditEntry
from distro.states import history
from referrals import bulk
from referrals.errors import OwnCode, ReasonMissing, YoungerInviter
from referrals.errors_joining import SecondPersonNeeded
from referrals.errors_tree import (
    MoveMakesCycle,
    MoveOutdated,
    MoveWaiting,
    SameUpline,
    UplineLeaving,
)
from referrals.models import Promoter, PromoterMove, TreeGate
from referrals.proofs import tree_faults
from referrals.selectors_moves import preview_move
from referrals.services.moving import approve_move, cancel_move, reject_move, request_move
from referrals.signals import promoter_changed
from tests.factories import AT, make_member, make_promoter

pytestmark = pytest.mark.django_db

MAKER, SECOND = Actor("staff", 1), Actor("staff", 2)


def ask(promoter: Promoter, to: Promoter | None, by: Actor = MAKER) -> PromoterMove:
    return request_move(
        promoter_id=promoter.pk, to_parent_id=to.pk if to else None, reason="why", by=by, at=AT
    )


def moved(promoter: Promoter, to: Promoter | None) -> PromoterMove:
    return approve_move(move_id=ask(promoter, to).pk, by=SECOND, at=AT)


def fresh(promoter: Promoter) -> Promoter:
    return Promoter.objects.get(pk=promoter.pk)


def uplines(promoter: Promoter) -> list[int | None]:
    row = fresh(promoter)
    return [row.upline_1_id, row.upline_2_id, row.upline_3_id]


def chain(length: int, below: Promoter | None = None) -> list[Promoter]:
    made: list[Promoter] = []
    for _ in range(length):
        made.append(make_promoter(made[-1] if made else below))
    return made


def rows() -> list[dict[str, Any]]:
    return list(Promoter.objects.order_by("pk").values())


# --- Moving ---------------------------------------------------------------------------------


def test_the_team_comes_along_and_uplines_follow_three_levels_down() -> None:
    a, b, c, d, e = chain(5)
    x, y = chain(2)
    bulk.place_pending(at=AT)
    move = moved(b, y)
    assert (move.status, move.moved) == ("approved", 4)
    assert uplines(b) == [y.pk, x.pk, None]
    assert uplines(c) == [b.pk, y.pk, x.pk]
    assert uplines(d) == [c.pk, b.pk, y.pk]
    assert uplines(e) == [d.pk, c.pk, b.pk]
    assert {fresh(row).tree_id for row in (b, c, d, e)} == {x.pk}
    assert [fresh(row).level for row in (b, c, d, e)] == [2, 3, 4, 5]
    assert a.get_descendant_count() == 0
    assert set(x.get_descendants()) == {y, b, c, d, e}
    assert set(b.get_descendants()) == {c, d, e}  # a row read before the move, labels and all
    assert not list(tree_faults())
    bulk.place_pending(at=AT)
    assert set(b.get_descendants()) == {c, d, e}
    assert not list(tree_faults())


def test_a_promoter_can_become_a_root_and_a_root_can_go_below_another() -> None:
    a, b, c, _ = chain(4)
    moved(b, None)
    assert uplines(b) == [None, None, None]
    assert uplines(c) == [b.pk, None, None]
    assert (fresh(b).tree_id, fresh(b).pending, fresh(b).level) == (b.pk, False, 0)
    assert not list(tree_faults())
    moved(a, c)
    assert uplines(a) == [c.pk, b.pk, None]
    assert a.get_root() == b
    assert not list(tree_faults())
    assert not TreeGate.objects.exists()


def test_a_move_below_a_newcomer_waits_at_his_point() -> None:
    root = make_promoter()
    newcomer, other = make_promoter(root), make_promoter(root)
    moved(other, newcomer)
    assert set(newcomer.get_descendants()) == {other}
    assert not list(tree_faults())


def test_several_teams_move_at_once() -> None:
    a, b = make_promoter(), make_promoter()
    children = [make_promoter(a) for _ in range(4)]
    deep = make_promoter(children[0])
    with transaction.atomic():
        assert bulk.move(nodes=[c.pk for c in children[:2]], to=b.pk) == 3
        assert bulk.move(nodes=[children[2].pk, children[3].pk], to=None) == 2
        assert bulk.move(nodes=[], to=b.pk) == 0
    assert set(b.get_descendants()) == {*children[:2], deep}
    assert {fresh(c).tree_id for c in children[2:]} == {c.pk for c in children[2:]}
    assert not list(tree_faults())


def test_a_large_team_moves_in_a_few_statements(django_assert_max_num_queries: Any) -> None:
    _, b, c = chain(3)
    for _ in range(30):
        make_promoter(c)
    other = make_promoter()
    with django_assert_max_num_queries(14), transaction.atomic():
        assert bulk.move(nodes=[b.pk], to=other.pk) == 32


def test_the_acts_are_on_record_and_the_change_is_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    told = []
    a, b = make_promoter(), make_promoter()
    path = "referrals.services.moving.tell"
    monkeypatch.setattr(path, lambda fact, **ids: told.append((fact, ids)))
    move = moved(a, b)
    assert told == [(promoter_changed, {"promoter_id": a.pk})]
    assert [(s.to_status, s.actor_id) for s in history(move)] == [("approved", 2)]
    trail = list(AuditEntry.objects.order_by("pk").values_list("action", "actor_id", "reason"))
    assert trail == [("move.request", 1, "why"), ("move.approve", 2, "")]
    assert (move.requested_by, move.decided_by, move.decided_at) == ("staff:1", "staff:2", AT)


# --- Refusals -------------------------------------------------------------------------------


@pytest.mark.parametrize("steps", [1, 2, 50])
def test_a_circle_of_any_length_is_refused_when_it_is_asked_for(steps: int) -> None:
    line = chain(steps + 1)
    if steps > 2:
        bulk.place_pending(at=AT)
    before = rows()
    with pytest.raises(MoveMakesCycle):
        ask(line[0], line[-1])
    assert rows() == before
    assert not PromoterMove.objects.exists()


@pytest.mark.parametrize("steps", [1, 2, 50])
def test_a_circle_that_came_up_since_is_refused_at_the_approval(steps: int) -> None:
    a, line = make_promoter(), chain(steps)
    move = ask(line[0], a)
    moved(a, line[-1])
    before = rows()
    with pytest.raises(MoveMakesCycle):
        approve_move(move_id=move.pk, by=SECOND, at=AT)
    with pytest.raises(MoveMakesCycle), transaction.atomic():
        bulk.move(nodes=[line[0].pk], to=a.pk)
    assert rows() == before
    assert PromoterMove.objects.get(pk=move.pk).status == "requested"
    assert not TreeGate.objects.exists()


def test_himself_is_no_upline() -> None:
    a = make_promoter()
    with pytest.raises(MoveMakesCycle):
        ask(a, a)
    assert not PromoterMove.objects.exists()


def test_the_upline_he_has_is_refused() -> None:
    a, b = chain(2)
    for promoter, to in ((b, a), (a, None)):
        with pytest.raises(SameUpline):
            ask(promoter, to)
    assert not PromoterMove.objects.exists()


@pytest.mark.parametrize("status", ["closing", "closed"])
def test_nobody_comes_below_an_account_that_closes(status: str) -> None:
    a, b = make_promoter(), make_promoter()
    move = ask(a, b)
    Promoter.objects.filter(pk=b.pk).update(status=status)
    before = rows()
    with pytest.raises(UplineLeaving):
        approve_move(move_id=move.pk, by=SECOND, at=AT)
    with pytest.raises(UplineLeaving):
        ask(make_promoter(), b)
    assert rows()[:2] == before
    assert PromoterMove.objects.get().status == "requested"


def test_one_person_is_not_his_own_upline() -> None:
    a = make_promoter(member=make_member(unionid="u"))
    b = make_promoter(member=make_member(unionid="u"))
    with pytest.raises(OwnCode):
        ask(a, b)
    assert not PromoterMove.objects.exists()


def test_an_upline_younger_than_the_promoter_is_refused() -> None:
    a = make_promoter()
    b = make_promoter(member=make_member(joined_at=AT + timedelta(seconds=1)))
    with pytest.raises(YoungerInviter):
        ask(a, b)
    assert not PromoterMove.objects.exists()


@pytest.mark.parametrize("step", [approve_move, reject_move])
def test_who_asked_does_not_decide(step: Any) -> None:
    a, b = make_promoter(), make_promoter()
    move = ask(a, b)
    before = rows()
    with pytest.raises(SecondPersonNeeded):
        step(move_id=move.pk, reason="mine", by=MAKER, at=AT)
    assert rows() == before
    assert PromoterMove.objects.get().status == "requested"


@pytest.mark.parametrize("reason", ["", "  "])
def test_every_act_but_the_approval_says_why(reason: str) -> None:
    a, b = make_promoter(), make_promoter()
    with pytest.raises(ReasonMissing):
        request_move(promoter_id=a.pk, to_parent_id=b.pk, reason=reason, by=MAKER, at=AT)
    move = ask(a, b)
    for step in (reject_move, cancel_move):
        with pytest.raises(ReasonMissing):
            step(move_id=move.pk, reason=reason, by=SECOND, at=AT)
    assert PromoterMove.objects.get().status == "requested"


def test_one_move_of_a_promoter_waits_at_a_time() -> None:
    a, b, c = (make_promoter() for _ in range(3))
    ask(a, b)
    with pytest.raises(MoveWaiting):
        ask(a, c)
    assert PromoterMove.objects.count() == 1


def test_a_request_from_before_another_move_is_refused() -> None:
    a, b, c = (make_promoter() for _ in range(3))
    move = ask(a, b)
    with transaction.atomic():
        bulk.move(nodes=[a.pk], to=c.pk)
    with pytest.raises(MoveOutdated):
        approve_move(move_id=move.pk, by=SECOND, at=AT)
    assert fresh(a).parent_id == c.pk


STEPS = {"approved": approve_move, "rejected": reject_move, "cancelled": cancel_move}


@pytest.mark.parametrize("first", STEPS)
@pytest.mark.parametrize("second", STEPS)
def test_a_decided_move_is_decided(first: str, second: str) -> None:
    a, b = make_promoter(), make_promoter()
    move = ask(a, b)
    STEPS[first](move_id=move.pk, reason="r", by=SECOND, at=AT)
    before, audited = rows(), AuditEntry.objects.count()
    with pytest.raises(IllegalTransition):
        STEPS[second](move_id=move.pk, reason="r", by=SECOND, at=AT + timedelta(days=1))
    assert rows() == before
    assert AuditEntry.objects.count() == audited
    row = PromoterMove.objects.get()
    assert (row.status, row.decided_at) == (first, AT)


# --- Constraints ----------------------------------------------------------------------------

BROKEN = {
    "promotermove_status_known": {"status": "lost", "decided_at": AT, "decided_by": "staff:2"},
    "promotermove_has_reason": {"reason": ""},
    "promotermove_not_below_himself": {"to_parent_id": "own"},
    "promotermove_to_another": {"to_parent_id": None},
    "promotermove_decided_with_who": {"status": "rejected"},
    "promotermove_two_persons": {
        "status": "approved", "decided_at": AT, "decided_by": "staff:1", "moved": 1,
    },
    "promotermove_moved_when_approved": {
        "status": "approved", "decided_at": AT, "decided_by": "staff:2",
    },
}  # fmt: skip


@pytest.mark.parametrize(("name", "changes"), BROKEN.items(), ids=list(BROKEN))
def test_a_broken_row_is_refused_by_the_database(name: str, changes: dict[str, Any]) -> None:
    a, b = make_promoter(), make_promoter()
    move = ask(a, b)
    changes = {k: a.pk if v == "own" else v for k, v in changes.items()}
    with pytest.raises(IntegrityError, match=name), transaction.atomic():
        PromoterMove.objects.filter(pk=move.pk).update(**changes)


def test_two_open_moves_of_one_promoter_are_refused_by_the_database() -> None:
    a, b = make_promoter(), make_promoter()
    move = ask(a, b)
    move.pk = None
    with pytest.raises(IntegrityError), transaction.atomic():
        move.save(force_insert=True)


# --- Preview --------------------------------------------------------------------------------


def test_the_preview_tells_what_the_move_then_does(at: datetime) -> None:
    a, b, c, *_ = chain(6)
    x, y = chain(2)
    bulk.place_pending(at=AT)
    shown = preview_move(fresh(c), fresh(y), at=at)
    assert (shown.people, shown.chains) == (4, 3)
    assert (shown.level_before, shown.level_after) == (3, 3)
    assert (shown.line_before, shown.line_after) == ([b, a], [y, x])
    old, new = shown.trees
    assert (old.root, old.before.people, old.before.depth) == (a, 6, 6)
    assert (old.after.people, old.after.depth, old.flag_after) == (2, 2, "none")
    assert (new.root, new.before.people, new.before.depth) == (x, 2, 2)
    assert (new.after.people, new.after.depth, new.flag_after) == (6, 6, "amber")
    before = {row["id"]: row for row in rows()}
    moved(c, y)
    columns = ("upline_1_id", "upline_2_id", "upline_3_id")
    changed = [r for r in rows() if any(r[k] != before[r["id"]][k] for k in columns)]
    assert len(changed) == shown.chains


def test_the_preview_knows_moves_within_a_tree_to_the_top_and_of_whole_trees(at: datetime) -> None:
    a, b, _, d = chain(4)
    (within,) = preview_move(fresh(d), fresh(b), at=at).trees
    assert (within.before.depth, within.after.depth, within.after.people) == (4, 3, 4)
    old, new = preview_move(fresh(b), None, at=at).trees
    assert (old.after.people, new.before.people, new.root) == (1, 0, b)
    assert (new.after.people, new.after.depth) == (3, 3)
    x = make_promoter()
    gone, grown = preview_move(fresh(a), x, at=at).trees
    assert (gone.after.people, grown.after.people, grown.after.depth) == (0, 5, 5)
