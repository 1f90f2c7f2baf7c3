from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from referrals.models.promoters import Promoter


class Quitting(models.Model):
    """A promoter's own wish to stop; done when his account is closed.

    Meanwhile he makes no new links and gets no new customers. What he earned stays his, earlier
    bindings and orders go on, and he may take it back.
    """

    class Status(models.TextChoices):
        REQUESTED = "requested", _("Wants to quit")
        WITHDRAWN = "withdrawn", _("Stays after all")
        DONE = "done", _("Account closed")

    TRANSITIONS: ClassVar[dict[str, set[str]]] = {
        Status.REQUESTED: {Status.WITHDRAWN, Status.DONE},
        Status.WITHDRAWN: set(),
        Status.DONE: set(),
    }

    promoter = models.ForeignKey(
        Promoter, models.PROTECT, related_name="quittings", verbose_name=_("promoter")
    )
    status = models.CharField(
        _("status"), max_length=16, choices=Status.choices, default=Status.REQUESTED
    )
    note = models.CharField(_("note of the promoter"), max_length=200, blank=True)
    requested_at = models.DateTimeField(_("requested at"))
    ended_at = models.DateTimeField(_("ended at"), null=True, blank=True)

    class Meta:
        verbose_name = _("quitting")
        verbose_name_plural = _("quittings")
        constraints = [
            models.CheckConstraint(
                condition=Q(status__in=["requested", "withdrawn", "done"]),
                name="quitting_status_known",
            ),
            models.CheckConstraint(
                condition=Q(status="requested", ended_at=None)
                | ~Q(status="requested") & Q(ended_at__isnull=False),
                name="quitting_end_has_a_time",
            ),
            models.UniqueConstraint(
                fields=["promoter"], condition=Q(status="requested"), name="quitting_one_open"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.promoter} {self.get_status_display()}"
