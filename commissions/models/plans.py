from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from orders.models import Category, Product, Sku
from referrals.models import Grade

CAP_BPS_MAX = 3000  # of the base; 直销管理条例 art. 24 by analogy, and WeChat's split limit


class Plan(models.Model):
    """One version of the commission rules; immutable once published."""

    frozen_columns = (
        "code",
        "version",
        "name",
        "status",
        "base",
        "level_max",
        "cap_bps",
        "min_order_fen",
        "release_days",
        "effective_from",
        "published_at",
        "published_by",
        "level_2_accepted_by",
        "level_2_accepted_at",
        "level_2_text",
    )
    frozen_when = "status <> 'draft'"

    class Status(models.TextChoices):
        DRAFT = "draft", _("Draft")
        PUBLISHED = "published", _("Published")

    TRANSITIONS: ClassVar[dict[str, set[str]]] = {
        Status.DRAFT: {Status.PUBLISHED},
        Status.PUBLISHED: set(),
    }

    class Base(models.TextChoices):
        GOODS_PAID = "goods_paid", _("Goods paid, after every discount, without freight")
        MARGIN = "margin", _("Margin: goods paid less cost")

    code = models.SlugField(_("code"), max_length=32)
    version = models.PositiveIntegerField(_("version"), default=1)
    name = models.CharField(_("name"), max_length=64)
    status = models.CharField(
        _("status"), max_length=16, choices=Status.choices, default=Status.DRAFT
    )
    base = models.CharField(_("base"), max_length=16, choices=Base.choices, default=Base.GOODS_PAID)
    level_max = models.PositiveSmallIntegerField(_("paid levels"), default=1)
    cap_bps = models.PositiveIntegerField(_("cap over all levels (bps)"), default=2000)
    min_order_fen = models.BigIntegerField(_("smallest order (fen)"), default=0)
    release_days = models.PositiveIntegerField(_("released after receipt (days)"), default=15)
    effective_from = models.DateTimeField(_("effective from"))
    created_by = models.CharField(_("made by"), max_length=64, blank=True)
    published_at = models.DateTimeField(_("published at"), null=True, blank=True)
    published_by = models.CharField(_("published by"), max_length=64, blank=True)
    level_2_accepted_by = models.CharField(
        _("risk of level 2 accepted by"), max_length=64, blank=True
    )
    level_2_accepted_at = models.DateTimeField(
        _("risk of level 2 accepted at"), null=True, blank=True
    )
    level_2_text = models.CharField(_("accepted text"), max_length=64, blank=True)

    class Meta:
        verbose_name = _("commission plan")
        verbose_name_plural = _("commission plans")
        constraints = [
            models.UniqueConstraint(fields=["code", "version"], name="plan_version_once"),
            models.CheckConstraint(
                condition=Q(status__in=["draft", "published"]), name="plan_status_known"
            ),
            models.CheckConstraint(
                condition=Q(level_max__gte=1, level_max__lte=3), name="plan_levels_at_most_three"
            ),
            models.CheckConstraint(condition=Q(cap_bps__lte=CAP_BPS_MAX), name="plan_cap_legal"),
            models.CheckConstraint(
                condition=Q(release_days__gte=7), name="plan_release_after_return_right"
            ),
            models.CheckConstraint(
                condition=Q(min_order_fen__gte=0), name="plan_min_order_not_negative"
            ),
            models.CheckConstraint(
                condition=Q(status="draft") | Q(published_at__isnull=False),
                name="plan_published_has_time",
            ),
        ]
        permissions = [("publish_plan", _("Can publish commission plans"))]

    def __str__(self) -> str:
        return f"{self.name} v{self.version}"


class PlanRate(models.Model):
    """What one level earns in one scope: a share of the base, or fixed fen per unit."""

    frozen_columns = (
        "plan_id",
        "scope",
        "category_id",
        "product_id",
        "sku_id",
        "grade_id",
        "level",
        "rate_bps",
        "fixed_fen",
        "published",
    )
    frozen_when = "published"
    closed_when = (
        "EXISTS (SELECT 1 FROM commissions_plan p WHERE p.id = NEW.plan_id AND p.status <> 'draft')"
    )

    class Scope(models.TextChoices):
        SKU = "sku", _("SKU")
        PRODUCT = "product", _("Product")
        CATEGORY = "category", _("Category")
        DEFAULT = "default", _("Everything")

    plan = models.ForeignKey(Plan, models.PROTECT, related_name="rates", verbose_name=_("plan"))
    published = models.BooleanField(default=False, editable=False)
    scope = models.CharField(
        _("scope"), max_length=16, choices=Scope.choices, default=Scope.DEFAULT
    )
    category = models.ForeignKey(
        Category,
        models.PROTECT,
        null=True,
        blank=True,
        related_name="+",
        verbose_name=_("category"),
    )
    product = models.ForeignKey(
        Product,
        models.PROTECT,
        null=True,
        blank=True,
        related_name="+",
        verbose_name=_("product"),
    )
    sku = models.ForeignKey(
        Sku, models.PROTECT, null=True, blank=True, related_name="+", verbose_name=_("SKU")
    )
    grade = models.ForeignKey(
        Grade,
        models.PROTECT,
        null=True,
        blank=True,
        related_name="+",
        verbose_name=_("grade"),
        help_text=_("Empty: every grade."),
    )
    level = models.PositiveSmallIntegerField(_("level"))
    rate_bps = models.PositiveIntegerField(_("rate (bps)"), null=True, blank=True)
    fixed_fen = models.BigIntegerField(_("fixed per unit (fen)"), null=True, blank=True)

    class Meta:
        verbose_name = _("commission rate")
        verbose_name_plural = _("commission rates")
        constraints = [
            models.CheckConstraint(
                condition=Q(level__gte=1, level__lte=3), name="rate_level_at_most_three"
            ),
            models.CheckConstraint(
                condition=Q(rate_bps__isnull=False, fixed_fen__isnull=True)
                | Q(rate_bps__isnull=True, fixed_fen__isnull=False),
                name="rate_is_share_or_fixed",
            ),
            models.CheckConstraint(
                condition=Q(rate_bps__isnull=True) | Q(rate_bps__gte=0, rate_bps__lte=CAP_BPS_MAX),
                name="rate_share_legal",
            ),
            models.CheckConstraint(
                condition=Q(fixed_fen__isnull=True) | Q(fixed_fen__gte=0),
                name="rate_fixed_not_negative",
            ),
            models.CheckConstraint(
                condition=Q(scope="sku", sku__isnull=False, product=None, category=None)
                | Q(scope="product", product__isnull=False, sku=None, category=None)
                | Q(scope="category", category__isnull=False, sku=None, product=None)
                | Q(scope="default", sku=None, product=None, category=None),
                name="rate_scope_has_its_object",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.plan} L{self.level} {self.get_scope_display()}"
