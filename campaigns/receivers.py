"""What this package does when it hears of facts of members and orders."""

from __future__ import annotations

from campaigns.services.coupons import return_coupon
from campaigns.services.inviting import attribute_invitee, count_sale, drop_sale, mark_sale


def attribute_on_joined(*, member_id: int) -> None:
    """Hear member_joined."""
    attribute_invitee(member_id=member_id)


def mark_on_paid(*, order_id: int, member_id: int) -> None:
    """Hear order_paid."""
    mark_sale(order_id=order_id)


def count_on_matured(*, order_id: int, member_id: int) -> None:
    """Hear order_matured."""
    count_sale(order_id=order_id)


def return_coupon_on_cancelled(*, order_id: int, member_id: int) -> None:
    """Hear order_cancelled."""
    return_coupon(order_id=order_id)


def return_coupon_on_refunded(*, order_id: int, refund_id: int) -> None:
    """Hear order_refunded."""
    return_coupon(order_id=order_id)


def drop_on_refunded(*, order_id: int, refund_id: int) -> None:
    """Hear order_refunded."""
    drop_sale(refund_id=refund_id)
