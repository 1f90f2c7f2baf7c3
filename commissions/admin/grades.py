from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin
from django.core.exceptions import PermissionDenied, ValidationError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.html import format_html
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from unfold.widgets import UnfoldAdminSelectWidget, UnfoldAdminTextInputWidget

from commissions.admin.plans import DraftOnlyMixin
from commissions.explaining_grades import (
    condition_text,
    explain_change,
    missing,
    raised_text,
)
from commissions.models import GradeCondition, GradeReview, GradeRule
from commissions.rules_grades import (
    COUNTS_HEADS,
    HUNDREDTHS,
    WITHOUT_DATA,
    Condition,
    check_condition,
    check_input,
)
from commissions.selectors_grades import ladder_of
from commissions.selectors_standing import preview_of
from commissions.services.grade_rules import next_version, publish_rule
from distro import clock
from distro.admin_actors import actor
from distro.admin_base import (
    DayRangeFilter,
    Page,
    Panel,
    ReadOnlyPage,
    Rows,
    add_panel,
    sees_personal_data,
)
from distro.admin_steps import step
from distro.errors import DomainError
from distro.money import parse_yuan, yuan
from referrals.models import Grade, GradeChange, Promoter

PUBLISH = ["commissions.publish_graderule"]
CHANGES_SHOWN = 5


# --- Rules ----------------------------------------------------------------------------------


def _inputs() -> list[tuple[Any, Any]]:
    """Offer what is allowed, and show what is not, so that the refusal can say why."""
    return [
        *GradeCondition.Input.choices,
        (gettext("Not recorded yet"), [(name, name) for name in sorted(WITHOUT_DATA)]),
        (gettext("Never allowed: counts people"), [(name, name) for name in sorted(COUNTS_HEADS)]),
    ]


class ConditionForm(forms.ModelForm):  # type: ignore[type-arg]
    """One condition; its bar is written in yuan, percent or pieces, as what counts wants it."""

    input = forms.ChoiceField(
        label=_("what counts"), choices=_inputs, widget=UnfoldAdminSelectWidget
    )
    bar = forms.CharField(
        label=_("bar"),
        max_length=16,
        widget=UnfoldAdminTextInputWidget,
        help_text=_("Sales in yuan, refunds in percent, orders and months in pieces."),
    )

    class Meta:
        model = GradeCondition
        fields = ("grade", "group", "input", "months", "bar")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.instance.pk:
            shown = yuan if self.instance.input in HUNDREDTHS else str
            self.initial["bar"] = shown(self.instance.bar)

    def clean_input(self) -> str:
        """Refuse what a grade may not depend on."""
        name: str = self.cleaned_data["input"]
        return self._refused(lambda: check_input(name), name)

    def clean(self) -> dict[str, Any]:
        """Read the bar in its unit, and refuse a condition that makes no sense."""
        data: dict[str, Any] = super().clean() or {}
        if {"grade", "group", "input", "months", "bar"} <= data.keys():
            data["bar"] = self._bar(data["input"], data["bar"])
            one = Condition(
                data["grade"].pk, data["group"], data["input"], data["months"], data["bar"]
            )
            self._refused(lambda: check_condition(one), None)
        return data

    def _bar(self, name: str, text: str) -> int:
        text = text.strip().removesuffix("%").strip()
        if name in HUNDREDTHS:
            return int(self._refused(lambda: parse_yuan(text), 0) or 0)
        if not (text.isascii() and text.isdigit()):
            raise ValidationError(_("Write a whole number."))
        return int(text)

    def _refused(self, check: Any, value: Any) -> Any:
        try:
            found = check()
        except DomainError as error:
            raise ValidationError(str(error)) from None
        return value if found is None else found


class ConditionRows(DraftOnlyMixin, Rows):
    """What each grade asks for."""

    model = GradeCondition
    form = ConditionForm
    hide_title = True
    autocomplete_fields = ("grade",)
    ordering = ("grade__rank", "group", "pk")

    def get_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        """Show a published condition in words."""
        if obj is None or obj.status == GradeRule.Status.DRAFT:
            return ("grade", "group", "input", "months", "bar")
        return ("grade", "group", "asks")

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> list[Any]:
        """Let `asks` be shown."""
        return [*super().get_readonly_fields(request, obj), "asks"]

    @admin.display(description=_("condition"))
    def asks(self, row: GradeCondition) -> str:
        """Say what a condition asks for."""
        return asks(row)


def asks(row: GradeCondition) -> str:
    """Say what a condition asks for."""
    return condition_text(Condition(row.grade_id, row.group, row.input, row.months, row.bar))


def preview(request: HttpRequest, model_admin: Any, rule: int) -> HttpResponse:
    """Show whose grade a rule would change; nothing is written."""
    if not model_admin.has_view_permission(request):
        raise PermissionDenied
    row = get_object_or_404(GradeRule, pk=rule)
    found = preview_of(ladder_of(row), at=clock.now())
    ids = {one.promoter_id for one in found.rises} | {one.promoter_id for one in found.below}
    people = Promoter.objects.select_related("member", "grade").in_bulk(ids)
    grades = {grade.pk: grade for grade in Grade.objects.all()}
    rising = [
        {
            "node": people[one.promoter_id],
            "why": raised_text(grades[one.rung.grade_id], one.facts),
        }
        for one in found.rises
    ]
    falling = [
        {
            "node": people[one.promoter_id],
            "outcome": GradeReview.Outcome(one.verdict.value).label,
            "why": missing(one.facts),
        }
        for one in found.below
    ]
    context = {
        **model_admin.admin_site.each_context(request),
        "opts": model_admin.opts,
        "title": gettext("What the rule would change"),
        "rule": row,
        "found": found,
        "rising": rising,
        "falling": falling,
        "clear": sees_personal_data(request.user),
    }
    return TemplateResponse(request, "admin/grades/preview.html", context)


@admin.register(GradeRule)
class GradeRuleAdmin(DraftOnlyMixin, Page):
    """By what promoters earn their grades: edited as drafts, final once published."""

    list_display = ("name", "version", "status", "effective_from", "published_by")
    list_filter = (("effective_from", DayRangeFilter), "status")
    search_fields = ("name", "=version")
    fields = (
        "name",
        ("version", "status", "would_change"),
        "effective_from",
        ("created_by", "published_by", "published_at"),
    )
    readonly_fields = (
        "version", "status", "would_change", "created_by", "published_by", "published_at",
    )  # fmt: skip
    who = ("created_by", "published_by")
    inlines = (ConditionRows,)
    actions_detail = ("publish",)
    offered_in = {"publish": (GradeRule.Status.DRAFT,)}
    custom_urls = (("<int:rule>/preview/", "commissions_graderule_preview", preview),)

    publish = step(
        publish_rule,
        key="rule_id",
        label=_("Publish"),
        text=_(
            "A published rule can never be changed again. It raises grades at once, and lowers one"
            " only after a month of warning."
        ),
        permissions=PUBLISH,
    )

    @admin.display(description=_("preview"))
    def would_change(self, rule: GradeRule) -> str:
        """Lead to whose grade the rule would change."""
        if not rule.pk:
            return "–"
        url = reverse("admin:commissions_graderule_preview", args=[rule.pk])
        return format_html('<a class="text-link" href="{}">{}</a>', url, _("Who would change"))

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        """Number it, and remember who made it."""
        if not change:
            obj.version, obj.created_by = next_version(), str(actor(request))
        super().save_model(request, obj, form, change)


@admin.register(GradeCondition)
class GradeConditionAdmin(ReadOnlyPage):
    """The conditions of all rules."""

    list_display = ("rule", "grade", "group", "asks")
    list_filter = ("rule", "grade")
    search_fields = ("rule__name", "grade__name")
    list_select_related = ("rule", "grade")
    fields = (("rule", "grade", "group"), "asks")

    @admin.display(description=_("condition"))
    def asks(self, row: GradeCondition) -> str:
        """Say what a condition asks for."""
        return asks(row)


# --- History --------------------------------------------------------------------------------


@admin.register(GradeChange)
class GradeChangeAdmin(ReadOnlyPage):
    """Every change of a promoter's grade, and why."""

    list_display = (
        "changed_at", "promoter", "from_grade", "to_grade", "cause", "explained", "changed_by",
    )  # fmt: skip
    list_filter = (("changed_at", DayRangeFilter), "cause", "to_grade")
    search_fields = ("promoter__code", "promoter__member__no", "promoter__member__nickname")
    list_select_related = ("promoter__member", "from_grade", "to_grade")
    fields = (
        ("promoter", "cause"),
        ("from_grade", "to_grade", "protected_until"),
        "explained",
        ("changed_by", "changed_at", "rule_version"),
    )
    who = ("changed_by",)

    @admin.display(description=_("reason"))
    def explained(self, change: GradeChange) -> str:
        """Say why, in the reader's language."""
        return explain_change(change)


@admin.register(GradeReview)
class GradeReviewAdmin(ReadOnlyPage):
    """What became of each grade at the end of each month."""

    list_display = ("month", "promoter", "grade", "outcome", "reviewed_at")
    list_filter = (("month", DayRangeFilter), "outcome", "grade")
    search_fields = ("promoter__code", "promoter__member__no", "promoter__member__nickname")
    list_select_related = ("promoter__member", "grade", "rule")
    fields = (("promoter", "month"), ("grade", "outcome", "rule"), ("change", "reviewed_at"))


def promoter_grades(request: HttpRequest, promoter: Promoter) -> dict[str, Any] | None:
    """Return how a promoter came to his grade."""
    if not request.user.has_perm("referrals.view_gradechange"):
        return None
    changes = GradeChange.objects.filter(promoter=promoter).select_related("from_grade", "to_grade")
    rows = list(changes.order_by("-pk")[:CHANGES_SHOWN])
    return {"rows": [{"change": row, "why": explain_change(row)} for row in rows]}


add_panel(Promoter, Panel("admin/grades/promoter.html", promoter_grades))
