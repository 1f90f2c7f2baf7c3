"""Legal overrides: asked for by one person, approved by another, ended by anybody."""

from __future__ import annotations

from datetime import datetime

from django.db import transaction

from distro import audit
from distro.actors import Actor
from distro.states import advance
from referrals.errors import ReasonMissing
from referrals.errors_joining import OverrideTooLong, SecondPersonNeeded
from referrals.models import LegalOverride
from referrals.models.overrides import LIFE_MAX


def open_override(
    *,
    subject: str,
    reason: str,
    document_sha256: str,
    expires_at: datetime,
    by: Actor,
    at: datetime,
) -> LegalOverride:
    """Ask for an override, as the first of the two persons.

    Raises ReasonMissing, OverrideTooLong.
    """
    if not reason.strip():
        raise ReasonMissing(field="reason")
    if not at < expires_at <= at + LIFE_MAX:
        raise OverrideTooLong(field="expires_at", days=LIFE_MAX.days)
    with transaction.atomic():
        override = LegalOverride.objects.create(
            subject=subject,
            reason=reason,
            document_sha256=document_sha256,
            opened_by=str(by),
            opened_at=at,
            expires_at=expires_at,
        )
        audit.record(by=by, action="override.open", target=override, reason=reason, at=at)
        return override


def approve_override(*, override_id: int, by: Actor, at: datetime) -> LegalOverride:
    """Put an override in force, as the second person.

    Raises SecondPersonNeeded, IllegalTransition.
    """
    with transaction.atomic():
        override = LegalOverride.objects.get(pk=override_id)
        if override.opened_by == str(by):
            raise SecondPersonNeeded
        to = LegalOverride.Status.APPROVED
        advance(override, to, by=by, at=at, approved_by=str(by), approved_at=at)
        audit.record(by=by, action="override.approve", target=override, at=at)
        return override


def refuse_override(*, override_id: int, reason: str, by: Actor, at: datetime) -> LegalOverride:
    """Decide against an override; raise ReasonMissing, IllegalTransition."""
    return _end(override_id, LegalOverride.Status.REFUSED, "override.refuse", reason, by, at)


def revoke_override(*, override_id: int, reason: str, by: Actor, at: datetime) -> LegalOverride:
    """End an override now, and what it allowed; raise ReasonMissing, IllegalTransition."""
    return _end(override_id, LegalOverride.Status.REVOKED, "override.revoke", reason, by, at)


def _end(
    override_id: int, to: str, action: str, reason: str, by: Actor, at: datetime
) -> LegalOverride:
    if not reason.strip():
        raise ReasonMissing(field="reason")
    with transaction.atomic():
        override = LegalOverride.objects.get(pk=override_id)
        advance(override, to, by=by, at=at, why=reason)
        audit.record(by=by, action=action, target=override, reason=reason, at=at)
        return override
