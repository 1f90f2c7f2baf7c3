"""Moves in the tree: a dialog that shows what one touches, a queue for the second person."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from unfold.widgets import (
    UnfoldAdminTextareaWidget,
    UnfoldAdminTextInputWidget,
    UnfoldBooleanWidget,
)

from distro import clock
from distro.admin_actors import actor, names_of
from distro.admin_base import (
    DayRangeFilter,
    Panel,
    ReadOnlyPage,
    add_panel,
    sees_personal_data,
)
from distro.admin_steps import ReasonForm, step
from distro.errors import DomainError
from referrals.models import Promoter, PromoterMove
from referrals.selectors_moves import moves_of, preview_move
from referrals.selectors_tree import promoter_named, promoters_shown
from referrals.services.moving import (
    approve_move,
    cancel_move,
    refuse_move,
    reject_move,
    request_move,
)

ASK, DECIDE = "referrals.add_promotermove", "referrals.decide_promotermove"
SHOWN_ON_PAGE = 10


class MoveForm(forms.Form):
    """Asks for the new upline, or for none, and why."""

    upline = forms.CharField(
        label=gettext_lazy("New upline: promoter no. or member no."),
        max_length=32,
        required=False,
        widget=UnfoldAdminTextInputWidget,
    )
    top = forms.BooleanField(
        label=gettext_lazy("No upline: he becomes the head of a tree of his own"),
        required=False,
        widget=UnfoldBooleanWidget,
    )
    reason = forms.CharField(
        label=gettext_lazy("Reason"),
        max_length=200,
        required=False,
        widget=UnfoldAdminTextareaWidget({"rows": 3}),
    )

    def clean(self) -> dict[str, Any]:
        """Find the upline; one of the two answers is wanted."""
        answers: dict[str, Any] = super().clean() or {}
        named, top = answers.get("upline", "").strip(), answers.get("top")
        if bool(named) == bool(top):
            raise forms.ValidationError(_("Name the new upline, or choose no upline."))
        answers["found"] = promoter_named(named) if named else None
        if named and answers["found"] is None:
            self.add_error("upline", _("There is no such promoter."))
        return answers


def move_page(request: HttpRequest, model_admin: Any, promoter_id: int) -> HttpResponse:
    """Show what a move would touch; a POST with a reason asks for it."""
    if not request.user.has_perm(ASK):
        raise PermissionDenied
    promoter = get_object_or_404(promoters_shown(), pk=promoter_id)
    form = MoveForm(request.POST or None)
    preview = None
    if form.is_valid():
        upline = form.cleaned_data["found"]
        try:
            refuse_move(promoter, upline.pk if upline else None)
            preview = preview_move(promoter, upline, at=clock.now())
            if "ask" in request.POST:
                return _ask(request, promoter, upline, form.cleaned_data["reason"])
        except DomainError as error:
            form.add_error("upline" if error.field == "to_parent" else None, str(error))
    context = {
        **model_admin.admin_site.each_context(request),
        "opts": model_admin.opts,
        "title": _("Move in the tree"),
        "promoter": promoter,
        "form": form,
        "preview": preview,
        "clear": sees_personal_data(request.user),
    }
    return TemplateResponse(request, "admin/moves/new.html", context)


def _ask(
    request: HttpRequest, promoter: Promoter, upline: Promoter | None, reason: str
) -> HttpResponse:
    move = request_move(
        promoter_id=promoter.pk,
        to_parent_id=upline.pk if upline else None,
        reason=reason,
        by=actor(request),
        at=clock.now(),
    )
    messages.success(request, _("Asked for; another person must approve it."))
    return HttpResponseRedirect(reverse("admin:referrals_promotermove_change", args=[move.pk]))


@admin.register(PromoterMove)
class PromoterMoveAdmin(ReadOnlyPage):
    """Moves asked for, approved, rejected and taken back."""

    list_display = (
        "requested_at",
        "promoter",
        "from_parent",
        "to_parent",
        "status",
        "moved",
        "requested_by",
        "decided_by",
    )
    list_filter = (("requested_at", DayRangeFilter), "status")
    search_fields = ("promoter__code", "promoter__member__no", "to_parent__code", "reason")
    list_select_related = ("promoter__member", "from_parent__member", "to_parent__member")
    fields = (
        ("promoter", "status", "moved"),
        ("from_parent", "to_parent"),
        ("reason", "requested_by", "requested_at"),
        ("decision", "decided_by", "decided_at"),
    )
    who = ("requested_by", "decided_by")
    actions_detail = ("approve", "reject", "cancel")
    offered_in = dict.fromkeys(actions_detail, (PromoterMove.Status.REQUESTED,))
    custom_urls = (("new/<int:promoter_id>/", "referrals_promotermove_new", move_page),)

    approve = step(
        approve_move,
        key="move_id",
        label=gettext_lazy("Approve and move"),
        text=gettext_lazy("He moves now, with everybody below him. Orders stay as they are."),
        permissions=[DECIDE],
    )
    reject = step(
        reject_move,
        key="move_id",
        label=gettext_lazy("Reject"),
        permissions=[DECIDE],
        form=ReasonForm,
        danger=True,
    )
    cancel = step(
        cancel_move,
        key="move_id",
        label=gettext_lazy("Take back"),
        permissions=[ASK],
        form=ReasonForm,
    )


# --- Panels ---------------------------------------------------------------------------------


def move_preview(request: HttpRequest, move: PromoterMove) -> dict[str, Any] | None:
    """Show the second person what the move would touch if it were made now."""
    if move.status != PromoterMove.Status.REQUESTED:
        return None
    problem = ""
    try:
        refuse_move(move.promoter, move.to_parent_id)
    except DomainError as error:
        problem = str(error)
    return {
        "preview": preview_move(move.promoter, move.to_parent, at=clock.now()),
        "problem": problem,
        "clear": sees_personal_data(request.user),
    }


def moves_panel(request: HttpRequest, promoter: Promoter) -> dict[str, Any] | None:
    """Show a promoter's last moves, and the way to the next one."""
    if not request.user.has_perm("referrals.view_promotermove"):
        return None
    moves = list(moves_of(promoter)[:SHOWN_ON_PAGE])
    names = names_of(name for move in moves for name in (move.requested_by, move.decided_by))
    return {
        "promoter": promoter,
        "rows": [
            {"move": move, "asked": names.get(move.requested_by), "by": names.get(move.decided_by)}
            for move in moves
        ],
        "may_ask": request.user.has_perm(ASK),
        "clear": sees_personal_data(request.user),
    }


add_panel(PromoterMove, Panel("admin/moves/panel_preview.html", move_preview))
add_panel(Promoter, Panel("admin/moves/panel.html", moves_panel))
