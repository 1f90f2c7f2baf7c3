"""The promoter tree, level by level: a page holds one page of one node's children at most."""

from __future__ import annotations

from typing import Any

from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.template.response import TemplateResponse
from django.utils.translation import gettext as _

from distro.admin_base import sees_personal_data
from referrals.models import Promoter
from referrals.selectors_tree import find_nodes, line_above, promoters_shown, tree_level

AFTER_DIGITS_MAX = 18


def tree_page(request: HttpRequest, model_admin: Any, node: int | None = None) -> HttpResponse:
    """Show the roots, or one node with everybody above it, or what a search found."""
    _require(request, model_admin)
    term = request.GET.get("q", "").replace("\0", "").strip()  # PostgreSQL takes no NUL
    focus = get_object_or_404(promoters_shown(), pk=node) if node else None
    clear = sees_personal_data(request.user)
    context = {
        **model_admin.admin_site.each_context(request),
        "opts": model_admin.opts,
        "title": _("Promoter tree"),
        "term": term,
        "focus": focus,
        "found": find_nodes(term, personal=clear) if term else None,
        "line": line_above(focus) if focus else [],
        "clear": clear,
        "may_move": request.user.has_perm("referrals.add_promotermove"),
        **_level(request, focus, shown=not term),
    }
    return TemplateResponse(request, "admin/tree/page.html", context)


def tree_rows(request: HttpRequest, model_admin: Any, node: int) -> HttpResponse:
    """Return the rows of one node's children, for the page to put below it."""
    _require(request, model_admin)
    parent = get_object_or_404(Promoter, pk=node)
    clear = sees_personal_data(request.user)
    context = {"focus": parent, "clear": clear, "inside": True, **_level(request, parent)}
    return render(request, "admin/tree/rows.html", context)


def _require(request: HttpRequest, model_admin: Any) -> None:
    if not model_admin.has_view_permission(request):
        raise PermissionDenied


def _level(request: HttpRequest, parent: Promoter | None, shown: bool = True) -> dict[str, Any]:
    """Return one page of a node's children, or of the roots."""
    text = request.GET.get("after", "")
    known = text.isascii() and text.isdigit() and len(text) <= AFTER_DIGITS_MAX
    after = int(text) if known else 0
    return {"level": tree_level(parent, after=after) if shown else None, "later": after > 0}
