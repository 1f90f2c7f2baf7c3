from __future__ import annotations

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from distro.money import FEN_MAX


class Category(models.Model):
    """A shelf of the shop."""

    name = models.CharField(_("name"), max_length=64, unique=True)
    position = models.PositiveIntegerField(_("position"), default=0)

    class Meta:
        verbose_name = _("category")
        verbose_name_plural = _("categories")

    def __str__(self) -> str:
        return self.name


class Product(models.Model):
    """What is shown and bought; its SKUs carry price and stock."""

    code = models.CharField(_("product code"), max_length=64, unique=True)
    title = models.CharField(_("title"), max_length=100)
    category = models.ForeignKey(
        Category, models.PROTECT, related_name="products", verbose_name=_("category")
    )
    description = models.TextField(_("description"), blank=True)
    image_url = models.CharField(_("picture"), max_length=255, blank=True)
    on_sale = models.BooleanField(_("on sale"), default=True)
    returnable = models.BooleanField(
        _("seven-day return"),
        default=True,
        help_text=_("Off only for the legal exceptions: made to order, fresh, opened digital."),
    )
    created_at = models.DateTimeField(_("created at"))

    class Meta:
        verbose_name = _("product")
        verbose_name_plural = _("products")

    def __str__(self) -> str:
        return self.title


class Sku(models.Model):
    """One sellable variant; stock moves only by conditional updates and is never negative."""

    product = models.ForeignKey(
        Product, models.PROTECT, related_name="skus", verbose_name=_("product")
    )
    code = models.CharField(_("SKU code"), max_length=64, unique=True)
    name = models.CharField(_("variant"), max_length=64, blank=True)
    price_fen = models.BigIntegerField(_("price (fen)"))
    cost_fen = models.BigIntegerField(_("cost (fen)"), default=0)
    stock = models.BigIntegerField(_("stock"), default=0)
    on_sale = models.BooleanField(_("on sale"), default=True)

    class Meta:
        verbose_name = _("SKU")
        verbose_name_plural = _("SKUs")
        constraints = [
            models.CheckConstraint(condition=Q(stock__gte=0), name="sku_stock_not_negative"),
            models.CheckConstraint(
                condition=Q(price_fen__gte=0, price_fen__lte=FEN_MAX), name="sku_price_in_range"
            ),
            models.CheckConstraint(condition=Q(cost_fen__gte=0), name="sku_cost_not_negative"),
        ]

    def __str__(self) -> str:
        return f"{self.product} {self.name}".strip()
