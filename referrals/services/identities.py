"""Real names: submitted by members, verified by staff, one payee per person."""

from __future__ import annotations

from datetime import datetime

from django.db import IntegrityError, transaction
from django.utils.translation import gettext as _

from distro.actors import SYSTEM, Actor
from distro.clock import beijing_day
from distro.crypto import blind_index
from distro.states import advance
from referrals import selectors
from referrals.errors import IdentityTaken, IdentityVerified, IdentityWaiting, ReasonMissing
from referrals.models import Identity
from referrals.rules.people import normal_id_number, normal_name
from referrals.services.messages import in_members_language, notify

MESSAGE_KIND = "identity"
PAGE = "pages/me/identity"


def submit_identity(*, member_id: int, name: str, id_number: str, at: datetime) -> Identity:
    """Take a member's name and ID number; reviewed by staff unless the policy says otherwise.

    Raises BadName, BadIdNumber, TooYoung, IdentityWaiting, IdentityVerified, IdentityTaken.
    """
    name = normal_name(name)
    id_number = normal_id_number(id_number, today=beijing_day(at))
    content = {"name": name, "id_number": id_number, "id_index": blind_index("id", id_number)}
    with transaction.atomic():
        _refuse_taken(content["id_index"], member_id)
        identity, is_new = Identity.objects.select_for_update().get_or_create(
            member_id=member_id, defaults={**content, "submitted_at": at}
        )
        if not is_new:
            _submit_again(identity, content, at)
        if not selectors.policy_at(at).identity_review:
            _accept(identity, by=SYSTEM, at=at)
        return identity


def _submit_again(identity: Identity, content: dict[str, str], at: datetime) -> None:
    """Replace what was rejected."""
    if identity.status == Identity.Status.PENDING:
        raise IdentityWaiting
    if identity.status == Identity.Status.VERIFIED:
        raise IdentityVerified
    advance(
        identity,
        Identity.Status.PENDING,
        by=identity.member.actor,
        at=at,
        name=content["name"],
        id_number=content["id_number"],
        id_index=content["id_index"],
        submitted_at=at,
        decided_at=None,
        reason="",
    )


def verify_identity(*, identity_id: int, by: Actor, at: datetime) -> Identity:
    """Confirm that name and number are right; raise IdentityTaken, IllegalTransition."""
    with transaction.atomic():
        identity = Identity.objects.select_for_update().get(pk=identity_id)
        _refuse_taken(identity.id_index, identity.member_id)
        _accept(identity, by=by, at=at)
        return identity


def reject_identity(*, identity_id: int, reason: str, by: Actor, at: datetime) -> Identity:
    """Refuse an identity, also a verified one; the member may submit another.

    Raises ReasonMissing, IllegalTransition.
    """
    if not reason.strip():
        raise ReasonMissing(field="reason")
    with transaction.atomic():
        identity = Identity.objects.select_for_update().get(pk=identity_id)
        to = Identity.Status.REJECTED
        advance(identity, to, by=by, at=at, why=reason, decided_at=at, reason=reason)
        with in_members_language():
            title = _("Your identity could not be verified")
            body = _("Reason: %(reason)s") % {"reason": reason}
        key = f"identity:{identity.pk}:{at.isoformat()}"
        member_id = identity.member_id
        notify(
            member_id=member_id,
            kind=MESSAGE_KIND,
            key=key,
            title=title,
            body=body,
            page=PAGE,
            at=at,
        )
        return identity


def _accept(identity: Identity, *, by: Actor, at: datetime) -> None:
    """Verify an identity; of two accounts at the same moment the constraint lets one through."""
    try:
        with transaction.atomic():
            advance(identity, Identity.Status.VERIFIED, by=by, at=at, decided_at=at, reason="")
    except IntegrityError:
        raise IdentityTaken(field="id_number") from None


def _refuse_taken(id_index: str, member_id: int) -> None:
    """Refuse a number that another account is paid under."""
    verified = Identity.objects.filter(id_index=id_index, status=Identity.Status.VERIFIED)
    if verified.exclude(member=member_id).exists():
        raise IdentityTaken(field="id_number")
