from __future__ import annotations

from datetime import datetime
from typing import Any

from django import forms
from django.contrib import admin
from django.core.exceptions import ValidationError
from django.http import HttpRequest
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from distro import clock
from distro.admin_actors import actor
from distro.admin_base import DayRangeFilter, Page, ReadOnlyAdminMixin, ReadOnlyPage
from distro.admin_steps import ReasonForm, step
from referrals import selectors_joining
from referrals.errors import ExpiryInPast
from referrals.errors_joining import OverrideTooLong
from referrals.models import InviteCode, LegalOverride, Quitting
from referrals.models.overrides import LIFE_MAX
from referrals.services.invites import make_invite, revoke_invite
from referrals.services.overrides import (
    approve_override,
    open_override,
    refuse_override,
    revoke_override,
)


class InviteForm(forms.ModelForm):  # type: ignore[type-arg]
    """A new invite code."""

    def clean_expires_at(self) -> datetime | None:
        """Refuse what the service would refuse."""
        expires_at: datetime | None = self.cleaned_data["expires_at"]
        if expires_at and expires_at <= clock.now():
            raise ValidationError(str(ExpiryInPast()))
        return expires_at


class OverrideForm(forms.ModelForm):  # type: ignore[type-arg]
    """A new legal override."""

    def clean_expires_at(self) -> datetime:
        """Refuse what the service would refuse."""
        expires_at: datetime = self.cleaned_data["expires_at"]
        if not clock.now() < expires_at <= clock.now() + LIFE_MAX:
            raise ValidationError(str(OverrideTooLong(days=LIFE_MAX.days)))
        return expires_at


class MadeByService(ReadOnlyAdminMixin, Page):
    """Rows that staff make with a form and a service, and that nobody edits afterwards."""

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Ask for the right to add, as any page does."""
        return Page.has_add_permission(self, request)


@admin.register(InviteCode)
class InviteCodeAdmin(MadeByService):
    """Codes for the invite gate; given away, never sold."""

    form = InviteForm
    list_display = ("code", "note", "used", "uses_max", "expires_at", "revoked_at", "made_by")
    list_filter = (("made_at", DayRangeFilter), ("revoked_at", admin.EmptyFieldListFilter))
    search_fields = ("=code", "note")
    fields = (
        "code",
        "note",
        ("used", "uses_max"),
        "expires_at",
        ("made_by", "made_at"),
        "revoked_at",
    )
    who = ("made_by",)
    readonly_fields = ("code", "used", "made_by", "made_at", "revoked_at")
    actions_detail = ("revoke",)
    offered_in = {"revoke": lambda invite: invite.revoked_at is None}

    revoke = step(
        revoke_invite,
        key="invite_id",
        label=_("Revoke"),
        text=_("Nobody comes through with it any more; who did, stays."),
        permissions=["referrals.change_invitecode"],
        form=ReasonForm,
        danger=True,
    )

    def get_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        """Ask for a new code only what one may choose."""
        return self.fields if obj else ("note", "uses_max", "expires_at")

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        """Make the code."""
        wishes = {name: form.cleaned_data[name] for name in ("note", "uses_max", "expires_at")}
        made = make_invite(**wishes, by=actor(request), at=clock.now())
        obj.pk, obj.code = made.pk, made.code


@admin.register(LegalOverride)
class LegalOverrideAdmin(MadeByService):
    """Legal risks that two persons take on for a while."""

    form = OverrideForm
    list_display = ("subject", "status", "reason", "opened_by", "approved_by", "expires_at")
    list_filter = (("opened_at", DayRangeFilter), "status", "subject")
    search_fields = ("reason", "=document_sha256")
    who = ("opened_by", "approved_by")
    fields = (
        ("subject", "status"),
        "reason",
        "document_sha256",
        "expires_at",
        ("opened_by", "opened_at"),
        ("approved_by", "approved_at"),
    )
    actions_detail = ("approve", "refuse", "revoke")
    offered_in = {
        "approve": (LegalOverride.Status.REQUESTED,),
        "refuse": (LegalOverride.Status.REQUESTED,),
        "revoke": (LegalOverride.Status.APPROVED,),
    }

    approve = step(
        approve_override,
        key="override_id",
        label=_("Approve"),
        text=_("As the second person: you know the legal opinion and take the risk on as well."),
        permissions=["referrals.approve_legaloverride"],
        danger=True,
    )
    refuse = step(
        refuse_override,
        key="override_id",
        label=_("Refuse"),
        permissions=["referrals.approve_legaloverride"],
        form=ReasonForm,
    )
    revoke = step(
        revoke_override,
        key="override_id",
        label=_("Revoke"),
        text=_("It ends now, with all that it allowed."),
        permissions=["referrals.approve_legaloverride"],
        form=ReasonForm,
        danger=True,
    )

    def get_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        """Ask for a new override only what one may choose."""
        return self.fields if obj else ("subject", "reason", "document_sha256", "expires_at")

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        """Ask for the override."""
        names = ("subject", "reason", "document_sha256", "expires_at")
        wishes = {name: form.cleaned_data[name] for name in names}
        obj.pk = open_override(**wishes, by=actor(request), at=clock.now()).pk


@admin.register(Quitting)
class QuittingAdmin(ReadOnlyPage):
    """Promoters who want to stop; closing the account is a step on the promoter's page."""

    list_display = ("requested_at", "promoter", "status", "note", "ended_at")
    list_filter = (("requested_at", DayRangeFilter), "status")
    search_fields = ("promoter__code", "promoter__member__no", "promoter__member__nickname")
    list_select_related = ("promoter__member",)
    fields = (("promoter", "status"), "note", ("requested_at", "ended_at"))


def banner(request: HttpRequest) -> list[str] | None:
    """Return what every page of the admin shows while a legal override is in force."""
    if not selectors_joining.overrides_in_force(clock.now()).exists():
        return None
    return [gettext("Legal override in force"), "danger"]
