"""Who sees the promoter entry: the decision with its log, policies, invitations by staff."""

from __future__ import annotations

from datetime import datetime

from django.db import IntegrityError, transaction
from django.utils import formats, timezone

from distro import audit
from distro.actors import Actor
from distro.errors import NotFound
from referrals import selectors
from referrals.errors import AlreadyPromoter, ReasonMissing
from referrals.errors_exposure import (
    AlreadyInvited,
    EntryHidden,
    HoldoutFixed,
    PolicyRules,
    SaltMissing,
    TagMisplaced,
    UnknownTag,
)
from referrals.models import (
    ExposureDecision,
    ExposureInvitation,
    ExposurePolicy,
    Member,
    Promoter,
)
from referrals.rules.exposure import TAG, Draw, fixed_until
from referrals.selectors_exposure import (
    Exposure,
    draws,
    exposure_of,
    known_tags,
    last_decision,
    open_invitations,
    policy_after,
)


def decide_exposure(*, member: Member, at: datetime) -> ExposureDecision:
    """Decide whether a member sees the promoter entry, and keep what he is told.

    A row is written only when it differs from the member's last one: another policy, outcome or
    reason. Of two requests at once one writes it, the other finds it.
    """
    exposure = exposure_of(member, at=at)
    while True:
        last = last_decision(member.pk)
        if last and _says(last, exposure):
            return last
        row = _row(member, exposure, number=last.number + 1 if last else 1, at=at)
        ExposureDecision.objects.bulk_create([row], ignore_conflicts=True)


def refuse_hidden(*, member: Member, at: datetime) -> None:
    """Let only those become promoters by themselves who see the entry; raise EntryHidden.

    Hiding a button would not keep anybody out of the comparison; staff may invite.
    """
    if not decide_exposure(member=member, at=at).shown:
        raise EntryHidden


def _says(row: ExposureDecision, exposure: Exposure) -> bool:
    decision = exposure.decision
    return (row.policy_id, row.reason, row.in_holdout, row.bucket) == (
        exposure.policy.pk,
        decision.reason.value,
        decision.in_holdout,
        exposure.bucket,
    )


def _row(member: Member, exposure: Exposure, *, number: int, at: datetime) -> ExposureDecision:
    return ExposureDecision(
        member=member,
        number=number,
        policy_id=exposure.policy.pk,
        shown=exposure.decision.shown,
        reason=exposure.decision.reason.value,
        in_holdout=exposure.decision.in_holdout,
        bucket=exposure.bucket,
        decided_at=at,
    )


# --- Policies -------------------------------------------------------------------------------


def save_policy(*, policy: ExposurePolicy, by: Actor, at: datetime) -> ExposurePolicy:
    """Store a policy that does not apply yet; one that would reach back applies from now on.

    Raises PolicyRules, TagMisplaced, UnknownTag, SaltMissing, HoldoutFixed.
    """
    with transaction.atomic():
        _refuse_ruling(policy, at)
        policy.effective_from = max(policy.effective_from, at)
        refuse_policy(policy)
        policy.made_by = str(by)
        policy.save()
        audit.record(
            by=by,
            action="exposure.policy",
            target=policy,
            reason=policy.why,
            detail={
                "segment": policy.segment,
                "tag": policy.tag,
                "holdout_bps": policy.holdout_bps,
                "effective_from": policy.effective_from.isoformat(),
            },
            at=at,
        )
    return policy


def refuse_policy(policy: ExposurePolicy) -> None:
    """Refuse what a policy must not say.

    Raises TagMisplaced, UnknownTag, SaltMissing, HoldoutFixed.
    """
    if (policy.segment == TAG) != bool(policy.tag):
        raise TagMisplaced(field="tag")
    if policy.tag and policy.tag not in known_tags():
        raise UnknownTag(field="tag", known=", ".join(sorted(known_tags())) or "–")
    if policy.holdout_bps and not policy.salt:
        raise SaltMissing(field="salt")
    if not policy.why.strip():
        _refuse_cut(policy)


def _refuse_cut(policy: ExposurePolicy) -> None:
    """Refuse to end a holdout too soon, or to begin one that a planned policy ends too soon.

    The planned one may have its own reason. Raises HoldoutFixed.
    """
    own = _draw(policy)
    before = [draw for draw in draws(without=policy.pk) if draw.since < own.since]
    _refuse_change(before, own)
    planned = policy_after(own.since, without=policy.pk)
    if planned and not planned.why.strip():
        _refuse_change([*before, own], _draw(planned))


def _refuse_change(past: list[Draw], new: Draw) -> None:
    until = fixed_until(past, at=new.since)
    if until and new.since < until and not new.leaves_out_as(past[-1]):
        day = formats.date_format(timezone.localtime(until), "DATE_FORMAT")
        raise HoldoutFixed(field="why", until=day)


def _draw(policy: ExposurePolicy) -> Draw:
    return Draw(policy.effective_from, policy.salt, policy.holdout_bps)


def _refuse_ruling(policy: ExposurePolicy, at: datetime) -> None:
    stored = ExposurePolicy.objects.select_for_update().filter(pk=policy.pk).first()
    if stored and stored.effective_from <= at:
        raise PolicyRules


# --- Invitations ----------------------------------------------------------------------------


def invite_to_promote(
    *, member_id: int, reason: str, by: Actor, at: datetime
) -> ExposureInvitation:
    """Open the promoter entry for one member, whatever the policy says.

    Raises ReasonMissing, MemberBlocked, MemberClosed, AlreadyPromoter, AlreadyInvited.
    """
    if not reason.strip():
        raise ReasonMissing(field="reason")
    with transaction.atomic():
        member = Member.objects.get(pk=member_id)
        refuse_invitation(member)
        try:
            with transaction.atomic():
                invitation = ExposureInvitation.objects.create(
                    member=member, reason=reason, made_by=str(by), made_at=at
                )
        except IntegrityError:
            raise AlreadyInvited(field="member") from None
        audit.record(by=by, action="exposure.invite", target=member, reason=reason, at=at)
        return invitation


def refuse_invitation(member: Member) -> None:
    """Refuse who cannot be invited.

    Raises MemberBlocked, MemberClosed, AlreadyPromoter, AlreadyInvited.
    """
    selectors.refuse_inactive(member)
    if Promoter.objects.filter(member=member).exists():
        raise AlreadyPromoter(field="member")
    if open_invitations().filter(member=member).exists():
        raise AlreadyInvited(field="member")


def end_invitation(
    *, invitation_id: int, reason: str, by: Actor, at: datetime
) -> ExposureInvitation:
    """Take an invitation back; raise ReasonMissing, and NotFound when it is taken back already."""
    if not reason.strip():
        raise ReasonMissing(field="reason")
    with transaction.atomic():
        rows = open_invitations().select_for_update(of=("self",)).filter(pk=invitation_id)
        invitation = rows.first()
        if invitation is None:
            raise NotFound
        invitation.ended_by, invitation.ended_at, invitation.end_reason = str(by), at, reason
        invitation.save(update_fields=["ended_by", "ended_at", "end_reason"])
        target = invitation.member
        audit.record(by=by, action="exposure.uninvite", target=target, reason=reason, at=at)
        return invitation
