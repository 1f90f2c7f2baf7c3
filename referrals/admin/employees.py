from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _
from unfold.forms import BaseDialogForm
from unfold.widgets import UnfoldAdminSelectWidget

from distro import clock
from distro.admin_actors import actor
from distro.admin_base import DayRangeFilter, Page
from distro.admin_steps import step
from distro.errors import DomainError
from referrals.models import Employee, Member, ShareLink
from referrals.selectors import refuse_inactive
from referrals.services.employees import employ, employ_again, end_employment, make_employee_code

CHANGE = ["referrals.change_employee"]


class ChannelForm(BaseDialogForm):
    """Asks where the code is shown."""

    channel = forms.ChoiceField(
        label=_("Channel"),
        choices=ShareLink.Channel.choices,
        initial=ShareLink.Channel.STORE,
        widget=UnfoldAdminSelectWidget,
    )


class EmployeeForm(forms.ModelForm[Employee]):
    """Refuses who cannot be employed, beside his name."""

    def clean_member(self) -> Member:
        """Refuse an account that is blocked or closed."""
        member: Member = self.cleaned_data["member"]
        try:
            refuse_inactive(member)
        except DomainError as error:
            raise forms.ValidationError(str(error)) from None
        return member


@admin.register(Employee)
class EmployeeAdmin(Page):
    """Members who work here: their codes bind nobody, and they decide on no customer of theirs."""

    list_display = ("member", "staff", "since", "left_at", "made_by")
    list_filter = (("since", DayRangeFilter), ("left_at", admin.EmptyFieldListFilter))
    search_fields = ("member__no", "member__nickname", "staff__username")
    list_select_related = ("member", "staff")
    autocomplete_fields = ("member", "staff")
    form = EmployeeForm
    fields = ("member", "staff")
    who = ("made_by",)
    actions_detail = ("make_code", "end", "again")
    offered_in = {
        "make_code": lambda employee: employee.left_at is None,
        "end": lambda employee: employee.left_at is None,
        "again": lambda employee: employee.left_at is not None,
    }

    make_code = step(
        make_employee_code,
        key="employee_id",
        label=_("Make an employee's code"),
        text=_("For his work: it binds nobody and earns nothing."),
        permissions=CHANGE,
        form=ChannelForm,
    )
    end = step(
        end_employment,
        key="employee_id",
        label=_("He does not work here any more"),
        text=_("The codes of his work are revoked."),
        permissions=CHANGE,
        danger=True,
    )

    again = step(
        employ_again,
        key="employee_id",
        label=_("He works here again"),
        permissions=CHANGE,
    )

    def get_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        """Ask for the person only; the rest is written by the steps."""
        return self.fields if obj is None else (*self.fields, ("since", "left_at", "made_by"))

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        """Put the member into the list."""
        made = employ(
            member_id=obj.member_id, staff_id=obj.staff_id, by=actor(request), at=clock.now()
        )
        obj.pk = made.pk

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Refuse the form: whoever works here is added, and leaves, by a step."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Refuse: who worked here when stays known."""
        return False
