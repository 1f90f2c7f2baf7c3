from __future__ import annotations

from django.db import models
from django.db.models import F, Q
from django.utils.translation import gettext_lazy as _

USES_MAX = 10_000


class InviteCode(models.Model):
    """A free way through the invite gate; staff make it and give it away, nobody sells it.

    It says nothing about the upline: that is the applicant's binding, as with every other gate.
    """

    code = models.CharField(_("code"), max_length=8, unique=True, editable=False)
    note = models.CharField(_("whom it is for"), max_length=100, blank=True)
    uses_max = models.PositiveIntegerField(_("uses"), default=1)
    used = models.PositiveIntegerField(_("used"), default=0, editable=False)
    made_by = models.CharField(_("made by"), max_length=64, editable=False)
    made_at = models.DateTimeField(_("made at"), editable=False)
    expires_at = models.DateTimeField(_("expires at"), null=True, blank=True)
    revoked_at = models.DateTimeField(_("revoked at"), null=True, blank=True, editable=False)

    class Meta:
        verbose_name = _("invite code")
        verbose_name_plural = _("invite codes")
        constraints = [
            models.CheckConstraint(
                condition=Q(uses_max__gte=1, uses_max__lte=USES_MAX), name="invite_uses_in_range"
            ),
            models.CheckConstraint(
                condition=Q(used__lte=F("uses_max")), name="invite_not_overused"
            ),
        ]

    def __str__(self) -> str:
        return self.code
