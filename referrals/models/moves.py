from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.db.models import F, Q
from django.utils.translation import gettext_lazy as _

TREE_GATE_OPEN = "EXISTS (SELECT 1 FROM referrals_treegate)"


class TreeGate(models.Model):
    """While its one row is there, and only for who sees it, uplines may change.

    A move writes the row and takes it away again before it commits: no other transaction ever
    sees it.
    """

    class Meta:
        constraints = [models.CheckConstraint(condition=Q(id=1), name="treegate_one")]

    def __str__(self) -> str:
        return "open"


class PromoterMove(models.Model):
    """A wish to put a promoter, with everybody below, under another upline; two persons' work."""

    class Status(models.TextChoices):
        REQUESTED = "requested", _("Waiting")
        APPROVED = "approved", _("Approved")
        REJECTED = "rejected", _("Rejected")
        CANCELLED = "cancelled", _("Cancelled")

    TRANSITIONS: ClassVar[dict[str, set[str]]] = {
        Status.REQUESTED: {Status.APPROVED, Status.REJECTED, Status.CANCELLED},
        Status.APPROVED: set(),
        Status.REJECTED: set(),
        Status.CANCELLED: set(),
    }

    promoter = models.ForeignKey(
        "referrals.Promoter", models.PROTECT, related_name="moves", verbose_name=_("promoter")
    )
    from_parent = models.ForeignKey(
        "referrals.Promoter",
        models.PROTECT,
        null=True,
        blank=True,
        related_name="+",
        verbose_name=_("upline before"),
    )
    to_parent = models.ForeignKey(
        "referrals.Promoter",
        models.PROTECT,
        null=True,
        blank=True,
        related_name="+",
        verbose_name=_("new upline"),
    )
    status = models.CharField(
        _("status"), max_length=16, choices=Status.choices, default=Status.REQUESTED
    )
    reason = models.CharField(_("reason"), max_length=200)
    requested_by = models.CharField(_("requested by"), max_length=64)
    requested_at = models.DateTimeField(_("requested at"))
    decision = models.CharField(_("reason of the decision"), max_length=200, blank=True)
    decided_by = models.CharField(_("decided by"), max_length=64, blank=True)
    decided_at = models.DateTimeField(_("decided at"), null=True, blank=True)
    moved = models.PositiveIntegerField(
        _("promoters moved"), null=True, blank=True, help_text=_("He and everybody below him.")
    )

    class Meta:
        verbose_name = _("move in the tree")
        verbose_name_plural = _("moves in the tree")
        permissions = [("decide_promotermove", "Can approve and reject moves in the tree")]
        constraints = [
            models.CheckConstraint(
                condition=Q(status__in=["requested", "approved", "rejected", "cancelled"]),
                name="promotermove_status_known",
            ),
            models.CheckConstraint(condition=~Q(reason=""), name="promotermove_has_reason"),
            models.CheckConstraint(
                condition=Q(to_parent__isnull=True) | ~Q(to_parent=F("promoter")),
                name="promotermove_not_below_himself",
            ),
            models.CheckConstraint(
                condition=Q(from_parent__isnull=True, to_parent__isnull=False)
                | Q(from_parent__isnull=False, to_parent__isnull=True)
                | Q(from_parent__isnull=False, to_parent__isnull=False)
                & ~Q(from_parent=F("to_parent")),
                name="promotermove_to_another",
            ),
            models.CheckConstraint(
                condition=Q(status="requested", decided_at__isnull=True, decided_by="")
                | ~Q(status="requested") & Q(decided_at__isnull=False) & ~Q(decided_by=""),
                name="promotermove_decided_with_who",
            ),
            models.CheckConstraint(
                condition=~Q(status="approved") | ~Q(decided_by=F("requested_by")),
                name="promotermove_two_persons",
            ),
            models.CheckConstraint(
                condition=Q(status="approved", moved__isnull=False)
                | ~Q(status="approved") & Q(moved__isnull=True),
                name="promotermove_moved_when_approved",
            ),
            models.UniqueConstraint(
                fields=["promoter"],
                condition=Q(status="requested"),
                name="promotermove_one_open",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.promoter} {self.get_status_display()}"
