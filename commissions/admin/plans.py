from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from commissions.models import Plan, PlanRate
from commissions.services.publishing import accept_level_2, publish_plan
from distro.admin_actors import actor
from distro.admin_base import DayRangeFilter, Page, ReadOnlyPage, Rows
from distro.admin_steps import step

PUBLISH = ["commissions.publish_plan"]


def _is_draft(obj: Any) -> bool:
    return obj is None or obj.status == Plan.Status.DRAFT


class DraftOnlyMixin:
    """A published plan and its rates stay as they are."""

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Refuse rates for a published plan."""
        return super().has_add_permission(request, *self._about(obj)) and _is_draft(obj)  # type: ignore[misc]

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Refuse for a published plan."""
        return super().has_change_permission(request, obj) and _is_draft(obj)  # type: ignore[misc]

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Refuse for a published plan."""
        return super().has_delete_permission(request, obj) and _is_draft(obj)  # type: ignore[misc]

    def _about(self, obj: Any) -> tuple[Any, ...]:
        return (obj,) if isinstance(self, Rows) else ()


class RateRows(DraftOnlyMixin, Rows):
    """What each level earns, where."""

    model = PlanRate
    fields = ("level", "scope", "category", "product", "sku", "grade", "rate_bps", "fixed_fen")
    autocomplete_fields = ("category", "product", "sku", "grade")
    ordering = ("level", "pk")


@admin.register(Plan)
class PlanAdmin(DraftOnlyMixin, Page):
    """Commission plans: edited as drafts, final once published."""

    list_display = (
        "name",
        "code",
        "version",
        "status",
        "cap_bps",
        "effective_from",
        "published_by",
    )
    list_filter = (("effective_from", DayRangeFilter), "status")
    search_fields = ("name", "code")
    fields = (
        ("code", "version", "status"),
        "name",
        ("base", "level_max", "cap_bps"),
        ("min_order_fen", "release_days"),
        "effective_from",
        ("created_by", "published_by", "published_at"),
        ("level_2_accepted_by", "level_2_accepted_at", "level_2_text"),
    )
    readonly_fields = (
        "status", "created_by", "published_by", "published_at", "level_2_accepted_by",
        "level_2_accepted_at", "level_2_text",
    )  # fmt: skip
    who = ("created_by", "published_by", "level_2_accepted_by")
    inlines = (RateRows,)
    actions_detail = ("accept_risk", "publish")
    offered_in = {"accept_risk": (Plan.Status.DRAFT,), "publish": (Plan.Status.DRAFT,)}

    accept_risk = step(
        accept_level_2,
        key="plan_id",
        label=_("Accept the risk of level 2"),
        text=_(
            "Paying a promoter for the sales of those he brought can be taken for pyramid"
            " selling, and WeChat may stop sharing and payment. With this you accept the risk"
            " for the merchant; your name and the time are recorded."
        ),
        permissions=PUBLISH,
        danger=True,
    )
    publish = step(
        publish_plan,
        key="plan_id",
        label=_("Publish"),
        text=_("A published plan and its rates can never be changed again."),
        permissions=PUBLISH,
    )

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        """Remember who made it."""
        if not change:
            obj.created_by = str(actor(request))
        super().save_model(request, obj, form, change)


@admin.register(PlanRate)
class PlanRateAdmin(ReadOnlyPage):
    """The rates of all plans."""

    list_display = ("plan", "level", "scope", "grade", "rate_bps", "fixed_fen")
    list_filter = ("plan", "level", "scope")
    search_fields = ("plan__code", "plan__name")
    list_select_related = ("plan", "grade")
    fields = (
        ("plan", "level", "scope"),
        ("category", "product", "sku", "grade"),
        ("rate_bps", "fixed_fen"),
    )
