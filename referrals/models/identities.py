from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.db.models import F, Q
from django.utils.translation import gettext_lazy as _

from distro.crypto import EncryptedTextField, mask_name
from referrals.models.members import Member


class Identity(models.Model):
    """A member's real name and ID number; one verified person is one payee for tax.

    `same_as` stands on the further accounts of one person (one unionid): it names the identity he
    was first verified with. Between strangers a number is verified once.
    """

    # A further account belongs to the same number, verified, and never leads to another one.
    closed_when = """NEW.same_as_id IS NOT NULL AND NEW.status = 'verified' AND NOT EXISTS (
        SELECT 1 FROM referrals_identity i WHERE i.id = NEW.same_as_id
        AND i.id_index = NEW.id_index AND i.status = 'verified' AND i.same_as_id IS NULL)"""

    class Status(models.TextChoices):
        PENDING = "pending", _("Waiting")
        VERIFIED = "verified", _("Verified")
        REJECTED = "rejected", _("Rejected")

    TRANSITIONS: ClassVar[dict[str, set[str]]] = {
        Status.PENDING: {Status.VERIFIED, Status.REJECTED},
        Status.VERIFIED: {Status.REJECTED},
        Status.REJECTED: {Status.PENDING},
    }

    member = models.OneToOneField(
        Member, models.PROTECT, related_name="identity", verbose_name=_("member")
    )
    name = EncryptedTextField(_("real name"))
    id_number = EncryptedTextField(_("ID number"))
    id_index = models.CharField(max_length=64, db_index=True)
    same_as = models.ForeignKey(
        "self",
        models.PROTECT,
        null=True,
        blank=True,
        related_name="further",
        verbose_name=_("same person as"),
    )
    status = models.CharField(
        _("status"), max_length=16, choices=Status.choices, default=Status.PENDING
    )
    submitted_at = models.DateTimeField(_("submitted at"))
    decided_at = models.DateTimeField(_("decided at"), null=True, blank=True)
    reason = models.CharField(_("reason"), max_length=200, blank=True)

    class Meta:
        verbose_name = _("identity")
        verbose_name_plural = _("identities")
        constraints = [
            models.CheckConstraint(
                condition=Q(status__in=["pending", "verified", "rejected"]),
                name="identity_status_known",
            ),
            models.UniqueConstraint(
                fields=["id_index"],
                condition=Q(status="verified", same_as=None),
                name="identity_one_payee",
            ),
            models.CheckConstraint(
                condition=Q(same_as=None) | ~Q(same_as=F("id")), name="identity_not_own_copy"
            ),
        ]
        permissions = [
            ("view_personal_data", _("Can see phones, names and ID numbers in clear")),
            ("recheck_identity", _("Can take back the verification of an identity")),
        ]

    def __str__(self) -> str:
        return mask_name(self.name)
