from __future__ import annotations

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from referrals.models.members import Member
from referrals.models.promoters import Promoter


class ShareLink(models.Model):
    """A short opaque code that a member shares; carries target and channel."""

    class Target(models.TextChoices):
        HOME = "home", _("Home page")
        PRODUCT = "product", _("Product")
        CAMPAIGN = "campaign", _("Campaign")
        RECRUIT = "recruit", _("Become a promoter")

    class Channel(models.TextChoices):
        CHAT = "chat", _("Chat")
        GROUP = "group", _("Group")
        MOMENTS = "moments", _("Moments")
        POSTER = "poster", _("Poster")
        STORE = "store", _("Offline store")
        OTHER = "other", _("Other")

    code = models.CharField(_("code"), max_length=16, unique=True)
    member = models.ForeignKey(
        Member, models.PROTECT, related_name="share_links", verbose_name=_("shared by")
    )
    target = models.CharField(
        _("target"), max_length=16, choices=Target.choices, default=Target.HOME
    )
    target_ref = models.CharField(_("target object"), max_length=64, blank=True)
    channel = models.CharField(
        _("channel"), max_length=16, choices=Channel.choices, default=Channel.CHAT
    )
    created_at = models.DateTimeField(_("created at"))
    expires_at = models.DateTimeField(_("expires at"), null=True, blank=True)
    revoked_at = models.DateTimeField(_("revoked at"), null=True, blank=True)

    class Meta:
        verbose_name = _("share link")
        verbose_name_plural = _("share links")
        indexes = [models.Index(fields=["member", "-id"], name="share_link_by_member")]

    def __str__(self) -> str:
        return f"{self.code} ({self.get_channel_display()})"


class Visit(models.Model):
    """One opening of a share link; known persons carry their member, others only keyed hashes."""

    append_only = True

    link = models.ForeignKey(
        ShareLink, models.PROTECT, related_name="visits", verbose_name=_("share link")
    )
    visit_key = models.CharField(max_length=64, unique=True)
    member = models.ForeignKey(
        Member,
        models.PROTECT,
        null=True,
        blank=True,
        related_name="visits",
        verbose_name=_("member"),
    )
    device_hmac = models.CharField(max_length=64, blank=True)
    ip_hmac = models.CharField(max_length=64, blank=True)
    ip_truncated = models.CharField(_("address (shortened)"), max_length=64, blank=True)
    scene = models.CharField(_("WeChat scene"), max_length=16, blank=True)
    occurred_at = models.DateTimeField(_("occurred at"), db_index=True)

    class Meta:
        verbose_name = _("visit")
        verbose_name_plural = _("visits")
        indexes = [
            models.Index(
                fields=["device_hmac", "occurred_at"],
                condition=~Q(device_hmac=""),
                name="visit_by_device",
            )
        ]

    def __str__(self) -> str:
        return f"{self.link_id} {self.occurred_at:%Y-%m-%d %H:%M}"


class Binding(models.Model):
    """The customer relation member -> promoter; every change is a row of its own."""

    class Mode(models.TextChoices):
        FIRST_TOUCH = "first_touch", _("First touch")
        LAST_TOUCH = "last_touch", _("Last touch")
        REGISTER_ONLY = "register_only", _("Registration only")
        IMPORT = "import", _("Import")
        MANUAL = "manual", _("By staff")

    class EndReason(models.TextChoices):
        EXPIRED = "expired", _("Expired")
        REBOUND = "rebound", _("Bound to another promoter")
        ENDED_BY_STAFF = "staff", _("Ended by staff")

    member = models.ForeignKey(
        Member, models.PROTECT, related_name="bindings", verbose_name=_("customer")
    )
    promoter = models.ForeignKey(
        Promoter, models.PROTECT, related_name="bindings", verbose_name=_("promoter")
    )
    mode = models.CharField(_("mode"), max_length=16, choices=Mode.choices)
    link = models.ForeignKey(
        ShareLink,
        models.PROTECT,
        null=True,
        blank=True,
        related_name="bindings",
        verbose_name=_("share link"),
    )
    started_at = models.DateTimeField(_("started at"))
    expires_at = models.DateTimeField(_("expires at"), null=True, blank=True)
    protected_until = models.DateTimeField(_("protected until"), null=True, blank=True)
    reason = models.CharField(_("reason"), max_length=200, blank=True)
    made_by = models.CharField(_("made by"), max_length=64)
    ended_at = models.DateTimeField(_("ended at"), null=True, blank=True)
    end_reason = models.CharField(
        _("end reason"), max_length=16, choices=EndReason.choices, blank=True
    )

    class Meta:
        verbose_name = _("customer binding")
        verbose_name_plural = _("customer bindings")
        constraints = [
            models.UniqueConstraint(
                fields=["member"], condition=Q(ended_at__isnull=True), name="binding_one_open"
            ),
            models.CheckConstraint(
                condition=Q(expires_at__isnull=True) | Q(expires_at__gt=models.F("started_at")),
                name="binding_expires_after_start",
            ),
            models.CheckConstraint(
                condition=Q(ended_at__isnull=True, end_reason="")
                | (Q(ended_at__isnull=False) & ~Q(end_reason="")),
                name="binding_end_has_reason",
            ),
        ]
        indexes = [models.Index(fields=["promoter", "-id"], name="binding_by_promoter")]

    def __str__(self) -> str:
        return f"{self.member} → {self.promoter}"
