from __future__ import annotations

from django.contrib import admin

from commissions.models import Account, Settlement, Transfer
from distro.admin_base import DayRangeFilter, ReadOnlyPage


@admin.register(Account)
class AccountAdmin(ReadOnlyPage):
    """Where money stands."""

    list_display = ("promoter", "kind", "label", "balance_fen")
    list_filter = ("kind", ("promoter", admin.EmptyFieldListFilter))
    search_fields = ("promoter__code__exact", "promoter__member__no__exact", "label")
    list_select_related = ("promoter__member",)
    list_display_links = ("kind",)


@admin.register(Transfer)
class TransferAdmin(ReadOnlyPage):
    """Every movement of money; never changed, never deleted."""

    list_display = ("occurred_at", "code", "debit", "credit", "amount_fen", "source", "booked_on")
    list_filter = (("occurred_at", DayRangeFilter), ("booked_on", DayRangeFilter), "code")
    search_fields = (
        "idempotency_key__exact", "source__exact", "debit__promoter__code__exact",
        "credit__promoter__code__exact",
    )  # fmt: skip
    list_select_related = ("debit__promoter__member", "credit__promoter__member")
    fields = (
        ("code", "amount_fen"),
        ("debit", "credit"),
        ("occurred_at", "booked_on"),
        ("source", "idempotency_key"),
    )


@admin.register(Settlement)
class SettlementAdmin(ReadOnlyPage):
    """Chunks of commissions that became available."""

    list_display = ("number", "settled_at")
    list_filter = (("settled_at", DayRangeFilter),)
    search_fields = ("number",)
