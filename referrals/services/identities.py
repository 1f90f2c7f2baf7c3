"""Real names: submitted by members, verified by staff or a provider, one payee per person."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol

from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import Q
from django.utils.module_loading import import_string
from django.utils.translation import gettext as _

from distro import audit
from distro.actors import SYSTEM, Actor
from distro.clock import beijing_day
from distro.crypto import blind_index
from distro.states import advance
from referrals import selectors
from referrals.errors import IdentityTaken, IdentityVerified, IdentityWaiting, ReasonMissing
from referrals.models import Identity, Member
from referrals.rules.people import normal_id_number, normal_name
from referrals.selectors_accounts import are_one_account, verified_numbers
from referrals.services.messages import in_members_language, notify

MESSAGE_KIND = "identity"
PAGE = "pages/me/identity"
REVEAL = "identity.reveal"  # the action in the audit trail


class IdentityProvider(Protocol):
    """Who finds out whether a name and a number belong together; settings.IDENTITY_PROVIDER."""

    def begin(self, *, identity_id: int) -> None:
        """Take on an identity that waits, inside the transaction that submits it.

        What asks somebody over HTTP goes into the outbox here. The answer comes back through
        verify_identity() or reject_identity(), which bear being late: they refuse what was
        decided meanwhile.
        """


class StaffReview:
    """The provider that asks staff: their queue is the identities that wait."""

    def begin(self, *, identity_id: int) -> None:
        """Do nothing: the identity is in the queue already."""


def provider() -> IdentityProvider:
    """Return the provider of the settings."""
    made: IdentityProvider = import_string(settings.IDENTITY_PROVIDER)()
    return made


def submit_identity(*, member_id: int, name: str, id_number: str, at: datetime) -> Identity:
    """Take a member's name and ID number; reviewed by staff unless the policy says otherwise.

    Raises BadName, BadIdNumber, TooYoung, IdentityWaiting, IdentityVerified, IdentityTaken.
    """
    name = normal_name(name)
    id_number = normal_id_number(id_number, today=beijing_day(at))
    content = {"name": name, "id_number": id_number, "id_index": blind_index("id", id_number)}
    with transaction.atomic():
        _lock_person(member_id)
        _first_account(content["id_index"], member_id)
        identity, is_new = Identity.objects.select_for_update().get_or_create(
            member_id=member_id, defaults={**content, "submitted_at": at}
        )
        if not is_new:
            _submit_again(identity, content, at)
        _refuse_second_number(identity)
        if not selectors.policy_at(at).identity_review:
            _accept(identity, by=SYSTEM, at=at)
        else:
            provider().begin(identity_id=identity.pk)
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
        same_as=None,
        submitted_at=at,
        decided_at=None,
        reason="",
    )


def verify_identity(*, identity_id: int, by: Actor, at: datetime) -> Identity:
    """Confirm that name and number are right; raise IdentityTaken, IllegalTransition."""
    with transaction.atomic():
        _lock_person(Identity.objects.values_list("member", flat=True).get(pk=identity_id))
        identity = Identity.objects.select_for_update().get(pk=identity_id)
        _accept(identity, by=by, at=at)
        return identity


def reject_identity(*, identity_id: int, reason: str, by: Actor, at: datetime) -> Identity:
    """Refuse an identity that waits; the member may submit another.

    Raises ReasonMissing, IllegalTransition.
    """
    _refuse_without(reason)
    with transaction.atomic():
        identity = Identity.objects.select_for_update().get(pk=identity_id)
        if identity.status == Identity.Status.VERIFIED:
            raise IdentityVerified
        return _reject(identity, reason, by=by, at=at)


def recheck_identity(*, identity_id: int, reason: str, by: Actor, at: datetime) -> Identity:
    """Take the verification of an identity back after a second look, in all accounts it stands in.

    Raises ReasonMissing, IllegalTransition.
    """
    _refuse_without(reason)
    with transaction.atomic():
        identity = Identity.objects.select_for_update().get(pk=identity_id)
        for copy in identity.further.select_for_update().filter(status=Identity.Status.VERIFIED):
            _reject(copy, reason, by=by, at=at)
        return _reject(identity, reason, by=by, at=at)


def reveal_identity(*, identity_id: int, reason: str, by: Actor, at: datetime) -> None:
    """Put on record who reads a name and number in clear, and why; raise ReasonMissing."""
    _refuse_without(reason)
    target = f"{Identity._meta.label_lower}:{identity_id}"
    audit.record(by=by, action=REVEAL, target=target, reason=reason, at=at)


def _refuse_without(reason: str) -> None:
    if not reason.strip():
        raise ReasonMissing(field="reason")


def _reject(identity: Identity, reason: str, *, by: Actor, at: datetime) -> Identity:
    """Move an identity to rejected and tell its member why."""
    to = Identity.Status.REJECTED
    advance(identity, to, by=by, at=at, why=reason, decided_at=at, reason=reason, same_as=None)
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
    """Verify an identity; of two accounts at the same moment the constraint lets one through.

    The person is locked. Raises IdentityTaken, IllegalTransition.
    """
    _refuse_second_number(identity)
    first = _first_account(identity.id_index, identity.member_id)
    to = Identity.Status.VERIFIED
    try:
        with transaction.atomic():
            advance(identity, to, by=by, at=at, decided_at=at, reason="", same_as=first)
    except IntegrityError:
        raise IdentityTaken(field="id_number") from None


def _lock_person(member_id: int) -> None:
    """Lock a member and the account he was merged into, by their ids as merges do."""
    into = Member.objects.filter(pk=member_id).values("merged_into")
    rows = Member.objects.select_for_update(no_key=True).order_by("pk")
    list(rows.filter(Q(pk=member_id) | Q(pk__in=into)).values_list("pk"))


def _refuse_second_number(identity: Identity) -> None:
    """Keep one ID number for all accounts of a person; raise IdentityTaken."""
    member = Member.objects.select_related("merged_into").get(pk=identity.member_id)
    if verified_numbers([member.living]) - {identity.id_index}:
        raise IdentityTaken(field="id_number")


def _first_account(id_index: str, member_id: int) -> Identity | None:
    """Return the identity that a further account of the same person belongs to.

    None if nobody is verified with this number. Who has it under another unionid, or under none,
    is another account that has to be merged first, unless it was closed: raises IdentityTaken.
    """
    verified = Identity.objects.filter(id_index=id_index, status=Identity.Status.VERIFIED)
    others = verified.exclude(member=member_id)
    first = others.filter(same_as=None).select_for_update().first()  # one after the other
    member = Member.objects.get(pk=member_id)
    for other in others.select_related("member"):
        if not _serves_also(other.member, member):
            raise IdentityTaken(field="id_number")
    return first


def _serves_also(one: Member, other: Member) -> bool:
    """Say whether what one account is verified with may serve another one too."""
    same = bool(one.unionid) and one.unionid == other.unionid
    left = one.status == Member.Status.CLOSED  # he came back: still one payee for the tax
    return same or left or are_one_account(one, other)
