from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.db.models import F, Q
from django.utils.translation import gettext_lazy as _

from distro.money import FEN_MAX
from referrals.models import Promoter


class WithdrawalRequest(models.Model):
    """What the promoter asked for: one sum, decided once, paid by one or more withdrawals."""

    class Reason(models.TextChoices):
        FIRST = "first", _("First withdrawal of this person")
        LARGE = "large", _("Large sum")
        DAY_SUM = "day_sum", _("Large sum in one day: two persons decide")
        MONTH_SUM = "month_sum", _("Large sum in one month: two persons decide")
        JUST_BELOW = "just_below", _("Several sums just below a limit")
        PAYEE_CHANGED = "payee_changed", _("Paid to another person than before")
        PAYEE_SHARED = "payee_shared", _("The same person is paid through another account")

    frozen_columns = (
        "number",
        "promoter_id",
        "amount_fen",
        "estimated_tax_fen",
        "review_reasons",
        "approvals_needed",
        "made_by",
        "requested_at",
    )
    frozen_when = "1 = 1"

    number = models.CharField(_("request no."), max_length=32, unique=True)
    promoter = models.ForeignKey(
        Promoter, models.PROTECT, related_name="withdrawal_requests", verbose_name=_("promoter")
    )
    amount_fen = models.BigIntegerField(_("amount (fen)"))
    estimated_tax_fen = models.BigIntegerField(_("estimated tax (fen)"))
    review_reasons = models.JSONField(_("why it is reviewed"), default=list)
    approvals_needed = models.PositiveSmallIntegerField(_("approvals needed"), default=0)
    made_by = models.CharField(_("made by"), max_length=64)
    requested_at = models.DateTimeField(_("requested at"))

    class Meta:
        verbose_name = _("withdrawal request")
        verbose_name_plural = _("withdrawal requests")
        constraints = [
            models.CheckConstraint(
                condition=Q(amount_fen__gte=1, amount_fen__lte=FEN_MAX),
                name="request_amount_in_range",
            ),
            models.CheckConstraint(
                condition=Q(approvals_needed__lte=2), name="request_approvals_at_most_two"
            ),
        ]

    def __str__(self) -> str:
        return self.number


class WithdrawalApproval(models.Model):
    """One person's yes to a request; the same person counts once."""

    append_only = True

    request = models.ForeignKey(
        WithdrawalRequest, models.PROTECT, related_name="approvals", verbose_name=_("request")
    )
    approved_by = models.CharField(_("approved by"), max_length=64)
    approved_at = models.DateTimeField(_("approved at"))

    class Meta:
        verbose_name = _("withdrawal approval")
        verbose_name_plural = _("withdrawal approvals")
        constraints = [
            models.UniqueConstraint(
                fields=["request", "approved_by"], name="approval_once_a_person"
            )
        ]

    def __str__(self) -> str:
        return f"{self.request} {self.approved_by}"


class Withdrawal(models.Model):
    """One payout: one number, one request body, one transfer at the channel.

    amount_fen is gross; net_fen = amount_fen - tax_fen is fixed when it is first sent.
    """

    class Status(models.TextChoices):
        REQUESTED = "requested", _("Requested")
        REVIEWING = "reviewing", _("In review")
        HELD = "held", _("On hold")
        TAX_REVIEW = "tax_review", _("Tax to be confirmed")
        APPROVED = "approved", _("Approved")
        PAYING = "paying", _("Being paid")
        AWAITING_CONFIRM = "awaiting_confirm", _("To be confirmed by the promoter")
        PAID = "paid", _("Paid")
        FAILED = "failed", _("Failed, money returned")
        REJECTED = "rejected", _("Rejected")
        CANCELLED = "cancelled", _("Cancelled")

    UNSENT: ClassVar[list[str]] = ["requested", "reviewing", "held", "tax_review", "approved"]
    IN_FLIGHT: ClassVar[list[str]] = ["paying", "awaiting_confirm"]

    TRANSITIONS: ClassVar[dict[str, set[str]]] = {
        Status.REQUESTED: {
            Status.REVIEWING,
            Status.APPROVED,
            Status.HELD,
            Status.TAX_REVIEW,
            Status.REJECTED,
            Status.CANCELLED,
        },
        Status.REVIEWING: {Status.APPROVED, Status.HELD, Status.REJECTED, Status.CANCELLED},
        Status.HELD: {Status.REVIEWING, Status.APPROVED, Status.REJECTED, Status.CANCELLED},
        Status.TAX_REVIEW: {Status.APPROVED, Status.HELD, Status.REJECTED, Status.CANCELLED},
        Status.APPROVED: {
            Status.PAYING,
            Status.HELD,
            Status.TAX_REVIEW,
            Status.REJECTED,
            Status.CANCELLED,
        },
        Status.PAYING: {Status.AWAITING_CONFIRM, Status.PAID, Status.FAILED},
        Status.AWAITING_CONFIRM: {Status.PAID, Status.FAILED},
        Status.PAID: set(),
        Status.FAILED: set(),
        Status.REJECTED: set(),
        Status.CANCELLED: set(),
    }

    class Channel(models.TextChoices):
        WECHAT = "wechat", _("WeChat transfer")

    # Once the body is stored it may be at the channel: what it says never changes.
    frozen_columns = (
        "request_id",
        "promoter_id",
        "number",
        "channel",
        "amount_fen",
        "tax_fen",
        "net_fen",
        "payee_key",
        "openid",
        "body",
        "sent_at",
    )
    frozen_when = "body IS NOT NULL"

    request = models.ForeignKey(
        WithdrawalRequest, models.PROTECT, related_name="withdrawals", verbose_name=_("request")
    )
    promoter = models.ForeignKey(
        Promoter, models.PROTECT, related_name="withdrawals", verbose_name=_("promoter")
    )
    number = models.CharField(_("withdrawal no."), max_length=32, unique=True)
    channel = models.CharField(
        _("channel"), max_length=16, choices=Channel.choices, default=Channel.WECHAT
    )
    amount_fen = models.BigIntegerField(_("gross (fen)"))
    tax_fen = models.BigIntegerField(_("tax (fen)"), null=True, blank=True)
    net_fen = models.BigIntegerField(_("net (fen)"), null=True, blank=True)
    status = models.CharField(
        _("status"), max_length=20, choices=Status.choices, default=Status.REQUESTED
    )
    payee_key = models.CharField(
        max_length=64, help_text=_("Blind index of the ID number: one person, one payee.")
    )
    openid = models.CharField(max_length=64)
    body = models.JSONField(null=True, blank=True)
    lease_until = models.DateTimeField(null=True, blank=True)
    attempts = models.PositiveIntegerField(default=0)
    next_query_at = models.DateTimeField(null=True, blank=True)
    transfer_bill_no = models.CharField(_("WeChat transfer no."), max_length=64, blank=True)
    package_info = models.TextField(blank=True)
    fail_reason = models.CharField(_("reason of the failure"), max_length=200, blank=True)
    not_before = models.DateTimeField(_("not before"), null=True, blank=True)
    requested_at = models.DateTimeField(_("requested at"))
    approved_at = models.DateTimeField(_("approved at"), null=True, blank=True)
    sent_at = models.DateTimeField(_("sent at"), null=True, blank=True)
    confirm_before = models.DateTimeField(_("to be confirmed before"), null=True, blank=True)
    reminders = models.PositiveSmallIntegerField(_("reminders sent"), default=0)
    finished_at = models.DateTimeField(_("finished at"), null=True, blank=True)

    class Meta:
        verbose_name = _("withdrawal")
        verbose_name_plural = _("withdrawals")
        constraints = [
            models.CheckConstraint(
                condition=Q(
                    status__in=[
                        "requested",
                        "reviewing",
                        "held",
                        "tax_review",
                        "approved",
                        "paying",
                        "awaiting_confirm",
                        "paid",
                        "failed",
                        "rejected",
                        "cancelled",
                    ]
                ),
                name="withdrawal_status_known",
            ),
            models.CheckConstraint(
                condition=Q(amount_fen__gte=1, amount_fen__lte=FEN_MAX),
                name="withdrawal_amount_in_range",
            ),
            models.CheckConstraint(
                condition=Q(tax_fen__isnull=True, net_fen__isnull=True)
                | Q(tax_fen__gte=0, net_fen__gt=0, net_fen=F("amount_fen") - F("tax_fen")),
                name="withdrawal_net_is_gross_less_tax",
            ),
            models.CheckConstraint(
                condition=Q(
                    status__in=[
                        "requested",
                        "reviewing",
                        "held",
                        "tax_review",
                        "approved",
                        "rejected",
                        "cancelled",
                    ]
                )
                | Q(net_fen__isnull=False, body__isnull=False, sent_at__isnull=False),
                name="withdrawal_sent_has_body",
            ),
            models.CheckConstraint(
                condition=~Q(status__in=["paid", "failed", "rejected", "cancelled"])
                | Q(finished_at__isnull=False),
                name="withdrawal_end_has_time",
            ),
            models.UniqueConstraint(
                fields=["payee_key"],
                condition=Q(status__in=["paying", "awaiting_confirm"]),
                name="withdrawal_one_in_flight",
            ),
        ]
        indexes = [
            models.Index(fields=["promoter", "-id"], name="withdrawal_by_promoter"),
            models.Index(fields=["payee_key", "finished_at"], name="withdrawal_by_payee"),
            models.Index(fields=["openid", "sent_at"], name="withdrawal_by_openid"),
            models.Index(
                fields=["id"],
                condition=Q(status__in=["approved", "tax_review"]),
                name="withdrawal_due",
            ),
            models.Index(
                fields=["next_query_at"],
                condition=Q(status__in=["paying", "awaiting_confirm"]),
                name="withdrawal_to_query",
            ),
        ]
        permissions = [("decide_withdrawal", _("Can approve and reject withdrawals"))]

    def __str__(self) -> str:
        return self.number


class TaxMonth(models.Model):
    """The lock row of one payee and Beijing month: tax of the next payout is computed under it."""

    payee_key = models.CharField(max_length=64)
    month = models.DateField(_("month"))

    class Meta:
        verbose_name = _("tax month")
        verbose_name_plural = _("tax months")
        constraints = [
            models.UniqueConstraint(fields=["payee_key", "month"], name="tax_month_once")
        ]

    def __str__(self) -> str:
        return f"{self.month:%Y-%m}"
