from __future__ import annotations

from django.db import models
from django.db.models import F, Q
from django.utils.translation import gettext_lazy as _


class PayoutPolicy(models.Model):
    """Limits of withdrawals and of the channel, from a date on; the latest past row rules."""

    effective_from = models.DateTimeField(_("effective from"), unique=True)
    minimum_fen = models.BigIntegerField(_("smallest withdrawal (fen)"), default=100)
    review_first = models.BooleanField(_("first withdrawal is reviewed"), default=True)
    review_from_fen = models.BigIntegerField(_("reviewed from (fen)"), default=200_000)
    two_persons_day_fen = models.BigIntegerField(
        _("two persons from a day's sum of (fen)"), default=500_000
    )
    two_persons_month_fen = models.BigIntegerField(
        _("two persons from a month's sum of (fen)"), default=2_000_000
    )
    channel_single_min_fen = models.BigIntegerField(
        _("channel: smallest transfer (fen)"), default=10
    )
    channel_single_max_fen = models.BigIntegerField(
        _("channel: largest transfer (fen)"), default=20_000
    )
    channel_day_max_fen = models.BigIntegerField(
        _("channel: a day and user (fen)"), default=200_000
    )

    class Meta:
        verbose_name = _("payout policy")
        verbose_name_plural = _("payout policies")
        constraints = [
            models.CheckConstraint(
                condition=Q(
                    minimum_fen__gte=1,
                    review_from_fen__gte=0,
                    two_persons_day_fen__gte=0,
                    two_persons_month_fen__gte=0,
                    channel_single_min_fen__gte=1,
                    channel_single_max_fen__gte=F("channel_single_min_fen"),
                    channel_day_max_fen__gte=F("channel_single_max_fen"),
                ),
                name="payout_limits_in_range",
            )
        ]

    def __str__(self) -> str:
        return f"{self.effective_from:%Y-%m-%d}"


class TaxPolicy(models.Model):
    """Which tax rule the merchant chose, from a date on; without one nothing is paid out."""

    class Mode(models.TextChoices):
        LABOR_PER_TIME = "labor_per_time", _("Remuneration for labour, by the month")

    effective_from = models.DateTimeField(_("effective from"), unique=True)
    mode = models.CharField(_("tax mode"), max_length=32, choices=Mode.choices)
    confirmed_by = models.CharField(_("confirmed by"), max_length=64)

    class Meta:
        verbose_name = _("tax policy")
        verbose_name_plural = _("tax policies")

    def __str__(self) -> str:
        return f"{self.effective_from:%Y-%m-%d} {self.get_mode_display()}"


class VatRule(models.Model):
    """How VAT on the payee's service is withheld in a span of time; a person confirms it."""

    class Basis(models.TextChoices):
        NONE = "none", _("Not withheld")

    effective_from = models.DateTimeField(_("effective from"), unique=True)
    effective_to = models.DateTimeField(_("effective to"), null=True, blank=True)
    basis = models.CharField(_("basis"), max_length=16, choices=Basis.choices)
    source_note = models.CharField(_("source"), max_length=200)
    confirmed_by = models.CharField(_("confirmed by"), max_length=64, blank=True)
    confirmed_at = models.DateTimeField(_("confirmed at"), null=True, blank=True)

    class Meta:
        verbose_name = _("VAT rule")
        verbose_name_plural = _("VAT rules")
        constraints = [
            models.CheckConstraint(
                condition=Q(effective_to__isnull=True) | Q(effective_to__gt=F("effective_from")),
                name="vat_rule_span_ordered",
            )
        ]

    def __str__(self) -> str:
        return f"{self.effective_from:%Y-%m-%d} {self.get_basis_display()}"


class ChannelSwitch(models.Model):
    """Stops a payout channel; existing requests wait."""

    channel = models.CharField(_("channel"), max_length=16, primary_key=True)
    stopped = models.BooleanField(_("stopped"), default=False)
    reason = models.CharField(_("reason"), max_length=200, blank=True)

    class Meta:
        verbose_name = _("payout switch")
        verbose_name_plural = _("payout switches")

    def __str__(self) -> str:
        return self.channel
