from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.timesince import timesince
from django.utils.translation import gettext_lazy as _

from distro import clock
from distro.admin_actors import NamedActors
from distro.admin_base import DayRangeFilter, ReadOnlyPage
from distro.admin_columns import EMPTY
from distro.admin_steps import ReasonForm, batch, step
from referrals import selectors_joining
from referrals.models import Application
from referrals.selectors_queue import identity_states, risks_of, signers
from referrals.services.promoters import approve_application, reject_application

DECIDE = ["referrals.change_application"]


class Queue(NamedActors):
    """A page of applications with what a reviewer asks about each, read at once."""

    def get_results(self, request: Any) -> None:
        """Read the rows, then what stands beside them."""
        super().get_results(request)
        rows: list[Any] = list(self.result_list)
        know(rows)
        self.result_list = rows


def know(rows: list[Any]) -> None:
    """Give each application its risks, its applicant's identity and the version that rules."""
    risks, states = risks_of(rows), identity_states([row.member_id for row in rows])
    ruling = selectors_joining.ruling_agreement(clock.now())
    signed = signers([row.member_id for row in rows], ruling) if ruling else set()
    for row in rows:
        row.risks_seen, row.identity_state = risks[row.pk], states.get(row.member_id, "")
        row.ruling = ruling if row.member_id in signed else None


@admin.register(Application)
class ApplicationAdmin(ReadOnlyPage):
    """Members who want to become promoters, with what a reviewer asks about each."""

    list_display = (
        "member", "waiting", "parent", "version", "identity", "risks", "note", "status",
    )  # fmt: skip
    list_filter = (("requested_at", DayRangeFilter), "status", "acceptance__agreement")
    search_fields = ("member__no", "member__nickname", "parent__code", "=invite__code")
    search_help_text = _("Member no., nickname, promoter no. of the upline, invite code")
    list_select_related = ("member", "parent__member", "acceptance__agreement")
    fields = (
        ("member", "parent", "status"),
        ("identity", "version", "invite"),
        "risks",
        "note",
        ("requested_at", "decided_at"),
        "reason",
        "acceptance",
    )
    actions = ("approve_selected",)
    actions_detail = ("approve", "reject")
    offered_in = {
        "approve": (Application.Status.PENDING,),
        "reject": (Application.Status.PENDING,),
    }

    approve_selected = batch(
        approve_application,
        key="application_id",
        label=_("Approve the selected"),
        permissions=DECIDE,
    )
    approve = step(
        approve_application,
        key="application_id",
        label=_("Approve"),
        text=_("He becomes a promoter below the upline shown, and is told."),
        permissions=DECIDE,
    )
    reject = step(
        reject_application,
        key="application_id",
        label=_("Reject"),
        text=_("The applicant reads the reason; he may apply again."),
        permissions=DECIDE,
        form=ReasonForm,
        danger=True,
    )

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[Queue]:
        """Read what stands beside the rows at once."""
        return Queue

    def get_ordering(self, request: HttpRequest) -> tuple[str, ...]:
        """Show what waits longest first, else the newest."""
        waiting = request.GET.get("status__exact") == Application.Status.PENDING
        return ("requested_at", "pk") if waiting else ("-pk",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        """Read the names with the rows."""
        return super().get_queryset(request).select_related(*self.list_select_related)

    @admin.display(description=_("waiting for"), ordering="requested_at")
    def waiting(self, row: Application) -> str:
        """Say how long an application waits, or waited."""
        return timesince(row.requested_at, row.decided_at or clock.now(), depth=1)

    @admin.display(description=_("agreement"))
    def version(self, row: Any) -> str | SafeString:
        """Say which version was signed, and whether it still rules."""
        _known(row)
        if row.status != Application.Status.PENDING:
            return f"v{row.acceptance.agreement.version}"
        if row.ruling:
            return f"v{row.ruling.version}"
        facts = {"version": f"v{row.acceptance.agreement.version}"}
        return _pill("watch", _("%(version)s, outdated") % facts)

    @admin.display(description=_("identity"))
    def identity(self, row: Any) -> str:
        """Say what is known of the real name."""
        _known(row)
        return row.identity_state or EMPTY

    @admin.display(description=_("look at"))
    def risks(self, row: Any) -> str | SafeString:
        """Say what is worth a second look."""
        _known(row)
        badges = ((_pill("risk", risk.label),) for risk in row.risks_seen)
        return format_html_join("", "{}", badges) or EMPTY


def _known(row: Any) -> None:
    if not hasattr(row, "identity_state"):  # a single page: nobody has read it before
        know([row])


def _pill(kind: str, text: object) -> SafeString:
    return format_html('<span class="pill pill-{}">{}</span> ', kind, text)
