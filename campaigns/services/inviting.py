"""Taking part: join, bring a new person, be rewarded when that person's first sale stands.

Whoever changes an invitation or what it earns holds the row lock of the participation, so two
invited buyers of one participant count one after the other.
"""

from __future__ import annotations

from datetime import datetime

from django.db import IntegrityError, transaction
from django.db.models import F

from campaigns.errors import CampaignNotStarted, CampaignOver, CampaignPaused
from campaigns.models import Campaign, Invitation, Participation
from campaigns.rules import is_within
from campaigns.selectors import (
    first_sale,
    invited_himself,
    inviting_participation,
    is_new_person,
    kept_fen,
    participation_of,
    published_campaign,
    took_people_at,
)
from campaigns.services.rewarding import match_rewards
from distro.actors import SYSTEM
from distro.states import advance
from orders.models import Order, Refund
from referrals.models import Member, ShareLink
from referrals.services.links import create_link

Status = Invitation.Status


def join_campaign(*, member: Member, code: str, channel: str, at: datetime) -> Participation:
    """Let a member take part and give him a share link; who takes part already gets the same.

    Raises NotFound, CampaignNotStarted, CampaignPaused, CampaignOver.
    """
    campaign = published_campaign(code)
    if known := participation_of(member.pk, campaign):
        return known
    _refuse_join(campaign, at)
    try:
        with transaction.atomic():
            link = create_link(
                member=member,
                target=ShareLink.Target.CAMPAIGN,
                target_ref=campaign.code,
                channel=channel,
                expires_at=campaign.ends_at,
                at=at,
            )
            Participation.objects.create(campaign=campaign, member=member, link=link, joined_at=at)
    except IntegrityError:  # joined twice at once: the first one stands
        pass
    joined = participation_of(member.pk, campaign)
    assert joined is not None
    return joined


@transaction.atomic
def attribute_invitee(*, member_id: int) -> Invitation | None:
    """Record whose campaign link brought a new member; None if no running campaign's did.

    All is judged as it was when he joined, whenever this is called.
    """
    member = Member.objects.get(pk=member_id)
    participation = inviting_participation(member)
    if participation is None or not is_new_person(member):
        return None
    campaign, at = participation.campaign, member.joined_at
    if not took_people_at(campaign, at):
        return None
    invitation, _ = Invitation.objects.get_or_create(
        invitee=member,
        defaults={"participation": participation, "campaign": campaign, "joined_at": at},
    )
    return invitation


@transaction.atomic
def mark_sale(*, order_id: int) -> Invitation | None:
    """Note that an invited person paid his first order; too late a sale does not count.

    Returns None when there is nothing to note: not invited, noted before, no money paid yet.
    """
    order = Order.objects.get(pk=order_id)
    found = Invitation.objects.filter(invitee_id=order.member_id).first()
    # His visit may have been told after he joined.
    invitation = _lock(found or attribute_invitee(member_id=order.member_id))
    if invitation is None or invitation.status != Status.JOINED:
        return None
    sale = first_sale(order.member_id)
    if sale is None:
        return None
    assert sale.paid_at is not None
    campaign, at = invitation.campaign, sale.paid_at
    if not is_within(at, start=campaign.starts_at, end=campaign.ends_at):
        advance(invitation, Status.LOST, by=SYSTEM, at=at, note="paid after the end")
    elif kept_fen(sale) == 0:  # heard of only after it was refunded
        advance(invitation, Status.LOST, by=SYSTEM, at=at, note="refunded")
    elif invited_himself(invitation):
        advance(invitation, Status.LOST, by=SYSTEM, at=at, note="same person")
    else:
        advance(invitation, Status.PAID, by=SYSTEM, at=at, order_id=sale.pk)
    return invitation


@transaction.atomic
def count_sale(*, order_id: int) -> Invitation | None:
    """Count an invited person's matured first sale, and grant what the participant earned.

    Returns None when the order is nobody's first sale, or was counted before.
    """
    order = Order.objects.get(pk=order_id)
    if not Invitation.objects.filter(order=order).exists():
        mark_sale(order_id=order_id)  # the payment was missed
    invitation = _lock(Invitation.objects.filter(order=order).first())
    if invitation is None or invitation.status != Status.PAID or order.matured_at is None:
        return None
    at = order.matured_at
    if kept_fen(order) == 0:
        advance(invitation, Status.LOST, by=SYSTEM, at=at, note="refunded")
        return invitation
    if invited_himself(invitation):  # what tells may be known since the payment only
        advance(invitation, Status.LOST, by=SYSTEM, at=at, note="same person")
        return invitation
    advance(invitation, Status.COUNTED, by=SYSTEM, at=at, counted_at=at)
    _count(invitation, +1)
    match_rewards(invitation=invitation, at=at)
    return invitation


@transaction.atomic
def drop_sale(*, refund_id: int) -> Invitation | None:
    """Take back what counted for a sale, once all its goods are refunded; a part keeps counting.

    A reward already granted is recorded as a loss; its coupon stays. Returns None when the order
    is nobody's first sale, or nothing changes.
    """
    refund = Refund.objects.select_related("order").get(pk=refund_id)
    order, at = refund.order, refund.succeeded_at
    invitation = _lock(Invitation.objects.filter(order=order).first())
    if invitation is None or at is None or invitation.status == Status.LOST or kept_fen(order) > 0:
        return None
    counted = invitation.status == Status.COUNTED
    advance(invitation, Status.LOST, by=SYSTEM, at=at, note="refunded")
    if counted:
        _count(invitation, -1)
        match_rewards(invitation=invitation, at=at)
    return invitation


def _refuse_join(campaign: Campaign, at: datetime) -> None:
    if (
        campaign.status in (Campaign.Status.ENDED, Campaign.Status.SETTLED)
        or at >= campaign.ends_at
    ):
        raise CampaignOver
    if campaign.status == Campaign.Status.PAUSED:
        raise CampaignPaused
    if at < campaign.starts_at:
        raise CampaignNotStarted


def _count(invitation: Invitation, number: int) -> None:
    parts = Participation.objects.filter(pk=invitation.participation_id)
    parts.update(counted=F("counted") + number)


def _lock(invitation: Invitation | None) -> Invitation | None:
    """Lock an invitation's participation, then read the invitation as it is now."""
    if invitation is None:
        return None
    Participation.objects.select_for_update(no_key=True).get(pk=invitation.participation_id)
    rows = Invitation.objects.select_related("campaign", "participation")
    return rows.get(pk=invitation.pk)
