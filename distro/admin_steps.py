"""Buttons of the admin: each asks for a permission, calls one service per row, reports counts.

A step on a change page always opens a dialog, so that it happens by POST only.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import wraps
from typing import Any

from django import forms
from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext
from unfold.decorators import action
from unfold.enums import ActionVariant
from unfold.forms import BaseDialogForm
from unfold.widgets import UnfoldAdminTextareaWidget, UnfoldAdminTextInputWidget

from distro import clock
from distro.admin_actors import actor
from distro.errors import DomainError

Service = Callable[..., object]


class ReasonForm(BaseDialogForm):
    """Asks why."""

    reason = forms.CharField(
        label=gettext_lazy("Reason"), max_length=200, widget=UnfoldAdminTextareaWidget({"rows": 3})
    )


class WhyForm(BaseDialogForm):
    """Asks why, for services that call it so."""

    why = forms.CharField(
        label=gettext_lazy("Reason"), max_length=200, widget=UnfoldAdminTextareaWidget({"rows": 3})
    )


def text_field(label: Any, max_length: int) -> forms.CharField:
    """Return a required line of text for a dialog."""
    return forms.CharField(label=label, max_length=max_length, widget=UnfoldAdminTextInputWidget)


def step(
    service: Service,
    *,
    key: str,
    label: Any,
    permissions: Iterable[str],
    form: type[BaseDialogForm] = BaseDialogForm,
    text: Any = "",
    danger: bool = False,
) -> Callable[..., HttpResponse]:
    """Return a button for one row: a dialog, then service(key=pk, the form's fields, by, at).

    key: the service's name for the row's id. text: what the dialog says before it asks.
    """

    def run(
        page: Any, request: HttpRequest, dialog: BaseDialogForm, object_id: str
    ) -> HttpResponse:
        if page.get_object(request, object_id) is None:
            raise Http404
        answers = {k: v for k, v in dialog.cleaned_data.items() if not k.startswith("_")}
        take(request, service, [{key: int(object_id), **answers}])
        return back_to(request, page.opts, object_id)

    shown = action(
        description=label,
        variant=ActionVariant.DANGER if danger else ActionVariant.DEFAULT,
        dialog={
            "title": label,
            "description": text,
            "form_class": form,
            "form_submit_text": label,
        },
    )(run)
    return _needing(permissions, shown)


def _needing(permissions: Iterable[str], shown: Callable[..., Any]) -> Callable[..., Any]:
    """Refuse the dialog too; unfold's own way would ask the database while starting."""
    needs = tuple(permissions)

    @wraps(shown)
    def guarded(page: Any, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        if not request.user.has_perms(needs):
            raise PermissionDenied
        return shown(page, request, *args, **kwargs)

    guarded.needs = needs  # type: ignore[attr-defined]  # Page looks at it
    return guarded


def batch(
    service: Service, *, key: str, label: Any, permissions: Iterable[str]
) -> Callable[..., None]:
    """Return an action for the selected rows: service(key=pk, by, at) for each of them."""

    def run(page: Any, request: HttpRequest, rows: QuerySet[Any]) -> None:
        ids = rows.order_by("pk").values_list("pk", flat=True)
        take(request, service, [{key: pk} for pk in ids])

    return _needing(permissions, action(description=label)(run))


def take(request: HttpRequest, service: Service, calls: list[dict[str, Any]]) -> int:
    """Call a service once for each row, tell how many succeeded and why the others did not."""
    done = 0
    for call in calls:
        try:
            service(**call, by=actor(request), at=clock.now())
            done += 1
        except DomainError as error:
            messages.error(request, str(error))
    if done:
        text = ngettext("%(count)d done.", "%(count)d done.", done) % {"count": done}
        messages.success(request, text)
    if done < len(calls):
        messages.warning(request, _("%(count)d not done.") % {"count": len(calls) - done})
    return done


def back_to(request: HttpRequest, opts: Any, object_id: object) -> HttpResponse:
    """Return to a row's page; the dialog's script follows a header, not a redirect."""
    url = reverse(f"admin:{opts.app_label}_{opts.model_name}_change", args=[object_id])
    if request.headers.get("HX-Request"):
        return HttpResponse(headers={"HX-Redirect": url})
    return HttpResponseRedirect(url)
