from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _
from unfold.forms import BaseDialogForm

from distro.admin_base import (
    DayRangeFilter,
    Panel,
    ReadOnlyPage,
    ReadOnlyRows,
    add_panel,
    sees_personal_data,
)
from distro.admin_columns import masked_address
from distro.admin_steps import WhyForm, step, text_field
from distro.crypto import mask_name, mask_phone
from orders.admin.refund_form import RefundForm, request_refund_from
from orders.models import Order, OrderLine, Payment, Refund, Shipment
from orders.services.placing import cancel_order
from orders.services.shipping import COMPANY_CHARS, TRACKING_CHARS, complete_order, ship_order

CHANGE = ["orders.change_order"]
VIEW_DELIVERY = "orders.view_delivery"


class ShipForm(BaseDialogForm):
    """Asks by whom and under which number."""

    company = text_field(_("Carrier"), COMPANY_CHARS)
    tracking_no = text_field(_("Tracking no."), TRACKING_CHARS)


class LineRows(ReadOnlyRows):
    """What was bought."""

    model = OrderLine
    fields = (
        "title", "sku_code", "quantity", "price_fen", "discount_fen", "paid_fen", "refunded_fen",
        "reserved_fen",
    )  # fmt: skip
    ordering = ("line_no",)


class PaymentRows(ReadOnlyRows):
    """How it was paid."""

    model = Payment
    fields = ("out_trade_no", "channel", "amount_fen", "status", "transaction_id", "succeeded_at")
    ordering = ("pk",)


class RefundRows(ReadOnlyRows):
    """What went back."""

    model = Refund
    fields = ("out_refund_no", "goods_fen", "freight_fen", "status", "reason", "succeeded_at")
    ordering = ("pk",)
    show_change_link = True
    hide_title = False


@admin.register(Order)
class OrderAdmin(ReadOnlyPage):
    """Orders; whom they are attributed to was fixed when they were placed."""

    list_display = (
        "number", "member", "promoter_1", "status", "paid_fen", "refunded_fen", "placed_at",
        "paid_at",
    )  # fmt: skip
    list_filter = (
        ("placed_at", DayRangeFilter),
        ("paid_at", DayRangeFilter),
        "status",
        "source",
        ("promoter_1", admin.EmptyFieldListFilter),
    )
    search_fields = (
        "number__startswith", "external_no__exact", "member__no__exact",
        "promoter_1__code__exact", "shipment__tracking_no__exact",
    )  # fmt: skip
    search_help_text = _("Order no., buyer no., promoter no. or tracking no.")
    list_select_related = ("member", "promoter_1__member")
    fieldsets = (
        (None, {"fields": (("number", "status", "source"), ("member", "external_no"))}),
        (
            _("Amounts"),
            {
                "fields": (
                    ("goods_fen", "discount_fen", "freight_fen"),
                    ("paid_fen", "refunded_fen", "freight_refunded_fen"),
                )
            },
        ),
        (
            _("Attribution when it was placed"),
            {"fields": (("promoter_1", "promoter_2", "promoter_3"), "binding")},
        ),
        (
            _("Times (Beijing)"),
            {
                "fields": (
                    ("placed_at", "paid_at", "shipped_at"),
                    ("completed_at", "matured_at", "cancelled_at"),
                )
            },
        ),
    )
    inlines = (LineRows, PaymentRows, RefundRows)
    actions_detail = ("ship", "complete", "refund", "cancel")
    offered_in = {
        "ship": (Order.Status.PAID,),
        "complete": (Order.Status.SHIPPED,),
        "refund": (Order.Status.PAID, Order.Status.SHIPPED, Order.Status.COMPLETED),
        "cancel": (Order.Status.PLACED,),
    }

    ship = step(ship_order, key="order_id", label=_("Ship"), permissions=CHANGE, form=ShipForm)
    complete = step(complete_order, key="order_id", label=_("Mark as received"), permissions=CHANGE)
    refund = step(
        request_refund_from,
        key="order_id",
        label=_("Refund"),
        permissions=["orders.change_refund"],
        form=RefundForm,
    )
    cancel = step(
        cancel_order,
        key="order_id",
        label=_("Cancel the order"),
        permissions=CHANGE,
        form=WhyForm,
        danger=True,
    )


def delivery(request: HttpRequest, order: Order) -> dict[str, Any] | None:
    """Return where an order goes; in clear to who may read it, and to who ships it, till then."""
    if not order.address:
        return None
    to_ship = order.status == Order.Status.PAID and request.user.has_perm(VIEW_DELIVERY)
    clear = to_ship or sees_personal_data(request.user)
    shipment = Shipment.objects.filter(order=order).first()
    return {
        "receiver": order.receiver if clear else mask_name(order.receiver),
        "phone": order.phone if clear else mask_phone(order.phone),
        "address": order.address if clear else masked_address(order.address),
        "shipment": shipment,
    }


add_panel(Order, Panel("admin/orders/delivery.html", delivery))


@admin.register(OrderLine)
class OrderLineAdmin(ReadOnlyPage):
    """Lines of orders, as they were when placed."""

    list_display = ("order", "title", "sku_code", "quantity", "paid_fen", "refunded_fen")
    list_filter = (("order__paid_at", DayRangeFilter),)
    search_fields = ("order__number__startswith", "sku_code__exact")
    list_select_related = ("order",)
    fields = (
        ("order", "line_no"),
        ("title", "sku_code", "quantity"),
        ("price_fen", "goods_fen", "discount_fen"),
        ("paid_fen", "refunded_fen", "reserved_fen"),
    )


@admin.register(Shipment)
class ShipmentAdmin(ReadOnlyPage):
    """What left the house."""

    list_display = ("shipped_at", "order", "company", "tracking_no")
    list_filter = (("shipped_at", DayRangeFilter), "company")
    search_fields = ("order__number__startswith", "tracking_no__exact")
    list_select_related = ("order",)
