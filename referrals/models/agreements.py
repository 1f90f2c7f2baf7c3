from __future__ import annotations

from datetime import timedelta

from django.db import models
from django.db.models import F, Q
from django.utils.translation import gettext_lazy as _

from referrals.models.members import Member

NOTICE = timedelta(days=7)  # 电子商务法 art. 34
CLAUSES_MAX = 200  # highlighted in one version
NUMBERS_CHARS = 1_000  # holds the numbers of so many clauses, with commas: 691


class Agreement(models.Model):
    """One version of a text that members sign; the text is fixed once it is published."""

    frozen_columns = (
        "code",
        "version",
        "title",
        "body",
        "body_sha256",
        "highlights",
        "worsening",
        "effective_from",
    )
    frozen_when = "published_at IS NOT NULL"

    code = models.SlugField(_("code"), max_length=32, default="promoter")
    version = models.PositiveIntegerField(_("version"))
    title = models.CharField(_("title"), max_length=100)
    body = models.TextField(_("text"))
    body_sha256 = models.CharField(_("SHA-256 of the text"), max_length=64, blank=True)
    highlights = models.TextField(
        _("highlighted clauses"),
        blank=True,
        default="",
        help_text=_("One passage of the text a line, copied exactly; the page marks them."),
    )
    worsening = models.BooleanField(
        _("worsens the promoter's position"),
        default=True,
        db_default=False,  # versions from before this was asked had no notice to keep
        help_text=_("Then it takes effect seven days after its publication at the earliest."),
    )
    effective_from = models.DateTimeField(_("effective from"))
    published_at = models.DateTimeField(_("published at"), null=True, blank=True)
    announced_at = models.DateTimeField(_("announced at"), null=True, blank=True, editable=False)

    class Meta:
        verbose_name = _("agreement")
        verbose_name_plural = _("agreements")
        constraints = [
            models.UniqueConstraint(fields=["code", "version"], name="agreement_version_once"),
            models.CheckConstraint(
                condition=Q(published_at=None)
                | Q(worsening=False)
                | Q(effective_from__gte=F("published_at") + NOTICE),
                name="agreement_gives_notice",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.title} v{self.version}"

    @property
    def passages(self) -> list[str]:
        """Return the clauses that the page marks, in their order."""
        return [line.strip() for line in self.highlights.splitlines() if line.strip()]


class AgreementAcceptance(models.Model):
    """Evidence that a member signed exactly this text; rows are chained by their hashes."""

    append_only = True

    agreement = models.ForeignKey(
        Agreement,
        models.PROTECT,
        related_name="acceptances",
        verbose_name=_("agreement"),
        db_index=False,  # acceptance_once_a_member begins with it
    )
    member = models.ForeignKey(
        Member, models.PROTECT, related_name="acceptances", verbose_name=_("member")
    )
    body_sha256 = models.CharField(_("SHA-256 of the text"), max_length=64)
    highlighted = models.CharField(
        _("highlighted clauses"),
        max_length=NUMBERS_CHARS,
        blank=True,
        default="",
        help_text=_("By number."),
    )
    openid_hmac = models.CharField(max_length=64, blank=True)
    accepted_at = models.DateTimeField(_("accepted at"))
    client_time = models.CharField(max_length=40, blank=True)
    ip_truncated = models.CharField(_("address (shortened)"), max_length=64, blank=True)
    ip_hmac = models.CharField(max_length=64, blank=True)
    user_agent = models.CharField(max_length=200, blank=True)
    app_version = models.CharField(max_length=32, blank=True)
    scene = models.CharField(_("scene"), max_length=16, blank=True, default="")
    page_path = models.CharField(max_length=128, blank=True)
    action = models.CharField(max_length=32, default="checkbox+button")
    checkbox_default_off = models.BooleanField(_("the box was off at first"), default=True)
    form = models.PositiveSmallIntegerField(
        _("form of the hash"),
        default=2,
        db_default=1,  # rows from before scene and highlighted clauses were kept
    )
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
            models.CheckConstraint(
                condition=Q(checkbox_default_off=True), name="acceptance_box_was_off"
            ),
        ]
        permissions = [
            ("export_agreementacceptance", _("Can export the evidence of a member's agreements"))
        ]

    def __str__(self) -> str:
        return f"{self.member} {self.agreement}"
