"""Invite codes: made by staff, given away, each use given once."""

from __future__ import annotations

import secrets
from datetime import datetime

from django.db import transaction
from django.db.models import F

from distro import audit
from distro.actors import Actor
from referrals.errors import ExpiryInPast, MistypedCode, ReasonMissing
from referrals.errors_joining import (
    InviteExpired,
    InviteMistyped,
    InviteRevoked,
    InviteUnknown,
    InviteUsedUp,
)
from referrals.models import InviteCode
from referrals.rules.codes import new_code, read_code

FIELD = "invite_code"


def make_invite(
    *, uses_max: int, expires_at: datetime | None, note: str, by: Actor, at: datetime
) -> InviteCode:
    """Make a code for the invite gate; raise ExpiryInPast."""
    if expires_at is not None and expires_at <= at:
        raise ExpiryInPast(field="expires_at")
    with transaction.atomic():
        invite = InviteCode.objects.create(
            code=_free_code(),
            note=note,
            uses_max=uses_max,
            expires_at=expires_at,
            made_by=str(by),
            made_at=at,
        )
        audit.record(
            by=by, action="invite.make", target=invite, detail={"uses_max": uses_max}, at=at
        )
        return invite


def revoke_invite(*, invite_id: int, reason: str, by: Actor, at: datetime) -> InviteCode:
    """Take a code back; who came through stays. Raises ReasonMissing, InviteRevoked."""
    if not reason.strip():
        raise ReasonMissing(field="reason")
    with transaction.atomic():
        open_ones = InviteCode.objects.filter(pk=invite_id, revoked_at=None)
        if open_ones.update(revoked_at=at) != 1:
            raise InviteRevoked
        invite = InviteCode.objects.get(pk=invite_id)
        audit.record(by=by, action="invite.revoke", target=invite, reason=reason, at=at)
        return invite


def use_invite(*, text: str, at: datetime) -> InviteCode:
    """Take one use of a code, in the transaction that needs it.

    The last one is given once: the guarded update lets one of two through.
    Raises InviteMistyped, InviteUnknown, InviteRevoked, InviteExpired, InviteUsedUp.
    """
    invite = _find(text, at)
    left = InviteCode.objects.filter(pk=invite.pk, revoked_at=None, used__lt=F("uses_max"))
    if left.update(used=F("used") + 1) != 1:
        raise InviteUsedUp(field=FIELD)
    return invite


def _find(text: str, at: datetime) -> InviteCode:
    """Return a code that may be used now; raise what is wrong with it."""
    try:
        invite = InviteCode.objects.filter(code=read_code(text)).first()
    except MistypedCode:
        raise InviteMistyped(field=FIELD) from None
    if invite is None:
        raise InviteUnknown(field=FIELD)
    if invite.revoked_at:
        raise InviteRevoked(field=FIELD)
    if invite.expires_at and invite.expires_at <= at:
        raise InviteExpired(field=FIELD)
    return invite


def _free_code() -> str:
    while InviteCode.objects.filter(code=(code := new_code(secrets.choice))).exists():
        pass  # one in a million, with ten thousand codes
    return code
