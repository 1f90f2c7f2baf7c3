"""The shape of campaigns and coupons in the API."""

from __future__ import annotations

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from campaigns.models import Campaign, Coupon, CouponTemplate, Participation, Reward
from campaigns.rules import REWARD_BPS_MAX
from campaigns.selectors import Step, rewards_of, steps_of
from referrals.models import ShareLink


class JoinSerializer(serializers.Serializer[object]):
    """Where the participant will share his link."""

    channel = serializers.ChoiceField(
        choices=ShareLink.Channel.choices, default=ShareLink.Channel.CHAT
    )


class TemplateSerializer(serializers.ModelSerializer[CouponTemplate]):
    """What a coupon is good for; category and product are empty when it is for everything."""

    category = serializers.CharField(source="category.name", default=None, allow_null=True)
    product_code = serializers.CharField(source="product.code", default=None, allow_null=True)

    class Meta:
        model = CouponTemplate
        fields = ("title", "threshold_fen", "valid_days", "category", "product_code")


class StepSerializer(serializers.Serializer[Step]):
    """One reward: what the n-th invited buyer earns."""

    invited_buyers = serializers.IntegerField(source="invitees")
    value_fen = serializers.IntegerField()
    coupon = TemplateSerializer(source="template")


class CampaignSerializer(serializers.ModelSerializer[Campaign]):
    """A campaign in a list."""

    mode_display = serializers.CharField(source="get_mode_display")

    class Meta:
        model = Campaign
        fields = ("code", "title", "status", "mode", "mode_display", "starts_at", "ends_at")


class RewardSerializer(serializers.ModelSerializer[Reward]):
    """What the participant has got; no coupon when the sale was too small for one."""

    coupon_code = serializers.CharField(source="coupon.code", default=None, allow_null=True)

    class Meta:
        model = Reward
        fields = ("position", "value_fen", "coupon_code", "granted_at")


class ParticipationSerializer(serializers.ModelSerializer[Participation]):
    """My part: my link, how many invited buyers count, how many sales still wait."""

    link_code = serializers.CharField(source="link.code")
    waiting = serializers.IntegerField()
    rewards = serializers.SerializerMethodField()

    class Meta:
        model = Participation
        fields = ("link_code", "joined_at", "counted", "waiting", "rewards")

    @extend_schema_field(RewardSerializer(many=True))
    def get_rewards(self, part: Participation) -> object:
        """Return what I have got."""
        return RewardSerializer(rewards_of(part), many=True).data


class CampaignDetailSerializer(CampaignSerializer):
    """A campaign with its rules in full, all rewards, and my part if I joined."""

    rewarded_is = serializers.CharField(source="get_trigger_display")
    rewards_left = serializers.SerializerMethodField()
    reward_limit_bps = serializers.SerializerMethodField(
        help_text="Of what the invited buyer paid for goods; empty: no limit."
    )
    rewards = serializers.SerializerMethodField()

    class Meta(CampaignSerializer.Meta):
        fields = (
            *CampaignSerializer.Meta.fields,
            "rules_text",
            "rewarded_is",
            "max_invitees",
            "rewards_left",
            "reward_limit_bps",
            "rewards",
        )  # type: ignore[assignment]

    def get_rewards_left(self, campaign: Campaign) -> int:
        """Return how many rewards are still to be had."""
        return campaign.total_rewards - campaign.used_rewards

    def get_reward_limit_bps(self, campaign: Campaign) -> int | None:
        """Return the limit of a reward that one sale earns."""
        return REWARD_BPS_MAX if campaign.mode == Campaign.Mode.PER_INVITE else None

    @extend_schema_field(StepSerializer(many=True))
    def get_rewards(self, campaign: Campaign) -> object:
        """Return what each number of invited buyers earns."""
        return StepSerializer(steps_of(campaign), many=True).data  # type: ignore[arg-type]


class CampaignAnswerSerializer(serializers.Serializer[object]):
    """A campaign and my part in it; `mine` is empty before joining."""

    campaign = CampaignDetailSerializer()
    mine = ParticipationSerializer(allow_null=True)


class CouponSerializer(serializers.ModelSerializer[Coupon]):
    """One of my coupons."""

    status_display = serializers.CharField(source="get_status_display")
    template = TemplateSerializer()
    order_number = serializers.CharField(source="order.number", default=None, allow_null=True)

    class Meta:
        model = Coupon
        fields = (
            "code",
            "value_fen",
            "status",
            "status_display",
            "valid_from",
            "valid_until",
            "template",
            "order_number",
        )
