"""Reads: coupons of a member, campaigns as members see them, what is due."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import Count, F, Min, Q, QuerySet

from campaigns.models import Campaign, Coupon, CouponTemplate, Invitation, Participation, Reward
from campaigns.rules import declining_reward, is_within
from distro.errors import NotFound
from distro.states import history
from orders.models import Order, Sku
from orders.selectors import PAID
from referrals.models import Member, ShareLink
from referrals.selectors import people
from referrals.selectors_accounts import accounts_of

PUBLISHED = [
    Campaign.Status.SCHEDULED,
    Campaign.Status.RUNNING,
    Campaign.Status.PAUSED,
    Campaign.Status.ENDED,
    Campaign.Status.SETTLED,
]
OPEN = [Campaign.Status.RUNNING, Campaign.Status.PAUSED]
TOOK_PEOPLE = [*OPEN, Campaign.Status.ENDED, Campaign.Status.SETTLED]
LOGIN_VISIT = timedelta(hours=1)  # a visit told after the log-in, by the app that came back


@dataclass(frozen=True)
class Step:
    """What the n-th invited buyer earns, as published."""

    invitees: int
    value_fen: int
    template: CouponTemplate


# --- Coupons --------------------------------------------------------------------------------


def coupons_of(member_id: int) -> QuerySet[Coupon]:
    """Return all coupons of a member, by any account, with what they are good for."""
    scope = ("template__category", "template__product", "order")
    own = Coupon.objects.filter(member__in=accounts_of(member_id))
    return own.select_related("template", *scope)


def coupon_of(member_id: int, code: str) -> Coupon | None:
    """Return one coupon of a member by its code, however it was typed."""
    return coupons_of(member_id).filter(code=code.strip().upper()).first()


def cheapest_price_fen() -> int | None:
    """Return the lowest price above 0 of what is on sale; None in an empty shop."""
    on_sale = Sku.objects.filter(on_sale=True, product__on_sale=True, price_fen__gt=0)
    return on_sale.aggregate(fen=Min("price_fen"))["fen"]


# --- Campaigns ------------------------------------------------------------------------------


def campaigns_open(at: datetime) -> QuerySet[Campaign]:
    """Return the campaigns that run at a moment, the newest first."""
    running = Campaign.objects.filter(status__in=OPEN, starts_at__lte=at, ends_at__gt=at)
    return running.order_by("-starts_at", "-id")


def published_campaign(code: str) -> Campaign:
    """Return a campaign that members may see, also an ended one; raise NotFound."""
    campaign = Campaign.objects.filter(status__in=PUBLISHED, code=code).first()
    if campaign is None:
        raise NotFound
    return campaign


def steps_of(campaign: Campaign) -> list[Step]:
    """Return all rewards of a campaign as published, from the first invited buyer on."""
    if campaign.mode == Campaign.Mode.LADDER:
        tiers = campaign.tiers.select_related("template").order_by("invitees")
        return [Step(tier.invitees, tier.template.value_fen, tier.template) for tier in tiers]
    template = campaign.template
    if template is None:  # an unfinished draft
        return []
    count = campaign.max_invitees
    return [Step(n, published_value(campaign, n), template) for n in range(1, count + 1)]


def published_value(campaign: Campaign, position: int) -> int:
    """Return what a declining campaign promises for the n-th invited buyer, in fen."""
    return declining_reward(
        position,
        first_fen=campaign.first_value_fen,
        decline_bps=campaign.decline_bps,
        floor_fen=campaign.floor_value_fen,
        positions_max=campaign.max_invitees,
    )


def unused_reserve(campaign: Campaign) -> dict[int, int]:
    """Return per template how many of the coupons set aside for a campaign were not granted."""
    rewards = Reward.objects.filter(participation__campaign=campaign, coupon__isnull=False)
    used = dict(rewards.values_list("coupon__template").annotate(Count("id")).order_by())
    templates = {step.template.pk for step in steps_of(campaign)}
    return {pk: campaign.total_rewards - used.get(pk, 0) for pk in sorted(templates)}


def campaigns_due(at: datetime) -> QuerySet[Campaign]:
    """Return the campaigns whose start or end has come."""
    starting = Q(status=Campaign.Status.SCHEDULED, starts_at__lte=at)
    ending = Q(status__in=[Campaign.Status.SCHEDULED, *OPEN], ends_at__lte=at)
    return Campaign.objects.filter(starting | ending).order_by("id")


def campaigns_ended_before(moment: datetime) -> QuerySet[Campaign]:
    """Return the ended, not yet settled campaigns whose published end was before a moment."""
    ended = Campaign.objects.filter(status=Campaign.Status.ENDED, ends_at__lte=moment)
    return ended.order_by("id")


# --- Taking part ----------------------------------------------------------------------------


def participation_of(member_id: int, campaign: Campaign) -> Participation | None:
    """Return a member's part in a campaign with its link and `waiting` sales, if he joined."""
    parts = Participation.objects.filter(campaign=campaign, member_id=member_id)
    waiting = Count("invitations", filter=Q(invitations__status=Invitation.Status.PAID))
    return parts.select_related("link").annotate(waiting=waiting).first()


def rewards_of(participation: Participation) -> QuerySet[Reward]:
    """Return what a participant has got, in the order of the invited buyers."""
    return participation.rewards.select_related("coupon__template").order_by("position")


def inviting_participation(member: Member) -> Participation | None:
    """Return the participation whose link brought a new member, if a campaign's link did.

    He came through the link that his log-in followed: its owner is the inviter, and the visit or
    the binding that it made is not later than an hour after he joined.
    """
    if member.inviter_id is None:
        return None
    until = member.joined_at + LOGIN_VISIT
    links = ShareLink.objects.filter(
        Q(visits__member=member, visits__occurred_at__lte=until)
        | Q(bindings__member=member, bindings__started_at__lte=until),
        member_id=member.inviter_id,
        target=ShareLink.Target.CAMPAIGN,
    )
    codes = links.order_by("id").values_list("target_ref", flat=True)
    parts = Participation.objects.filter(member_id=member.inviter_id, campaign__code__in=codes)
    return parts.select_related("campaign").order_by("id").first()


def took_people_at(campaign: Campaign, at: datetime) -> bool:
    """Say whether new people counted for a campaign at a moment: it ran, paused or not."""
    if campaign.status not in TOOK_PEOPLE:
        return False
    ends = history(campaign).filter(to_status=Campaign.Status.ENDED)
    early_end = ends.values_list("at", flat=True).first()
    end = min(campaign.ends_at, early_end or campaign.ends_at)
    return is_within(at, start=campaign.starts_at, end=end)


def is_new_person(member: Member) -> bool:
    """Say whether a member, when he joined, had no earlier account and no paid order."""
    earlier = Member.objects.filter(unionid=member.unionid, pk__lt=member.pk)
    if member.unionid and earlier.exists():
        return False
    bought = Order.objects.filter(member=member, paid_at__lt=member.joined_at)
    return not bought.exists()


def invited_himself(invitation: Invitation) -> bool:
    """Say whether one person is behind the participant and the invited member (rule H1)."""
    inviter_id, invitee_id = invitation.participation.member_id, invitation.invitee_id
    persons = people([inviter_id, invitee_id])
    return persons[invitee_id].is_same_as(persons[inviter_id])


def first_sale(member_id: int) -> Order | None:
    """Return the first order of a member in which goods were paid for with money."""
    paid = Order.objects.filter(member_id=member_id, status__in=PAID)
    return paid.filter(paid_fen__gt=F("freight_fen")).order_by("paid_at", "id").first()


def kept_fen(order: Order) -> int:
    """Return what the buyer paid for goods and did not get back, in fen."""
    goods_refunded = order.refunded_fen - order.freight_refunded_fen
    return order.paid_fen - order.freight_fen - goods_refunded
