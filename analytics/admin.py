"""Pages for events and daily facts; the dashboard is the admin's front page."""

from __future__ import annotations

from django.contrib import admin
from django.utils.translation import gettext_lazy as _

from analytics.models import Event, EventDay, FoldCursor, ShopDay
from distro.admin_base import DayRangeFilter, ReadOnlyPage


@admin.register(Event)
class EventAdmin(ReadOnlyPage):
    """What members did in the mini-program."""

    list_display = ("occurred_at", "member", "name", "object_ref", "channel", "received_at")
    list_filter = (("occurred_at", DayRangeFilter),)
    search_fields = ("member__no__exact", "name", "object_ref__exact")
    list_select_related = ("member",)
    fields = list_display


@admin.register(ShopDay)
class ShopDayAdmin(ReadOnlyPage):
    """The shop day by day."""

    list_display = (
        "day", "orders", "buyers", "gmv_paid_fen", "gmv_net_fen", "commission_fen",
        "members_joined", "promoters_joined", "visits", "as_of",
    )  # fmt: skip
    list_filter = (("day", DayRangeFilter),)
    ordering = ("-day",)


@admin.register(EventDay)
class EventDayAdmin(ReadOnlyPage):
    """Events day by day."""

    list_display = ("day", "name", "count", "persons")
    list_filter = (("day", DayRangeFilter), "name")
    ordering = ("-day", "name")


@admin.register(FoldCursor)
class FoldCursorAdmin(ReadOnlyPage):
    """How far the daily facts have read."""

    titles = {
        "table": _("table"),
        "checked_id": _("checked up to row"),
        "seen_id": _("read up to row"),
    }
    list_display = ("table", "checked_id", "seen_id")
    ordering = ("table",)
