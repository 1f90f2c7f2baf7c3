from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from distro.actors import Actor
from distro.crypto import EncryptedTextField, mask_name


class Member(models.Model):
    """A person known by WeChat openid; imported persons have none until they log in."""

    class Status(models.TextChoices):
        ACTIVE = "active", _("Active")
        BLOCKED = "blocked", _("Blocked")
        CLOSED = "closed", _("Closed")
        MERGED = "merged", _("Merged")

    TRANSITIONS: ClassVar[dict[str, set[str]]] = {
        Status.ACTIVE: {Status.BLOCKED, Status.CLOSED, Status.MERGED},
        Status.BLOCKED: {Status.ACTIVE, Status.CLOSED},
        Status.CLOSED: set(),
        Status.MERGED: set(),
    }

    # Who is merged leads to a living or closed account in one step.
    closed_asks = "NEW.merged_into_id IS NOT NULL"
    closed_when = """EXISTS (
        SELECT 1 FROM referrals_member m WHERE m.id = NEW.merged_into_id
        AND m.merged_into_id IS NOT NULL)"""

    no = models.CharField(_("member no."), max_length=32)
    openid = models.CharField(_("openid"), max_length=64, null=True, blank=True)
    unionid = models.CharField(_("unionid"), max_length=64, null=True, blank=True)
    nickname = models.CharField(_("nickname"), max_length=64, blank=True)
    phone = EncryptedTextField(_("phone"), blank=True, default="")
    phone_index = models.CharField(max_length=64, blank=True, default="")
    inviter = models.ForeignKey(
        "self",
        models.PROTECT,
        null=True,
        blank=True,
        related_name="invitees",
        verbose_name=_("inviter"),
    )
    external_no = models.CharField(
        _("external no."),
        max_length=64,
        null=True,
        blank=True,
        help_text=_("Number of this person in the system the history was imported from."),
    )
    status = models.CharField(
        _("status"), max_length=16, choices=Status.choices, default=Status.ACTIVE
    )
    excluded = models.BooleanField(
        _("left out of metrics"), default=False, help_text=_("Staff and test accounts.")
    )
    joined_at = models.DateTimeField(_("joined at"), db_index=True)
    first_seen_at = models.DateTimeField(
        _("first seen at"),
        null=True,
        blank=True,
        editable=False,
        help_text=_("A visit by the same phone before the first log-in; empty: there was none."),
    )
    merged_into = models.ForeignKey(
        "self",
        models.PROTECT,
        null=True,
        blank=True,
        db_index=False,
        related_name="merged",
        verbose_name=_("account that stays"),
    )

    class Meta:
        verbose_name = _("member")
        verbose_name_plural = _("members")
        indexes = [  # named here, not on the fields: those would get a second one for LIKE
            models.Index(fields=["unionid"], name="member_by_unionid"),
            models.Index(fields=["phone_index"], name="member_by_phone"),
            models.Index(
                fields=["merged_into"],
                condition=Q(merged_into__isnull=False),
                name="member_merged",
            ),
        ]
        constraints = [
            models.UniqueConstraint(fields=["no"], name="member_no_taken"),
            models.UniqueConstraint(fields=["openid"], name="member_openid_taken"),
            models.UniqueConstraint(fields=["external_no"], name="member_external_no_taken"),
            models.CheckConstraint(
                condition=Q(status__in=["active", "blocked", "closed", "merged"]),
                name="member_status_known",
            ),
            models.CheckConstraint(
                condition=Q(status="merged", merged_into__isnull=False)
                | ~Q(status="merged") & Q(merged_into__isnull=True),
                name="member_merged_into_another",
            ),
            models.CheckConstraint(
                condition=Q(merged_into__isnull=True) | ~Q(merged_into=models.F("id")),
                name="member_not_merged_into_himself",
            ),
            models.CheckConstraint(
                condition=Q(inviter__isnull=True) | ~Q(inviter=models.F("id")),
                name="member_not_own_inviter",
            ),
        ]

    def __str__(self) -> str:
        return mask_name(self.nickname) if self.nickname else self.no

    @property
    def actor(self) -> Actor:
        return Actor("member", self.pk)

    @property
    def living(self) -> Member:
        """The account of this person that stays; itself unless merged."""
        return self.merged_into or self


class MemberToken(models.Model):
    """An opaque log-in of one device; only its SHA-256 is stored."""

    member = models.ForeignKey(Member, models.CASCADE, related_name="tokens")
    digest = models.CharField(max_length=64, unique=True)
    device = models.CharField(_("device"), max_length=64, blank=True)
    created_at = models.DateTimeField(_("created at"))
    expires_at = models.DateTimeField(_("expires at"))
    last_used_at = models.DateTimeField(_("last used at"), null=True, blank=True)
    revoked_at = models.DateTimeField(_("revoked at"), null=True, blank=True)

    class Meta:
        verbose_name = _("member token")
        verbose_name_plural = _("member tokens")

    def __str__(self) -> str:
        return f"{self.member} {self.device}"
