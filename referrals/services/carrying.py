"""What becomes of customer bindings when two accounts of one person are merged.

A binding that goes on is ended and begun anew at the same moment, with the same promoter or the
same person, the same end and the same protection: an order keeps the row it was placed under.
"""

from __future__ import annotations

from datetime import datetime

from django.utils.translation import gettext as _

from distro.actors import SYSTEM, Actor
from distro.facts import tell
from distro.locks import require_transaction
from referrals import selectors
from referrals.errors_bindings import ReferralCycle
from referrals.models import Binding, Member, Merge, Promoter
from referrals.services.binding_steps import (
    end,
    lock_open_binding,
    promoters_of,
    refuse_cycle,
    status_until_commit,
)
from referrals.services.messages import in_members_language
from referrals.signals import member_bound

CARRIED_AT_ONCE = 200
MERGED, EXPIRED = Binding.EndReason.MERGED, Binding.EndReason.EXPIRED


def carry_own_binding(*, merged: Member, survivor: Member, by: Actor, at: datetime) -> None:
    """Settle whose customer the person is; both members are locked and not merged yet.

    The binding of the account that stays wins, unless it leads to the person himself.
    """
    own, other = (lock_open_binding(member.pk, at=at) for member in (merged, survivor))
    if other and other.promoter.member_id == merged.pk:
        _end(other, by, at)
        other = None
    if own is None:
        return
    _end(own, by, at)
    if other is None and _may_go_on(own.promoter, merged, survivor):
        _go_on(own, member_id=survivor.pk, promoter_id=own.promoter_id, by=by, at=at)


def _may_go_on(promoter: Promoter, merged: Member, survivor: Member) -> bool:
    """Ask the hard rules H1 to H3 of the person, who is as old as his older account."""
    if promoter.status == Promoter.Status.CLOSED or selectors.has_paid_order(survivor.pk):
        return False
    if promoter.member.joined_at > min(merged.joined_at, survivor.joined_at):
        return False
    persons = selectors.people([survivor.pk, merged.pk, promoter.member_id])
    seller = persons[promoter.member_id]
    if seller.is_same_as(persons[survivor.pk]) or seller.is_same_as(persons[merged.pk]):
        return False
    return _brought_nobody(promoter.pk, promoters_of(survivor.pk).of(survivor.pk))


def carry_some_customers(*, merge: Merge, at: datetime) -> bool:
    """Carry some customers of a merged promoter to the person's other one; False after the last."""
    require_transaction("carry_some_customers()")
    former = Promoter.objects.get(member=merge.merged_id)
    open_ones = Binding.objects.filter(promoter=former, ended_at=None).order_by("pk")
    some = list(open_ones.values_list("pk", "member")[:CARRIED_AT_ONCE])
    if not some:
        return False
    members = [member_id for _pk, member_id in some]
    lock = Member.objects.select_for_update(no_key=True).filter(pk__in=members).order_by("pk")
    list(lock.values_list("pk"))
    rows = Binding.objects.select_for_update(no_key=True)
    own = promoters_of(merge.survivor.living.pk, *members)
    stays = own.not_closed(merge.survivor.living.pk)
    own_ids = [own.of(member_id) for member_id in members]
    if stays and status_until_commit(stays, own_ids=own_ids) == Promoter.Status.CLOSED:
        stays = None
    person = {merge.merged_id, merge.survivor.living.pk}
    for binding in rows.filter(pk__in=[pk for pk, _member in some], ended_at=None).order_by("pk"):
        if binding.expires_at and binding.expires_at <= at:
            end(binding, EXPIRED, at=binding.expires_at)
            continue
        _end(binding, SYSTEM, at)
        customer = binding.member_id
        if stays and customer not in person and _brought_nobody(stays, own.of(customer)):
            _go_on(binding, member_id=customer, promoter_id=stays, by=SYSTEM, at=at)
    return True


def all_carried(*, merge: Merge) -> bool:
    """Say whether a merged promoter has no customer left; until the commit nobody new comes."""
    former = Promoter.objects.select_for_update(no_key=True).get(member=merge.merged_id)
    return not Binding.objects.filter(promoter=former, ended_at=None).exists()


def _brought_nobody(promoter_id: int, own_id: int | None) -> bool:
    """Say whether the customer did not bring this promoter, himself or through others (H2)."""
    try:
        refuse_cycle(promoter_id, own_id, field="promoter")
    except ReferralCycle:
        return False
    return True


def _end(binding: Binding, by: Actor, at: datetime) -> None:
    end(binding, MERGED, at=max(at, binding.started_at), by=by)


def _go_on(binding: Binding, *, member_id: int, promoter_id: int, by: Actor, at: datetime) -> None:
    """Begin the binding that goes on where another one was ended."""
    protected = binding.protected_until
    with in_members_language():
        reason = _("Goes on after two accounts were merged.")
    row = Binding.objects.create(
        member_id=member_id,
        promoter_id=promoter_id,
        mode=binding.mode,
        started_at=max(at, binding.started_at),
        expires_at=binding.expires_at,
        protected_until=protected if protected and protected > at else None,
        reason=reason,
        made_by=str(by),
    )
    tell(member_bound, member_id=member_id, promoter_id=promoter_id, binding_id=row.pk)
