from __future__ import annotations

from typing import ClassVar

from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from referrals.models.bindings import Binding
from referrals.models.overrides import LegalOverride

DAYS_MAX = 36_500  # a hundred years; dates end at the year 9999


class ReferralPolicy(models.Model):
    """The merchant's choices on joining and binding, from a date on; the latest past row rules."""

    # A purchase gate enters only with an override that two persons approved and that still runs.
    closed_when = """NEW.override_id IS NOT NULL AND NOT EXISTS (
        SELECT 1 FROM referrals_legaloverride o WHERE o.id = NEW.override_id
        AND o.subject = 'purchase_gate' AND o.status = 'approved'
        AND o.expires_at > NEW.effective_from)"""

    class Gate(models.TextChoices):
        EVERYONE = "everyone", _("Everyone")
        REVIEW = "review", _("By application with review")
        INVITE = "invite", _("With a free invite code")
        IDENTITY = "identity", _("Who has a verified identity")
        PURCHASE = "purchase", _("After a purchase (legal override)")

    MODES: ClassVar = [
        (Binding.Mode.FIRST_TOUCH.value, Binding.Mode.FIRST_TOUCH.label),
        (Binding.Mode.LAST_TOUCH.value, Binding.Mode.LAST_TOUCH.label),
        (Binding.Mode.REGISTER_ONLY.value, Binding.Mode.REGISTER_ONLY.label),
    ]

    effective_from = models.DateTimeField(_("effective from"), unique=True)
    gate = models.CharField(
        _("who may become a promoter"), max_length=16, choices=Gate.choices, default=Gate.REVIEW
    )
    entry_fee_fen = models.BigIntegerField(_("entry fee (fen)"), default=0, editable=False)
    min_purchase_to_join_fen = models.BigIntegerField(
        _("purchase needed to join (fen)"),
        default=0,
        help_text=_("0 unless a legal override says otherwise: it is a disguised entry fee."),
    )
    override = models.ForeignKey(
        LegalOverride,
        models.PROTECT,
        null=True,
        blank=True,
        related_name="policies",
        verbose_name=_("legal override"),
    )
    binding_mode = models.CharField(
        _("binding mode"), max_length=16, choices=MODES, default=Binding.Mode.FIRST_TOUCH
    )
    binding_days = models.PositiveIntegerField(
        _("binding valid for (days)"),
        null=True,
        blank=True,
        validators=[MaxValueValidator(DAYS_MAX)],
        help_text=_("Empty: for ever."),
    )
    protection_days = models.PositiveIntegerField(
        _("protection window (days)"), default=30, validators=[MaxValueValidator(DAYS_MAX)]
    )
    identity_review = models.BooleanField(
        _("identities are reviewed by staff"),
        default=True,
        help_text=_("Off only in the demo: a well-formed identity is accepted at once."),
    )

    class Meta:
        verbose_name = _("referral policy")
        verbose_name_plural = _("referral policies")
        constraints = [
            models.CheckConstraint(
                condition=Q(binding_days__isnull=True) | Q(binding_days__gte=1),
                name="policy_binding_days_positive",
            ),
            models.CheckConstraint(
                condition=(Q(binding_days__isnull=True) | Q(binding_days__lte=DAYS_MAX))
                & Q(protection_days__lte=DAYS_MAX),
                name="policy_days_bounded",
            ),
            models.CheckConstraint(
                condition=Q(gate__in=["everyone", "review", "invite", "identity", "purchase"]),
                name="policy_gate_known",
            ),
            models.CheckConstraint(
                condition=Q(entry_fee_fen=0),
                name="policy_no_entry_fee",
                violation_error_message=_("Joining never costs a fee."),
            ),
            models.CheckConstraint(
                condition=Q(gate="purchase", min_purchase_to_join_fen__gt=0, override__isnull=False)
                | ~Q(gate="purchase") & Q(min_purchase_to_join_fen=0, override__isnull=True),
                name="policy_purchase_needs_override",
                violation_error_message=_(
                    "A purchase may be asked for only by the purchase gate, with its amount and a"
                    " legal override; every other gate has neither."
                ),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.effective_from:%Y-%m-%d} {self.get_gate_display()}"

    def clean(self) -> None:
        """Say what the trigger would refuse."""
        override = self.override
        if override and self.effective_from and not override.covers(self.effective_from):
            raise ValidationError({"override": _("This override is not in force at that time.")})
