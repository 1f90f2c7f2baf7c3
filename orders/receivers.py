"""What this package does about its own facts that may fail without harm: telling the buyer."""

from __future__ import annotations

from distro import clock
from orders.services import messages


def tell_buyer_on_order_shipped(*, order_id: int, member_id: int) -> None:
    """Hear order_shipped."""
    messages.announce_shipment(order_id=order_id, at=clock.now())


def tell_buyer_on_order_refunded(*, order_id: int, refund_id: int) -> None:
    """Hear order_refunded."""
    messages.announce_refund(refund_id=refund_id, at=clock.now())


def tell_buyer_on_order_cancelled(*, order_id: int, member_id: int) -> None:
    """Hear order_cancelled."""
    messages.announce_timeout(order_id=order_id, at=clock.now())
