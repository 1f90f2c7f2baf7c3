from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html
from django.utils.translation import gettext_lazy as _

from distro import clock
from distro.admin_base import DayRangeFilter, ReadOnlyPage
from distro.admin_steps import ReasonForm, step
from referrals.admin.timeline import timeline_file, timeline_page
from referrals.explanations import binding_explained_to_staff
from referrals.models import Binding, ShareLink, Visit
from referrals.selectors_links import active_links, broken_links, checkers, with_statistics
from referrals.selectors_timeline import OUTCOMES
from referrals.services.bindings_staff import end_binding
from referrals.services.links import revoke_link_by_staff


@admin.register(Binding)
class BindingAdmin(ReadOnlyPage):
    """Whose customer a member is; each change is a row."""

    list_display = (
        "started_at",
        "member",
        "promoter",
        "mode",
        "expires_at",
        "ended_at",
        "end_reason",
    )
    list_filter = (
        ("started_at", DayRangeFilter),
        "mode",
        ("ended_at", admin.EmptyFieldListFilter),
        "end_reason",
    )
    search_fields = ("member__no", "member__nickname", "promoter__code", "link__code")
    list_select_related = ("member", "promoter__member")
    fields = (
        "explanation",
        ("member", "promoter", "mode"),
        ("link", "made_by", "reason"),
        ("started_at", "expires_at", "protected_until"),
        ("ended_at", "end_reason"),
        ("ended_by", "end_note"),
        "whole_story",
    )
    who = ("made_by", "ended_by")
    actions_detail = ("end",)
    offered_in = {"end": lambda binding: binding.ended_at is None}

    end = step(
        end_binding,
        key="binding_id",
        label=_("End the binding"),
        permissions=["referrals.change_binding"],
        form=ReasonForm,
        danger=True,
    )
    custom_urls = (
        ("timeline/<int:member_id>/", "referrals_timeline", timeline_page),
        ("timeline/<int:member_id>/file/", "referrals_timeline_file", timeline_file),
    )

    @admin.display(description=_("explanation"))
    def explanation(self, binding: Binding) -> str:
        """Say in one sentence why the customer is this promoter's."""
        name = str(binding.promoter)
        return binding_explained_to_staff(binding, name=name, at=clock.now())

    @admin.display(description=_("Timeline"))
    def whole_story(self, binding: Binding) -> str:
        """Lead to everything that happened to the customer."""
        url = reverse("admin:referrals_timeline", args=[binding.member_id])
        return format_html('<a class="text-link" href="{}">{}</a>', url, _("Timeline"))


class HealthFilter(admin.SimpleListFilter):
    """Whether what a link leads to can be opened."""

    title = _("target")
    parameter_name = "health"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        """Name the answers."""
        return [
            ("broken", _("Broken")),
            ("fine", _("Opens")),
            ("unknown", _("Not checkable")),
        ]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """Keep the active links of one kind."""
        now = clock.now()
        if self.value() == "broken":
            return queryset.filter(pk__in=broken_links(now).values("pk"))
        if self.value() not in {"fine", "unknown"}:
            return queryset
        rows = queryset.filter(pk__in=active_links(now).values("pk"), broken_since=None)
        known = Q(target__in=checkers())
        return rows.filter(known if self.value() == "fine" else ~known)


@admin.register(ShareLink)
class ShareLinkAdmin(ReadOnlyPage):
    """Codes that members share."""

    list_display = (
        "code", "member", "target", "channel", "created_at", "visits", "joined", "bound", "health",
        "expires_at", "revoked_at",
    )  # fmt: skip
    list_filter = (
        ("created_at", DayRangeFilter), "target", "channel", HealthFilter, "employee_only",
    )  # fmt: skip
    search_fields = ("=code", "member__no", "member__nickname", "member__promoter__code")
    list_select_related = ("member",)
    fields = (
        ("code", "member", "employee_only"),
        ("target", "target_ref", "channel"),
        ("created_at", "expires_at"),
        ("revoked_at", "revoked_by", "revoke_reason"),
        ("health", "broken_since", "broken_reason"),
        ("visits", "joined", "bound"),
    )
    who = ("revoked_by",)
    actions_detail = ("revoke",)
    offered_in = {"revoke": lambda link: link.revoked_at is None}

    revoke = step(
        revoke_link_by_staff,
        key="link_id",
        label=_("Revoke the code"),
        text=_("Nobody can use it any more; the bindings it made stay."),
        permissions=["referrals.change_sharelink"],
        form=ReasonForm,
        danger=True,
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        """Count what each link brought, with the rows."""
        return with_statistics(super().get_queryset(request))

    @admin.display(description=_("visits"))
    def visits(self, link: Any) -> int:
        """Return how often it was opened."""
        return int(link.visit_count)

    @admin.display(description=_("joined"))
    def joined(self, link: Any) -> int:
        """Return how many logged in for the first time by it."""
        return int(link.joined_count)

    @admin.display(description=_("bound"))
    def bound(self, link: Any) -> int:
        """Return how many bindings it made."""
        return int(link.bound_count)

    @admin.display(description=_("target opens"))
    def health(self, link: ShareLink) -> Any:
        """Say whether what it leads to can be opened, as far as anybody can tell."""
        if link.broken_since:
            return link.get_broken_reason_display()
        return _("Opens") if link.target in checkers() else _("Not checkable")


@admin.register(Visit)
class VisitAdmin(ReadOnlyPage):
    """Openings of share links."""

    list_display = ("occurred_at", "link", "sharer", "member", "did", "scene", "ip_truncated")
    list_filter = (("occurred_at", DayRangeFilter), "link__channel")
    search_fields = ("=link__code", "member__no")
    list_select_related = ("link__member", "member")
    fields = (
        ("occurred_at", "link", "sharer"),
        ("member", "did"),
        ("scene", "ip_truncated", "forgotten_at"),
    )

    @admin.display(description=_("shared by"))
    def sharer(self, visit: Visit) -> str:
        """Name whose link it was."""
        return str(visit.link.member)

    @admin.display(description=_("what it did"))
    def did(self, visit: Visit) -> Any:
        """Say what the opening meant for the binding."""
        return OUTCOMES.get(visit.outcome, visit.outcome)
