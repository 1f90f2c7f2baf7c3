from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.db.models import F, Q
from django.utils.translation import gettext_lazy as _

from referrals.models import Promoter


class Correction(models.Model):
    """Money set right by hand where no order explains it; one person asks, another decides."""

    class Kind(models.TextChoices):
        UP = "correct_up", _("Given to the promoter")
        DOWN = "correct_down", _("Taken from the promoter")
        WRITE_OFF = "write_off", _("Debt written off")

    class Status(models.TextChoices):
        REQUESTED = "requested", _("Waiting for a second person")
        BOOKED = "booked", _("Booked")
        REJECTED = "rejected", _("Rejected")

    TRANSITIONS: ClassVar[dict[str, set[str]]] = {
        Status.REQUESTED: {Status.BOOKED, Status.REJECTED},
        Status.BOOKED: set(),
        Status.REJECTED: set(),
    }
    frozen_columns = (
        "promoter",
        "kind",
        "amount_fen",
        "reason",
        "requested_by",
        "requested_at",
    )
    frozen_when = "1 = 1"

    promoter = models.ForeignKey(
        Promoter, models.PROTECT, related_name="corrections", verbose_name=_("promoter")
    )
    kind = models.CharField(_("kind"), max_length=16, choices=Kind.choices)
    amount_fen = models.BigIntegerField(_("amount (fen)"))
    reason = models.CharField(_("reason"), max_length=200)
    status = models.CharField(
        _("status"), max_length=16, choices=Status.choices, default=Status.REQUESTED
    )
    requested_by = models.CharField(_("requested by"), max_length=64)
    requested_at = models.DateTimeField(_("requested at"))
    decided_by = models.CharField(_("decided by"), max_length=64, blank=True)
    decided_at = models.DateTimeField(_("decided at"), null=True, blank=True)

    class Meta:
        verbose_name = _("correction")
        verbose_name_plural = _("corrections")
        permissions = [("decide_correction", _("Can book or reject corrections"))]
        constraints = [
            models.CheckConstraint(
                condition=Q(amount_fen__gt=0, amount_fen__lte=10_000_000_000),
                name="correction_amount_in_range",
                violation_error_message=_("Write an amount from 0.01 to 100,000,000.00 yuan."),
            ),
            models.CheckConstraint(
                condition=Q(kind__in=["correct_up", "correct_down", "write_off"]),
                name="correction_kind_known",
            ),
            models.CheckConstraint(
                condition=Q(status="requested", decided_by="", decided_at__isnull=True)
                | (
                    Q(status__in=["booked", "rejected"], decided_at__isnull=False)
                    & ~Q(decided_by="")
                ),
                name="correction_decision_is_whole",
            ),
            models.CheckConstraint(
                condition=~Q(status="booked", decided_by=F("requested_by")),
                name="correction_by_two_persons",
            ),
            models.CheckConstraint(condition=~Q(reason=""), name="correction_has_reason"),
            models.UniqueConstraint(
                fields=["promoter", "kind", "amount_fen", "reason"],
                condition=Q(status="requested"),
                name="correction_asked_once",
                violation_error_message=_("The same correction already waits for a decision."),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.get_kind_display()} {self.promoter}"
