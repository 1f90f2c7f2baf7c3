"""Putting a promoter and his whole team under another upline: one asks, another one approves.

Orders keep the promoters that stand on them; commissions, bindings and grades stay as they are.
"""

from __future__ import annotations

from datetime import datetime

from django.db import transaction

from distro import audit
from distro.actors import Actor
from distro.facts import tell
from distro.locks import Lock, advisory
from distro.states import advance
from referrals import bulk, selectors
from referrals.errors import ReasonMissing
from referrals.errors_joining import SecondPersonNeeded
from referrals.errors_tree import (
    MoveMakesCycle,
    MoveOutdated,
    MoveWaiting,
    OwnUpline,
    SameUpline,
    UplineLeaving,
    YoungerUpline,
)
from referrals.models import Promoter, PromoterMove
from referrals.selectors_bindings import leads_up_to
from referrals.signals import promoter_changed

Status = PromoterMove.Status


def request_move(
    *, promoter_id: int, to_parent_id: int | None, reason: str, by: Actor, at: datetime
) -> PromoterMove:
    """Ask for another upline, or for none; nothing moves before a second person approves.

    Raises ReasonMissing, MoveWaiting, SameUpline, MoveMakesCycle, UplineLeaving, OwnUpline,
    YoungerUpline.
    """
    if not reason.strip():
        raise ReasonMissing(field="reason")
    with transaction.atomic():
        # Two requests for one promoter wait for one another here.
        promoter = _locked(promoter_id)
        refuse_move(promoter, to_parent_id)
        if PromoterMove.objects.filter(promoter=promoter, status=Status.REQUESTED).exists():
            raise MoveWaiting
        move = PromoterMove.objects.create(
            promoter=promoter,
            from_parent_id=promoter.parent_id,
            to_parent_id=to_parent_id,
            reason=reason,
            requested_by=str(by),
            requested_at=at,
        )
        detail = {"from": promoter.parent_id, "to": to_parent_id}
        audit.record(
            by=by, action="move.request", target=promoter, reason=reason, detail=detail, at=at
        )
        return move


def approve_move(*, move_id: int, reason: str = "", by: Actor, at: datetime) -> PromoterMove:
    """Move the promoter, with everybody below him at this moment, as the second person.

    Whatever made the request impossible meanwhile is refused as it was then. Raises
    SecondPersonNeeded, IllegalTransition, MoveOutdated, and what request_move() raises.
    """
    with transaction.atomic():
        # First of all, and before any row: what is read from here on stays true.
        advisory(Lock.TREE_MOVE)
        advisory(Lock.BINDING_CYCLE)
        move = PromoterMove.objects.select_for_update().get(pk=move_id)
        if move.requested_by == str(by):
            raise SecondPersonNeeded
        # What was decided before is refused by advance().
        moved = _carry_out(move) if move.status == Status.REQUESTED else 0
        _decide(move, Status.APPROVED, "move.approve", reason, by, at, moved=moved)
        tell(promoter_changed, promoter_id=move.promoter_id)
        return move


def reject_move(*, move_id: int, reason: str, by: Actor, at: datetime) -> PromoterMove:
    """Decide against a move; raise ReasonMissing, SecondPersonNeeded, IllegalTransition."""
    if not reason.strip():
        raise ReasonMissing(field="reason")
    with transaction.atomic():
        move = PromoterMove.objects.get(pk=move_id)
        if move.requested_by == str(by):
            raise SecondPersonNeeded
        _decide(move, Status.REJECTED, "move.reject", reason, by, at)
        return move


def cancel_move(*, move_id: int, reason: str, by: Actor, at: datetime) -> PromoterMove:
    """Take a request back, oneself or for a colleague; raise ReasonMissing, IllegalTransition."""
    if not reason.strip():
        raise ReasonMissing(field="reason")
    with transaction.atomic():
        move = PromoterMove.objects.get(pk=move_id)
        _decide(move, Status.CANCELLED, "move.cancel", reason, by, at)
        return move


def refuse_move(promoter: Promoter, to_parent_id: int | None) -> None:
    """Refuse what can never be an upline: rules H1 and H2, a circle, who leaves, who it is now.

    A circle may close through bindings too; no new one comes while Lock.BINDING_CYCLE is held.
    Raises SameUpline, MoveMakesCycle, UplineLeaving, OwnUpline, YoungerUpline.
    """
    if to_parent_id == promoter.parent_id:
        raise SameUpline(field="to_parent")
    if to_parent_id is None:
        return
    upline = Promoter.objects.select_related("member").get(pk=to_parent_id)
    if leads_up_to(upline.pk, promoter.pk):
        raise MoveMakesCycle(field="to_parent")
    if upline.status in Promoter.LEAVING:
        raise UplineLeaving(field="to_parent")
    persons = selectors.people([promoter.member_id, upline.member_id])
    if persons[promoter.member_id].is_same_as(persons[upline.member_id]):
        raise OwnUpline(field="to_parent")
    member = promoter.member
    seen = selectors.first_seen(member.pk, device="", joined_at=member.joined_at)
    if upline.member.joined_at > seen:
        raise YoungerUpline(field="to_parent")


# --- Steps ----------------------------------------------------------------------------------


def _carry_out(move: PromoterMove) -> int:
    """Check once more, now that nothing can change, and move; return how many were moved."""
    promoter = _locked(move.promoter_id)
    if promoter.parent_id != move.from_parent_id:
        raise MoveOutdated
    if move.to_parent_id is not None:
        _locked(move.to_parent_id)  # nobody closes it meanwhile
    refuse_move(promoter, move.to_parent_id)
    return bulk.move(nodes=[promoter.pk], to=move.to_parent_id)


def _locked(promoter_id: int) -> Promoter:
    rows = Promoter.objects.select_for_update(of=("self",), no_key=True)
    promoter: Promoter = rows.select_related("member").get(pk=promoter_id)
    return promoter


def _decide(
    move: PromoterMove,
    to: str,
    action: str,
    reason: str,
    by: Actor,
    at: datetime,
    **changes: object,
) -> None:
    facts = {"decision": reason, "decided_by": str(by), "decided_at": at, **changes}
    advance(move, to, by=by, at=at, why=reason, **facts)
    detail = {"move": move.pk, "moved": move.moved}
    audit.record(by=by, action=action, target=move.promoter, reason=reason, detail=detail, at=at)
