from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from campaigns.models.campaigns import Campaign
from campaigns.models.coupons import Coupon
from orders.models import Order
from referrals.models import Member, ShareLink


class Participation(models.Model):
    """A member's part in one campaign; `counted` is the number of invitees that count now."""

    campaign = models.ForeignKey(
        Campaign, models.PROTECT, related_name="participations", verbose_name=_("campaign")
    )
    member = models.ForeignKey(
        Member, models.PROTECT, related_name="participations", verbose_name=_("member")
    )
    link = models.ForeignKey(ShareLink, models.PROTECT, related_name="+")
    joined_at = models.DateTimeField(_("joined at"))
    counted = models.PositiveIntegerField(_("invited buyers"), default=0)

    class Meta:
        verbose_name = _("participation")
        verbose_name_plural = _("participations")
        constraints = [
            models.UniqueConstraint(fields=["campaign", "member"], name="participation_once")
        ]

    def __str__(self) -> str:
        return f"{self.campaign} {self.member}"


class Invitation(models.Model):
    """One new person who came through a participant's link; counts when his sale stands."""

    class Status(models.TextChoices):
        JOINED = "joined", _("Joined")
        PAID = "paid", _("Paid")
        COUNTED = "counted", _("Counts")
        LOST = "lost", _("Does not count")

    TRANSITIONS: ClassVar[dict[str, set[str]]] = {
        Status.JOINED: {Status.PAID, Status.LOST},
        Status.PAID: {Status.COUNTED, Status.LOST},
        Status.COUNTED: {Status.LOST},
        Status.LOST: set(),
    }

    participation = models.ForeignKey(
        Participation, models.PROTECT, related_name="invitations", verbose_name=_("participation")
    )
    campaign = models.ForeignKey(Campaign, models.PROTECT, related_name="+")
    invitee = models.ForeignKey(
        Member, models.PROTECT, related_name="invitations", verbose_name=_("invited member")
    )
    status = models.CharField(
        _("status"), max_length=16, choices=Status.choices, default=Status.JOINED
    )
    order = models.ForeignKey(
        Order,
        models.PROTECT,
        null=True,
        blank=True,
        related_name="+",
        verbose_name=_("first paid order"),
    )
    joined_at = models.DateTimeField(_("joined at"))
    counted_at = models.DateTimeField(_("counted at"), null=True, blank=True)
    note = models.CharField(_("note"), max_length=200, blank=True)

    class Meta:
        verbose_name = _("invitation")
        verbose_name_plural = _("invitations")
        constraints = [
            models.UniqueConstraint(fields=["invitee"], name="invitee_once"),
            models.CheckConstraint(
                condition=Q(status__in=["joined", "paid", "counted", "lost"]),
                name="invitation_status_known",
            ),
            models.CheckConstraint(
                condition=~Q(status__in=["paid", "counted"]) | Q(order__isnull=False),
                name="invitation_sale_has_order",
            ),
            models.CheckConstraint(
                condition=~Q(status="counted") | Q(counted_at__isnull=False),
                name="invitation_counted_has_time",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.participation} ← {self.invitee}"


class Reward(models.Model):
    """What a participant got for his n-th invited buyer; recorded as a loss if that sale falls.

    The rewards without `lost_at` are always those his number of invited buyers earns. A value of 0
    means that the sale was too small to reward: there is no coupon.
    """

    frozen_columns = (
        "participation_id",
        "invitation_id",
        "position",
        "coupon_id",
        "value_fen",
        "granted_at",
    )
    frozen_when = "1 = 1"

    participation = models.ForeignKey(
        Participation, models.PROTECT, related_name="rewards", verbose_name=_("participation")
    )
    invitation = models.ForeignKey(
        Invitation, models.PROTECT, related_name="rewards", verbose_name=_("invitation")
    )
    position = models.PositiveIntegerField(_("for invited buyer no."))
    value_fen = models.BigIntegerField(_("value (fen)"))
    coupon = models.OneToOneField(
        Coupon,
        models.PROTECT,
        null=True,
        blank=True,
        related_name="reward",
        verbose_name=_("coupon"),
    )
    granted_at = models.DateTimeField(_("granted at"))
    lost_at = models.DateTimeField(_("recorded as a loss at"), null=True, blank=True)

    class Meta:
        verbose_name = _("reward")
        verbose_name_plural = _("rewards")
        constraints = [
            models.UniqueConstraint(
                fields=["participation", "position"], name="reward_once_a_position"
            ),
            models.CheckConstraint(
                condition=Q(value_fen=0, coupon__isnull=True)
                | Q(value_fen__gt=0, coupon__isnull=False),
                name="reward_value_is_its_coupon",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.participation} #{self.position}"
