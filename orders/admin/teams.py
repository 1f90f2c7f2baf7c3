"""A promoter's team and what it sells: totals, levels, and the list in pages."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any
from urllib.parse import urlencode

from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.utils.translation import gettext as _

from distro import clock
from distro.admin_base import Panel, add_panel, parse_day, sees_personal_data
from distro.admin_columns import yuan_text
from distro.api.pagination import BadCursor, cursor_of, key_of
from distro.clock import beijing_day, day_start
from orders.selectors_teams import (
    FIRST_DAY,
    LAST_DAY,
    Key,
    TeamLevel,
    Teammate,
    TeamQuery,
    TeamSort,
    own_sales,
    team_levels,
    team_page,
)
from referrals.admin.promoters import PromoterAdmin
from referrals.models import Promoter
from referrals.selectors_teams import team_count

ROWS_A_PAGE = 50
DAYS_MAX = 731  # two years
EVERYBODY = 0


def page(request: HttpRequest, model_admin: Any, node: int) -> HttpResponse:
    """Show one promoter's team; it takes the same number of queries for any team."""
    if not model_admin.has_view_permission(request):
        raise PermissionDenied
    people = Promoter.objects.select_related("member", "grade")
    head = get_object_or_404(people, pk=node)
    query, shown = asked_of(request, head.pk)
    levels = team_levels(head.pk, start=query.start, end=query.end)
    rows, more = rows_of(request, query)
    context = {
        **model_admin.admin_site.each_context(request),
        "opts": model_admin.opts,
        "title": _("Team and sales"),
        "head": head,
        "clear": sees_personal_data(request.user),
        "shown": shown,
        "sorts": TeamSort.choices,
        "levels": [level_row(row, levels) for row in levels],
        "totals": totals_of(head, levels, query),
        "rows": [{"mate": row, "gmv": yuan_text(row.sold.net_fen)} for row in rows],
        "more": f"?{urlencode({**shown, 'cursor': more})}" if more else "",
        "begun": bool(request.GET.get("cursor")),
    }
    return TemplateResponse(request, "admin/teams/page.html", context)


def asked_of(request: HttpRequest, node: int) -> tuple[TeamQuery, dict[str, Any]]:
    """Read what is asked for; whatever makes no sense gives way to the running month, by joining.

    Returns the query, and the same as the form shows it.
    """
    today = beijing_day(clock.now())
    last = parse_day(request.GET.get("to")) or today
    first = parse_day(request.GET.get("from")) or last.replace(day=1)
    known = FIRST_DAY <= first <= last <= LAST_DAY
    if not known or last - first >= timedelta(days=DAYS_MAX):
        first, last = today.replace(day=1), today
    sort = request.GET.get("sort", "")
    level = request.GET.get("level", "")
    query = TeamQuery(
        node,
        day_start(first),
        day_start(last + timedelta(days=1)),
        int(level) if level.isascii() and level.isdigit() and len(level) < 7 else EVERYBODY,
        bool(request.GET.get("joined")),
        TeamSort(sort) if sort in TeamSort.values else TeamSort.JOINED,
    )
    shown: dict[str, Any] = {
        "from": first.isoformat(),
        "to": last.isoformat(),
        "sort": query.sort.value,
    }
    shown |= {"level": query.level or ""} | ({"joined": "1"} if query.joined else {})
    return replace(query, level=query.level or None), shown


def rows_of(request: HttpRequest, query: TeamQuery) -> tuple[list[Teammate], str]:
    """Return one page, and the cursor of the next; an unknown cursor begins again."""
    name = f"admin.team.{query.promoter_id}.{query.sort}"
    after: Key | None = None
    if cursor := request.GET.get("cursor"):
        try:
            after = key_of(name, cursor)
        except BadCursor:
            after = None
    rows = team_page(query, after=after, limit=ROWS_A_PAGE + 1)
    more = cursor_of(name, rows[ROWS_A_PAGE - 1].key) if len(rows) > ROWS_A_PAGE else ""
    return rows[:ROWS_A_PAGE], more


def level_row(row: TeamLevel, levels: list[TeamLevel]) -> dict[str, Any]:
    """Return a line of the chart; its bar is the share of the fullest level, in percent."""
    most = max(one.promoters for one in levels)
    return {"level": row, "share": row.promoters * 100 // most, "gmv": yuan_text(row.net_fen)}


def totals_of(head: Promoter, levels: list[TeamLevel], query: TeamQuery) -> dict[str, Any]:
    """Return the sums over the levels, and the head's own sales beside them."""
    own = own_sales(head.pk, start=query.start, end=query.end)
    return {
        "team": sum(row.promoters for row in levels),
        "direct": sum(row.promoters for row in levels if row.level == 1),
        "joined": sum(row.joined for row in levels),
        "sellers": sum(row.sellers for row in levels),
        "orders": sum(row.orders for row in levels),
        "gmv": yuan_text(sum(row.net_fen for row in levels)),
        "own_orders": own.orders,
        "own_gmv": yuan_text(own.net_fen),
    }


def panel(request: HttpRequest, promoter: Promoter) -> dict[str, Any]:
    """Return how large a promoter's team is, and where to look at it."""
    direct = Promoter.objects.filter(parent=promoter).order_by().count()
    return {"promoter": promoter, "direct": direct, "team": team_count(promoter.pk)}


add_panel(Promoter, Panel("admin/teams/panel.html", panel))
PromoterAdmin.custom_urls = (  # type: ignore[assignment]  # one more of the same
    *PromoterAdmin.custom_urls,
    ("team/<int:node>/", "referrals_promoter_team", page),
)
