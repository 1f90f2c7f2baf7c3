"""The dialog in which staff ask for a refund: how much of which line, and of the freight."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django import forms
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from unfold.forms import BaseDialogForm
from unfold.widgets import UnfoldAdminIntegerFieldWidget

from distro.actors import Actor
from distro.admin_columns import YuanField, yuan_text
from distro.admin_steps import text_field
from orders.models import Order, OrderLine, Refund
from orders.rules import RefundItem
from orders.selectors import refund_room
from orders.services.refunds import REASON_CHARS, request_refund


class RefundForm(BaseDialogForm):
    """Offers everything that is left of each line; what is empty is not refunded."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        order = Order.objects.get(pk=self.object_id)
        room, freight = refund_room(order)
        for line in OrderLine.objects.filter(order=order).order_by("line_no"):
            left = room[line.pk]
            if left.amount_fen:
                title = _("%(title)s: yuan, at most %(most)s") % {
                    "title": line.title,
                    "most": yuan_text(left.amount_fen),
                }
                self.fields[f"amount_{line.pk}"] = YuanField(
                    label=title, required=False, initial=left.amount_fen
                )
                self.fields[f"pieces_{line.pk}"] = forms.IntegerField(
                    label=_("Pieces that come back"),
                    required=False,
                    initial=left.quantity,
                    min_value=0,
                    max_value=left.quantity,
                    widget=UnfoldAdminIntegerFieldWidget,
                )
        if freight:
            title = _("Freight: yuan, at most %(most)s") % {"most": yuan_text(freight)}
            self.fields["freight"] = YuanField(label=title, required=False)
        self.fields["reason"] = text_field(gettext_lazy("Reason"), REASON_CHARS)


def request_refund_from(
    *, order_id: int, reason: str, by: Actor, at: datetime, **answers: int | None
) -> Refund:
    """Ask for the refund that the dialog describes; the review approves it."""
    lines = [
        RefundItem(
            line_id=int(name.removeprefix("amount_")),
            quantity=answers.get(name.replace("amount_", "pieces_")) or 0,
            amount_fen=amount,
        )
        for name, amount in answers.items()
        if name.startswith("amount_") and amount
    ]
    freight = answers.get("freight") or 0
    return request_refund(
        order_id=order_id, lines=lines, freight_fen=freight, reason=reason, by=by, at=at
    )
