"""Who belongs to which segment: asked by packages further left through settings."""

from __future__ import annotations

from orders.models import Order

TWICE = 2


def bought_twice(member_id: int) -> bool:
    """Say whether a member has received at least two orders that were not refunded whole."""
    received = Order.objects.filter(member_id=member_id, status=Order.Status.COMPLETED)
    return received[:TWICE].count() == TWICE
