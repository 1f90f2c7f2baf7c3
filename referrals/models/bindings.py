from __future__ import annotations

from django.db import models
from django.db.models import F, Q
from django.utils.translation import gettext_lazy as _

from referrals.models.members import Member
from referrals.models.promoters import Promoter


class ShareLink(models.Model):
    """A short opaque code that a member shares; carries target and channel.

    What a code says stays what it said when it was shared: only its end and its faults change.
    """

    frozen_columns = (
        "code", "member", "target", "target_ref", "channel", "employee_only", "created_at",
    )  # fmt: skip
    frozen_when = "1 = 1"

    class Target(models.TextChoices):
        HOME = "home", _("Home page")
        PRODUCT = "product", _("Product")
        CAMPAIGN = "campaign", _("Campaign")
        MATERIAL = "material", _("Material")
        LIVE = "live", _("Live room")
        RECRUIT = "recruit", _("Become a promoter")

    class Channel(models.TextChoices):
        CHAT = "chat", _("Chat")
        GROUP = "group", _("Group")
        MOMENTS = "moments", _("Moments")
        POSTER = "poster", _("Poster")
        STORE = "store", _("Offline store")
        OTHER = "other", _("Other")

    class Fault(models.TextChoices):
        GONE = "gone", _("It does not exist")
        ENDED = "ended", _("It is over or no longer offered")
        NOT_OPEN = "not_open", _("It is not open yet")

    WITH_OBJECT = (Target.PRODUCT, Target.CAMPAIGN, Target.MATERIAL, Target.LIVE)

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
    employee_only = models.BooleanField(
        _("employee's code"),
        default=False,
        help_text=_("Shown by an employee at work; it binds nobody and earns nothing."),
    )
    created_at = models.DateTimeField(_("created at"))
    expires_at = models.DateTimeField(_("expires at"), null=True, blank=True)
    revoked_at = models.DateTimeField(_("revoked at"), null=True, blank=True)
    revoked_by = models.CharField(_("revoked by"), max_length=64, blank=True)
    revoke_reason = models.CharField(_("reason of revoking"), max_length=200, blank=True)
    broken_since = models.DateTimeField(_("target broken since"), null=True, blank=True)
    broken_reason = models.CharField(
        _("what is broken"), max_length=16, choices=Fault.choices, blank=True
    )

    class Meta:
        verbose_name = _("share link")
        verbose_name_plural = _("share links")
        indexes = [
            models.Index(fields=["member", "-id"], name="share_link_by_member"),
            models.Index(
                fields=["target", "target_ref"],
                condition=Q(revoked_at__isnull=True),
                name="share_link_by_target",
            ),
            models.Index(
                fields=["target"],
                condition=Q(broken_since__isnull=False),
                name="share_link_broken",
            ),
        ]
        constraints = [
            models.CheckConstraint(
                condition=Q(target__in=["home", "recruit"], target_ref="")
                | (Q(target__in=["product", "campaign", "material", "live"]) & ~Q(target_ref="")),
                name="share_link_target_fits_object",
            ),
            models.CheckConstraint(
                condition=Q(channel__in=["chat", "group", "moments", "poster", "store", "other"]),
                name="share_link_channel_known",
            ),
            models.CheckConstraint(
                condition=Q(broken_since__isnull=True, broken_reason="")
                | (Q(broken_since__isnull=False) & ~Q(broken_reason="")),
                name="share_link_broken_has_reason",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.code} ({self.get_channel_display()})"


class Visit(models.Model):
    """One opening of a share link; known persons carry their member, others only keyed hashes.

    Once written it stays, save two things: a stranger who logs in gives it his member, and device
    and address are forgotten after a time.
    """

    frozen_columns = ("link", "visit_key", "scene", "occurred_at", "key_version")
    frozen_when = "1 = 1"
    closed_when = (
        "EXISTS (SELECT 1 FROM referrals_visit v WHERE v.id = NEW.id AND ("
        " (v.member_id IS NOT NULL"
        "  AND (NEW.member_id IS NULL OR NEW.member_id <> v.member_id OR NEW.outcome <> v.outcome))"
        " OR NEW.device_hmac NOT IN ('', v.device_hmac)"
        " OR NEW.ip_hmac NOT IN ('', v.ip_hmac)"
        " OR NEW.ip_truncated NOT IN ('', v.ip_truncated)))"
    )

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
    outcome = models.CharField(_("what it did"), max_length=24, blank=True)
    device_hmac = models.CharField(max_length=64, blank=True)
    ip_hmac = models.CharField(max_length=64, blank=True)
    ip_truncated = models.CharField(_("address (shortened)"), max_length=64, blank=True)
    key_version = models.CharField(max_length=16, blank=True)
    forgotten_at = models.DateTimeField(_("device forgotten at"), null=True, blank=True)
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
            ),
            models.Index(
                fields=["occurred_at"],
                condition=Q(forgotten_at__isnull=True),
                name="visit_to_forget",
            ),
        ]
        constraints = [
            models.CheckConstraint(
                condition=Q(forgotten_at__isnull=True)
                | Q(device_hmac="", ip_hmac="", ip_truncated=""),
                name="visit_forgotten_is_empty",
            )
        ]

    def __str__(self) -> str:
        return f"{self.link_id} {self.occurred_at:%Y-%m-%d %H:%M}"


class Binding(models.Model):
    """The customer relation member -> promoter; every change is a row of its own.

    How it began never changes; only its end is written, once.
    """

    frozen_columns = (
        "member", "promoter", "mode", "link", "started_at", "expires_at", "protected_until",
        "reason", "made_by",
    )  # fmt: skip
    frozen_when = "1 = 1"

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
        CLOSED = "closed", _("Account closed")
        MERGED = "merged", _("Accounts merged")

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
    ended_by = models.CharField(_("ended by"), max_length=64, blank=True)
    end_note = models.CharField(_("why it was ended"), max_length=200, blank=True)

    class Meta:
        verbose_name = _("customer binding")
        verbose_name_plural = _("customer bindings")
        constraints = [
            models.UniqueConstraint(
                fields=["member"], condition=Q(ended_at__isnull=True), name="binding_one_open"
            ),
            models.CheckConstraint(
                condition=Q(
                    mode__in=["first_touch", "last_touch", "register_only", "import", "manual"]
                ),
                name="binding_mode_known",
            ),
            models.CheckConstraint(
                condition=Q(expires_at__isnull=True) | Q(expires_at__gt=F("started_at")),
                name="binding_expires_after_start",
            ),
            models.CheckConstraint(
                condition=Q(protected_until__isnull=True)
                | Q(protected_until__gt=F("started_at"), expires_at__isnull=True)
                | Q(protected_until__gt=F("started_at"), expires_at__gte=F("protected_until")),
                name="binding_protected_while_valid",
            ),
            models.CheckConstraint(
                condition=Q(ended_at__isnull=True, end_reason="")
                | (Q(ended_at__isnull=False) & ~Q(end_reason="")),
                name="binding_end_has_reason",
            ),
            models.CheckConstraint(
                condition=Q(ended_at__isnull=True) | Q(ended_at__gte=F("started_at")),
                name="binding_ends_after_start",
            ),
            models.CheckConstraint(
                condition=~Q(mode="manual") | ~Q(reason=""), name="binding_manual_has_reason"
            ),
        ]
        indexes = [models.Index(fields=["promoter", "-id"], name="binding_by_promoter")]
        permissions = [
            ("view_timeline", _("Can see what brought a customer to whom")),
            ("export_timeline", _("Can download a customer's timeline as evidence")),
        ]

    def __str__(self) -> str:
        return f"{self.member} → {self.promoter}"
