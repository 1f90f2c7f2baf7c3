"""Setting a promoter's grade by hand."""

from __future__ import annotations

from django import forms
from django.utils.translation import gettext_lazy as _
from unfold.forms import BaseDialogForm
from unfold.widgets import (
    UnfoldAdminSelectWidget,
    UnfoldAdminTextareaWidget,
    UnfoldAdminTextInputWidget,
)

from distro.admin_steps import step
from referrals.models import Grade
from referrals.services.grades import set_grade_by_hand


def _grades() -> list[tuple[str, object]]:
    grades = Grade.objects.order_by("-rank", "pk").values_list("pk", "name")
    return [*((str(pk), name) for pk, name in grades), ("", _("No grade"))]


class GradeForm(BaseDialogForm):
    """Asks which grade, why and until when the rule leaves it alone."""

    grade_id = forms.TypedChoiceField(
        label=_("Grade"),
        choices=_grades,
        coerce=int,
        empty_value=None,
        required=False,
        widget=UnfoldAdminSelectWidget,
    )
    protected_until = forms.DateField(
        label=_("Protected until"), widget=UnfoldAdminTextInputWidget(attrs={"type": "date"})
    )
    reason = forms.CharField(
        label=_("Reason"), max_length=200, widget=UnfoldAdminTextareaWidget({"rows": 3})
    )


set_grade_step = step(
    set_grade_by_hand,
    key="promoter_id",
    label=_("Set grade"),
    text=_(
        "Until the day you name the rule does not take away what you give, and does not give back"
        " what you take. The promoter reads the reason."
    ),
    permissions=["referrals.set_grade"],
    form=GradeForm,
)
