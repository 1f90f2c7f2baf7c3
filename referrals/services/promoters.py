"""Becoming a promoter, and being stopped for a while."""

from __future__ import annotations

import secrets
from collections.abc import Collection
from datetime import datetime

from django.db import transaction
from django.utils.translation import gettext as _

from distro.actors import SYSTEM, Actor
from distro.facts import tell
from distro.locks import Lock, advisory
from distro.states import advance
from referrals import bulk, selectors, selectors_accounts, selectors_joining
from referrals.errors import AlreadyPromoter, ApplicationWaiting, ReasonMissing
from referrals.errors_joining import ApplicationOutdated, OwnOtherAccount
from referrals.models import Application, Member, Promoter
from referrals.rules.codes import new_code
from referrals.rules.gates import INVITE, refuse_candidate
from referrals.selectors_joining import ToApprove
from referrals.services.agreements import Evidence, sign_to_apply
from referrals.services.closing import lock_member
from referrals.services.exposure import refuse_hidden
from referrals.services.invites import use_invite
from referrals.services.members import ensure_members
from referrals.services.messages import in_members_language, notify
from referrals.signals import promoter_approved, promoter_changed

MESSAGE_KIND = "promoter"
PAGE = "pages/promoter/index"


def apply_to_promote(
    *,
    member: Member,
    agreement_id: int,
    body_sha256: str,
    evidence: Evidence,
    note: str,
    at: datetime,
    invite_code: str = "",
) -> Application:
    """Sign the agreement in force and ask to become a promoter; all gates but review say yes.

    invite_code: used only where the gate asks for one.
    Raises AlreadyPromoter, OwnOtherAccount, ApplicationWaiting, MemberBlocked, MemberClosed,
    AccountMerged, AccountClosing, EntryHidden, what the gate refuses (referrals.rules.gates,
    use_invite()) and the errors of sign_to_apply().
    """
    with transaction.atomic():
        member = lock_member(member.pk)  # as it is now; it does not close or merge meanwhile
        _refuse_applicant(member)
        gate = selectors_joining.gate_at(at)
        asks_invite = gate.kind == INVITE and invite_code
        invite = use_invite(text=invite_code, at=at) if asks_invite else None
        if invite is None:  # a code from staff opens the entry too
            refuse_hidden(member=member, at=at)
        brought = selectors_joining.candidate(member.pk, gate=gate, has_invite=invite is not None)
        refuse_candidate(gate, brought)
        acceptance = sign_to_apply(
            member=member,
            agreement_id=agreement_id,
            body_sha256=body_sha256,
            evidence=evidence,
            at=at,
        )
        _refuse_applicant(member)  # signing waited for others, perhaps for the same member
        application = Application.objects.create(
            member=member,
            parent_id=parent_of_new(member, at=at),
            acceptance=acceptance,
            invite=invite,
            note=note,
            requested_at=at,
        )
        if gate.opens_at_once:
            approve_application(application_id=application.pk, by=SYSTEM, at=at)
            application.refresh_from_db()
        return application


def approve_application(*, application_id: int, by: Actor, at: datetime) -> int:
    """Make an applicant a promoter, below the upline noted when he applied; return his id.

    He must have signed the version in force now. Takes the same few statements in any tree: what
    it has to know is read at once, and who hears of it hears after the commit.
    Raises IllegalTransition, AlreadyPromoter, OwnOtherAccount, ApplicationOutdated, MemberBlocked,
    MemberClosed.
    """
    with transaction.atomic():
        advisory(Lock.APPROVAL)  # another account of the same person may wait too
        found, code = _application_with_code(application_id, at)
        application, to = found.application, Application.Status.APPROVED
        selectors.refuse_status(found.member_status)
        newest = found.signed_id or application.acceptance_id
        advance(application, to, by=by, at=at, decided_at=at, acceptance_id=newest)
        if found.is_promoter:
            raise AlreadyPromoter
        if found.is_promoter_elsewhere:
            raise OwnOtherAccount
        if found.signed_id is None:
            raise ApplicationOutdated(version=found.ruling)
        leaves = found.parent_status in Promoter.LEAVING
        parent_id = None if leaves else application.parent_id
        promoter_id = _attach(application.member_id, parent_id, code=code, at=at)
        tell(promoter_approved, promoter_id=promoter_id, member_id=application.member_id)
        return promoter_id


def _attach(member_id: int, parent_id: int | None, *, code: str, at: datetime) -> int:
    """Make a member a promoter, a root if his upline began to leave just now; return his id."""
    try:
        return bulk.attach(
            member_id=member_id, parent_id=parent_id, code=code, at=at, unless_leaving=True
        )
    except Promoter.DoesNotExist:
        if not Promoter.objects.filter(pk=parent_id, status__in=Promoter.LEAVING).exists():
            raise
        return bulk.attach(member_id=member_id, parent_id=None, code=code, at=at)


def _application_with_code(application_id: int, at: datetime) -> tuple[ToApprove, str]:
    """Return an application and a code of 8 characters that nobody has."""
    while True:  # again once in ten thousand approvals, with a million promoters
        code = new_code(secrets.choice)
        found = selectors_joining.application_to_approve(application_id, code=code, at=at)
        if not found.code_taken:
            return found, code


def reject_application(*, application_id: int, reason: str, by: Actor, at: datetime) -> Application:
    """Refuse an application, with the reason that the applicant reads.

    Raises ReasonMissing, IllegalTransition.
    """
    if not reason.strip():
        raise ReasonMissing(field="reason")
    with transaction.atomic():
        application = Application.objects.select_related("member").get(pk=application_id)
        to = Application.Status.REJECTED
        advance(application, to, by=by, at=at, why=reason, decided_at=at, reason=reason)
        with in_members_language():
            title = _("Your application was not approved")
            body = _("Reason: %(reason)s") % {"reason": reason}
        _tell_applicant(
            application.member_id, f"application:{application.pk}:rejected", title, body, at
        )
        return application


def welcome_promoter(*, promoter_id: int) -> None:
    """Tell a new promoter that he is one."""
    promoter = Promoter.objects.get(pk=promoter_id)
    with in_members_language():
        title = _("You are a promoter now")
        body = _("Your application was approved. Share your first product!")
    key, at = f"promoter:{promoter_id}:approved", promoter.approved_at
    _tell_applicant(promoter.member_id, key, title, body, at)


def suspend_promoter(*, promoter_id: int, why: str, by: Actor, at: datetime) -> Promoter:
    """Stop a promoter from earning; raise ReasonMissing, IllegalTransition."""
    with transaction.atomic():
        _lock_member_of(promoter_id)
        return _change(promoter_id, Promoter.Status.SUSPENDED, why, by, at)


def reinstate_promoter(*, promoter_id: int, why: str, by: Actor, at: datetime) -> Promoter:
    """Let a suspended promoter earn again, or go on being closed.

    Raises ReasonMissing, IllegalTransition.
    """
    with transaction.atomic():
        _lock_member_of(promoter_id)
        leaves = selectors_accounts.is_leaving(promoter_id)
        to = Promoter.Status.CLOSING if leaves else Promoter.Status.ACTIVE
        return _change(promoter_id, to, why, by, at)


def _change(promoter_id: int, to: str, why: str, by: Actor, at: datetime) -> Promoter:
    """Move a promoter whose member is locked."""
    if not why.strip():
        raise ReasonMissing(field="reason")
    promoter: Promoter = Promoter.objects.get(pk=promoter_id)
    advance(promoter, to, by=by, at=at, why=why)
    tell(promoter_changed, promoter_id=promoter_id)
    return promoter


def parent_of_new(member: Member, *, at: datetime) -> int | None:
    """Return the upline of a member who becomes a promoter now.

    The promoter of his open binding, else the promoter his inviter is, by the account that stays;
    nobody who leaves or has left, and not himself under another account.
    """
    binding = selectors.open_binding(member.pk, at=at)
    if binding:
        upline: Promoter | None = binding.promoter
    else:
        inviter_id = member.inviter_id and selectors_accounts.living_id(member.inviter_id)
        upline = selectors.promoter_of(inviter_id) if inviter_id else None
    if upline is None or upline.status in Promoter.LEAVING:
        return None
    persons = selectors.people([member.pk, upline.member_id])
    if persons[member.pk].is_same_as(persons[upline.member_id]):
        return None
    return upline.pk


def ensure_promoters(*, codes: Collection[str], at: datetime) -> dict[str, int]:
    """Make the promoters another system knows roots of the tree; return their ids by code.

    Each gets a member of its own, known by the external number "promoter:<code>". No fact is told.
    """
    with transaction.atomic():
        known = _ids_of(codes)
        missing = sorted(set(codes) - known.keys())
        numbers = {f"promoter:{code}": at for code in missing}
        members = ensure_members(external_nos=numbers)
        roots = [bulk.Root(members[f"promoter:{code}"], code) for code in missing]
        made = bulk.attach_roots(roots, at=at)
        return known | {root.code: made[root.member_id] for root in roots}


def _ids_of(codes: Collection[str]) -> dict[str, int]:
    rows = Promoter.objects.filter(code__in=set(codes)).order_by()
    return dict(rows.values_list("code", "pk"))


# --- Steps ----------------------------------------------------------------------------------


def _lock_member_of(promoter_id: int) -> None:
    """Let a closing that begins, ends or is taken back wait, or wait for it."""
    lock_member(Promoter.objects.values_list("member", flat=True).get(pk=promoter_id))


def _refuse_applicant(member: Member) -> None:
    selectors.refuse_inactive(member)
    selectors_accounts.refuse_closing(member.pk)
    if Promoter.objects.filter(member=member).exists():
        raise AlreadyPromoter
    if selectors_joining.has_promoter_elsewhere(member.pk):
        raise OwnOtherAccount
    if Application.objects.filter(member=member, status=Application.Status.PENDING).exists():
        raise ApplicationWaiting


def _tell_applicant(member_id: int, key: str, title: str, body: str, at: datetime) -> None:
    """Write the decision into the applicant's inbox."""
    notify(
        member_id=member_id, kind=MESSAGE_KIND, key=key, title=title, body=body, page=PAGE, at=at
    )
