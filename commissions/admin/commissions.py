from __future__ import annotations

import hashlib
from typing import Any

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from import_export.admin import ExportMixin
from unfold.contrib.import_export.forms import ExportForm

from commissions.explaining import explain
from commissions.exports import AccrualCsv, AccrualResource, Made, manifest_of
from commissions.models import Accrual, Commission, Reversal
from distro import audit, clock
from distro.admin_actors import actor
from distro.admin_base import DayRangeFilter, ReadOnlyPage, ReadOnlyRows
from distro.admin_columns import amounts

ROWS_MAX = 5_000  # what a browser waits for; more is for the command

kept = amounts(gettext_lazy("kept (yuan)"), lambda row: row.kept_fen, "kept")


class ReversalRows(ReadOnlyRows):
    """What was taken back, from where."""

    model = Reversal
    fields = (
        "booked_at", "cause", "refund", "amount_fen", "from_frozen_fen", "from_available_fen",
        "as_debt_fen",
    )  # fmt: skip


@admin.register(Commission)
class CommissionAdmin(ExportMixin, ReadOnlyPage):
    """What promoters earn, with the reasons; the export button gives finance its file."""

    list_display = (
        "order", "promoter", "level", "base_fen", "rate_bps", "amount_fen", "reversed_fen",
        "status", "paid_at",
    )  # fmt: skip
    list_filter = (
        ("paid_at", DayRangeFilter),
        ("release_at", DayRangeFilter),
        "status",
        "level",
        "plan",
        ("voided_at", admin.EmptyFieldListFilter),
    )
    search_fields = ("order__number__startswith", "promoter__code__exact", "line__sku_code__exact")
    search_help_text = gettext_lazy("Order no., promoter no. or SKU code")
    list_select_related = ("order", "promoter__member")
    fields = (
        ("order", "line", "promoter"),
        ("level", "grade", "status"),
        ("plan", "rate", "capped"),
        ("base_fen", "rate_bps", "fixed_fen"),
        ("uncapped_fen", "amount_fen", "reversed_fen"),
        ("paid_at", "release_at", "settlement", "settled_fen"),
        "explanation",
    )
    inlines = (ReversalRows,)
    resource_classes = [AccrualResource]
    export_formats = [AccrualCsv]
    export_form_class = ExportForm

    @admin.display(description=gettext_lazy("explanation"))
    def explanation(self, commission: Commission) -> str:
        """Say why it is this amount."""
        return explain(commission)

    def export_action(self, request: HttpRequest) -> HttpResponse:
        """Refuse what is too much for a browser, and say what to do instead."""
        if self.has_export_permission(request):
            count = self.get_export_queryset(request)[: ROWS_MAX + 1].count()
            if count > ROWS_MAX:
                text = _(
                    "More than %(most)d rows: choose fewer days in the filter, or let the"
                    " command export_accruals write the file."
                )
                messages.error(request, text % {"most": ROWS_MAX})
                here = reverse("admin:commissions_commission_changelist")
                return HttpResponseRedirect(f"{here}?{request.GET.urlencode()}")
        return super().export_action(request)

    def get_export_data(
        self, file_format: Any, request: HttpRequest, queryset: QuerySet[Any], **kwargs: Any
    ) -> bytes:
        """Return the file and record who took what."""
        made = Made(
            actor(request),
            request.user.get_username(),
            request.GET.urlencode(),
            clock.now(),
        )
        resource = AccrualResource(made)
        data = file_format.export_data(resource.export(queryset))
        manifest = manifest_of(resource.totals, made, hashlib.sha256(data).hexdigest())
        audit.record(
            by=made.by,
            action="commission.export",
            target="commissions.commission",
            detail=manifest,
            at=made.as_of,
        )
        return data


class CommissionRows(ReadOnlyRows):
    """The commissions of one accrual."""

    model = Commission
    fields = ("line", "level", "promoter", "base_fen", "rate_bps", "amount_fen", "status")
    show_change_link = True
    hide_title = False

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        """Read the names with the rows."""
        return super().get_queryset(request).select_related("line", "promoter__member", "order")


@admin.register(Accrual)
class AccrualAdmin(ReadOnlyPage):
    """The record that an order's commissions were computed, also when nothing was due."""

    list_display = ("order", "revision", "outcome", "plan", "base_fen", "cap_fen", "accrued_at")
    list_filter = (
        ("accrued_at", DayRangeFilter),
        "outcome",
        "plan",
        ("voided_at", admin.EmptyFieldListFilter),
    )
    search_fields = ("order__number__startswith",)
    list_select_related = ("order", "plan")
    fields = (
        ("order", "revision", "outcome"),
        ("plan", "plan_forced"),
        ("base_fen", "cap_fen"),
        ("accrued_at", "voided_at"),
    )
    inlines = (CommissionRows,)


@admin.register(Reversal)
class ReversalAdmin(ReadOnlyPage):
    """What refunds took back."""

    list_display = (
        "booked_at", "commission", "cause", "refund", "amount_fen", "from_frozen_fen",
        "from_available_fen", "as_debt_fen",
    )  # fmt: skip
    list_filter = (("booked_at", DayRangeFilter), "cause")
    search_fields = (
        "commission__order__number__startswith", "commission__promoter__code__exact",
        "refund__out_refund_no__exact",
    )  # fmt: skip
    list_select_related = ("commission__order", "refund")
