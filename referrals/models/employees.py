from __future__ import annotations

from django.conf import settings
from django.db import models
from django.db.models import F, Q
from django.utils.translation import gettext_lazy as _

from referrals.models.members import Member


class Employee(models.Model):
    """A member who works for the shop: at work he shows codes that earn nothing.

    staff: who he is in this admin, so that he decides on no customer of his own.
    """

    member = models.OneToOneField(
        Member, models.PROTECT, related_name="employee", verbose_name=_("member")
    )
    staff = models.OneToOneField(
        settings.AUTH_USER_MODEL,
        models.PROTECT,
        null=True,
        blank=True,
        related_name="employee",
        verbose_name=_("staff user"),
        help_text=_("Who this member is in this admin, if he works here."),
    )
    since = models.DateTimeField(_("employed since"))
    left_at = models.DateTimeField(_("left at"), null=True, blank=True)
    made_by = models.CharField(_("made by"), max_length=64)

    class Meta:
        verbose_name = _("employee")
        verbose_name_plural = _("employees")
        constraints = [
            models.CheckConstraint(
                condition=Q(left_at__isnull=True) | Q(left_at__gte=F("since")),
                name="employee_leaves_after_start",
            )
        ]

    def __str__(self) -> str:
        return str(self.member)
