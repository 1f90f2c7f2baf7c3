"""What packages further left may know of a member's purchases."""

from __future__ import annotations

from django.db.models import F, Sum

from orders.models import Order, Refund
from referrals.models import Closure
from referrals.rules.accounts import Waiting
from referrals.selectors_accounts import accounts_of


def bought_fen(member_id: int) -> int:
    """Return what a member paid for goods and kept: discounts, freight and refunds left out."""
    paid = Order.objects.filter(member__in=accounts_of(member_id), paid_at__isnull=False)
    goods = F("goods_fen") - F("discount_fen") - (F("refunded_fen") - F("freight_refunded_fen"))
    return paid.aggregate(total=Sum(goods))["total"] or 0


def order_waits(member_id: int) -> list[Waiting]:
    """Return what of his purchases keeps a member's account open, by whatever account of his."""
    own = Order.objects.filter(member__in=accounts_of(member_id))
    going = own.filter(status__in=[Order.Status.PLACED, Order.Status.PAID, Order.Status.SHIPPED])
    returnable = own.filter(status=Order.Status.COMPLETED, matured_at=None)
    refunds = Refund.objects.filter(order__in=own, status__in=Refund.OPEN)
    found = {
        Closure.Wait.ORDERS: going.exists() or returnable.exists(),
        Closure.Wait.REFUNDS: refunds.exists(),
    }
    return [Waiting(kind.value) for kind, holds in found.items() if holds]
