from __future__ import annotations

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from referrals.models.members import Member


class Agreement(models.Model):
    """One version of a text that members sign; the text is fixed once it is published."""

    frozen_columns = ("code", "version", "title", "body", "body_sha256", "effective_from")
    frozen_when = "published_at IS NOT NULL"

    code = models.SlugField(_("code"), max_length=32, default="promoter")
    version = models.PositiveIntegerField(_("version"))
    title = models.CharField(_("title"), max_length=100)
    body = models.TextField(_("text"))
    body_sha256 = models.CharField(_("SHA-256 of the text"), max_length=64, blank=True)
    effective_from = models.DateTimeField(_("effective from"))
    published_at = models.DateTimeField(_("published at"), null=True, blank=True)

    class Meta:
        verbose_name = _("agreement")
        verbose_name_plural = _("agreements")
        constraints = [
            models.UniqueConstraint(fields=["code", "version"], name="agreement_version_once")
        ]

    def __str__(self) -> str:
        return f"{self.title} v{self.version}"


class AgreementAcceptance(models.Model):
    """Evidence that a member signed exactly this text; rows are chained by their hashes."""

    append_only = True

    agreement = models.ForeignKey(
        Agreement, models.PROTECT, related_name="acceptances", verbose_name=_("agreement")
    )
    member = models.ForeignKey(
        Member, models.PROTECT, related_name="acceptances", verbose_name=_("member")
    )
    body_sha256 = models.CharField(_("SHA-256 of the text"), max_length=64)
    openid_hmac = models.CharField(max_length=64, blank=True)
    accepted_at = models.DateTimeField(_("accepted at"))
    client_time = models.CharField(max_length=40, blank=True)
    ip_truncated = models.CharField(_("address (shortened)"), max_length=64, blank=True)
    ip_hmac = models.CharField(max_length=64, blank=True)
    user_agent = models.CharField(max_length=200, blank=True)
    app_version = models.CharField(max_length=32, blank=True)
    page_path = models.CharField(max_length=128, blank=True)
    action = models.CharField(max_length=32, default="checkbox+button")
    prev_row_hash = models.CharField(max_length=64, blank=True)
    row_hash = models.CharField(max_length=64, unique=True)

    class Meta:
        verbose_name = _("agreement acceptance")
        verbose_name_plural = _("agreement acceptances")
        constraints = [
            models.UniqueConstraint(
                fields=["agreement", "member"], name="acceptance_once_a_member"
            ),
            models.UniqueConstraint(
                fields=["prev_row_hash"],
                condition=~Q(prev_row_hash=""),
                name="acceptance_chain_is_a_line",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.member} {self.agreement}"
