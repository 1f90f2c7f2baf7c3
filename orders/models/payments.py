from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from distro.money import FEN_MAX
from orders.models.orders import Order, OrderLine


class Payment(models.Model):
    """One attempt to pay an order through a channel, under a number that is never used again."""

    class Status(models.TextChoices):
        OPEN = "open", _("Waiting")
        SUCCEEDED = "succeeded", _("Paid")
        CLOSED = "closed", _("Closed")

    class Channel(models.TextChoices):
        WECHAT = "wechat", _("WeChat Pay")
        NONE = "none", _("Nothing to pay")
        IMPORT = "import", _("Import")

    TRANSITIONS: ClassVar[dict[str, set[str]]] = {
        Status.OPEN: {Status.SUCCEEDED, Status.CLOSED},
        Status.CLOSED: {Status.SUCCEEDED},  # WeChat says so: paid a moment before the close
        Status.SUCCEEDED: set(),
    }

    order = models.ForeignKey(
        Order, models.PROTECT, related_name="payments", verbose_name=_("order")
    )
    channel = models.CharField(_("channel"), max_length=16, choices=Channel.choices)
    out_trade_no = models.CharField(_("payment no."), max_length=32, unique=True)
    openid = models.CharField(max_length=64, blank=True)
    amount_fen = models.BigIntegerField(_("amount (fen)"))
    status = models.CharField(
        _("status"), max_length=16, choices=Status.choices, default=Status.OPEN
    )
    transaction_id = models.CharField(
        _("WeChat payment no."), max_length=64, null=True, blank=True, unique=True
    )
    prepay_id = models.CharField(max_length=64, blank=True)
    created_at = models.DateTimeField(_("created at"))
    expires_at = models.DateTimeField(_("expires at"), null=True, blank=True)
    next_query_at = models.DateTimeField(null=True, blank=True)
    queries = models.PositiveIntegerField(default=0)
    succeeded_at = models.DateTimeField(_("paid at"), null=True, blank=True)
    closed_at = models.DateTimeField(_("closed at"), null=True, blank=True)

    class Meta:
        verbose_name = _("payment")
        verbose_name_plural = _("payments")
        constraints = [
            models.CheckConstraint(
                condition=Q(status__in=["open", "succeeded", "closed"]),
                name="payment_status_known",
            ),
            models.CheckConstraint(
                condition=Q(amount_fen__gte=0, amount_fen__lte=FEN_MAX),
                name="payment_amount_in_range",
            ),
            models.UniqueConstraint(
                fields=["order"], condition=Q(status="open"), name="payment_one_open"
            ),
        ]
        indexes = [
            models.Index(
                fields=["next_query_at"], condition=Q(status="open"), name="payment_to_query"
            )
        ]

    def __str__(self) -> str:
        return self.out_trade_no


class Refund(models.Model):
    """Money back to the buyer: goods per line and freight apart; the number is used once."""

    class Status(models.TextChoices):
        REQUESTED = "requested", _("Waiting for review")
        APPROVED = "approved", _("Approved")
        PROCESSING = "processing", _("With WeChat")
        SUCCEEDED = "succeeded", _("Refunded")
        ABNORMAL = "abnormal", _("Stuck at WeChat")
        CLOSED = "closed", _("Closed by WeChat")
        REJECTED = "rejected", _("Rejected")
        WITHDRAWN = "withdrawn", _("Withdrawn by the buyer")

    RESERVED: ClassVar[list[str]] = ["approved", "processing", "abnormal"]
    OPEN: ClassVar[list[str]] = ["requested", *RESERVED]

    TRANSITIONS: ClassVar[dict[str, set[str]]] = {
        Status.REQUESTED: {Status.APPROVED, Status.REJECTED, Status.WITHDRAWN},
        Status.APPROVED: {Status.PROCESSING, Status.SUCCEEDED, Status.CLOSED},
        Status.PROCESSING: {Status.SUCCEEDED, Status.CLOSED, Status.ABNORMAL},
        Status.ABNORMAL: {Status.PROCESSING, Status.SUCCEEDED, Status.CLOSED},
        Status.SUCCEEDED: set(),
        Status.CLOSED: set(),
        Status.REJECTED: set(),
        Status.WITHDRAWN: set(),
    }

    class Channel(models.TextChoices):
        WECHAT = "wechat", _("WeChat Pay")
        OFFLINE = "offline", _("Offline")
        IMPORT = "import", _("Import")

    class Kind(models.TextChoices):
        AFTER_SALE = "after_sale", _("After-sale")
        LATE_PAYMENT = "late_payment", _("Payment that came too late")

    order = models.ForeignKey(
        Order, models.PROTECT, related_name="refunds", verbose_name=_("order")
    )
    payment = models.ForeignKey(
        Payment,
        models.PROTECT,
        null=True,
        blank=True,
        related_name="refunds",
        verbose_name=_("payment"),
    )
    kind = models.CharField(_("kind"), max_length=16, choices=Kind.choices, default=Kind.AFTER_SALE)
    channel = models.CharField(
        _("channel"), max_length=16, choices=Channel.choices, default=Channel.WECHAT
    )
    out_refund_no = models.CharField(_("refund no."), max_length=64, unique=True)
    status = models.CharField(
        _("status"), max_length=16, choices=Status.choices, default=Status.REQUESTED
    )
    goods_fen = models.BigIntegerField(_("goods (fen)"))
    freight_fen = models.BigIntegerField(_("freight (fen)"), default=0)
    reason = models.CharField(_("reason"), max_length=80)
    decision = models.CharField(_("reason of the decision"), max_length=200, blank=True)
    refund_id = models.CharField(_("WeChat refund no."), max_length=64, blank=True)
    requested_at = models.DateTimeField(_("requested at"))
    approved_at = models.DateTimeField(_("approved at"), null=True, blank=True)
    sent_at = models.DateTimeField(_("last sent at"), null=True, blank=True)
    succeeded_at = models.DateTimeField(_("refunded at"), null=True, blank=True)
    next_query_at = models.DateTimeField(null=True, blank=True)
    queries = models.PositiveIntegerField(default=0)

    class Meta:
        verbose_name = _("refund")
        verbose_name_plural = _("refunds")
        constraints = [
            models.CheckConstraint(
                condition=Q(
                    status__in=[
                        "requested",
                        "approved",
                        "processing",
                        "succeeded",
                        "abnormal",
                        "closed",
                        "rejected",
                        "withdrawn",
                    ]
                ),
                name="refund_status_known",
            ),
            models.CheckConstraint(
                condition=Q(goods_fen__gte=0, freight_fen__gte=0)
                & (Q(goods_fen__gt=0) | Q(freight_fen__gt=0)),
                name="refund_amount_positive",
            ),
            models.CheckConstraint(
                condition=~Q(status="succeeded") | Q(succeeded_at__isnull=False),
                name="refund_succeeded_has_time",
            ),
        ]
        indexes = [
            models.Index(fields=["order"], name="refund_by_order"),
            models.Index(
                fields=["next_query_at"],
                condition=Q(status__in=["approved", "processing", "abnormal"]),
                name="refund_to_query",
            ),
        ]

    def __str__(self) -> str:
        return self.out_refund_no

    @property
    def amount_fen(self) -> int:
        return self.goods_fen + self.freight_fen


class RefundLine(models.Model):
    """How much of a refund belongs to one order line; quantity is what comes back, may be 0."""

    refund = models.ForeignKey(Refund, models.PROTECT, related_name="lines")
    line = models.ForeignKey(
        OrderLine, models.PROTECT, related_name="refund_lines", verbose_name=_("order line")
    )
    quantity = models.PositiveIntegerField(_("quantity"), default=0)
    amount_fen = models.BigIntegerField(_("amount (fen)"))

    class Meta:
        verbose_name = _("refund line")
        verbose_name_plural = _("refund lines")
        constraints = [
            models.UniqueConstraint(fields=["refund", "line"], name="refund_line_once"),
            models.CheckConstraint(
                condition=Q(amount_fen__gt=0), name="refund_line_amount_positive"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.line}: {self.amount_fen}"
