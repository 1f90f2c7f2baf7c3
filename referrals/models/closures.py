from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from referrals.models.members import Member
from referrals.models.quitting import Quitting


class Closure(models.Model):
    """The closing of an account: asked for, waiting until nothing is left, then done.

    What it waited for when it was last looked at stands in `waits`, as rows of (kind, fen).
    """

    frozen_columns = ("member", "quitting", "reason", "requested_by", "requested_at")
    frozen_when = "1 = 1"

    class Scope(models.TextChoices):
        PROMOTER = "promoter", _("Only the promoter")
        ACCOUNT = "account", _("The whole account")

    class Status(models.TextChoices):
        WAITING = "waiting", _("Waits until nothing is left")
        DONE = "done", _("Closed")
        CANCELLED = "cancelled", _("Taken back")

    class Wait(models.TextChoices):
        FROZEN = "frozen", _("Commission that is not settled yet")
        AVAILABLE = "available", _("Money to withdraw")
        WITHDRAWING = "withdrawing", _("A withdrawal on its way")
        OWED = "owed", _("A debt to be paid back or written off")
        FACTS = "facts", _("An order that is still being worked on")
        HELD = "held", _("A hold that a person has to decide")
        SUSPENDED = "suspended", _("A suspension that a person has to decide")
        BLOCKED = "blocked", _("A block that a person has to decide")
        ORDERS = "orders", _("Orders that are not past their return period")
        REFUNDS = "refunds", _("Refunds that are not finished")
        FORMER = "former", _("A former account that is not empty yet")

    TRANSITIONS: ClassVar[dict[str, set[str]]] = {
        Status.WAITING: {Status.DONE, Status.CANCELLED},
        Status.DONE: set(),
        Status.CANCELLED: set(),
    }

    member = models.ForeignKey(
        Member, models.PROTECT, related_name="closures", verbose_name=_("member")
    )
    scope = models.CharField(_("what is closed"), max_length=16, choices=Scope.choices)
    quitting = models.ForeignKey(
        Quitting,
        models.PROTECT,
        null=True,
        blank=True,
        related_name="closures",
        verbose_name=_("wish to quit"),
    )
    status = models.CharField(
        _("status"), max_length=16, choices=Status.choices, default=Status.WAITING
    )
    reason = models.CharField(_("reason"), max_length=200, blank=True)
    waits = models.JSONField(_("waits for"), default=list)
    requested_by = models.CharField(_("requested by"), max_length=64)
    requested_at = models.DateTimeField(_("requested at"))
    ended_at = models.DateTimeField(_("ended at"), null=True, blank=True)
    cleared_at = models.DateTimeField(_("customers set free at"), null=True, blank=True)

    class Meta:
        verbose_name = _("account closing")
        verbose_name_plural = _("account closings")
        constraints = [
            models.CheckConstraint(
                condition=Q(status__in=["waiting", "done", "cancelled"]),
                name="closure_status_known",
            ),
            models.CheckConstraint(
                condition=Q(scope__in=["promoter", "account"]), name="closure_scope_known"
            ),
            models.CheckConstraint(
                condition=Q(status="waiting", ended_at=None)
                | ~Q(status="waiting") & Q(ended_at__isnull=False),
                name="closure_end_has_a_time",
            ),
            models.CheckConstraint(
                condition=Q(cleared_at=None) | Q(status="done"), name="closure_cleared_when_done"
            ),
            models.UniqueConstraint(
                fields=["member"], condition=Q(status="waiting"), name="closure_one_open"
            ),
        ]
        indexes = [
            models.Index(
                fields=["id"],
                condition=Q(status="done", cleared_at__isnull=True),
                name="closure_to_clear",
            )
        ]
        permissions = [
            ("close_account", _("Can close accounts and block members")),
        ]

    def __str__(self) -> str:
        return f"{self.member} {self.get_status_display()}"
