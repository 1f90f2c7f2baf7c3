from __future__ import annotations

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from referrals.models.members import Member
from referrals.rules import exposure as rules

SHOWN = sorted(reason.value for reason in rules.SHOWN)
HIDDEN = sorted(reason.value for reason in rules.Reason if reason not in rules.SHOWN)


class ExposurePolicy(models.Model):
    """Who sees the promoter entry, from a date on; the latest past row rules."""

    frozen_columns = ("effective_from", "segment", "tag", "holdout_bps", "salt", "why", "made_by")
    frozen_when = "effective_from <= CURRENT_TIMESTAMP"

    class Segment(models.TextChoices):
        EVERYONE = rules.EVERYONE, _("Everyone")
        RECEIVED = rules.RECEIVED, _("Members who have received an order")
        PROMOTERS = rules.PROMOTERS, _("Promoters only")
        NOBODY = rules.NOBODY, _("Nobody")
        TAG = rules.TAG, _("Members with a tag")

    effective_from = models.DateTimeField(
        _("effective from"), unique=True, help_text=_("A moment that has passed means: at once.")
    )
    segment = models.CharField(
        _("who sees the promoter entry"),
        max_length=16,
        choices=Segment.choices,
        default=Segment.EVERYONE,
    )
    tag = models.CharField(_("tag"), max_length=32, blank=True)
    holdout_bps = models.PositiveIntegerField(
        _("never sees it, at random (bps)"),
        default=1_000,
        help_text=_(
            "The part of all members that is compared with the others. It has to stay the same"
            " for twelve months, or nothing can be said about the effect."
        ),
    )
    salt = models.CharField(
        _("draw"),
        max_length=32,
        blank=True,
        help_text=_("The same text draws the same members; another one draws anew."),
    )
    why = models.CharField(
        _("why the draw changes"),
        max_length=200,
        blank=True,
        help_text=_("Needed only when the draw changes within twelve months."),
    )
    made_by = models.CharField(_("made by"), max_length=64, blank=True)

    class Meta:
        verbose_name = _("exposure policy")
        verbose_name_plural = _("exposure policies")
        constraints = [
            models.CheckConstraint(
                condition=Q(segment__in=["everyone", "received", "promoters", "nobody", "tag"]),
                name="exposure_segment_known",
            ),
            models.CheckConstraint(
                condition=(Q(segment="tag") & ~Q(tag="")) | (~Q(segment="tag") & Q(tag="")),
                name="exposure_tag_fits_segment",
            ),
            models.CheckConstraint(
                condition=Q(holdout_bps=0) | (Q(holdout_bps__lte=10_000) & ~Q(salt="")),
                name="exposure_holdout_has_salt",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.effective_from:%Y-%m-%d} {self.get_segment_display()}"


class ExposureInvitation(models.Model):
    """Staff opened the promoter entry for one member, whatever the policy says."""

    member = models.ForeignKey(
        Member, models.PROTECT, related_name="exposure_invitations", verbose_name=_("member")
    )
    reason = models.CharField(_("reason"), max_length=200)
    made_by = models.CharField(_("made by"), max_length=64)
    made_at = models.DateTimeField(_("made at"))
    ended_by = models.CharField(_("taken back by"), max_length=64, blank=True)
    ended_at = models.DateTimeField(_("taken back at"), null=True, blank=True)
    end_reason = models.CharField(_("reason for taking it back"), max_length=200, blank=True)

    class Meta:
        verbose_name = _("invitation to promote")
        verbose_name_plural = _("invitations to promote")
        constraints = [
            models.UniqueConstraint(
                fields=["member"],
                condition=Q(ended_at__isnull=True),
                name="exposure_invitation_one_open",
            ),
            models.CheckConstraint(
                condition=Q(ended_at__isnull=True, ended_by="", end_reason="")
                | (Q(ended_at__isnull=False) & ~Q(ended_by="") & ~Q(end_reason="")),
                name="exposure_invitation_end_has_reason",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.member} {self.made_at:%Y-%m-%d}"


class ExposureDecision(models.Model):
    """What a member was told about the promoter entry; a new row only when it differs.

    `number` counts a member's rows from 1: of two equal decisions at once one is stored.
    """

    append_only = True

    class Reason(models.TextChoices):
        EVERYONE = rules.Reason.EVERYONE.value, _("shown to everyone")
        IS_PROMOTER = rules.Reason.IS_PROMOTER.value, _("is a promoter")
        INVITED = rules.Reason.INVITED.value, _("invited by staff")
        HAS_RECEIVED = rules.Reason.HAS_RECEIVED.value, _("has received an order")
        HAS_TAG = rules.Reason.HAS_TAG.value, _("has the tag")
        HOLDOUT = rules.Reason.HOLDOUT.value, _("drawn not to see it")
        NOBODY = rules.Reason.NOBODY.value, _("shown to nobody")
        PROMOTERS_ONLY = rules.Reason.PROMOTERS_ONLY.value, _("shown to promoters only")
        NOT_RECEIVED = rules.Reason.NOT_RECEIVED.value, _("has not received an order")
        NO_TAG = rules.Reason.NO_TAG.value, _("does not have the tag")

    member = models.ForeignKey(
        Member, models.PROTECT, related_name="exposures", verbose_name=_("member")
    )
    number = models.PositiveIntegerField(_("number"))
    policy = models.ForeignKey(
        ExposurePolicy,
        models.PROTECT,
        null=True,
        blank=True,
        related_name="decisions",
        verbose_name=_("policy"),
    )
    shown = models.BooleanField(_("sees the entry"))
    reason = models.CharField(_("reason"), max_length=16, choices=Reason.choices)
    in_holdout = models.BooleanField(_("in the holdout"))
    bucket = models.PositiveIntegerField(_("place in the draw"), null=True, blank=True)
    decided_at = models.DateTimeField(_("told at"), db_index=True)

    class Meta:
        verbose_name = _("exposure decision")
        verbose_name_plural = _("exposure decisions")
        constraints = [
            models.UniqueConstraint(
                fields=["member", "number"], name="exposure_decision_number_once"
            ),
            models.CheckConstraint(
                condition=Q(shown=True, reason__in=SHOWN) | Q(shown=False, reason__in=HIDDEN),
                name="exposure_decision_reason_fits",
            ),
            models.CheckConstraint(
                condition=Q(in_holdout=False) & ~Q(reason="holdout")
                | Q(in_holdout=True, bucket__isnull=False, policy__isnull=False),
                name="exposure_decision_holdout_was_drawn",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.member} {self.get_reason_display()}"
