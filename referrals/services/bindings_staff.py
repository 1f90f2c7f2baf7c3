"""Bindings that a person decides, with a reason; the hard rules hold for staff too."""

from __future__ import annotations

from datetime import datetime

from django.db import transaction

from distro import audit
from distro.actors import Actor
from distro.clock import BEIJING
from distro.errors import NotFound
from referrals import selectors, selectors_joining
from referrals.errors import AlreadyBound, PromoterNotActive, ReasonMissing, YoungerInviter
from referrals.errors_bindings import BindingProtected, HasOrdered, OwnCustomer, StaffForHimself
from referrals.models import Binding, Member, Promoter
from referrals.selectors_bindings import is_own_promoter
from referrals.services.binding_steps import (
    create,
    end,
    lock_customer,
    open_binding_of,
    promoters_of,
    refuse_cycle,
    status_until_commit,
    terms_of,
)


def bind_by_staff(
    *, member_id: int, promoter_id: int, reason: str, by: Actor, at: datetime
) -> Binding:
    """Bind a customer by a person's decision, from now on; it may end another binding.

    The hard rules hold for staff too. Raises ReasonMissing, MemberClosed, MemberBlocked,
    PromoterNotActive, OwnCustomer, StaffForHimself, YoungerInviter, AlreadyBound, HasOrdered,
    BindingProtected, ReferralCycle.
    """
    if not reason.strip():
        raise ReasonMissing(field="reason")
    with transaction.atomic():
        member = Member.objects.get(pk=member_id)
        promoter = Promoter.objects.select_related("member").get(pk=promoter_id)
        _refuse_relation(member, promoter, by)
        lock_customer(member_id)
        own_id = promoters_of(member_id).of(member_id)
        if status_until_commit(promoter_id, own_ids=[own_id]) != Promoter.Status.ACTIVE:
            raise PromoterNotActive(field="promoter")
        current = open_binding_of(member_id, at=at)
        _refuse_change(member_id, current, promoter_id, at)
        refuse_cycle(promoter_id, own_id, field="promoter")
        if current:
            end(current, Binding.EndReason.REBOUND, at=at, by=by, note=reason)
        binding = create(
            member_id=member_id,
            promoter_id=promoter_id,
            mode=Binding.Mode.MANUAL,
            terms=terms_of(selectors.policy_at(at)),
            reason=reason,
            made_by=by,
            at=at,
        )
        audit.record(by=by, action="binding.make", target=binding, reason=reason, at=at)
        return binding


def _refuse_relation(member: Member, promoter: Promoter, by: Actor) -> None:
    """Refuse whom nothing may ever bind to each other: rules H1, H2 and H9."""
    selectors.refuse_inactive(member)
    if promoter.status != Promoter.Status.ACTIVE:
        raise PromoterNotActive(field="promoter")
    selectors_joining.refuse_quitting(promoter.pk)
    persons = selectors.people([member.pk, promoter.member_id])
    if persons[member.pk].is_same_as(persons[promoter.member_id]):
        raise OwnCustomer(field="promoter")
    if is_own_promoter(by, persons[promoter.member_id]):
        raise StaffForHimself(field="promoter")
    seen = selectors.first_seen(member.pk, device="", joined_at=member.joined_at)
    if promoter.member.joined_at > seen:
        raise YoungerInviter(field="promoter")


def _refuse_change(member_id: int, current: Binding | None, promoter_id: int, at: datetime) -> None:
    """Refuse to change what is so already, and what rule H3 keeps."""
    if current and current.promoter_id == promoter_id:
        raise AlreadyBound(field="promoter")
    if selectors.has_paid_order(member_id):
        raise HasOrdered(field="promoter")
    if current and current.protected_until and at < current.protected_until:
        raise BindingProtected(
            field="promoter", day=f"{current.protected_until.astimezone(BEIJING):%Y-%m-%d}"
        )


def end_binding(*, binding_id: int, reason: str, by: Actor, at: datetime) -> Binding:
    """End an open binding by a person's decision; one whose time was over ended by itself then.

    Raises ReasonMissing, NotFound.
    """
    if not reason.strip():
        raise ReasonMissing(field="reason")
    with transaction.atomic():
        rows = Binding.objects.select_for_update(no_key=True)
        binding = rows.filter(pk=binding_id, ended_at=None).first()
        if binding is None:
            raise NotFound
        if binding.expires_at and binding.expires_at <= at:
            end(binding, Binding.EndReason.EXPIRED, at=binding.expires_at)
            return binding
        end(binding, Binding.EndReason.ENDED_BY_STAFF, at=at, by=by, note=reason)
        audit.record(by=by, action="binding.end", target=binding, reason=reason, at=at)
        return binding
