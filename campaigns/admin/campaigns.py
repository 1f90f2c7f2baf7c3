from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from campaigns.models import Campaign, CampaignTier
from campaigns.services.publishing import (
    approve_campaign,
    archive_campaign,
    end_campaign,
    pause_campaign,
    resume_campaign,
    send_back,
    submit_campaign,
)
from distro.admin_actors import actor
from distro.admin_base import DayRangeFilter, Page, ReadOnlyPage, Rows
from distro.admin_steps import WhyForm, step

CHANGE = ["campaigns.change_campaign"]
KEY = "campaign_id"

Status = Campaign.Status


class DraftOnlyMixin:
    """What was submitted stays as it is."""

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Refuse after the draft."""
        return super().has_change_permission(request, obj) and _is_draft(obj)  # type: ignore[misc]

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Refuse after the draft."""
        return super().has_delete_permission(request, obj) and _is_draft(obj)  # type: ignore[misc]


def _is_draft(obj: Any) -> bool:
    return obj is None or obj.status == Status.DRAFT


class TierRows(DraftOnlyMixin, Rows):
    """The steps of the ladder."""

    model = CampaignTier
    fields = ("invitees", "template")
    autocomplete_fields = ("template",)
    ordering = ("invitees",)

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Refuse after the draft."""
        return super().has_add_permission(request, obj) and _is_draft(obj)


@admin.register(Campaign)
class CampaignAdmin(DraftOnlyMixin, Page):
    """Invite campaigns: made by one person, approved by another."""

    list_display = ("title", "code", "status", "starts_at", "ends_at", "used_rewards", "created_by")
    list_filter = (("starts_at", DayRangeFilter), "status", "mode")
    search_fields = ("title", "code")
    autocomplete_fields = ("template",)
    fields = (
        ("code", "status"),
        ("title", "mode"),
        ("starts_at", "ends_at"),
        "rules_text",
        ("max_invitees", "total_rewards", "used_rewards"),
        ("template", "first_value_fen", "decline_bps", "floor_value_fen"),
        ("created_by", "reviewed_by"),
    )
    readonly_fields = ("status", "used_rewards", "created_by", "reviewed_by")
    who = ("created_by", "reviewed_by")
    inlines = (TierRows,)
    actions_detail = ("submit", "approve", "send_back", "pause", "resume", "end", "archive")
    offered_in = {
        "submit": (Status.DRAFT,),
        "approve": (Status.REVIEW,),
        "send_back": (Status.REVIEW,),
        "pause": (Status.SCHEDULED, Status.RUNNING),
        "resume": (Status.PAUSED,),
        "end": (Status.SCHEDULED, Status.RUNNING, Status.PAUSED),
        "archive": (Status.DRAFT, Status.SETTLED),
    }

    submit = step(submit_campaign, key=KEY, label=_("Submit for review"), permissions=CHANGE)
    approve = step(approve_campaign, key=KEY, label=_("Approve"), permissions=CHANGE)
    send_back = step(send_back, key=KEY, label=_("Send back"), permissions=CHANGE, form=WhyForm)
    pause = step(pause_campaign, key=KEY, label=_("Pause"), permissions=CHANGE, form=WhyForm)
    resume = step(resume_campaign, key=KEY, label=_("Resume"), permissions=CHANGE)
    end = step(
        end_campaign, key=KEY, label=_("End now"), permissions=CHANGE, form=WhyForm, danger=True
    )
    archive = step(archive_campaign, key=KEY, label=_("Archive"), permissions=CHANGE)

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        """Remember who made it: somebody else approves."""
        if not change:
            obj.created_by = str(actor(request))
        super().save_model(request, obj, form, change)


@admin.register(CampaignTier)
class CampaignTierAdmin(ReadOnlyPage):
    """The steps of all ladders."""

    list_display = ("campaign", "invitees", "template")
    list_filter = ("campaign__status",)
    search_fields = ("campaign__title", "campaign__code")
    list_select_related = ("campaign", "template")
