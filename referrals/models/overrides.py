from __future__ import annotations

from datetime import datetime, timedelta
from typing import ClassVar

from django.core.validators import RegexValidator
from django.db import models
from django.db.models import F, Q
from django.utils.translation import gettext_lazy as _

LIFE_MAX = timedelta(days=180)
SHA256 = RegexValidator(r"^[0-9a-f]{64}$", _("Write 64 hexadecimal digits, small letters."))


class LegalOverride(models.Model):
    """A legal risk that two persons took on for a while, on record; it never raises a hard limit.

    `opened_by` asks for it and is the first of the two; `approved_by` is another person.
    """

    frozen_columns = (
        "subject",
        "reason",
        "document_sha256",
        "opened_by",
        "opened_at",
        "expires_at",
    )
    frozen_when = "1 = 1"  # another reason, or a longer time, is another override

    class Subject(models.TextChoices):
        PURCHASE_GATE = "purchase_gate", _("Purchase before becoming a promoter")

    class Status(models.TextChoices):
        REQUESTED = "requested", _("Waiting for the second person")
        APPROVED = "approved", _("Approved")
        REFUSED = "refused", _("Refused")
        REVOKED = "revoked", _("Revoked")

    TRANSITIONS: ClassVar[dict[str, set[str]]] = {
        Status.REQUESTED: {Status.APPROVED, Status.REFUSED},
        Status.APPROVED: {Status.REVOKED},
        Status.REFUSED: set(),
        Status.REVOKED: set(),
    }

    subject = models.CharField(_("what for"), max_length=32, choices=Subject.choices)
    status = models.CharField(
        _("status"), max_length=16, choices=Status.choices, default=Status.REQUESTED
    )
    reason = models.CharField(_("reason"), max_length=400)
    document_sha256 = models.CharField(
        _("SHA-256 of the legal opinion"), max_length=64, validators=[SHA256]
    )
    opened_by = models.CharField(_("asked for by"), max_length=64)
    opened_at = models.DateTimeField(_("asked for at"))
    approved_by = models.CharField(_("approved by"), max_length=64, blank=True, default="")
    approved_at = models.DateTimeField(_("approved at"), null=True, blank=True)
    expires_at = models.DateTimeField(_("expires at"))

    class Meta:
        verbose_name = _("legal override")
        verbose_name_plural = _("legal overrides")
        permissions = [("approve_legaloverride", _("Can approve legal overrides"))]
        constraints = [
            models.CheckConstraint(
                condition=Q(status__in=["requested", "approved", "refused", "revoked"]),
                name="override_status_known",
            ),
            models.CheckConstraint(
                condition=~Q(reason="") & ~Q(opened_by="") & ~Q(document_sha256=""),
                name="override_says_who_and_why",
            ),
            models.CheckConstraint(
                condition=Q(approved_at=None, approved_by="", status__in=["requested", "refused"])
                | Q(approved_at__isnull=False, status__in=["approved", "revoked"])
                & ~Q(approved_by="")
                & ~Q(approved_by=F("opened_by")),
                name="override_takes_two_persons",
            ),
            models.CheckConstraint(
                condition=Q(
                    expires_at__gt=F("opened_at"), expires_at__lte=F("opened_at") + LIFE_MAX
                ),
                name="override_ends_within_180_days",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.get_subject_display()}: {self.reason}"

    def covers(self, at: datetime) -> bool:
        """Say whether it is approved and has not run out."""
        return self.status == self.Status.APPROVED and at < self.expires_at
