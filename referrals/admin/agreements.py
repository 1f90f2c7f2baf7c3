from __future__ import annotations

import re
from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from django.utils.html import conditional_escape
from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import gettext_lazy as _

from distro.admin_base import DayRangeFilter, Page, ReadOnlyPage
from distro.admin_steps import step
from referrals.models import Agreement, AgreementAcceptance
from referrals.services.agreements import publish_agreement


@admin.register(Agreement)
class AgreementAdmin(Page):
    """Texts that members sign; a published one stays as it is."""

    list_display = (
        "title", "code", "version", "worsening", "effective_from", "published_at", "announced_at",
    )  # fmt: skip
    list_filter = (("effective_from", DayRangeFilter), "code", "worsening")
    search_fields = ("title", "code")
    fields = (
        ("code", "version"),
        "title",
        "body",
        "highlights",
        ("worsening", "effective_from"),
        ("published_at", "announced_at"),
        "body_sha256",
    )
    readonly_fields = ("published_at", "announced_at", "body_sha256", "marked_text")
    actions_detail = ("publish",)
    offered_in = {"publish": lambda agreement: agreement.published_at is None}

    publish = step(
        publish_agreement,
        key="agreement_id",
        label=_("Publish"),
        text=_(
            "A published text can never be changed again; a change is a new version. All promoters"
            " are told, and have to accept it by the day it takes effect."
        ),
        permissions=["referrals.change_agreement"],
    )

    def get_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        """Show a published text as members read it."""
        if obj is None or not obj.published_at:
            return self.fields
        texts = {"body", "highlights"}
        return [*[name for name in self.fields if name not in texts], "marked_text"]

    @admin.display(description=_("text"))
    def marked_text(self, agreement: Agreement) -> SafeString:
        """Return the text with its lines and its highlighted clauses."""
        text = str(conditional_escape(agreement.body))
        passages = [re.escape(conditional_escape(passage)) for passage in agreement.passages]
        if passages:
            text = re.sub("|".join(passages), r"<mark>\g<0></mark>", text)
        return mark_safe(text.replace("\n", "<br>"))  # noqa: S308 - every part is escaped

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Refuse for a published text."""
        return super().has_change_permission(request, obj) and not (obj and obj.published_at)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Refuse for a published text."""
        return obj is not None and self.has_change_permission(request, obj)


@admin.register(AgreementAcceptance)
class AgreementAcceptanceAdmin(ReadOnlyPage):
    """Evidence of who signed which text; the file of one member is on the member's page."""

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
        ("body_sha256", "highlighted"),
        ("ip_truncated", "user_agent"),
        ("client_time", "app_version"),
        ("scene", "page_path"),
        ("action", "checkbox_default_off"),
        "prev_row_hash",
        "row_hash",
    )
