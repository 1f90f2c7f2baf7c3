"""Holds: settlement and payout of a promoter wait until a person decides."""

from __future__ import annotations

from datetime import datetime

from django.db import transaction

from distro import audit
from distro.actors import Actor
from distro.errors import NotFound
from distro.facts import tell
from referrals.errors import ReasonMissing
from referrals.models import Hold
from referrals.signals import promoter_changed


def open_hold(*, promoter_id: int, reason: str, by: Actor, at: datetime) -> Hold:
    """Stop a promoter's settlement and payout; raise ReasonMissing."""
    if not reason.strip():
        raise ReasonMissing(field="reason")
    with transaction.atomic():
        hold = Hold.objects.create(
            promoter_id=promoter_id, reason=reason, opened_by=str(by), opened_at=at
        )
        audit.record(by=by, action="hold.open", target=hold, reason=reason, at=at)
        tell(promoter_changed, promoter_id=promoter_id)
        return hold


def lift_hold(*, hold_id: int, reason: str, by: Actor, at: datetime) -> Hold:
    """Let settlement and payout go on, unless another hold is open.

    Raises ReasonMissing, and NotFound when it is lifted already.
    """
    if not reason.strip():
        raise ReasonMissing(field="reason")
    with transaction.atomic():
        open_holds = Hold.objects.select_for_update().filter(pk=hold_id, lifted_at=None)
        hold = open_holds.first()
        if hold is None:
            raise NotFound
        hold.lifted_by, hold.lifted_at = str(by), at
        hold.save(update_fields=["lifted_by", "lifted_at"])
        audit.record(by=by, action="hold.lift", target=hold, reason=reason, at=at)
        tell(promoter_changed, promoter_id=hold.promoter_id)
        return hold
