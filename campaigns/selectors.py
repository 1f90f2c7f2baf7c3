"""Reads: coupons of a member, campaigns as members see them, what is due."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from django.db.models import Count, Min, Q, QuerySet

from campaigns.models import Campaign, Coupon, CouponTemplate, Invitation, Participation, Reward
from campaigns.rules import declining_reward
from distro.errors import NotFound
from orders.models import Order, Sku
from orders.selectors import PAID
from referrals.models import Member, ShareLink, Visit

PUBLISHED = [
    Campaign.Status.SCHEDULED,
    Campaign.Status.RUNNING,
    Campaign.Status.PAUSED,
    Campaign.Status.ENDED,
    Campaign.Status.SETTLED,
]
OPEN = [Campaign.Status.RUNNING, Campaign.Status.PAUSED]


@dataclass(frozen=True)
class Step:
    """What the n-th invited buyer earns, as published."""

    invitees: int
    value_fen: int
    template: CouponTemplate


# --- Coupons --------------------------------------------------------------------------------


def coupons_of(member_id: int) -> QuerySet[Coupon]:
    """Return all coupons of a member with what they are good for."""
    scope = ("template__category", "template__product", "order")
    return Coupon.objects.filter(member_id=member_id).select_related("template", *scope)


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
    """Return the participation whose link brought a member, if a campaign's link did."""
    visits = Visit.objects.filter(
        member=member,
        link__target=ShareLink.Target.CAMPAIGN,
        link__member_id=member.inviter_id,
    )
    visit = visits.select_related("link").order_by("id").first()
    if visit is None:
        return None
    parts = Participation.objects.filter(
        member_id=visit.link.member_id, campaign__code=visit.link.target_ref
    )
    return parts.select_related("campaign").first()


def is_new_person(member: Member) -> bool:
    """Say whether a member has no earlier account and has never paid an order."""
    accounts = Member.objects.filter(unionid=member.unionid).exclude(pk=member.pk)
    known_before = bool(member.unionid) and accounts.exists()
    return not known_before and first_sale(member.pk) is None


def first_sale(member_id: int) -> Order | None:
    """Return the first order that a member paid money for goods for."""
    return _sales(member_id).first()


def kept_fen(order: Order) -> int:
    """Return what the buyer paid for goods and did not get back, in fen."""
    goods_refunded = order.refunded_fen - order.freight_refunded_fen
    return order.paid_fen - order.freight_fen - goods_refunded


def invitations_of_order(order_id: int) -> QuerySet[Invitation]:
    """Return the invitations whose sale is this order."""
    return Invitation.objects.filter(order_id=order_id)


def tiers_of(campaign: Campaign) -> Iterable[int]:
    """Return the numbers of invited buyers at which a ladder rewards."""
    return campaign.tiers.values_list("invitees", flat=True)


def _sales(member_id: int) -> QuerySet[Order]:
    paid = Order.objects.filter(member_id=member_id, status__in=PAID, paid_at__isnull=False)
    with_money = paid.extra() if False else paid  # placeholder
    return with_money.order_by("paid_at", "id")
