"""What the database itself refuses."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest
from django.db import IntegrityError, transaction

from campaigns.models import Campaign, CampaignTier, Coupon, CouponTemplate, Participation, Reward
from tests.campaigns.parts import declining, join, ladder, make_coupon, make_template, run, sell
from tests.factories import make_member, make_order

pytestmark = pytest.mark.django_db


def refused(work: Any) -> None:
    with pytest.raises(IntegrityError), transaction.atomic():
        work()


@pytest.mark.parametrize(
    "fields",
    [
        {"value_fen": 0},
        {"value_fen": -1},
        {"value_fen": 10_000_000_001, "threshold_fen": 10_000_000_001},
        {"value_fen": 5001},  # above its threshold
        {"issued": 101},
        {"issued": 50, "reserved": 51},
        {"valid_days": 0},
        {"per_member": 0},
    ],
)
def test_a_template_out_of_range(fields: dict[str, int]) -> None:
    refused(lambda: make_template(**fields))
    assert not CouponTemplate.objects.exists()


@pytest.mark.parametrize("field", ["value_fen", "threshold_fen", "valid_days"])
def test_a_template_is_fixed_once_promised_or_granted(field: str) -> None:
    free, promised = make_template(), make_template(reserved=1)
    granted = make_coupon(make_member()).template
    CouponTemplate.objects.filter(pk=free.pk).update(
        **{field: 400 if field == "value_fen" else 6000}
    )
    for template in (promised, granted):
        refused(lambda t=template: CouponTemplate.objects.filter(pk=t.pk).update(**{field: 400}))
        refused(template.delete)


def test_the_total_of_a_granted_template_may_grow() -> None:
    template = make_coupon(make_member()).template
    assert CouponTemplate.objects.filter(pk=template.pk).update(total=500) == 1


@pytest.mark.parametrize(
    "change",
    [
        {"status": "lost"},
        {"status": "used"},
        {"value_fen": 400},
        {"code": "ANOTHER"},
        {"key": "another"},
    ],
)
def test_a_coupon_that_contradicts_itself(change: dict[str, Any]) -> None:
    coupon = make_coupon(make_member())
    refused(lambda: Coupon.objects.filter(pk=coupon.pk).update(**change))


def test_two_coupons_of_one_order(at: datetime) -> None:
    member = make_member()
    order, one, two = make_order(member), make_coupon(member), make_coupon(member)
    use = {"status": "used", "order": order, "used_at": at}
    Coupon.objects.filter(pk=one.pk).update(**use)
    refused(lambda: Coupon.objects.filter(pk=two.pk).update(**use))


@pytest.mark.parametrize(
    "change",
    [
        {"reward_kind": "cash"},
        {"trigger": "registered"},
        {"used_rewards": 51},
        {"status": "gone"},
        {"title": "Another"},
        {"first_value_fen": 1},
        {"max_invitees": 99},
        {"total_rewards": 99},
    ],
)
def test_a_published_campaign_that_changes(change: dict[str, Any]) -> None:
    campaign = run(declining())
    refused(lambda: Campaign.objects.filter(pk=campaign.pk).update(**change))


def test_the_tiers_of_a_submitted_campaign_are_closed() -> None:
    campaign = run(ladder((1, 500)))
    tier = campaign.tiers.get()
    refused(lambda: CampaignTier.objects.filter(pk=tier.pk).update(invitees=2))
    refused(tier.delete)
    refused(
        lambda: CampaignTier.objects.create(campaign=campaign, invitees=2, template=make_template())
    )


def test_a_member_takes_part_once(at: datetime) -> None:
    part = join(run(ladder((1, 500))))
    refused(
        lambda: Participation.objects.create(
            campaign=part.campaign, member=part.member, link=part.link, joined_at=at
        )
    )


@pytest.mark.parametrize("change", [{"value_fen": 1}, {"position": 2}, {"coupon": None}])
def test_a_granted_reward_that_changes(change: dict[str, Any]) -> None:
    part = join(run(ladder((1, 500))))
    sell(part)
    refused(lambda: Reward.objects.filter(participation=part).update(**change))


def test_a_negative_count(at: datetime) -> None:
    part = join(run(ladder((1, 500))))
    refused(lambda: Participation.objects.filter(pk=part.pk).update(counted=-1))
