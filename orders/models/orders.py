from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.db.models import F, Q
from django.utils.translation import gettext_lazy as _

from distro.crypto import EncryptedTextField
from distro.money import FEN_MAX
from orders.models.catalogue import Sku
from referrals.models import Binding, Member, Promoter


class Order(models.Model):
    """One purchase; whom it is attributed to is a snapshot taken when it was placed.

    paid_fen = goods_fen - discount_fen + freight_fen is what the buyer pays. `promoter_1` is the
    promoter of the buyer's open binding, `promoter_2` and `promoter_3` its uplines at that moment.
    """

    class Status(models.TextChoices):
        PLACED = "placed", _("Waiting for payment")
        PAID = "paid", _("Paid, to be shipped")
        SHIPPED = "shipped", _("Shipped")
        COMPLETED = "completed", _("Received")
        REFUNDED = "refunded", _("Fully refunded")
        CANCELLED = "cancelled", _("Cancelled")

    TRANSITIONS: ClassVar[dict[str, set[str]]] = {
        Status.PLACED: {Status.PAID, Status.CANCELLED},
        Status.PAID: {Status.SHIPPED, Status.COMPLETED, Status.REFUNDED},
        Status.SHIPPED: {Status.COMPLETED, Status.REFUNDED},
        Status.COMPLETED: {Status.REFUNDED},
        Status.REFUNDED: set(),
        Status.CANCELLED: set(),
    }

    class Source(models.TextChoices):
        MINI_PROGRAM = "mini_program", _("Mini-program")
        IMPORT = "import", _("Import")

    number = models.CharField(_("order no."), max_length=32, unique=True)
    external_no = models.CharField(
        _("external order no."), max_length=64, null=True, blank=True, unique=True
    )
    source = models.CharField(
        _("source"), max_length=16, choices=Source.choices, default=Source.MINI_PROGRAM
    )
    member = models.ForeignKey(
        Member, models.PROTECT, related_name="orders", verbose_name=_("buyer")
    )
    status = models.CharField(
        _("status"), max_length=16, choices=Status.choices, default=Status.PLACED
    )
    goods_fen = models.BigIntegerField(_("goods (fen)"))
    discount_fen = models.BigIntegerField(_("discount (fen)"), default=0)
    freight_fen = models.BigIntegerField(_("freight (fen)"), default=0)
    paid_fen = models.BigIntegerField(_("to pay (fen)"))
    refunded_fen = models.BigIntegerField(_("refunded (fen)"), default=0)
    freight_refunded_fen = models.BigIntegerField(_("freight refunded (fen)"), default=0)
    freight_reserved_fen = models.BigIntegerField(_("freight in refund (fen)"), default=0)
    promoter_1 = models.ForeignKey(
        Promoter,
        models.PROTECT,
        null=True,
        blank=True,
        related_name="+",
        verbose_name=_("promoter"),
    )
    promoter_2 = models.ForeignKey(
        Promoter,
        models.PROTECT,
        null=True,
        blank=True,
        related_name="+",
        verbose_name=_("promoter's upline"),
    )
    promoter_3 = models.ForeignKey(
        Promoter,
        models.PROTECT,
        null=True,
        blank=True,
        related_name="+",
        verbose_name=_("second upline"),
    )
    binding = models.ForeignKey(
        Binding,
        models.PROTECT,
        null=True,
        blank=True,
        related_name="orders",
        verbose_name=_("binding"),
    )
    receiver = EncryptedTextField(_("receiver's name"), blank=True, default="")
    phone = EncryptedTextField(_("receiver's phone"), blank=True, default="")
    address = EncryptedTextField(_("address"), blank=True, default="")
    placed_at = models.DateTimeField(_("placed at"))
    pay_before = models.DateTimeField(_("to be paid before"), null=True, blank=True)
    paid_at = models.DateTimeField(_("paid at"), null=True, blank=True)
    shipped_at = models.DateTimeField(_("shipped at"), null=True, blank=True)
    completed_at = models.DateTimeField(_("received at"), null=True, blank=True)
    matured_at = models.DateTimeField(_("return period over at"), null=True, blank=True)
    cancelled_at = models.DateTimeField(_("cancelled at"), null=True, blank=True)
    refunded_at = models.DateTimeField(_("fully refunded at"), null=True, blank=True)

    class Meta:
        verbose_name = _("order")
        verbose_name_plural = _("orders")
        constraints = [
            models.CheckConstraint(
                condition=Q(
                    status__in=["placed", "paid", "shipped", "completed", "refunded", "cancelled"]
                ),
                name="order_status_known",
            ),
            models.CheckConstraint(
                condition=Q(paid_fen=F("goods_fen") - F("discount_fen") + F("freight_fen")),
                name="order_paid_is_goods_less_discount_plus_freight",
            ),
            models.CheckConstraint(
                condition=Q(
                    goods_fen__gte=0,
                    freight_fen__gte=0,
                    discount_fen__gte=0,
                    discount_fen__lte=F("goods_fen"),
                    paid_fen__lte=FEN_MAX,
                ),
                name="order_amounts_in_range",
            ),
            models.CheckConstraint(
                condition=Q(refunded_fen__gte=0, refunded_fen__lte=F("paid_fen")),
                name="order_refunded_within_paid",
            ),
            models.CheckConstraint(
                condition=Q(
                    freight_refunded_fen__gte=0,
                    freight_reserved_fen__gte=0,
                    freight_refunded_fen__lte=F("freight_fen") - F("freight_reserved_fen"),
                ),
                name="order_freight_refund_within_freight",
            ),
            models.CheckConstraint(
                condition=Q(status__in=["placed", "cancelled"]) | Q(paid_at__isnull=False),
                name="order_paid_has_time",
            ),
            models.CheckConstraint(
                condition=Q(promoter_1__isnull=True, binding__isnull=True)
                | Q(promoter_1__isnull=False, binding__isnull=False),
                name="order_promoter_has_binding",
            ),
            models.CheckConstraint(
                condition=Q(promoter_1__isnull=False)
                | Q(promoter_2__isnull=True, promoter_3__isnull=True),
                name="order_uplines_need_promoter",
            ),
        ]
        indexes = [
            models.Index(fields=["member", "-id"], name="order_by_member"),
            models.Index(fields=["promoter_1", "-id"], name="order_by_promoter"),
            models.Index(fields=["placed_at"], name="order_by_placed"),
            models.Index(fields=["paid_at"], name="order_by_paid"),
            models.Index(  # what a large team sold in some days, without the rows themselves
                fields=["paid_at"],
                include=[
                    "promoter_1",
                    "status",
                    "paid_fen",
                    "freight_fen",
                    "refunded_fen",
                    "freight_refunded_fen",
                ],
                condition=Q(promoter_1__isnull=False),
                name="order_gmv_of_promoters",
            ),
            models.Index(fields=["pay_before"], condition=Q(status="placed"), name="order_unpaid"),
            models.Index(
                fields=["completed_at"],
                condition=Q(status="completed", matured_at__isnull=True),
                name="order_to_mature",
            ),
        ]
        permissions = [
            ("view_delivery", _("Can see where an order goes until it is shipped")),
        ]

    def __str__(self) -> str:
        return self.number


class OrderLine(models.Model):
    """One SKU of an order, with names and amounts as they were when it was placed."""

    order = models.ForeignKey(Order, models.PROTECT, related_name="lines", verbose_name=_("order"))
    line_no = models.PositiveIntegerField(_("line no."))
    sku = models.ForeignKey(Sku, models.PROTECT, related_name="+", verbose_name=_("SKU"))
    sku_code = models.CharField(_("SKU code"), max_length=64)
    title = models.CharField(_("product"), max_length=200)
    quantity = models.PositiveIntegerField(_("quantity"))
    price_fen = models.BigIntegerField(_("unit price (fen)"))
    goods_fen = models.BigIntegerField(_("goods (fen)"))
    discount_fen = models.BigIntegerField(_("discount (fen)"), default=0)
    paid_fen = models.BigIntegerField(_("paid (fen)"))
    cost_fen = models.BigIntegerField(_("cost (fen)"), default=0)
    refunded_fen = models.BigIntegerField(_("refunded (fen)"), default=0)
    reserved_fen = models.BigIntegerField(_("in refund (fen)"), default=0)

    class Meta:
        verbose_name = _("order line")
        verbose_name_plural = _("order lines")
        constraints = [
            models.UniqueConstraint(fields=["order", "line_no"], name="line_no_once"),
            models.CheckConstraint(
                condition=Q(
                    quantity__gte=1, price_fen__gte=0, discount_fen__gte=0, cost_fen__gte=0
                ),
                name="line_amounts_in_range",
            ),
            models.CheckConstraint(
                condition=Q(paid_fen=F("goods_fen") - F("discount_fen"), paid_fen__gte=0),
                name="line_paid_is_goods_less_discount",
            ),
            models.CheckConstraint(
                condition=Q(
                    refunded_fen__gte=0,
                    reserved_fen__gte=0,
                    refunded_fen__lte=F("paid_fen") - F("reserved_fen"),
                ),
                name="line_refund_within_paid",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.title} × {self.quantity}"


class Shipment(models.Model):
    """What left the house for an order; imported orders have none."""

    order = models.OneToOneField(
        Order, models.PROTECT, related_name="shipment", verbose_name=_("order")
    )
    company = models.CharField(_("carrier"), max_length=32)
    tracking_no = models.CharField(_("tracking no."), max_length=64)
    shipped_at = models.DateTimeField(_("shipped at"))

    class Meta:
        verbose_name = _("shipment")
        verbose_name_plural = _("shipments")

    def __str__(self) -> str:
        return f"{self.company} {self.tracking_no}"
