"""The promoter tree, level by level: a page holds one page of one node's children at most."""

from __future__ import annotations

from collections import Counter
from typing import Any

from django.core.exceptions import PermissionDenied
from django.core.paginator import Paginator
from django.db.models import Count, OuterRef, Q, QuerySet, Subquery
from django.db.models.functions import Coalesce
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.template.response import TemplateResponse
from django.utils.translation import gettext as _

from distro.admin_base import sees_personal_data
from referrals.models import Promoter
from referrals.models.tree import above, below

NODES_A_PAGE = 50
FOUND_MAX = 20


def tree_page(request: HttpRequest, model_admin: Any, node: int | None = None) -> HttpResponse:
    """Show the roots, or one node with everybody above it, or what a search found."""
    _require(request, model_admin)
    term = request.GET.get("q", "").strip()
    focus = get_object_or_404(_nodes(), pk=node) if node else None
    context = {
        **model_admin.admin_site.each_context(request),
        "opts": model_admin.opts,
        "title": _("Promoter tree"),
        "term": term,
        "focus": focus,
        "found": _found(request, term) if term else None,
        "line": _line(focus) if focus else [],
        "clear": sees_personal_data(request.user),
        **_level(request, focus),
    }
    return TemplateResponse(request, "admin/tree/page.html", context)


def tree_rows(request: HttpRequest, model_admin: Any, node: int) -> HttpResponse:
    """Return the rows of one node's children, for the page to put below it."""
    _require(request, model_admin)
    parent = get_object_or_404(Promoter, pk=node)
    clear = sees_personal_data(request.user)
    context = {"focus": parent, "clear": clear, **_level(request, parent)}
    return render(request, "admin/tree/rows.html", context)


def _require(request: HttpRequest, model_admin: Any) -> None:
    if not model_admin.has_view_permission(request):
        raise PermissionDenied


def _level(request: HttpRequest, parent: Promoter | None) -> dict[str, Any]:
    """Return one page of a node's children, or of the roots, with the sizes of their teams."""
    pages = Paginator(_nodes().filter(parent=parent).order_by("pk"), NODES_A_PAGE)
    page = pages.get_page(request.GET.get("page"))
    page.object_list = with_teams(list(page.object_list))
    return {"page": page}


def _found(request: HttpRequest, term: str) -> list[Promoter]:
    """Return the promoters that a search names, each with the line above it."""
    names = Q(code__iexact=term) | Q(member__no__iexact=term)
    if sees_personal_data(request.user):
        names |= Q(member__nickname__icontains=term)
    found = with_teams(list(_nodes().filter(names).order_by("pk")[:FOUND_MAX]))
    known = {row.pk: row for row in _nodes().filter(pk__in=above([row.pk for row in found]))}
    for row in found:
        row.line = []
        up = known.get(row.parent_id or 0)
        while up is not None:
            row.line.insert(0, up)
            up = known.get(up.parent_id or 0)
    return found


def _line(node: Promoter) -> list[Promoter]:
    """Return everybody above a node, the root first."""
    known = {row.pk: row for row in _nodes().filter(pk__in=above([node.pk]))}
    line: list[Promoter] = []
    up = known.get(node.parent_id or 0)
    while up is not None:
        line.insert(0, up)
        up = known.get(up.parent_id or 0)
    return line


def _nodes() -> QuerySet[Promoter]:
    return Promoter.objects.select_related("member", "grade")


def with_teams(nodes: list[Promoter]) -> list[Promoter]:
    """Give each node `direct` (children) and `team` (everybody below), in three queries at most."""
    ids = [node.pk for node in nodes]
    children = Promoter.objects.filter(parent__in=ids).order_by().values_list("parent")
    direct = dict(children.annotate(Count("pk")))
    team = dict(_labelled_teams(ids))
    pending = [node.pk for node in nodes if node.pending]
    team.update(_pending_teams(pending))
    for node in nodes:
        node.direct = direct.get(node.pk, 0)
        node.team = team.get(node.pk, 0)
    return nodes


def _labelled_teams(ids: list[int]) -> QuerySet[Promoter, Any]:
    """Return (node, size): how many labels lie within a labelled node's own; one statement."""
    inside = (
        Promoter.objects.filter(
            tree_id=OuterRef("tree_id"), lft__gt=OuterRef("lft"), lft__lt=OuterRef("rght")
        )
        .order_by()
        .values("tree_id")
        .annotate(size=Count("pk"))
        .values("size")
    )
    rows = Promoter.objects.filter(pk__in=ids, pending=False).order_by()
    return rows.annotate(size=Coalesce(Subquery(inside), 0)).values_list("pk", "size")


def _pending_teams(ids: list[int]) -> Counter[int]:
    """Count below nodes that have no labels yet, along `parent`."""
    parents = (
        dict(Promoter.objects.filter(pk__in=below(ids)).values_list("pk", "parent")) if ids else {}
    )
    sizes: Counter[int] = Counter(dict.fromkeys(ids, 0))
    for pk in parents:
        up = parents[pk]
        while up in parents:
            if up in sizes:
                sizes[up] += 1
            up = parents[up]
    return sizes
