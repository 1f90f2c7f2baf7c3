"""One customer's timeline, newest first, and the evidence file that a dispute needs."""

from __future__ import annotations

import tempfile
from datetime import UTC, datetime
from typing import Any

from django import forms
from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.http import FileResponse, HttpRequest, HttpResponse, HttpResponseRedirect
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from distro import clock
from distro.admin_actors import actor, names_of
from distro.admin_base import Panel, add_panel, sees_personal_data
from distro.errors import DomainError
from referrals.explanations import binding_explained_to_staff, masked_name
from referrals.exports_timeline import Request, write_timeline
from referrals.models import Binding, Member
from referrals.selectors import open_binding
from referrals.selectors_timeline import Mark, timeline

VIEW, EXPORT = "referrals.view_timeline", "referrals.export_timeline"
MEMORY_MAX = 1 << 20  # bytes of a file before it goes to disk


class ExportForm(forms.Form):
    """Asks why the file is needed."""

    reason = forms.CharField(label=gettext_lazy("Reason"), max_length=200)


def timeline_page(request: HttpRequest, model_admin: Any, member_id: int) -> HttpResponse:
    """Show one page of what happened to a customer."""
    member = _member(request, VIEW, member_id)
    page = timeline(member.pk, beyond=_read_mark(request.GET.get("beyond", "")))
    names = names_of(moment.who for moment in page.moments)
    clear = sees_personal_data(request.user)
    rows = [
        {
            "moment": moment,
            "who": names.get(moment.who, moment.who),
            "promoter": shown_name(moment.promoter.member, clear=clear) if moment.promoter else "",
        }
        for moment in page.moments
    ]
    context = {
        **model_admin.admin_site.each_context(request),
        "opts": model_admin.opts,
        "title": _("Timeline of %(name)s") % {"name": shown_name(member, clear=clear)},
        "member": member,
        "decision": decision(request, open_binding(member.pk, at=clock.now())),
        "rows": rows,
        "next": _write_mark(page.beyond) if page.beyond else "",
        "first": "beyond" not in request.GET,
        "may_export": request.user.has_perm(EXPORT),
    }
    return TemplateResponse(request, "admin/timeline/page.html", context)


def timeline_file(request: HttpRequest, model_admin: Any, member_id: int) -> HttpResponseBase:
    """Give the evidence file to who says why; it is written whole before any of it leaves."""
    member = _member(request, EXPORT, member_id)
    back = HttpResponseRedirect(reverse("admin:referrals_timeline", args=[member.pk]))
    form = ExportForm(request.POST) if request.method == "POST" else None
    if form is None or not form.is_valid():
        messages.error(request, _("Give a reason."))
        return back
    asked = Request(
        by=actor(request),
        maker=request.user.get_username(),
        reason=form.cleaned_data["reason"],
        clear=sees_personal_data(request.user),
        at=clock.now(),
    )
    file = tempfile.SpooledTemporaryFile(max_size=MEMORY_MAX)  # noqa: SIM115 - the answer closes it
    try:
        with transaction.atomic():
            write_timeline(member, request=asked, write=file.write)
    except DomainError as error:
        messages.error(request, str(error))
        return back
    file.seek(0)
    name = f"timeline-{member.no}-{asked.at:%Y%m%d%H%M%S}.csv"
    return FileResponse(file, as_attachment=True, filename=name, content_type="text/csv")


def shown_name(member: Member, *, clear: bool) -> str:
    """Return a member's name as this user may read it."""
    return member.nickname if clear and member.nickname else masked_name(member)


def decision(request: HttpRequest, binding: Binding | None) -> str:
    """Say in one sentence whose customer somebody is and why."""
    if binding is None:
        return _("Bound to nobody.")
    name = shown_name(binding.promoter.member, clear=sees_personal_data(request.user))
    return binding_explained_to_staff(
        binding, name=f"{name} ({binding.promoter.code})", at=clock.now()
    )


def _member(request: HttpRequest, right: str, member_id: int) -> Member:
    if not request.user.has_perm(right):
        raise PermissionDenied
    return get_object_or_404(Member, pk=member_id)


def _write_mark(mark: Mark) -> str:
    return f"{mark.at.isoformat()}|{mark.place}|{mark.pk}"


def _read_mark(text: str) -> Mark | None:
    """Read where the page begins; what is no mark begins with the newest."""
    at, _bar, rest = text.partition("|")
    place, _bar, pk = rest.partition("|")
    try:
        moment = datetime.fromisoformat(at)
        good = moment.tzinfo is not None and place.isdecimal() and pk.isdecimal()
        return Mark(moment.astimezone(UTC), int(place), int(pk)) if good else None
    except (ValueError, OverflowError):  # no moment, one outside the years 1 to 9999 in UTC
        return None


def member_panel(request: HttpRequest, member: Member) -> dict[str, Any] | None:
    """Lead from a member's page to his timeline."""
    if not request.user.has_perm(VIEW):
        return None
    return {
        "decision": decision(request, open_binding(member.pk, at=clock.now())),
        "url": reverse("admin:referrals_timeline", args=[member.pk]),
    }


add_panel(Member, Panel("admin/timeline/panel.html", member_panel))
