from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.db.models import F, Q
from django.utils.translation import gettext_lazy as _

from referrals.models.members import Member


class Merge(models.Model):
    """Two accounts of one person become one: `merged` gives way to `survivor`.

    Found at a log-in it is done by the system, or proposed where both are promoters; asked for by
    staff it wants a second person. `carried_at`: all customers of the one that gives way are
    those of the one that stays.
    """

    frozen_columns = ("merged", "survivor", "reason", "requested_by", "requested_at")
    frozen_when = "1 = 1"

    class Status(models.TextChoices):
        PROPOSED = "proposed", _("Waiting for a second person")
        DONE = "done", _("Merged")
        REFUSED = "refused", _("Refused")

    TRANSITIONS: ClassVar[dict[str, set[str]]] = {
        Status.PROPOSED: {Status.DONE, Status.REFUSED},
        Status.DONE: set(),
        Status.REFUSED: set(),
    }

    merged = models.ForeignKey(
        Member,
        models.PROTECT,
        related_name="merges_away",
        verbose_name=_("account that gives way"),
    )
    survivor = models.ForeignKey(
        Member, models.PROTECT, related_name="merges", verbose_name=_("account that stays")
    )
    status = models.CharField(
        _("status"), max_length=16, choices=Status.choices, default=Status.PROPOSED
    )
    reason = models.CharField(_("reason"), max_length=200)
    requested_by = models.CharField(_("requested by"), max_length=64)
    requested_at = models.DateTimeField(_("requested at"))
    decision = models.CharField(_("reason of the decision"), max_length=200, blank=True)
    decided_by = models.CharField(_("decided by"), max_length=64, blank=True)
    decided_at = models.DateTimeField(_("decided at"), null=True, blank=True)
    carried_at = models.DateTimeField(_("customers carried over at"), null=True, blank=True)

    class Meta:
        verbose_name = _("merge of accounts")
        verbose_name_plural = _("merges of accounts")
        constraints = [
            models.CheckConstraint(
                condition=Q(status__in=["proposed", "done", "refused"]), name="merge_status_known"
            ),
            models.CheckConstraint(
                condition=~Q(merged=F("survivor")), name="merge_of_two_accounts"
            ),
            models.CheckConstraint(condition=~Q(reason=""), name="merge_has_reason"),
            models.CheckConstraint(
                condition=Q(status="proposed", decided_at=None, decided_by="")
                | ~Q(status="proposed") & Q(decided_at__isnull=False) & ~Q(decided_by=""),
                name="merge_decided_with_who",
            ),
            models.CheckConstraint(
                condition=~Q(status="done")
                | ~Q(decided_by=F("requested_by"))
                | Q(requested_by="system:0"),
                name="merge_two_persons",
            ),
            models.CheckConstraint(
                condition=Q(carried_at=None) | Q(status="done"), name="merge_carried_when_done"
            ),
            models.UniqueConstraint(
                fields=["merged"], condition=Q(status="done"), name="merge_once"
            ),
            models.UniqueConstraint(
                fields=["merged"], condition=Q(status="proposed"), name="merge_one_open"
            ),
        ]
        indexes = [
            models.Index(
                fields=["id"],
                condition=Q(status="done", carried_at__isnull=True),
                name="merge_to_carry",
            )
        ]
        permissions = [("decide_merge", _("Can approve and refuse merges of accounts"))]

    def __str__(self) -> str:
        return f"{self.merged} → {self.survivor}"
