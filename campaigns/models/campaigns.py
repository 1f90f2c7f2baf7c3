from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.db.models import F, Q
from django.utils.translation import gettext_lazy as _

from campaigns.models.coupons import CouponTemplate
from distro.money import FEN_MAX


class Campaign(models.Model):
    """One invite campaign, immutable once submitted: members invite, coupons reward the sale."""

    frozen_columns = (
        "code",
        "title",
        "mode",
        "reward_kind",
        "trigger",
        "starts_at",
        "ends_at",
        "rules_text",
        "max_invitees",
        "total_rewards",
        "first_value_fen",
        "decline_bps",
        "floor_value_fen",
        "template_id",
        "created_by",
    )
    frozen_when = "status <> 'draft'"

    class Status(models.TextChoices):
        DRAFT = "draft", _("Draft")
        REVIEW = "review", _("In review")
        SCHEDULED = "scheduled", _("Scheduled")
        RUNNING = "running", _("Running")
        PAUSED = "paused", _("Paused")
        ENDED = "ended", _("Ended")
        SETTLED = "settled", _("Settled")
        ARCHIVED = "archived", _("Archived")

    TRANSITIONS: ClassVar[dict[str, set[str]]] = {
        Status.DRAFT: {Status.REVIEW, Status.ARCHIVED},
        Status.REVIEW: {Status.DRAFT, Status.SCHEDULED},
        Status.SCHEDULED: {Status.RUNNING, Status.PAUSED, Status.ENDED},
        Status.RUNNING: {Status.PAUSED, Status.ENDED},
        Status.PAUSED: {Status.RUNNING, Status.ENDED},
        Status.ENDED: {Status.SETTLED},
        Status.SETTLED: {Status.ARCHIVED},
        Status.ARCHIVED: set(),
    }

    class Mode(models.TextChoices):
        LADDER = "ladder", _("Ladder: each tier once")
        PER_INVITE = "per_invite", _("Every invitation, declining")

    class RewardKind(models.TextChoices):
        COUPON = "coupon", _("Coupon")  # never cash: that is a commission, of a sale alone

    class Trigger(models.TextChoices):
        FIRST_ORDER_MATURED = "first_order_matured", _("First paid order, return period over")

    code = models.SlugField(_("code"), max_length=32, unique=True)
    title = models.CharField(_("title"), max_length=64)
    mode = models.CharField(_("mode"), max_length=16, choices=Mode.choices, default=Mode.LADDER)
    reward_kind = models.CharField(
        _("reward"), max_length=16, choices=RewardKind.choices, default=RewardKind.COUPON
    )
    trigger = models.CharField(
        _("rewarded is"),
        max_length=32,
        choices=Trigger.choices,
        default=Trigger.FIRST_ORDER_MATURED,
    )
    status = models.CharField(
        _("status"), max_length=16, choices=Status.choices, default=Status.DRAFT
    )
    starts_at = models.DateTimeField(_("starts at"))
    ends_at = models.DateTimeField(_("ends at"))
    rules_text = models.TextField(_("rules shown before joining"))
    max_invitees = models.PositiveIntegerField(_("rewarded invitations a member at most"))
    total_rewards = models.PositiveIntegerField(_("rewards at most"))
    used_rewards = models.PositiveIntegerField(_("rewards granted"), default=0)
    template = models.ForeignKey(
        CouponTemplate,
        models.PROTECT,
        null=True,
        blank=True,
        related_name="+",
        verbose_name=_("coupon of each invitation"),
    )
    first_value_fen = models.BigIntegerField(_("first reward (fen)"), default=0)
    decline_bps = models.PositiveIntegerField(_("each next one, of the last (bps)"), default=10_000)
    floor_value_fen = models.BigIntegerField(_("smallest reward (fen)"), default=0)
    created_by = models.CharField(_("made by"), max_length=64, blank=True)
    reviewed_by = models.CharField(_("reviewed by"), max_length=64, blank=True)

    class Meta:
        verbose_name = _("invite campaign")
        verbose_name_plural = _("invite campaigns")
        constraints = [
            models.CheckConstraint(
                condition=Q(
                    status__in=[
                        "draft",
                        "review",
                        "scheduled",
                        "running",
                        "paused",
                        "ended",
                        "settled",
                        "archived",
                    ]
                ),
                name="campaign_status_known",
            ),
            models.CheckConstraint(
                condition=Q(ends_at__gt=F("starts_at")), name="campaign_ends_after_start"
            ),
            models.CheckConstraint(
                condition=Q(reward_kind="coupon"), name="campaign_rewards_are_coupons"
            ),
            models.CheckConstraint(
                condition=Q(trigger="first_order_matured"), name="campaign_rewards_sales_only"
            ),
            models.CheckConstraint(
                condition=Q(used_rewards__lte=F("total_rewards")), name="campaign_within_budget"
            ),
            models.CheckConstraint(
                condition=Q(max_invitees__gte=1), name="campaign_max_invitees_positive"
            ),
            models.CheckConstraint(
                condition=Q(decline_bps__gte=1, decline_bps__lte=10_000),
                name="campaign_decline_in_range",
            ),
            models.CheckConstraint(
                condition=Q(
                    first_value_fen__gte=0, first_value_fen__lte=FEN_MAX, floor_value_fen__gte=0
                ),
                name="campaign_values_in_range",
            ),
        ]

    def __str__(self) -> str:
        return self.title


class CampaignTier(models.Model):
    """Ladder: who brought `invitees` buyers gets one coupon of this template, once."""

    frozen_columns = ("campaign_id", "invitees", "template_id")
    frozen_when = (
        "EXISTS (SELECT 1 FROM campaigns_campaign"
        " WHERE campaigns_campaign.id = campaign_id AND campaigns_campaign.status <> 'draft')"
    )
    closed_when = (
        "EXISTS (SELECT 1 FROM campaigns_campaign"
        " WHERE campaigns_campaign.id = NEW.campaign_id AND campaigns_campaign.status <> 'draft')"
    )

    campaign = models.ForeignKey(
        Campaign, models.PROTECT, related_name="tiers", verbose_name=_("campaign")
    )
    invitees = models.PositiveIntegerField(_("invited buyers"))
    template = models.ForeignKey(
        CouponTemplate, models.PROTECT, related_name="+", verbose_name=_("coupon")
    )

    class Meta:
        verbose_name = _("campaign tier")
        verbose_name_plural = _("campaign tiers")
        constraints = [
            models.UniqueConstraint(fields=["campaign", "invitees"], name="tier_once"),
            models.CheckConstraint(condition=Q(invitees__gte=1), name="tier_invitees_positive"),
        ]

    def __str__(self) -> str:
        return f"{self.invitees}: {self.template}"
