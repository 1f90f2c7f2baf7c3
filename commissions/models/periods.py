from __future__ import annotations

from datetime import date

from django.db import models
from django.db.models import F, Q
from django.utils.translation import gettext_lazy as _


class Period(models.Model):
    """A closed month of the books; months are closed in order, nothing is booked in them any more.

    What occurred in a closed month and is learned later is booked on the first open day.
    """

    append_only = True

    last_day = models.DateField(_("last day"), unique=True)
    transfers = models.PositiveBigIntegerField(_("transfers of the month"))
    amount_fen = models.BigIntegerField(_("sum of all transfers (fen)"))
    closed_by = models.CharField(_("closed by"), max_length=64)
    closed_at = models.DateTimeField(_("closed at"))

    class Meta:
        verbose_name = _("closed month")
        verbose_name_plural = _("closed months")
        constraints = [
            models.CheckConstraint(condition=Q(amount_fen__gte=0), name="period_amount_in_range"),
            models.CheckConstraint(
                condition=Q(last_day__gte=date(1990, 1, 1), last_day__lt=date(2200, 1, 1)),
                name="period_day_in_range",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.last_day:%Y-%m}"


class Seal(models.Model):
    """A fingerprint of a range of transfers, chained to the seal before it.

    marks: 16 bytes a transfer, its id and the beginning of the chain's hash after it, so that the
    first altered row can be named. digest: the hash after the last row.
    """

    append_only = True

    first_id = models.BigIntegerField(_("first transfer"), unique=True)
    last_id = models.BigIntegerField(_("last transfer"), unique=True)
    rows = models.PositiveIntegerField(_("transfers"))
    marks = models.BinaryField()
    before = models.CharField(_("digest before"), max_length=64, blank=True, unique=True)
    digest = models.CharField(_("digest"), max_length=64, unique=True)
    sealed_at = models.DateTimeField(_("sealed at"))

    class Meta:
        verbose_name = _("seal")
        verbose_name_plural = _("seals")
        constraints = [
            models.CheckConstraint(
                condition=Q(rows__gte=1, first_id__gte=1, last_id__gte=F("first_id")),
                name="seal_covers_rows",
            )
        ]

    def __str__(self) -> str:
        return f"{self.first_id}–{self.last_id}"
