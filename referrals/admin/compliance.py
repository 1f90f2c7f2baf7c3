"""The compliance monitor: trees that want to be looked at, and what was paid for heads."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import Case, IntegerField, Value, When
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _

from distro import clock
from distro.admin_base import (
    DatedPolicyMixin,
    DayRangeFilter,
    Page,
    Panel,
    ReadOnlyPage,
    add_panel,
)
from distro.admin_columns import EMPTY, yuan_text
from distro.admin_steps import ReasonForm, step
from distro.money import percent
from referrals.models import ComplianceDay, CompliancePolicy, ComplianceState, Promoter
from referrals.rules.compliance import Flag, ghost_flag, headcount_flag, share_bps
from referrals.selectors_compliance import (
    FLAGGED,
    compliance_policy_at,
    newest_day,
    newest_rewards,
    state_of_tree,
    trees_of_organiser,
    unacknowledged_trees,
)
from referrals.services.compliance import acknowledge_tree

FEW = 30  # below so many a share says little: it is shown with its counts, in grey
SEVERITY = Case(
    When(status="red", then=Value(0)),
    When(status="amber", then=Value(1)),
    default=Value(2),
    output_field=IntegerField(),
)
PILLS = {Flag.RED: "risk", Flag.AMBER: "watch", Flag.NONE: "good"}


class StateFilter(admin.SimpleListFilter):
    """Trees by flag; those that nobody has acknowledged first."""

    title = _("flag")
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        """Offer what waits, then each flag."""
        return [("waiting", _("Not acknowledged")), *ComplianceState.Status.choices]

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        """Keep the trees of one kind."""
        if self.value() == "waiting":
            return queryset.filter(status__in=FLAGGED, acknowledged_at=None)
        return queryset.filter(status=self.value()) if self.value() else queryset


@admin.register(ComplianceState)
class ComplianceStateAdmin(ReadOnlyPage):
    """Trees that are amber or red, or were; the worst first."""

    titles = {"root": _("organiser")}
    list_display = (
        "root", "flag", "organiser_people", "organiser_depth", "organiser_trees", "since",
        "acknowledged_by", "in_tree",
    )  # fmt: skip
    list_filter = (StateFilter, ("since", DayRangeFilter))
    search_fields = ("root__code__exact", "root__member__no__exact", "root__member__nickname")
    search_help_text = _("Promoter no., member no. or nickname")
    list_select_related = ("root__member",)
    list_before_template = "admin/compliance/summary.html"
    fields = (
        ("root", "flag", "since"),
        ("organiser_people", "organiser_depth", "organiser_trees"),
        ("people", "depth", "in_tree"),
        "others",
        ("acknowledged_by", "acknowledged_at"),
        "acknowledged_why",
    )
    readonly_fields = ("flag", "in_tree", "others")
    who = ("acknowledged_by",)
    actions_detail = ("acknowledge",)
    offered_in = {
        "acknowledge": lambda state: state.status in FLAGGED and state.acknowledged_at is None
    }

    acknowledge = step(
        acknowledge_tree,
        key="state_id",
        label=_("Acknowledge"),
        text=_(
            "Write what was looked at and decided. The flag stays; your name and the time are"
            " recorded. Not a crime is not the same as lawful."
        ),
        permissions=["referrals.change_compliancestate"],
        form=ReasonForm,
    )

    def get_ordering(self, request: HttpRequest) -> Any:
        """Put the red trees first, the largest of them on top."""
        return (SEVERITY, "-organiser_people", "pk")

    @admin.display(description=_("flag"), ordering=SEVERITY)
    def flag(self, state: ComplianceState) -> SafeString:
        """Show the flag in its colour."""
        return pill(Flag(state.status), state.get_status_display())

    @admin.display(description=_("Promoter tree"))
    def in_tree(self, state: ComplianceState) -> SafeString:
        """Lead to the tree."""
        url = reverse("admin:referrals_promoter_tree_node", args=[state.root_id])
        return format_html('<a class="text-link" href="{}">{}</a>', url, _("Team page"))

    @admin.display(description=_("all trees of the organiser"))
    def others(self, state: ComplianceState) -> SafeString:
        """Lead to the trees that are added up."""
        rows = trees_of_organiser(state)
        urls = ((change_url(row), row.root, row.people) for row in rows)
        return format_html_join("、", '<a class="text-link" href="{}">{}: {}</a>', urls)

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Say on top of the list how the whole shop stands."""
        context = {**(extra_context or {}), "summary": summary()}
        return super().changelist_view(request, context)


def change_url(state: ComplianceState) -> str:
    """Return the address of a tree's page in the monitor."""
    return reverse("admin:referrals_compliancestate_change", args=[state.pk])


def pill(flag: Flag, text: Any) -> SafeString:
    """Return a coloured word."""
    return format_html('<span class="pill pill-{}">{}</span>', PILLS[flag], text)


# --- Summary --------------------------------------------------------------------------------


def summary() -> dict[str, Any]:
    """Return the last findings over all trees and all rewards."""
    policy = compliance_policy_at(clock.now())
    return {
        "policy": policy,
        "day": newest_day(),
        "waiting": unacknowledged_trees().count(),
        "rewards": rewards_found(newest_rewards(), policy),
    }


def rewards_found(
    day: ComplianceDay | None, policy: CompliancePolicy
) -> list[dict[str, Any]] | None:
    """Return what was found about rewards, each with its flag; None before the first look."""
    if day is None:
        return None
    assert day.rewards_fen is not None
    assert day.cash_fen is not None
    assert day.coupons_fen is not None
    coupons = headcount_flag(
        cash_fen=0,
        coupons_fen=day.coupons_fen,
        all_fen=day.rewards_fen,
        limit_bps=policy.reward_limit_bps,
    )
    return [
        {
            "title": _("Cash without a paid order (yuan)"),
            "value": yuan_text(day.cash_fen),
            "flag": PILLS[Flag.RED if day.cash_fen else Flag.NONE],
            "note": _("has to be 0"),
        },
        {
            "title": _("Coupons without a paid order, of all rewards"),
            "value": share_text(share_bps(day.coupons_fen, day.rewards_fen)),
            "flag": PILLS[coupons],
            "note": _("%(part)s of %(whole)s yuan; at most %(limit)s %%")
            % {
                "part": yuan_text(day.coupons_fen),
                "whole": yuan_text(day.rewards_fen),
                "limit": percent(policy.reward_limit_bps),
            },
        },
        _ghosts(day, policy),
    ]


def _ghosts(day: ComplianceDay, policy: CompliancePolicy) -> dict[str, Any]:
    title = _("Promoters whose customers only bought the minimum")
    if day.sellers is None or day.ghosts is None:
        note = _("No purchase is set that opens a reward, so there is nothing to compare with.")
        return {"title": title, "value": EMPTY, "flag": "", "note": note}
    flag = ghost_flag(ghosts=day.ghosts, promoters=day.sellers, limit_bps=policy.ghost_limit_bps)
    return {
        "title": title,
        "value": share_text(share_bps(day.ghosts, day.sellers)),
        "few": day.sellers < FEW,
        "flag": PILLS[flag],
        "note": _("%(ghosts)s of %(sellers)s, up to %(gate)s yuan; at most %(limit)s %%")
        % {
            "ghosts": day.ghosts,
            "sellers": day.sellers,
            "gate": yuan_text(day.gate_fen),
            "limit": percent(policy.ghost_limit_bps),
        },
    }


def share_text(bps: int | None) -> str:
    """Write a share in percent; nothing has none."""
    return EMPTY if bps is None else f"{percent(bps)} %"


# --- The promoter's page, policies, days ----------------------------------------------------


def tree_of_promoter(request: HttpRequest, promoter: Promoter) -> dict[str, Any] | None:
    """Return the flag of the tree that a promoter stands in, if it has one."""
    if not request.user.has_perm("referrals.view_compliancestate"):
        return None
    state = state_of_tree(promoter)
    if state is None or state.status not in FLAGGED:
        return None
    return {"state": state, "pill": PILLS[Flag(state.status)]}


add_panel(Promoter, Panel("admin/compliance/promoter.html", tree_of_promoter))


@admin.register(CompliancePolicy)
class CompliancePolicyAdmin(DatedPolicyMixin, Page):
    """From which numbers on the monitor warns."""

    list_display = (
        "effective_from", "people_from", "depth_from", "reward_days", "reward_limit_bps",
        "ghost_limit_bps", "reward_gate_fen",
    )  # fmt: skip
    fields = (
        "effective_from",
        ("people_from", "depth_from"),
        ("reward_days", "reward_limit_bps"),
        ("ghost_limit_bps", "reward_gate_fen"),
    )
    ordering = ("-effective_from",)


@admin.register(ComplianceDay)
class ComplianceDayAdmin(ReadOnlyPage):
    """What the monitor found, day by day."""

    list_display = (
        "day", "promoters", "trees", "amber", "red", "rewards_fen", "cash_fen", "coupons_fen",
    )  # fmt: skip
    list_filter = (("day", DayRangeFilter),)
    ordering = ("-day",)
    fields = (
        "day",
        ("promoters", "trees"),
        ("amber", "red"),
        ("rewards_from", "rewards_fen"),
        ("cash_fen", "coupons_fen"),
        ("gate_fen", "sellers", "ghosts"),
    )
