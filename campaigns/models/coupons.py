from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.db.models import F, Q
from django.utils.translation import gettext_lazy as _

from distro.money import FEN_MAX
from orders.models import Category, Order, Product
from referrals.models import Member


class CouponTemplate(models.Model):
    """What a coupon is worth and where it counts; fixed once it is promised or granted.

    `reserved` are the coupons that published campaigns may still grant; what is left of `total`
    besides `issued` and `reserved` is free. `value_fen` is the value of a plain grant and of a
    ladder's tier; a declining campaign sets the value of each coupon itself.
    """

    frozen_columns = (
        "code",
        "title",
        "value_fen",
        "threshold_fen",
        "category_id",
        "product_id",
        "valid_days",
    )
    frozen_when = "issued + reserved > 0"

    code = models.SlugField(_("code"), max_length=32, unique=True)
    title = models.CharField(_("title"), max_length=64)
    value_fen = models.BigIntegerField(_("value (fen)"))
    threshold_fen = models.BigIntegerField(_("from an order of (fen)"))
    category = models.ForeignKey(
        Category,
        models.PROTECT,
        null=True,
        blank=True,
        related_name="+",
        verbose_name=_("only for the category"),
    )
    product = models.ForeignKey(
        Product,
        models.PROTECT,
        null=True,
        blank=True,
        related_name="+",
        verbose_name=_("only for the product"),
    )
    valid_days = models.PositiveIntegerField(_("valid for (days)"), default=30)
    per_member = models.PositiveIntegerField(
        _("a member at most"),
        null=True,
        blank=True,
        help_text=_("Empty: no limit. Campaign rewards have their own."),
    )
    total = models.PositiveIntegerField(_("how many at most"))
    issued = models.PositiveIntegerField(_("issued"), default=0)
    reserved = models.PositiveIntegerField(_("promised by campaigns"), default=0)

    class Meta:
        verbose_name = _("coupon template")
        verbose_name_plural = _("coupon templates")
        constraints = [
            models.CheckConstraint(
                condition=Q(value_fen__gte=1, value_fen__lte=FEN_MAX), name="coupon_value_positive"
            ),
            models.CheckConstraint(
                condition=Q(threshold_fen__gte=F("value_fen")), name="coupon_threshold_covers_value"
            ),
            models.CheckConstraint(
                condition=Q(issued__lte=F("total") - F("reserved")),
                name="coupon_issued_within_total",
            ),
            models.CheckConstraint(
                condition=Q(valid_days__gte=1), name="coupon_valid_days_positive"
            ),
            models.CheckConstraint(
                condition=Q(per_member__isnull=True) | Q(per_member__gte=1),
                name="coupon_per_member_positive",
            ),
        ]

    def __str__(self) -> str:
        return self.title


class Coupon(models.Model):
    """One coupon of one member; `key` is its cause and makes granting idempotent."""

    frozen_columns = (
        "template_id",
        "member_id",
        "code",
        "key",
        "value_fen",
        "valid_from",
        "valid_until",
    )
    frozen_when = "1 = 1"

    class Status(models.TextChoices):
        ISSUED = "issued", _("Usable")
        USED = "used", _("Used")
        EXPIRED = "expired", _("Expired")
        CANCELLED = "cancelled", _("Cancelled")

    TRANSITIONS: ClassVar[dict[str, set[str]]] = {
        Status.ISSUED: {Status.USED, Status.EXPIRED, Status.CANCELLED},
        Status.USED: {Status.ISSUED},  # its order was cancelled, or refunded in full, in time
        Status.EXPIRED: set(),
        Status.CANCELLED: set(),
    }

    template = models.ForeignKey(
        CouponTemplate, models.PROTECT, related_name="coupons", verbose_name=_("template")
    )
    member = models.ForeignKey(
        Member, models.PROTECT, related_name="coupons", verbose_name=_("member")
    )
    code = models.CharField(_("code"), max_length=32, unique=True)
    key = models.CharField(max_length=100, unique=True)
    value_fen = models.BigIntegerField(_("value (fen)"))
    status = models.CharField(
        _("status"), max_length=16, choices=Status.choices, default=Status.ISSUED
    )
    valid_from = models.DateTimeField(_("valid from"))
    valid_until = models.DateTimeField(_("valid until"))
    order = models.ForeignKey(
        Order,
        models.PROTECT,
        null=True,
        blank=True,
        related_name="coupons",
        verbose_name=_("used for"),
    )
    used_at = models.DateTimeField(_("used at"), null=True, blank=True)

    class Meta:
        verbose_name = _("coupon")
        verbose_name_plural = _("coupons")
        constraints = [
            models.CheckConstraint(
                condition=Q(status__in=["issued", "used", "expired", "cancelled"]),
                name="coupon_status_known",
            ),
            models.CheckConstraint(
                condition=Q(valid_until__gt=F("valid_from")), name="coupon_validity_ordered"
            ),
            models.CheckConstraint(
                condition=Q(value_fen__gte=1, value_fen__lte=FEN_MAX), name="coupon_worth_positive"
            ),
            models.UniqueConstraint(
                fields=["order"], condition=Q(order__isnull=False), name="coupon_one_an_order"
            ),
            models.CheckConstraint(
                condition=Q(status="used", order__isnull=False, used_at__isnull=False)
                | (~Q(status="used") & Q(order__isnull=True, used_at__isnull=True)),
                name="coupon_used_for_an_order",
            ),
        ]
        indexes = [
            models.Index(fields=["member", "-id"], name="coupon_by_member"),
            models.Index(
                fields=["valid_until"], condition=Q(status="issued"), name="coupon_to_expire"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.template} {self.code}"
