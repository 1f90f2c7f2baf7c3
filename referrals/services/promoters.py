"""Becoming a promoter, and being stopped for a while."""

from __future__ import annotations

import secrets
from collections.abc import Collection
from datetime import datetime

from django.db import transaction
from django.utils.translation import gettext as _

from distro.actors import SYSTEM, Actor
from distro.facts import tell
from distro.states import advance
from referrals import bulk, selectors
from referrals.errors import AlreadyPromoter, ApplicationWaiting, ReasonMissing
from referrals.models import Application, Member, Promoter, ReferralPolicy
from referrals.rules.codes import new_code
from referrals.services.agreements import Evidence, sign
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
) -> Application:
    """Sign the agreement in force and ask to become a promoter; the policy may say yes at once.

    Raises AlreadyPromoter, ApplicationWaiting, NoAgreement, AgreementOutdated,
    AgreementTextDiffers, MemberBlocked, MemberClosed.
    """
    with transaction.atomic():
        _refuse_applicant(member)
        acceptance = sign(
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
            note=note,
            requested_at=at,
        )
        if selectors.policy_at(at).gate == ReferralPolicy.Gate.EVERYONE:
            approve_application(application_id=application.pk, by=SYSTEM, at=at)
            application.refresh_from_db()
        return application


def approve_application(*, application_id: int, by: Actor, at: datetime) -> Promoter:
    """Make an applicant a promoter, below the upline noted when he applied.

    Raises IllegalTransition, AlreadyPromoter, MemberBlocked, MemberClosed.
    """
    with transaction.atomic():
        application = Application.objects.select_related("member").get(pk=application_id)
        selectors.refuse_inactive(application.member)
        advance(application, Application.Status.APPROVED, by=by, at=at, decided_at=at)
        if Promoter.objects.filter(member=application.member_id).exists():
            raise AlreadyPromoter
        promoter_id = bulk.attach(
            member_id=application.member_id,
            parent_id=application.parent_id,
            code=_free_code(),
            at=at,
        )
        _tell_applicant(application, at)
        tell(promoter_approved, promoter_id=promoter_id, member_id=application.member_id)
        return Promoter.objects.get(pk=promoter_id)


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
        _tell_applicant(application, at)
        return application


def suspend_promoter(*, promoter_id: int, why: str, by: Actor, at: datetime) -> Promoter:
    """Stop a promoter from earning; raise ReasonMissing, IllegalTransition."""
    return _change(promoter_id, Promoter.Status.SUSPENDED, why, by, at)


def reinstate_promoter(*, promoter_id: int, why: str, by: Actor, at: datetime) -> Promoter:
    """Let a suspended promoter earn again; raise ReasonMissing, IllegalTransition."""
    return _change(promoter_id, Promoter.Status.ACTIVE, why, by, at)


def _change(promoter_id: int, to: str, why: str, by: Actor, at: datetime) -> Promoter:
    if not why.strip():
        raise ReasonMissing(field="reason")
    with transaction.atomic():
        promoter: Promoter = Promoter.objects.get(pk=promoter_id)
        advance(promoter, to, by=by, at=at, why=why)
        tell(promoter_changed, promoter_id=promoter_id)
        return promoter


def parent_of_new(member: Member, *, at: datetime) -> int | None:
    """Return the upline of a member who becomes a promoter now.

    The promoter of his open binding, else the promoter his inviter is; nobody whose account is
    closed, and not himself under another account.
    """
    binding = selectors.open_binding(member.pk, at=at)
    if binding:
        upline: Promoter | None = binding.promoter
    else:
        upline = selectors.promoter_of(member.inviter_id) if member.inviter_id else None
    if upline is None or upline.status == Promoter.Status.CLOSED:
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


def _refuse_applicant(member: Member) -> None:
    selectors.refuse_inactive(member)
    if Promoter.objects.filter(member=member).exists():
        raise AlreadyPromoter
    if Application.objects.filter(member=member, status=Application.Status.PENDING).exists():
        raise ApplicationWaiting


def _free_code() -> str:
    """Return a code of 8 characters that nobody has; those of an import are shorter or longer."""
    while Promoter.objects.filter(code=(code := new_code(secrets.choice))).exists():
        pass  # one in ten thousand, with a million promoters
    return code


def _tell_applicant(application: Application, at: datetime) -> None:
    """Write the decision into the applicant's inbox."""
    with in_members_language():
        if application.status == Application.Status.APPROVED:
            title = _("You are a promoter now")
            body = _("Your application was approved. Share your first product!")
        else:
            title = _("Your application was not approved")
            body = _("Reason: %(reason)s") % {"reason": application.reason}
    notify(
        member_id=application.member_id,
        kind=MESSAGE_KIND,
        key=f"application:{application.pk}:{application.status}",
        title=title,
        body=body,
        page=PAGE,
        at=at,
    )
