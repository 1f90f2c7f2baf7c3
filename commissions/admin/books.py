"""Pages of the books: closed months, seals and corrections by hand."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin
from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _
from unfold.widgets import UnfoldAdminSingleDateWidget

from commissions.models import Correction, Period, Seal
from commissions.services.correcting import (
    book_correction,
    reject_correction,
    request_correction,
)
from commissions.services.periods import close_month, next_to_close, refuse_month
from distro import clock
from distro.admin_actors import actor
from distro.admin_base import DayRangeFilter, Page, ReadOnlyPage
from distro.admin_steps import ReasonForm, step
from distro.clock import beijing_day
from distro.errors import DomainError


class MonthForm(forms.ModelForm):  # type: ignore[type-arg]  # generic only for the type checker
    """Asks which month to close."""

    month = forms.DateField(
        label=_("Any day of the month"),
        widget=UnfoldAdminSingleDateWidget,
        help_text=_("Nothing is booked in a closed month any more. It is never opened again."),
    )

    class Meta:
        model = Period
        fields = ()

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if "month" in self.fields:
            self.fields["month"].initial = next_to_close(beijing_day(clock.now()))

    def clean_month(self) -> Any:
        """Refuse what is not the next month."""
        month = self.cleaned_data["month"]
        try:
            refuse_month(month, at=clock.now())
        except DomainError as error:
            raise ValidationError(str(error)) from None
        return month


@admin.register(Period)
class PeriodAdmin(ReadOnlyPage):
    """Closed months; adding one closes it."""

    form = MonthForm
    list_display = ("last_day", "transfers", "amount_fen", "closed_at", "closed_by")
    list_filter = (("last_day", DayRangeFilter),)
    fields = ("last_day", ("transfers", "amount_fen"), ("closed_at", "closed_by"))
    who = ("closed_by",)
    ordering = ("-last_day",)

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Let those close a month who may."""
        return bool(request.user.has_perm("commissions.add_period"))

    def get_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        """Ask only for the month."""
        return super().get_fields(request, obj) if obj else ("month",)

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        """Close the month."""
        month = form.cleaned_data["month"]
        obj.pk = close_month(month=month, by=actor(request), at=clock.now()).pk
        obj.refresh_from_db()


@admin.register(Seal)
class SealAdmin(ReadOnlyPage):
    """Fingerprints of the ledger."""

    list_display = ("sealed_at", "first_id", "last_id", "rows", "digest")
    list_filter = (("sealed_at", DayRangeFilter),)
    fields = (("first_id", "last_id", "rows"), "before", "digest", "sealed_at")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        """Leave the marks where they are."""
        return super().get_queryset(request).defer("marks")


class CorrectionForm(forms.ModelForm):  # type: ignore[type-arg]  # generic only for the type checker
    """Asks what to set right."""

    class Meta:
        model = Correction
        fields = ("promoter", "kind", "amount_fen", "reason")


@admin.register(Correction)
class CorrectionAdmin(Page):
    """Money set right by hand: one person asks here, another one books it."""

    form = CorrectionForm
    list_display = (
        "requested_at", "promoter", "kind", "amount_fen", "reason", "status", "requested_by",
        "decided_by",
    )  # fmt: skip
    list_filter = ("status", "kind", ("requested_at", DayRangeFilter))
    search_fields = ("promoter__code__exact", "promoter__member__no__exact", "reason")
    search_help_text = _("Promoter no., member no. or words of the reason")
    list_select_related = ("promoter__member",)
    autocomplete_fields = ("promoter",)
    fields = ("promoter", ("kind", "amount_fen"), "reason")
    who = ("requested_by", "decided_by")
    actions_detail = ("book", "reject")
    offered_in = {"book": ("requested",), "reject": ("requested",)}

    book = step(
        book_correction,
        key="correction_id",
        label=_("Book"),
        text=_("The money moves at once. Who asked for it cannot book it."),
        permissions=["commissions.decide_correction"],
    )
    reject = step(
        reject_correction,
        key="correction_id",
        label=_("Reject"),
        permissions=["commissions.decide_correction"],
        form=ReasonForm,
        danger=True,
    )

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Refuse: what was asked for stays as it is."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Refuse."""
        return False

    def get_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        """Show the course of a correction, ask only for its content."""
        course = ("status", ("requested_by", "requested_at"), ("decided_by", "decided_at"))
        return (*self.fields, *course) if obj else self.fields

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        """Ask for the correction."""
        made = request_correction(
            promoter_id=obj.promoter_id,
            kind=obj.kind,
            amount_fen=obj.amount_fen,
            reason=obj.reason,
            by=actor(request),
            at=clock.now(),
        )
        obj.pk = made.pk
        obj.refresh_from_db()
