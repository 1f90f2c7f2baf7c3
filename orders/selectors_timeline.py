"""What a customer bought, and to whom each order was attributed, for his timeline."""

from __future__ import annotations

from collections.abc import Collection

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from orders.models import Order
from referrals.selectors_timeline import Moment, Window

PLACED = gettext_lazy("Order placed")


def order_moments(accounts: Collection[int], window: Window) -> list[Moment]:
    """Return a person's orders with the attribution that each took when it was placed."""
    rows = Order.objects.filter(member__in=accounts).defer("receiver", "phone", "address")
    rows = rows.select_related("promoter_1__member", "promoter_2", "promoter_3", "binding__link")
    return [
        Moment(
            mark=window.mark(order.placed_at, order.pk),
            kind="order",
            title=PLACED,
            promoter=order.promoter_1,
            link=order.binding.link if order.binding else None,
            who=f"member:{order.member_id}",
            text=_attribution(order),
            ref=order.number,
            binding_id=order.binding_id,
        )
        for order in window.of(rows, "placed_at")
    ]


def _attribution(order: Order) -> str:
    if order.promoter_1 is None:
        return _("attributed to nobody")
    chain = [order.promoter_1, order.promoter_2, order.promoter_3]
    levels = [f"{level}: {one.code}" for level, one in enumerate(chain, start=1) if one]
    return _("attributed to %(levels)s") % {"levels": ", ".join(levels)}
