from __future__ import annotations

from django.contrib import admin
from django.utils.translation import gettext_lazy as _

from campaigns.models import Invitation, Participation, Reward
from distro.admin_base import DayRangeFilter, ReadOnlyPage


@admin.register(Participation)
class ParticipationAdmin(ReadOnlyPage):
    """Who takes part in which campaign."""

    titles = {"link": _("share link")}
    list_display = ("joined_at", "campaign", "member", "counted")
    list_filter = (("joined_at", DayRangeFilter), "campaign")
    search_fields = ("member__no__exact", "campaign__code", "campaign__title")
    list_select_related = ("campaign", "member")
    fields = ("campaign", "member", "link", "joined_at", "counted")


@admin.register(Invitation)
class InvitationAdmin(ReadOnlyPage):
    """Who came through whom, and whether it counts."""

    titles = {"campaign": _("campaign")}
    list_display = ("joined_at", "participation", "invitee", "status", "order", "counted_at")
    list_filter = (("joined_at", DayRangeFilter), "status", "campaign")
    search_fields = ("invitee__no__exact", "participation__member__no__exact")
    list_select_related = (
        "participation__campaign", "participation__member", "invitee", "order",
    )  # fmt: skip


@admin.register(Reward)
class RewardAdmin(ReadOnlyPage):
    """What participants got."""

    list_display = ("granted_at", "participation", "position", "value_fen", "coupon", "lost_at")
    list_filter = (("granted_at", DayRangeFilter), "participation__campaign")
    search_fields = ("participation__member__no__exact", "coupon__code__exact")
    list_select_related = (
        "participation__campaign", "participation__member", "coupon__template",
    )  # fmt: skip
