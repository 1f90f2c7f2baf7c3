from __future__ import annotations

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from referrals.models.bindings import Binding


class ReferralPolicy(models.Model):
    """The merchant's choices on joining and binding, from a date on; the latest past row rules."""

    class Gate(models.TextChoices):
        EVERYONE = "everyone", _("Everyone")
        REVIEW = "review", _("By application with review")

    MODES = [
        (Binding.Mode.FIRST_TOUCH.value, Binding.Mode.FIRST_TOUCH.label),
        (Binding.Mode.LAST_TOUCH.value, Binding.Mode.LAST_TOUCH.label),
        (Binding.Mode.REGISTER_ONLY.value, Binding.Mode.REGISTER_ONLY.label),
    ]

    effective_from = models.DateTimeField(_("effective from"), unique=True)
    gate = models.CharField(
        _("who may become a promoter"), max_length=16, choices=Gate.choices, default=Gate.REVIEW
    )
    binding_mode = models.CharField(
        _("binding mode"), max_length=16, choices=MODES, default=Binding.Mode.FIRST_TOUCH
    )
    binding_days = models.PositiveIntegerField(
        _("binding valid for (days)"), null=True, blank=True, help_text=_("Empty: for ever.")
    )
    protection_days = models.PositiveIntegerField(_("protection window (days)"), default=30)
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
            )
        ]

    def __str__(self) -> str:
        return f"{self.effective_from:%Y-%m-%d} {self.get_gate_display()}"
