"""Who sees the promoter entry: policies, what members were told, invitations by staff."""

from __future__ import annotations

import secrets
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _
from unfold.widgets import UnfoldAdminSelectWidget

from distro import clock
from distro.admin_actors import actor
from distro.admin_base import (
    DatedPolicyMixin,
    DayRangeFilter,
    Page,
    Panel,
    ReadOnlyPage,
    add_panel,
)
from distro.admin_columns import EMPTY
from distro.admin_steps import ReasonForm, step
from distro.errors import DomainError
from referrals.explanations_exposure import decision_explained, exposure_explained
from referrals.models import ExposureDecision, ExposureInvitation, ExposurePolicy, Member
from referrals.rules.codes import random_text
from referrals.selectors_exposure import (
    exposure_of,
    first_shown_at,
    known_tags,
    last_decision,
    newest_policy,
    open_invitations,
    told_under,
)
from referrals.services.exposure import (
    end_invitation,
    invite_to_promote,
    refuse_invitation,
    refuse_policy,
    save_policy,
)

SALT_CHARS = 12
COPIED = ("segment", "tag", "holdout_bps", "salt")  # from the policy before


def said_by(error: DomainError, form: forms.ModelForm[Any]) -> None:
    """Show a refusal beside the field it is about."""
    form.add_error(error.field if error.field in form.fields else None, str(error))


# --- Policies -------------------------------------------------------------------------------


class PolicyForm(forms.ModelForm[ExposurePolicy]):
    """Says at once what the service would refuse."""

    tag = forms.ChoiceField(label=_("tag"), required=False, widget=UnfoldAdminSelectWidget)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if "tag" in self.fields:
            self.fields["tag"].choices = [("", "–"), *known_tags().items()]  # type: ignore[attr-defined]

    def clean(self) -> dict[str, Any]:
        """Refuse what must not be stored."""
        given = super().clean() or {}
        if not self.errors:
            policy = ExposurePolicy(pk=self.instance.pk, **given)
            policy.effective_from = max(policy.effective_from, clock.now())
            try:
                refuse_policy(policy)
            except DomainError as error:
                said_by(error, self)
        return given


@admin.register(ExposurePolicy)
class ExposurePolicyAdmin(DatedPolicyMixin, Page):
    """Who sees the promoter entry, from a date on."""

    form = PolicyForm
    list_display = ("effective_from", "segment", "tag", "holdout_bps", "salt", "made_by")
    fields = ("effective_from", ("segment", "tag"), ("holdout_bps", "salt"), "why", "made_by")
    readonly_fields = ("made_by",)
    who = ("made_by",)
    ordering = ("-effective_from",)

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        """Begin with the policy before: the same draw leaves out the same members."""
        before = newest_policy()
        last = {name: getattr(before, name) for name in COPIED} if before else {}
        drawn = last.get("salt") or random_text(secrets.choice, SALT_CHARS)
        return {"effective_from": clock.now(), **last, "salt": drawn}

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        """Store it by the service, which records who did."""
        save_policy(policy=obj, by=actor(request), at=clock.now())


def told(request: HttpRequest, policy: ExposurePolicy) -> dict[str, Any]:
    """Return how many members were told what under a policy."""
    return {"told": told_under(policy)}


add_panel(ExposurePolicy, Panel("admin/exposure/policy.html", told))


# --- Decisions ------------------------------------------------------------------------------


@admin.register(ExposureDecision)
class ExposureDecisionAdmin(ReadOnlyPage):
    """What members were told, and why."""

    list_display = ("decided_at", "member", "member_no", "shown", "drawn", "explanation")
    list_filter = (("decided_at", DayRangeFilter), "shown", "in_holdout", "reason")
    search_fields = ("member__no__exact",)
    search_help_text = _("Member no.")
    list_select_related = ("member", "policy")
    fields = (
        ("member", "number", "decided_at"),
        ("shown", "reason", "in_holdout", "bucket"),
        "policy",
        "explanation",
    )
    readonly_fields = ("explanation",)

    @admin.display(description=_("member no."))
    def member_no(self, row: ExposureDecision) -> str:
        """Tell apart those whose masked names are equal."""
        return row.member.no

    @admin.display(description=_("holdout"))
    def drawn(self, row: ExposureDecision) -> SafeString | str:
        """Mark those who are compared with the others."""
        return format_html('<span class="pill">{}</span>', _("drawn")) if row.in_holdout else EMPTY

    @admin.display(description=_("explanation"))
    def explanation(self, row: ExposureDecision) -> str:
        """Say why, in one sentence."""
        return decision_explained(row)


def member_exposure(request: HttpRequest, member: Member) -> dict[str, Any] | None:
    """Return whether a member sees the promoter entry, and since when he is exposed to it."""
    if not request.user.has_perm("referrals.view_exposuredecision"):
        return None
    exposure = exposure_of(member, at=clock.now())
    invitation = open_invitations().filter(member=member).first()
    may_invite = request.user.has_perm("referrals.add_exposureinvitation")
    return {
        "shown": exposure.decision.shown,
        "sentence": exposure_explained(exposure),
        "last": last_decision(member.pk),
        "exposed_at": first_shown_at(member.pk),
        "invitation": invitation,
        "may_invite": may_invite and not exposure.decision.shown,
        "member": member,
    }


add_panel(Member, Panel("admin/exposure/member.html", member_exposure))


# --- Invitations ----------------------------------------------------------------------------


class InvitationForm(forms.ModelForm[ExposureInvitation]):
    """Says at once what the service would refuse."""

    def clean(self) -> dict[str, Any]:
        """Refuse who cannot be invited."""
        given = super().clean() or {}
        if not self.errors and "member" in given:
            try:
                refuse_invitation(given["member"])
            except DomainError as error:
                said_by(error, self)
        return given


@admin.register(ExposureInvitation)
class ExposureInvitationAdmin(Page):
    """Members for whom staff opened the promoter entry."""

    form = InvitationForm
    list_display = ("made_at", "member", "reason", "made_by", "ended_at", "ended_by")
    list_filter = (("made_at", DayRangeFilter), ("ended_at", admin.EmptyFieldListFilter))
    search_fields = ("member__no__exact", "reason")
    list_select_related = ("member",)
    autocomplete_fields = ("member",)
    who = ("made_by", "ended_by")
    actions_detail = ("take_back",)
    offered_in = {"take_back": lambda invitation: invitation.ended_at is None}

    take_back = step(
        end_invitation,
        key="invitation_id",
        label=_("Take the invitation back"),
        text=_("The policy decides again what he sees; a promoter stays a promoter."),
        permissions=["referrals.change_exposureinvitation"],
        form=ReasonForm,
        danger=True,
    )

    def get_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        """Ask for the member and the reason; show everything afterwards."""
        if obj is None:
            return ("member", "reason")
        return (
            ("member", "made_at", "made_by"),
            "reason",
            ("ended_at", "ended_by"),
            "end_reason",
        )

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Refuse: an invitation is taken back, not edited."""
        return obj is None and super().has_change_permission(request, obj)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Refuse: it says why somebody was shown the entry."""
        return False

    def add_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        """Tell what only the service could see, for instance that somebody was faster."""
        try:
            return super().add_view(request, *args, **kwargs)
        except DomainError as error:
            messages.error(request, str(error))
            return HttpResponseRedirect(request.get_full_path())

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        """Invite by the service, which records who did."""
        made = invite_to_promote(
            member_id=obj.member_id, reason=obj.reason, by=actor(request), at=clock.now()
        )
        obj.pk = made.pk
        obj.refresh_from_db()
