"""Whose customer somebody is: touches, expiry, leavers, imports."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db import transaction

from distro.actors import SYSTEM, Actor
from referrals import selectors
from referrals.errors import OwnCode, YoungerInviter
from referrals.models import Binding, Member, Promoter, ReferralPolicy, ShareLink
from referrals.rules.binding import Current, Touched, decide, use_of
from referrals.rules.people import Person
from referrals.services.binding_steps import (
    ENDING,
    create,
    end,
    lock_customer,
    open_binding_of,
    promoters_of,
    refuse_cycle,
    status_until_commit,
    terms_of,
)

ENDED_AT_ONCE = 500
ASKED_AT_ONCE = 5_000


@dataclass(frozen=True)
class TouchResult:
    """What a touch did, and the binding in force after it."""

    outcome: Touched
    binding: Binding | None


def touch(*, member_id: int, link: ShareLink, at: datetime) -> TouchResult:
    """Bind a member who opened a share link to its owner, if the policy and rules H1-H3 let it.

    Raises OwnCode, YoungerInviter, ReferralCycle, MemberBlocked, MemberClosed, AccountMerged.
    """
    with transaction.atomic():
        return touch_member(member=Member.objects.get(pk=member_id), link=link, at=at)


def touch_member(*, member: Member, link: ShareLink, at: datetime, device: str = "") -> TouchResult:
    """Do what touch() does inside the caller's transaction; a refusal binds nobody.

    device: what the member's phone says of itself, to find visits from before his first log-in.
    """
    if link.member_id == member.pk:
        raise OwnCode(field="code")
    persons = selectors.people([member.pk, link.member_id])
    refuse_edge(
        invitee=persons[member.pk],
        inviter=persons[link.member_id],
        first_seen=selectors.first_seen(member.pk, device=device, joined_at=member.joined_at),
        inviter_joined_at=link.member.joined_at,
    )
    return _settle(member=member, link=link, at=at, is_new=False)


def refuse_edge(
    *, invitee: Person, inviter: Person, first_seen: datetime, inviter_joined_at: datetime
) -> None:
    """Refuse rules H1 and H2: an own code in any disguise, an inviter younger than the first visit.

    Raises OwnCode, YoungerInviter.
    """
    if invitee.is_same_as(inviter):
        raise OwnCode(field="code")
    if inviter_joined_at > first_seen:
        raise YoungerInviter(field="code")


def bind_newcomer(*, member: Member, link: ShareLink, at: datetime) -> TouchResult:
    """Bind a member made in this transaction, whose inviter was not refused."""
    return _settle(member=member, link=link, at=at, is_new=True)


def _settle(*, member: Member, link: ShareLink, at: datetime, is_new: bool) -> TouchResult:
    """Decide what a touch does, and do it; nobody else can touch a new member."""
    promoters = promoters_of(link.member_id, member.pk, until_commit=is_new)
    promoter_id = promoters.active(link.member_id)
    useless = use_of(promoter_id=promoter_id, employee_code=link.employee_only)
    if useless or promoter_id is None:
        return TouchResult(useless or Touched.NOT_PROMOTER, None)
    policy = selectors.policy_at(at)
    if not is_new:
        lock_customer(member.pk)
        own_ids = [promoters.of(member.pk)]
        if status_until_commit(promoter_id, own_ids=own_ids) != Promoter.Status.ACTIVE:
            return TouchResult(Touched.NOT_PROMOTER, None)
    current = None if is_new else open_binding_of(member.pk, at=at)
    outcome = decide(
        mode=policy.binding_mode,
        promoter_id=promoter_id,
        current=Current(current.promoter_id, current.protected_until) if current else None,
        has_ordered=not is_new and selectors.has_paid_order(member.pk),
        registering=is_new,
        employee_code=link.employee_only,
        at=at,
    )
    if outcome not in {Touched.BOUND, Touched.REBOUND}:
        return TouchResult(outcome, current)
    refuse_cycle(promoter_id, promoters.of(member.pk), field="code")
    if current:
        end(current, Binding.EndReason.REBOUND, at=at)
    return TouchResult(outcome, _bind(member.pk, promoter_id, link, policy, at))


def _bind(
    member_id: int, promoter_id: int, link: ShareLink, policy: ReferralPolicy, at: datetime
) -> Binding:
    return create(
        member_id=member_id,
        promoter_id=promoter_id,
        mode=Binding.Mode(policy.binding_mode),
        terms=terms_of(policy),
        link=link,
        made_by=SYSTEM,
        at=at,
    )


def expire_bindings(*, at: datetime) -> int:
    """End the bindings whose time is over, at the moment it was over; return how many."""
    count = 0
    while ended := _expire_some(at):
        count += ended
    return count


def _expire_some(at: datetime) -> int:
    with transaction.atomic():
        due = Binding.objects.filter(ended_at=None, expires_at__lte=at).order_by("pk")
        rows = list(due.select_for_update(skip_locked=True, no_key=True)[:ENDED_AT_ONCE])
        for binding in rows:
            assert binding.expires_at is not None
            end(binding, Binding.EndReason.EXPIRED, at=binding.expires_at)
        return len(rows)


def end_some_bindings(
    *, promoter_id: int, why: Binding.EndReason, note: str, by: Actor, at: datetime
) -> int:
    """End up to 500 open bindings of a promoter who leaves; return how many, 0 when all ended."""
    with transaction.atomic():
        rows = Binding.objects.filter(promoter=promoter_id, ended_at=None).order_by("pk")
        some = list(rows.select_for_update(no_key=True)[:ENDED_AT_ONCE])
        for binding in some:
            end(binding, why, at=max(at, binding.started_at), by=by, note=note)
        return len(some)


# --- Imports --------------------------------------------------------------------------------


@dataclass(frozen=True)
class ImportedBinding:
    """A customer relation that another system knew."""

    member_id: int
    promoter_id: int
    started_at: datetime


def ensure_bindings(*, wanted: Sequence[ImportedBinding]) -> dict[tuple[int, int], int]:
    """Give imported customers their bindings, without end; return ids by (member, promoter).

    What is there already is used again: a second run adds nothing. A binding older than the one
    that is open becomes history and leaves it alone; a newer one ends it. No fact is told. A
    member wanted under himself gets none and is missing from the answer.
    """
    found: dict[tuple[int, int], int] = {}
    for start in range(0, len(wanted), ASKED_AT_ONCE):
        with transaction.atomic():
            found |= _ensure_some(wanted[start : start + ASKED_AT_ONCE])
    return found


def _ensure_some(wanted: Sequence[ImportedBinding]) -> dict[tuple[int, int], int]:
    members = sorted({row.member_id for row in wanted})
    lock = Member.objects.select_for_update(no_key=True).filter(pk__in=members).order_by("pk")
    list(lock.values_list("pk"))
    known: dict[int, list[Binding]] = defaultdict(list)
    for binding in Binding.objects.filter(member__in=members).order_by("started_at", "pk"):
        known[binding.member_id].append(binding)
    promoters = {row.promoter_id for row in wanted}
    own = set(Promoter.objects.filter(pk__in=promoters).values_list("member", "pk"))
    ended: list[Binding] = []
    made: list[Binding] = []
    chosen: dict[tuple[int, int], Binding] = {}
    for row in sorted(wanted, key=lambda row: row.started_at):
        pair = (row.member_id, row.promoter_id)
        if pair in own or pair in chosen:
            continue
        chosen[pair] = _same(known[row.member_id], row) or _imported(
            known[row.member_id], row, ended
        )
        if chosen[pair].pk is None:
            made.append(chosen[pair])
    Binding.objects.bulk_update([b for b in ended if b.pk], ENDING)
    Binding.objects.bulk_create(made)
    return {pair: binding.pk for pair, binding in chosen.items()}


def _same(known: Sequence[Binding], row: ImportedBinding) -> Binding | None:
    """Return the binding that already says what the row says."""
    for binding in known:
        began = binding.mode == Binding.Mode.IMPORT and binding.started_at == row.started_at
        if binding.promoter_id == row.promoter_id and (binding.ended_at is None or began):
            return binding
    return None


def _imported(known: list[Binding], row: ImportedBinding, ended: list[Binding]) -> Binding:
    """Return a new binding; end the open one, or let the new one be over before it."""
    binding = Binding(
        member_id=row.member_id,
        promoter_id=row.promoter_id,
        mode=Binding.Mode.IMPORT,
        started_at=row.started_at,
        made_by=str(SYSTEM),
    )
    current = next((old for old in known if old.ended_at is None), None)
    if current is not None:
        newer = current.started_at <= row.started_at
        over = current if newer else binding
        over.ended_at = row.started_at if newer else current.started_at
        over.end_reason, over.ended_by = Binding.EndReason.REBOUND, str(SYSTEM)
        if newer:
            ended.append(current)
    known.append(binding)
    return binding
