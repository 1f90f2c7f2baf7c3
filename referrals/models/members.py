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

    TRANSITIONS: ClassVar[dict[str, set[str]]] = {
        Status.ACTIVE: {Status.BLOCKED, Status.CLOSED},
        Status.BLOCKED: {Status.ACTIVE, Status.CLOSED},
        Status.CLOSED: set(),
    }

    no = models.CharField(_("member no."), max_length=32, unique=True)
    openid = models.CharField(_("openid"), max_length=64, null=True, blank=True, unique=True)
    unionid = models.CharField(_("unionid"), max_length=64, null=True, blank=True, db_index=True)
    nickname = models.CharField(_("nickname"), max_length=64, blank=True)
    phone = EncryptedTextField(_("phone"), blank=True, default="")
    phone_index = models.CharField(max_length=64, blank=True, default="", db_index=True)
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
        unique=True,
        help_text=_("Number of this person in the system the history was imported from."),
    )
    status = models.CharField(
        _("status"), max_length=16, choices=Status.choices, default=Status.ACTIVE
    )
    excluded = models.BooleanField(
        _("left out of metrics"), default=False, help_text=_("Staff and test accounts.")
    )
    joined_at = models.DateTimeField(_("joined at"), db_index=True)

    class Meta:
        verbose_name = _("member")
        verbose_name_plural = _("members")
        constraints = [
            models.CheckConstraint(
                condition=Q(status__in=["active", "blocked", "closed"]), name="member_status_known"
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
