from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest

from commissions.models import ChannelSwitch, PayoutPolicy, TaxMonth, TaxPolicy, VatRule
from distro import audit, clock
from distro.admin_actors import actor
from distro.admin_base import DatedPolicyMixin, DayRangeFilter, Page, ReadOnlyPage


@admin.register(PayoutPolicy)
class PayoutPolicyAdmin(DatedPolicyMixin, Page):
    """Limits of withdrawals, from a date on."""

    list_display = (
        "effective_from", "minimum_fen", "review_from_fen", "two_persons_day_fen",
        "channel_single_max_fen", "channel_day_max_fen",
    )  # fmt: skip
    ordering = ("-effective_from",)


@admin.register(TaxPolicy)
class TaxPolicyAdmin(DatedPolicyMixin, Page):
    """The tax rule the merchant chose; who saves it stands for it."""

    list_display = ("effective_from", "mode", "confirmed_by")
    fields = list_display
    readonly_fields = ("confirmed_by",)
    who = ("confirmed_by",)
    ordering = ("-effective_from",)

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        """Record who chose."""
        obj.confirmed_by = str(actor(request))
        obj.save()


@admin.register(VatRule)
class VatRuleAdmin(DatedPolicyMixin, Page):
    """How VAT is withheld; who saves it has read the rule and stands for it."""

    list_display = ("effective_from", "effective_to", "basis", "source_note", "confirmed_by")
    fields = (
        ("effective_from", "effective_to"),
        "basis",
        "source_note",
        ("confirmed_by", "confirmed_at"),
    )
    readonly_fields = ("confirmed_by", "confirmed_at")
    who = ("confirmed_by",)
    ordering = ("-effective_from",)

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        """Record who confirmed."""
        obj.confirmed_by, obj.confirmed_at = str(actor(request)), clock.now()
        obj.save()


@admin.register(ChannelSwitch)
class ChannelSwitchAdmin(Page):
    """Stops a payout channel; what waits goes on when it is opened again."""

    list_display = ("channel", "stopped", "reason")
    ordering = ("channel",)

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> list[Any]:
        """Keep the channel of a row."""
        fixed = super().get_readonly_fields(request, obj)
        return [*fixed, "channel"] if obj else fixed

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        """Leave an audit entry."""
        obj.save()
        audit.record(
            by=actor(request),
            action="channel.stop" if obj.stopped else "channel.open",
            target=f"commissions.channelswitch:{obj.pk}",
            reason=obj.reason,
            at=clock.now(),
        )

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Refuse: a switch is opened, not removed."""
        return False


@admin.register(TaxMonth)
class TaxMonthAdmin(ReadOnlyPage):
    """Lock rows of payee and month; the payee's index stays out of sight."""

    list_display = ("month",)
    list_filter = (("month", DayRangeFilter),)
    fields = ("month",)
