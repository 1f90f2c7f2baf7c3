from __future__ import annotations

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _


class ShopPolicy(models.Model):
    """The merchant's choices on selling, from a date on; the latest past row rules."""

    effective_from = models.DateTimeField(_("effective from"), unique=True)
    pay_minutes = models.PositiveIntegerField(_("time to pay (minutes)"), default=30)
    receive_days = models.PositiveIntegerField(_("received by itself after (days)"), default=10)
    return_days = models.PositiveIntegerField(_("return period (days)"), default=7)
    freight_fen = models.BigIntegerField(_("freight (fen)"), default=0)
    free_freight_from_fen = models.BigIntegerField(
        _("no freight from (fen)"),
        default=0,
        help_text=_("Goods after discounts; 0: there is always freight."),
    )

    class Meta:
        verbose_name = _("shop policy")
        verbose_name_plural = _("shop policies")
        constraints = [
            models.CheckConstraint(condition=Q(return_days__gte=7), name="shop_return_days_legal"),
            models.CheckConstraint(
                condition=Q(pay_minutes__gte=1, freight_fen__gte=0, free_freight_from_fen__gte=0),
                name="shop_amounts_in_range",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.effective_from:%Y-%m-%d}"
