"""Why they came: coupons and the invite campaign (邀请有礼). Nothing here moves money."""

from campaigns.models.campaigns import Campaign, CampaignTier
from campaigns.models.coupons import Coupon, CouponTemplate
from campaigns.models.participations import Invitation, Participation, Reward

__all__ = [
    "Campaign",
    "CampaignTier",
    "Coupon",
    "CouponTemplate",
    "Invitation",
    "Participation",
    "Reward",
]
