"""Coupons and campaigns for tests, and the steps of their stories."""

from __future__ import annotations

import itertools
from datetime import timedelta
from typing import Any

from campaigns.models import Campaign, Coupon, CouponTemplate, Invitation, Participation
from campaigns.services.checking import Draft, Tier
from campaigns.services.coupons import grant
from campaigns.services.inviting import (
    attribute_invitee,
    count_sale,
    drop_sale,
    join_campaign,
    mark_sale,
)
from campaigns.services.publishing import (
    approve_campaign,
    draft_campaign,
    run_campaigns,
    submit_campaign,
)
from distro.actors import Actor
from orders.models import Order, Refund
from referrals.models import Member, Visit
from tests.factories import AT, make_member, make_order

MAKER, REVIEWER = Actor("staff", 1), Actor("staff", 2)
STARTS, ENDS = AT - timedelta(days=1), AT + timedelta(days=29)
counter = itertools.count(1)


def make_template(**kw: Any) -> CouponTemplate:
    fields = {"code": f"t{next(counter)}", "title": "5 yuan off", "value_fen": 500}
    return CouponTemplate.objects.create(
        **fields | {"threshold_fen": 5000, "total": 100, "valid_days": 30} | kw
    )


def make_coupon(member: Member, **kw: Any) -> Coupon:
    key = f"test:{next(counter)}"
    return grant(member_id=member.pk, template_id=make_template(**kw).pk, key=key, at=AT)


def ladder(*steps: tuple[int, int], **kw: Any) -> Draft:
    """Return a ladder of (invited buyers, fen)."""
    templates = {fen: kw.pop("template", None) or make_template(value_fen=fen) for _, fen in steps}
    tiers = tuple(Tier(invitees, templates[fen]) for invitees, fen in steps)
    return Draft(**terms(max_invitees=10, tiers=tiers) | kw)


def declining(**kw: Any) -> Draft:
    """Return the declining campaign of the rules: 500 fen, 80 %, at least 200, six of them."""
    values = {"first_value_fen": 500, "decline_bps": 8000, "floor_value_fen": 200}
    mode = Campaign.Mode.PER_INVITE
    return Draft(**terms(mode=mode, template=make_template(), max_invitees=6) | values | kw)


def terms(**kw: Any) -> dict[str, Any]:
    fields = {
        "code": f"c{next(counter)}",
        "title": "邀请有礼",
        "rules_text": "好友首单过售后期后得券",
    }
    return fields | {"starts_at": STARTS, "ends_at": ENDS, "total_rewards": 50} | kw


def run(draft: Draft) -> Campaign:
    """Publish and start a campaign as staff and the clock do."""
    campaign = draft_campaign(draft=draft, by=MAKER, at=STARTS)
    submit_campaign(campaign_id=campaign.pk, by=MAKER, at=STARTS)
    approve_campaign(campaign_id=campaign.pk, by=REVIEWER, at=STARTS)
    run_campaigns(at=STARTS)
    campaign.refresh_from_db()
    return campaign


def join(campaign: Campaign, **kw: Any) -> Participation:
    return join_campaign(member=make_member(**kw), code=campaign.code, channel="chat", at=AT)


def bring(part: Participation, **kw: Any) -> Invitation | None:
    """Let a new person open the participant's link and log in."""
    friend = make_member(**{"inviter": part.member} | kw)
    Visit.objects.create(
        link=part.link, visit_key=f"v{friend.pk}", member=friend, occurred_at=friend.joined_at
    )
    return attribute_invitee(member_id=friend.pk)


def buy(invitation: Invitation, paid_fen: int = 10_000, **kw: Any) -> Order:
    order = make_order(invitation.invitee, paid_fen, **kw)
    mark_sale(order_id=order.pk)
    return order


def mature(order: Order) -> None:
    Order.objects.filter(pk=order.pk).update(matured_at=AT + timedelta(days=10))
    count_sale(order_id=order.pk)


def refund(order: Order, goods_fen: int | None = None) -> None:
    """Refund an order, whole unless told how much."""
    fen = order.paid_fen if goods_fen is None else goods_fen
    at = AT + timedelta(days=12)
    Order.objects.filter(pk=order.pk).update(refunded_fen=fen)
    if fen == order.paid_fen:
        Order.objects.filter(pk=order.pk).update(status="refunded", refunded_at=at)
    row = Refund.objects.create(
        order=order, out_refund_no=f"R{next(counter)}", status="succeeded", goods_fen=fen,
        reason="test", requested_at=at, succeeded_at=at,
    )  # fmt: skip
    drop_sale(refund_id=row.pk)


def sell(part: Participation, paid_fen: int = 10_000) -> Order:
    """Bring a friend whose first order is paid, received and past its return period."""
    invitation = bring(part)
    assert invitation is not None
    order = buy(invitation, paid_fen)
    mature(order)
    return order


def rewards(part: Participation) -> list[tuple[int, int, bool]]:
    """Return (position, fen, lost) of a participant's rewards."""
    rows = part.rewards.order_by("position")
    return [(row.position, row.value_fen, row.lost_at is not None) for row in rows]
