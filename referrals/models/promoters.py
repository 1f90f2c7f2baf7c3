from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.db.models import F, Q
from django.utils.translation import gettext_lazy as _
from mptt.models import TreeForeignKey

from distro.indexes import GrowingIndex
from referrals.models.agreements import AgreementAcceptance
from referrals.models.invites import InviteCode
from referrals.models.members import Member
from referrals.models.moves import TREE_GATE_OPEN
from referrals.models.tree import PromoterManager, PromoterTree


class Grade(models.Model):  # type: ignore[django-manager-missing]  # mptt's is untyped
    """A promoter's title; plans may give it rates of its own."""

    code = models.SlugField(_("code"), max_length=32, unique=True)
    name = models.CharField(_("name"), max_length=64)
    rank = models.PositiveSmallIntegerField(_("rank"), default=0)

    class Meta:
        verbose_name = _("grade")
        verbose_name_plural = _("grades")

    def __str__(self) -> str:
        return self.name


class Promoter(PromoterTree):
    """A member approved to earn commission; a node of the referral tree.

    The truth is `parent`; `upline_1..3` repeat it for money, and the labels (tree_id, lft, rght,
    level) are a read index that lags for `pending` nodes. Rows are written by
    `referrals.services.promoters` and `referrals.bulk` only. A tree is named by its root's id.
    """

    frozen_columns = ("parent", "upline_1", "upline_2", "upline_3")
    frozen_when = "1 = 1"  # nobody changes his upline, whichever way; and no row is deleted
    frozen_unless = TREE_GATE_OPEN  # a move opens it for its own transaction

    class Status(models.TextChoices):
        ACTIVE = "active", _("Active")
        SUSPENDED = "suspended", _("Suspended")
        CLOSING = "closing", _("Being closed")
        CLOSED = "closed", _("Closed")

    PAID: ClassVar[list[str]] = ["active", "closing"]  # what they have settles and is paid out
    LEAVING: ClassVar[list[str]] = ["closing", "closed"]  # nobody new comes below them

    TRANSITIONS: ClassVar[dict[str, set[str]]] = {
        Status.ACTIVE: {Status.SUSPENDED, Status.CLOSING},
        Status.SUSPENDED: {Status.ACTIVE, Status.CLOSING},
        Status.CLOSING: {Status.ACTIVE, Status.SUSPENDED, Status.CLOSED},
        Status.CLOSED: set(),
    }

    member = models.OneToOneField(
        Member, models.PROTECT, related_name="promoter", verbose_name=_("member")
    )
    code = models.CharField(_("promoter no."), max_length=32)
    parent = TreeForeignKey(
        "self",
        models.PROTECT,
        null=True,
        blank=True,
        db_index=False,
        related_name="children",
        verbose_name=_("upline"),
    )
    upline_1 = models.ForeignKey(
        "self", models.PROTECT, null=True, blank=True, db_index=False, related_name="+"
    )
    upline_2 = models.ForeignKey(
        "self", models.PROTECT, null=True, blank=True, db_index=False, related_name="+"
    )
    upline_3 = models.ForeignKey(
        "self", models.PROTECT, null=True, blank=True, db_index=False, related_name="+"
    )
    tree_id = models.BigIntegerField(editable=False)
    lft = models.BigIntegerField(editable=False)
    rght = models.BigIntegerField(editable=False)
    level = models.PositiveIntegerField(editable=False)
    pending = models.BooleanField(default=False, editable=False)
    grade = models.ForeignKey(
        Grade, models.PROTECT, null=True, blank=True, db_index=False, verbose_name=_("grade")
    )
    status = models.CharField(
        _("status"), max_length=16, choices=Status.choices, default=Status.ACTIVE
    )
    approved_at = models.DateTimeField(_("approved at"))
    imported_at = models.DateTimeField(
        _("imported at"),
        null=True,
        blank=True,
        editable=False,
        help_text=_("Taken over from another system; he has signed nothing here by that."),
    )

    objects = PromoterManager()

    class Meta:
        verbose_name = _("promoter")
        verbose_name_plural = _("promoters")
        base_manager_name = "objects"  # closed too: what django itself uses to write
        indexes = [  # few: whatever changes a label writes a new entry into each
            models.Index(fields=["tree_id", "lft"], name="promoter_labels"),
            models.Index(fields=["parent", "lft"], name="promoter_children"),
            models.Index(fields=["id"], condition=Q(pending=True), name="promoter_pending"),
            GrowingIndex(fields=["approved_at"], name="promoter_approved"),
        ]
        constraints = [
            models.CheckConstraint(
                condition=Q(status__in=["active", "suspended", "closing", "closed"]),
                name="promoter_status_known",
            ),
            models.CheckConstraint(
                condition=Q(parent__isnull=True) | ~Q(parent=F("id")),
                name="promoter_not_own_parent",
            ),
            models.CheckConstraint(
                condition=Q(parent__isnull=True, upline_1__isnull=True)
                | Q(parent__isnull=False, upline_1=F("parent")),
                name="promoter_upline_1_is_parent",
            ),
            models.UniqueConstraint(fields=["code"], name="promoter_code_taken"),
            models.UniqueConstraint(
                fields=["tree_id"],
                condition=Q(parent__isnull=True),
                name="promoter_one_root_a_tree",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.member} ({self.code})"


class Application(models.Model):
    """A member's wish to become a promoter, decided by staff or by the gate's rule."""

    class Status(models.TextChoices):
        PENDING = "pending", _("Waiting")
        APPROVED = "approved", _("Approved")
        REJECTED = "rejected", _("Rejected")

    TRANSITIONS: ClassVar[dict[str, set[str]]] = {
        Status.PENDING: {Status.APPROVED, Status.REJECTED},
        Status.APPROVED: set(),
        Status.REJECTED: set(),
    }

    member = models.ForeignKey(
        Member, models.PROTECT, related_name="applications", verbose_name=_("member")
    )
    parent = models.ForeignKey(
        Promoter,
        models.PROTECT,
        null=True,
        blank=True,
        related_name="+",
        verbose_name=_("upline"),
    )
    acceptance = models.ForeignKey(
        AgreementAcceptance, models.PROTECT, related_name="+", verbose_name=_("signed agreement")
    )
    invite = models.ForeignKey(
        InviteCode,
        models.PROTECT,
        null=True,
        blank=True,
        related_name="applications",
        verbose_name=_("invite code"),
    )
    status = models.CharField(
        _("status"), max_length=16, choices=Status.choices, default=Status.PENDING
    )
    note = models.CharField(_("note of the applicant"), max_length=200, blank=True)
    reason = models.CharField(_("reason of the decision"), max_length=200, blank=True)
    requested_at = models.DateTimeField(_("requested at"))
    decided_at = models.DateTimeField(_("decided at"), null=True, blank=True)

    class Meta:
        verbose_name = _("promoter application")
        verbose_name_plural = _("promoter applications")
        constraints = [
            models.CheckConstraint(
                condition=Q(status__in=["pending", "approved", "rejected"]),
                name="application_status_known",
            ),
            models.UniqueConstraint(
                fields=["member"], condition=Q(status="pending"), name="application_one_open"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.member} {self.get_status_display()}"


class Hold(models.Model):
    """A reason that stops a promoter's settlement and payout until a person lifts it."""

    promoter = models.ForeignKey(
        Promoter, models.PROTECT, related_name="holds", verbose_name=_("promoter")
    )
    reason = models.CharField(_("reason"), max_length=200)
    opened_by = models.CharField(_("opened by"), max_length=64)
    opened_at = models.DateTimeField(_("opened at"))
    lifted_by = models.CharField(_("lifted by"), max_length=64, blank=True)
    lifted_at = models.DateTimeField(_("lifted at"), null=True, blank=True)

    class Meta:
        verbose_name = _("hold")
        verbose_name_plural = _("holds")
        indexes = [
            models.Index(fields=["promoter"], condition=Q(lifted_at__isnull=True), name="hold_open")
        ]

    def __str__(self) -> str:
        return f"{self.promoter}: {self.reason}"
