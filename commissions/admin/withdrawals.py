from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import Count, Exists, OuterRef, QuerySet, Sum
from django.http import HttpRequest, HttpResponse
from django.utils.html import format_html_join
from django.utils.translation import gettext_lazy as _

from commissions.models import Withdrawal, WithdrawalApproval, WithdrawalRequest
from commissions.selectors_withdrawals import requests_to_review
from commissions.services.reviewing import (
    approve_request,
    hold_request,
    reject_request,
    release_request,
)
from distro.admin_base import DayRangeFilter, ReadOnlyPage, ReadOnlyRows
from distro.admin_columns import yuan_text
from distro.admin_steps import ReasonForm, batch, step
from distro.crypto import mask_id

DECIDE = ["commissions.decide_withdrawal"]
KEY = "request_id"

Status = Withdrawal.Status


class WaitingFilter(admin.SimpleListFilter):
    """The queue: requests whose transfers wait for a person, or stand in another state."""

    title = _("state")
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        """Offer the queue first."""
        return [("waiting", _("Waiting for a decision")), *Status.choices]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """Keep the requests with a transfer in this state."""
        if not self.value():
            return queryset
        states = [Status.REVIEWING, Status.HELD] if self.value() == "waiting" else [self.value()]
        inside = Withdrawal.objects.filter(request=OuterRef("pk"), status__in=states)
        return queryset.filter(Exists(inside))


def has_piece(row: WithdrawalRequest, states: list[str]) -> bool:
    """Say whether a transfer of a request is in one of these states."""
    return row.withdrawals.filter(status__in=states).exists()


class PieceRows(ReadOnlyRows):
    """The transfers of a request."""

    model = Withdrawal
    fields = (
        "number", "amount_fen", "tax_fen", "net_fen", "status", "not_before", "sent_at",
        "finished_at", "fail_reason",
    )  # fmt: skip
    ordering = ("pk",)
    show_change_link = True
    hide_title = False


class ApprovalRows(ReadOnlyRows):
    """Who approved."""

    model = WithdrawalApproval
    fields = ("approved_by", "approved_at")
    who = ("approved_by",)
    ordering = ("pk",)


@admin.register(WithdrawalRequest)
class WithdrawalRequestAdmin(ReadOnlyPage):
    """The queue of withdrawals: one decision for all transfers of a request."""

    list_display = (
        "number", "promoter", "amount_fen", "estimated_tax_fen", "states", "why",
        "approvals_so_far", "requested_at",
    )  # fmt: skip
    list_filter = (WaitingFilter, ("requested_at", DayRangeFilter))
    search_fields = ("number__exact", "promoter__code__exact", "promoter__member__no__exact")
    search_help_text = _("Request no., promoter no. or member no.")
    list_select_related = ("promoter__member",)
    list_before_template = "admin/commissions/queue.html"
    fields = (
        ("number", "promoter", "requested_at"),
        ("amount_fen", "estimated_tax_fen"),
        ("why", "approvals_so_far", "made_by"),
    )
    who = ("made_by",)
    inlines = (PieceRows, ApprovalRows)
    actions = ("approve_selected",)
    actions_detail = ("approve", "reject", "hold", "release")
    offered_in = {
        "approve": lambda row: has_piece(row, [Status.REVIEWING]),
        "reject": lambda row: has_piece(row, Withdrawal.UNSENT),
        "hold": lambda row: has_piece(row, [s for s in Withdrawal.UNSENT if s != Status.HELD]),
        "release": lambda row: has_piece(row, [Status.HELD]),
    }

    approve_selected = batch(
        approve_request, key=KEY, label=_("Approve the selected"), permissions=DECIDE
    )
    approve = step(
        approve_request,
        key=KEY,
        label=_("Approve"),
        text=_("The transfers go out as soon as enough people have approved."),
        permissions=DECIDE,
    )
    reject = step(
        reject_request,
        key=KEY,
        label=_("Reject"),
        text=_("The money returns to the promoter, who reads the reason."),
        permissions=DECIDE,
        form=ReasonForm,
        danger=True,
    )
    hold = step(hold_request, key=KEY, label=_("Hold"), permissions=DECIDE, form=ReasonForm)
    release = step(release_request, key=KEY, label=_("Release"), permissions=DECIDE)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        """Read transfers and approvals of all rows at once."""
        return super().get_queryset(request).prefetch_related("withdrawals", "approvals")

    @admin.display(description=_("status"))
    def states(self, row: WithdrawalRequest) -> str:
        """Name the states of the transfers, each once."""
        states = dict.fromkeys(piece.status for piece in row.withdrawals.all())
        labels = dict(Status.choices)
        return format_html_join(
            " ", '<span class="pill pill-{}">{}</span>', ((s, labels[s]) for s in states)
        )

    @admin.display(description=_("why it is reviewed"))
    def why(self, row: WithdrawalRequest) -> str:
        """Name the reasons for a review."""
        labels = dict(WithdrawalRequest.Reason.choices)
        return "、".join(str(labels.get(reason, reason)) for reason in row.review_reasons) or "–"

    @admin.display(description=_("approvals"))
    def approvals_so_far(self, row: WithdrawalRequest) -> str:
        """Say how many approved of how many needed."""
        return f"{len(row.approvals.all())} / {row.approvals_needed}"

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Say on top of the list how much waits."""
        waiting = requests_to_review().order_by().aggregate(n=Count("pk"), fen=Sum("amount_fen"))
        queue = {"count": waiting["n"], "amount": yuan_text(waiting["fen"] or 0)}
        return super().changelist_view(request, {**(extra_context or {}), "queue": queue})


@admin.register(WithdrawalApproval)
class WithdrawalApprovalAdmin(ReadOnlyPage):
    """Who approved which request."""

    list_display = ("approved_at", "request", "approved_by")
    list_filter = (("approved_at", DayRangeFilter),)
    search_fields = ("request__number__exact",)
    list_select_related = ("request",)
    who = ("approved_by",)


@admin.register(Withdrawal)
class WithdrawalAdmin(ReadOnlyPage):
    """Single transfers to promoters."""

    personal = {"openid": mask_id}
    list_display = (
        "number", "promoter", "amount_fen", "tax_fen", "net_fen", "status", "requested_at",
        "finished_at",
    )  # fmt: skip
    list_filter = (("requested_at", DayRangeFilter), ("finished_at", DayRangeFilter), "status")
    search_fields = (
        "number__exact", "request__number__exact", "promoter__code__exact",
        "transfer_bill_no__exact",
    )  # fmt: skip
    list_select_related = ("promoter__member",)
    fields = (
        ("request", "promoter", "status"),
        ("number", "channel", "transfer_bill_no"),
        ("amount_fen", "tax_fen", "net_fen"),
        ("requested_at", "approved_at", "not_before"),
        ("sent_at", "confirm_before", "finished_at"),
        ("openid", "fail_reason"),
    )
