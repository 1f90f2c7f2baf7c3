from __future__ import annotations

from django.contrib import admin
from django.utils.translation import gettext_lazy as _
from unfold.forms import BaseDialogForm

from distro.admin_base import DayRangeFilter, ReadOnlyPage, ReadOnlyRows
from distro.admin_columns import amounts
from distro.admin_steps import ReasonForm, WhyForm, batch, step, text_field
from distro.crypto import mask_id
from orders.models import Payment, Refund, RefundLine
from orders.services.refunding import close_refund
from orders.services.refunds import (
    DECISION_CHARS,
    approve_refund,
    record_offline_refund,
    reject_refund,
)

DECIDE = ["orders.change_refund"]

total = amounts(_("amount (yuan)"), lambda refund: refund.amount_fen, "total")


class NoteForm(BaseDialogForm):
    """Asks how the money went back."""

    note = text_field(_("How, and under which number"), DECISION_CHARS)


@admin.register(Payment)
class PaymentAdmin(ReadOnlyPage):
    """Attempts to pay."""

    personal = {"openid": mask_id}
    list_display = (
        "out_trade_no", "order", "channel", "amount_fen", "status", "transaction_id",
        "succeeded_at",
    )  # fmt: skip
    list_filter = (("created_at", DayRangeFilter), "status", "channel")
    search_fields = (
        "out_trade_no__exact", "transaction_id__exact", "order__number__startswith",
    )  # fmt: skip
    list_select_related = ("order",)
    fields = (
        ("order", "channel", "status"),
        ("out_trade_no", "transaction_id", "openid"),
        ("amount_fen", "created_at", "expires_at"),
        ("succeeded_at", "closed_at"),
    )


class RefundLineRows(ReadOnlyRows):
    """How much of which line."""

    model = RefundLine
    fields = ("line", "quantity", "amount_fen")


@admin.register(Refund)
class RefundAdmin(ReadOnlyPage):
    """Refunds: asked for, decided, sent."""

    list_display = ("out_refund_no", "order", "buyer", total, "status", "reason", "requested_at")
    list_filter = (("requested_at", DayRangeFilter), "status", "channel", "kind")
    search_fields = (
        "out_refund_no__exact", "order__number__startswith", "order__member__no__exact",
    )  # fmt: skip
    list_select_related = ("order__member",)
    fields = (
        ("order", "kind", "channel"),
        ("out_refund_no", "status", "refund_id"),
        ("goods_fen", "freight_fen"),
        ("reason", "decision"),
        ("requested_at", "approved_at", "succeeded_at"),
    )
    inlines = (RefundLineRows,)
    actions = ("approve_selected",)
    actions_detail = ("approve", "reject", "record_offline", "give_up")
    offered_in = {
        "approve": (Refund.Status.REQUESTED,),
        "reject": (Refund.Status.REQUESTED,),
        "record_offline": (Refund.Status.APPROVED,),
        "give_up": (Refund.Status.APPROVED,),
    }

    approve_selected = batch(
        approve_refund, key="refund_id", label=_("Approve the selected"), permissions=DECIDE
    )
    approve = step(
        approve_refund,
        key="refund_id",
        label=_("Approve"),
        text=_("The money goes back to the buyer, and the commissions of these lines with it."),
        permissions=DECIDE,
    )
    reject = step(
        reject_refund,
        key="refund_id",
        label=_("Reject"),
        permissions=DECIDE,
        form=ReasonForm,
        danger=True,
    )
    record_offline = step(
        record_offline_refund,
        key="refund_id",
        label=_("Record as paid back offline"),
        permissions=DECIDE,
        form=NoteForm,
    )
    give_up = step(
        close_refund,
        key="refund_id",
        label=_("Give up at WeChat"),
        permissions=DECIDE,
        form=WhyForm,
        danger=True,
    )

    @admin.display(description=_("buyer"))
    def buyer(self, refund: Refund) -> str:
        """Name the buyer."""
        return str(refund.order.member)


@admin.register(RefundLine)
class RefundLineAdmin(ReadOnlyPage):
    """Parts of refunds."""

    titles = {"refund": _("refund")}
    list_display = ("refund", "line", "quantity", "amount_fen")
    list_filter = (("refund__requested_at", DayRangeFilter),)
    search_fields = ("refund__out_refund_no__exact", "line__order__number__startswith")
    list_select_related = ("refund", "line")
