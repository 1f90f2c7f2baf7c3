from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html
from django.utils.translation import gettext_lazy as _

from distro.admin_base import DayRangeFilter, Page, ReadOnlyPage, ReadOnlyRows
from distro.admin_steps import ReasonForm, WhyForm, step
from referrals.admin.accounts import close_promoter_step
from referrals.admin.grades import set_grade_step
from referrals.admin.tree import tree_page, tree_rows
from referrals.models import Grade, Hold, Promoter
from referrals.services.holds import lift_hold, open_hold
from referrals.services.promoters import (
    reinstate_promoter,
    suspend_promoter,
)


class HoldRows(ReadOnlyRows):
    """What stops a promoter's money."""

    model = Hold
    fields = ("reason", "opened_by", "opened_at", "lifted_by", "lifted_at")
    who = ("opened_by", "lifted_by")
    ordering = ("-pk",)
    per_page = 10


@admin.register(Promoter)
class PromoterAdmin(ReadOnlyPage):
    """Promoters; the tree is written by joining only, so there is nothing to drag."""

    list_display = ("code", "member", "parent", "grade", "status", "approved_at")
    list_filter = (("approved_at", DayRangeFilter), "status", "grade")
    search_fields = ("code", "member__no", "member__nickname")
    list_select_related = ("member", "grade", "parent__member")
    fields = (
        ("code", "member", "status"),
        ("grade", "approved_at"),
        ("parent", "in_tree"),
    )
    inlines = (HoldRows,)
    actions_detail = ("suspend", "reinstate", "hold", "set_grade", "close")
    offered_in = {
        "suspend": (Promoter.Status.ACTIVE, Promoter.Status.CLOSING),
        "reinstate": (Promoter.Status.SUSPENDED,),
        "close": (Promoter.Status.ACTIVE, Promoter.Status.SUSPENDED),
    }

    suspend = step(
        suspend_promoter,
        key="promoter_id",
        label=_("Suspend"),
        text=_("He earns nothing from new orders, and nothing is settled or paid out."),
        permissions=["referrals.change_promoter"],
        form=WhyForm,
        danger=True,
    )
    reinstate = step(
        reinstate_promoter,
        key="promoter_id",
        label=_("Reinstate"),
        permissions=["referrals.change_promoter"],
        form=WhyForm,
    )
    hold = step(
        open_hold,
        key="promoter_id",
        label=_("Hold settlement and payout"),
        permissions=["referrals.add_hold"],
        form=ReasonForm,
        danger=True,
    )
    set_grade = set_grade_step
    close = close_promoter_step
    custom_urls = (
        ("tree/", "referrals_promoter_tree", tree_page),
        ("tree/<int:node>/", "referrals_promoter_tree_node", tree_page),
        ("tree/<int:node>/rows/", "referrals_promoter_tree_rows", tree_rows),
    )

    @admin.display(description=_("Promoter tree"))
    def in_tree(self, promoter: Promoter) -> str:
        """Lead to the promoter's place in the tree."""
        url = reverse("admin:referrals_promoter_tree_node", args=[promoter.pk])
        return format_html('<a class="text-link" href="{}">{}</a>', url, _("Team page"))

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        """Keep the newest first; mptt's own order would sort the whole tree."""
        return super().get_queryset(request).order_by("-pk")


@admin.register(Grade)
class GradeAdmin(Page):
    """Titles of promoters."""

    list_display = ("name", "code", "rank")
    search_fields = ("name", "code")
    ordering = ("rank", "pk")


@admin.register(Hold)
class HoldAdmin(ReadOnlyPage):
    """Reasons that stop settlement and payout until a person decides."""

    list_display = ("opened_at", "promoter", "reason", "opened_by", "lifted_at", "lifted_by")
    list_filter = (("opened_at", DayRangeFilter), ("lifted_at", admin.EmptyFieldListFilter))
    search_fields = (
        "promoter__code",
        "promoter__member__no",
        "promoter__member__nickname",
        "reason",
    )
    list_select_related = ("promoter__member",)
    fields = ("promoter", "reason", ("opened_at", "opened_by"), ("lifted_at", "lifted_by"))
    who = ("opened_by", "lifted_by")
    actions_detail = ("lift",)
    offered_in = {"lift": lambda hold: hold.lifted_at is None}

    lift = step(
        lift_hold,
        key="hold_id",
        label=_("Lift the hold"),
        permissions=["referrals.change_hold"],
        form=ReasonForm,
    )
