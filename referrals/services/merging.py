"""Merging two accounts of one person: no money and no order moves, everything leads to one.

Found at a log-in by the unionid, or asked for by staff and approved by a second person.
"""

from __future__ import annotations

import logging
import secrets
import zlib
from datetime import datetime

from django.db import IntegrityError, transaction
from django.utils.translation import gettext as _

from distro import audit
from distro.actors import SYSTEM, Actor
from distro.errors import DomainError, brief
from distro.facts import tell
from distro.locks import Lock, advisory
from distro.states import advance
from referrals import selectors, selectors_accounts
from referrals.errors import ReasonMissing
from referrals.errors_accounts import (
    AccountMerged,
    MergeProposed,
    OtherAccountStays,
    PromoterUnderReview,
    SameAccount,
    TwoIdentities,
)
from referrals.errors_joining import SecondPersonNeeded
from referrals.models import Member, Merge, Promoter
from referrals.rules.accounts import may_give_way, survivor_of
from referrals.rules.codes import MEMBER_NO_CHARS, random_text
from referrals.services.carrying import all_carried, carry_own_binding, carry_some_customers
from referrals.services.closing import (
    begin_former_promoter,
    lock_member,
    reject_waiting_application,
    revoke_links,
)
from referrals.services.messages import in_members_language
from referrals.signals import members_merged

logger = logging.getLogger(__name__)

Status = Merge.Status
TAKEN_OVER = ("unionid", "nickname", "phone", "phone_index")  # where the one that stays has none


# --- By staff -------------------------------------------------------------------------------


def propose_merge(
    *, merged_id: int, survivor_id: int, reason: str, by: Actor, at: datetime
) -> Merge:
    """Ask for a merge, as the first of the two persons; a merge that happened is returned.

    Raises ReasonMissing, MergeProposed and what approve_merge() raises.
    """
    if not reason.strip():
        raise ReasonMissing(field="reason")
    with transaction.atomic():
        if done := selectors_accounts.done_merge(merged_id, survivor_id):
            return done
        _refuse_pair(*_locked_pair(merged_id, survivor_id))
        merge = _propose(merged_id, survivor_id, reason, by=by, at=at)
        audit.record(by=by, action="merge.propose", target=merge, reason=reason, at=at)
        return merge


def approve_merge(*, merge_id: int, by: Actor, at: datetime) -> Merge:
    """Merge two accounts, as the second person; the customers are carried over right after it.

    Raises SecondPersonNeeded, IllegalTransition, SameAccount, AccountMerged, MemberBlocked,
    MemberClosed, AccountClosing, OtherAccountStays, PromoterUnderReview, TwoIdentities.
    """
    with transaction.atomic():
        merge = Merge.objects.get(pk=merge_id)
        if merge.requested_by == str(by):
            raise SecondPersonNeeded
        merged, survivor = _locked_pair(merge.merged_id, merge.survivor_id)
        _refuse_pair(merged, survivor)
        _give_way(merge, merged, survivor, by=by, at=at)
        audit.record(by=by, action="merge.approve", target=merge, at=at)
    while not _carried(merge, at):
        pass
    return merge


def refuse_merge(*, merge_id: int, reason: str, by: Actor, at: datetime) -> Merge:
    """Decide against a merge, who asked for it included; raise ReasonMissing, IllegalTransition."""
    if not reason.strip():
        raise ReasonMissing(field="reason")
    with transaction.atomic():
        merge = Merge.objects.get(pk=merge_id)
        decided = {"decision": reason, "decided_by": str(by), "decided_at": at}
        advance(merge, Status.REFUSED, by=by, at=at, why=reason, **decided)
        audit.record(by=by, action="merge.refuse", target=merge, reason=reason, at=at)
        return merge


# --- At a log-in ----------------------------------------------------------------------------


def recognise(*, openid: str, unionid: str | None, at: datetime) -> Member | None:
    """Return the account of a person who comes with an openid nobody has; None for a stranger.

    The account takes over the new openid; the old one goes on leading to it. Logins of one
    person at the same moment wait for each other here. Raises MemberBlocked.
    """
    if not unionid:
        return None
    _lock_person(unionid)
    if known := selectors_accounts.account_of_openid(openid):
        return known  # the other log-in was first
    member = selectors_accounts.accounts_of_unionid(unionid).first()
    if member is None:
        return None
    selectors.refuse_inactive(member)
    alias = Member.objects.create(
        no="M" + random_text(secrets.choice, MEMBER_NO_CHARS),
        unionid=unionid,
        openid=openid,
        joined_at=at,
    )
    merge = _propose(alias.pk, member.pk, _reason(), by=SYSTEM, at=at)
    _give_way(merge, alias, member, by=SYSTEM, at=at)  # it is empty: nothing to decide
    return _with_openid(member.pk, openid)


def unite(*, member: Member, unionid: str, at: datetime) -> Member:
    """Note the unionid of an account, and merge it with another one that has it already.

    Returns the account that stays. What needs a person's decision is left to staff as a proposal.
    """
    _lock_person(unionid)
    member.unionid = unionid
    member.save(update_fields=["unionid"])
    other = selectors_accounts.accounts_of_unionid(unionid).exclude(pk=member.pk).first()
    if other is None:
        return member
    sides = [selectors_accounts.side_of(one) for one in (member, other)]
    survivor = survivor_of(*sides)
    merged = next(side for side in sides if side is not survivor)
    try:
        with transaction.atomic():
            merge = _propose(merged.member_id, survivor.member_id, _reason(), by=SYSTEM, at=at)
    except MergeProposed:
        return member
    if merged.promoter or not _is_possible(merge):
        return member
    _give_way(merge, *_locked_pair(merge.merged_id, merge.survivor_id), by=SYSTEM, at=at)
    return _with_openid(survivor.member_id, member.openid or "")


def _lock_person(unionid: str) -> None:
    advisory(Lock.PERSON, zlib.crc32(unionid.encode()) - 2**31)


def _reason() -> str:
    with in_members_language():
        return _("WeChat says that it is one person: the same unionid.")


def _is_possible(merge: Merge) -> bool:
    """Say whether nothing stands in the way that a person has to look at."""
    try:
        _refuse_pair(*_locked_pair(merge.merged_id, merge.survivor_id))
    except DomainError:
        return False
    return True


def _with_openid(member_id: int, openid: str) -> Member:
    """Let the account that stays be known by the openid its owner comes with now."""
    member = Member.objects.get(pk=member_id)
    if openid and member.openid != openid:
        holder = Member.objects.get(openid=openid)
        former, member.openid = member.openid, openid
        Member.objects.filter(pk=holder.pk).update(openid=None)
        member.save(update_fields=["openid"])
        Member.objects.filter(pk=holder.pk).update(openid=former)
    return member


# --- Merging --------------------------------------------------------------------------------


def carry_customers(*, at: datetime) -> int:
    """Go on with merges whose customers are not all carried over; return how many are done."""
    done = 0
    for merge in Merge.objects.filter(status=Status.DONE, carried_at=None).order_by("pk"):
        done += _try(merge, at)
    return done


def _try(merge: Merge, at: datetime) -> int:
    """Carry the customers of one merge; what is wrong with it is an alarm and keeps no other."""
    try:
        while not _carried(merge, at):
            pass
    except Exception as error:  # noqa: BLE001 - the next merge must not suffer
        logger.error("ALARM customers of merge %d are not carried: %s", merge.pk, brief(error))
        return 0
    return 1


def _propose(merged_id: int, survivor_id: int, reason: str, *, by: Actor, at: datetime) -> Merge:
    try:
        with transaction.atomic():
            return Merge.objects.create(
                merged_id=merged_id,
                survivor_id=survivor_id,
                reason=reason,
                requested_by=str(by),
                requested_at=at,
            )
    except IntegrityError:  # one open proposal an account
        raise MergeProposed from None


def _give_way(merge: Merge, merged: Member, survivor: Member, *, by: Actor, at: datetime) -> None:
    """Let one account lead to the other from now on; both are locked."""
    advance(merge, Status.DONE, by=by, at=at, decided_by=str(by), decided_at=at)
    reject_waiting_application(member_id=merged.pk, by=by, at=at)
    revoke_links(member_id=merged.pk, reason=merge.reason, by=by, at=at)
    carry_own_binding(merged=merged, survivor=survivor, by=by, at=at)
    _take_over(merged, survivor)
    Member.objects.filter(merged_into=merged).update(merged_into=survivor)
    into, why = Member.Status.MERGED, merge.reason
    advance(merged, into, by=by, at=at, why=why, merged_into=survivor)
    tell(members_merged, member_id=merged.pk, survivor_id=survivor.pk)
    if not Promoter.objects.filter(member=merged).exists():
        Merge.objects.filter(pk=merge.pk).update(carried_at=at)
        merge.carried_at = at


def _locked_pair(merged_id: int, survivor_id: int) -> tuple[Member, Member]:
    """Lock both accounts by their ids: merges the other way round wait instead of deadlocking."""
    if merged_id == survivor_id:
        raise SameAccount
    rows = Member.objects.select_for_update(no_key=True).order_by("pk")
    found = {row.pk: row for row in rows.filter(pk__in=[merged_id, survivor_id])}
    return found[merged_id], found[survivor_id]


def _refuse_pair(merged: Member, survivor: Member) -> None:
    """Refuse whom nothing may merge."""
    for member in (merged, survivor):
        if member.status == Member.Status.MERGED:
            raise AccountMerged
        selectors.refuse_inactive(member)
        selectors_accounts.refuse_closing(member.pk)
    sides = [selectors_accounts.side_of(member) for member in (merged, survivor)]
    if not may_give_way(*sides):
        raise OtherAccountStays
    promoters = Promoter.objects.filter(member__in=[merged, survivor]).order_by("pk")
    if selectors_accounts.are_under_review(list(promoters)):
        raise PromoterUnderReview
    if len(selectors_accounts.verified_numbers([merged, survivor])) > 1:
        raise TwoIdentities


def _take_over(merged: Member, survivor: Member) -> None:
    """Tell the account that stays what it does not know of its owner, and his earlier joining."""
    for name in TAKEN_OVER:
        if not getattr(survivor, name):
            setattr(survivor, name, getattr(merged, name))
    survivor.joined_at = min(survivor.joined_at, merged.joined_at)
    survivor.save(update_fields=[*TAKEN_OVER, "joined_at"])


def _carried(merge: Merge, at: datetime) -> bool:
    """Carry some customers over; after the last one let the former promoter run out."""
    if merge.carried_at:
        return True
    with transaction.atomic():
        if carry_some_customers(merge=merge, at=at):
            return False
        lock_member(merge.merged_id)
        if not all_carried(merge=merge):
            return False  # somebody came just now
        begin_former_promoter(member_id=merge.merged_id, reason=merge.reason, by=SYSTEM, at=at)
        merge.carried_at = at
        merge.save(update_fields=["carried_at"])
        return True
