from __future__ import annotations

from django.contrib import admin
from django.utils.translation import gettext_lazy as _

from distro.admin_base import DayRangeFilter, ReadOnlyPage
from distro.admin_steps import ReasonForm, step
from referrals.models import AgreementAcceptance, Binding, ShareLink, Visit
from referrals.services.bindings import end_binding


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
        ("member", "promoter", "mode"),
        ("link", "made_by", "reason"),
        ("started_at", "expires_at", "protected_until"),
        ("ended_at", "end_reason"),
    )
    who = ("made_by",)
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


@admin.register(ShareLink)
class ShareLinkAdmin(ReadOnlyPage):
    """Codes that members share."""

    list_display = ("code", "member", "target", "channel", "created_at", "expires_at", "revoked_at")
    list_filter = (("created_at", DayRangeFilter), "target", "channel")
    search_fields = ("=code", "member__no", "member__nickname", "member__promoter__code")
    list_select_related = ("member",)
    fields = (*list_display, "target_ref")


@admin.register(Visit)
class VisitAdmin(ReadOnlyPage):
    """Openings of share links."""

    list_display = ("occurred_at", "link", "sharer", "member", "scene", "ip_truncated")
    list_filter = (("occurred_at", DayRangeFilter), "link__channel")
    search_fields = ("=link__code", "member__no")
    list_select_related = ("link__member", "member")
    fields = ("occurred_at", "link", "sharer", "member", "scene", "ip_truncated")

    @admin.display(description=_("shared by"))
    def sharer(self, visit: Visit) -> str:
        """Name whose link it was."""
        return str(visit.link.member)


@admin.register(AgreementAcceptance)
class AgreementAcceptanceAdmin(ReadOnlyPage):
    """Evidence of who signed which text."""

    list_display = ("accepted_at", "member", "agreement", "body_sha256", "ip_truncated")
    list_filter = (("accepted_at", DayRangeFilter), "agreement")
    search_fields = ("member__no", "member__nickname", "=row_hash")
    titles = {
        "user_agent": _("device"),
        "client_time": _("time on the phone"),
        "app_version": _("version of the mini-program"),
        "page_path": _("page"),
        "action": _("what was pressed"),
        "prev_row_hash": _("hash of the row before"),
        "row_hash": _("hash of this row"),
    }
    list_select_related = ("member", "agreement")
    fields = (
        ("accepted_at", "member", "agreement"),
        "body_sha256",
        ("ip_truncated", "user_agent"),
        ("client_time", "app_version", "page_path", "action"),
        "prev_row_hash",
        "row_hash",
    )
