"""What buyers are told about their orders."""

from __future__ import annotations

from datetime import datetime

from django.conf import settings
from django.utils.translation import gettext as _
from django.utils.translation import override

from distro.money import yuan
from distro.states import history
from orders.models import Order, Refund, Shipment
from orders.services.placing import TIMEOUT
from referrals.services.messages import notify

PAGE = "pages/order/detail?number="  # of the mini-program


def announce_shipment(*, order_id: int, at: datetime) -> None:
    """Tell the buyer that the goods are on their way, once."""
    shipment = Shipment.objects.select_related("order").get(order=order_id)
    order = shipment.order
    with override(settings.LANGUAGE_CODE):
        notify(
            member_id=order.member_id,
            kind="order_shipped",
            key=f"order_shipped:{order.pk}",
            title=_("Your order has been shipped"),
            body=_("Order %(number)s is on its way with %(company)s, no. %(tracking_no)s.")
            % {
                "number": order.number,
                "company": shipment.company,
                "tracking_no": shipment.tracking_no,
            },
            page=PAGE + order.number,
            at=at,
        )


def announce_refund(*, refund_id: int, at: datetime) -> None:
    """Tell the buyer that money has gone back, once."""
    refund = Refund.objects.select_related("order").get(pk=refund_id)
    order = refund.order
    with override(settings.LANGUAGE_CODE):
        notify(
            member_id=order.member_id,
            kind="order_refunded",
            key=f"order_refunded:{refund.pk}",
            title=_("Your refund has been paid"),
            body=_("%(amount)s yuan of order %(number)s have been refunded.")
            % {"amount": yuan(refund.amount_fen), "number": order.number},
            page=PAGE + order.number,
            at=at,
        )


def announce_timeout(*, order_id: int, at: datetime) -> None:
    """Tell the buyer that an order ended because it was not paid, once; others end silently."""
    order = Order.objects.get(pk=order_id)
    if not history(order).filter(to_status=Order.Status.CANCELLED, why=TIMEOUT).exists():
        return
    with override(settings.LANGUAGE_CODE):
        notify(
            member_id=order.member_id,
            kind="order_timeout",
            key=f"order_timeout:{order.pk}",
            title=_("Your order has been cancelled"),
            body=_("Order %(number)s was not paid in time and has been cancelled.")
            % {"number": order.number},
            page=PAGE + order.number,
            at=at,
        )
