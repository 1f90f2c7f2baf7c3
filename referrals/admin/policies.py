from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from distro.admin_base import DatedPolicyMixin, DayRangeFilter, Page
from distro.admin_steps import step
from referrals.models import Agreement, ReferralPolicy
from referrals.services.agreements import publish_agreement


@admin.register(Agreement)
class AgreementAdmin(Page):
    """Texts that members sign; a published one stays as it is."""

    list_display = ("title", "code", "version", "effective_from", "published_at")
    list_filter = (("effective_from", DayRangeFilter), "code")
    search_fields = ("title", "code")
    fields = (("code", "version"), "title", "body", "effective_from", "published_at", "body_sha256")
    readonly_fields = ("published_at", "body_sha256")
    actions_detail = ("publish",)
    offered_in = {"publish": lambda agreement: agreement.published_at is None}

    publish = step(
        publish_agreement,
        key="agreement_id",
        label=_("Publish"),
        text=_("A published text can never be changed again; a change is a new version."),
        permissions=["referrals.change_agreement"],
    )

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Refuse for a published text."""
        return super().has_change_permission(request, obj) and not (obj and obj.published_at)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Refuse for a published text."""
        return obj is not None and self.has_change_permission(request, obj)


@admin.register(ReferralPolicy)
class ReferralPolicyAdmin(DatedPolicyMixin, Page):
    """Who may become a promoter, and how customers are bound."""

    list_display = ("effective_from", "gate", "binding_mode", "binding_days", "protection_days")
    ordering = ("-effective_from",)
