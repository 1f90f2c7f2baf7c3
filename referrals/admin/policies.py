from __future__ import annotations

from django.contrib import admin

from distro.admin_base import DatedPolicyMixin, Page
from referrals.models import ReferralPolicy


@admin.register(ReferralPolicy)
class ReferralPolicyAdmin(DatedPolicyMixin, Page):
    """Who may become a promoter, and how customers are bound."""

    list_display = ("effective_from", "gate", "binding_mode", "binding_days", "protection_days")
    list_select_related = ("override",)
    ordering = ("-effective_from",)
    fields = (
        "effective_from",
        "gate",
        ("min_purchase_to_join_fen", "override"),
        ("binding_mode", "binding_days", "protection_days"),
        "identity_review",
    )
