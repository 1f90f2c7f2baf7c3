"""Blocking a member: no log-in, no links, no payout until a person lifts it.

Nothing is taken away: what a promoter of his has goes on settling. That one is stopped from
earning by a suspension, which is a step of its own.
"""

from __future__ import annotations

from datetime import datetime

from django.db import transaction

from distro import audit
from distro.actors import Actor
from distro.states import advance
from referrals.errors import ReasonMissing
from referrals.models import Member


def block_member(*, member_id: int, reason: str, by: Actor, at: datetime) -> Member:
    """Keep a member out; raise ReasonMissing, IllegalTransition."""
    return _change(member_id, Member.Status.BLOCKED, "member.block", reason, by, at)


def unblock_member(*, member_id: int, reason: str, by: Actor, at: datetime) -> Member:
    """Let a blocked member in again, with the tokens he has.

    Raises ReasonMissing, IllegalTransition.
    """
    return _change(member_id, Member.Status.ACTIVE, "member.unblock", reason, by, at)


def _change(member_id: int, to: str, action: str, reason: str, by: Actor, at: datetime) -> Member:
    if not reason.strip():
        raise ReasonMissing(field="reason")
    with transaction.atomic():
        member = Member.objects.select_for_update(no_key=True).get(pk=member_id)
        advance(member, to, by=by, at=at, why=reason)
        audit.record(by=by, action=action, target=member, reason=reason, at=at)
        return member
