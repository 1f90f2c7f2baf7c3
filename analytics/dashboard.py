"""The front page of the admin: how today goes, how the days went, what waits for a person."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from django.http import HttpRequest
from django.utils.translation import gettext as _

from analytics.rules import Light
from analytics.selectors import (
    DayFacts,
    commission_share,
    series,
    today,
    top_promoters,
    waiting_queues,
)
from distro import clock
from distro.admin_base import parse_day, sees_personal_data
from distro.admin_columns import EMPTY, yuan_text
from distro.clock import beijing_day
from distro.money import percent, yuan
from distro.sidebar import QUEUES, list_url, may_view
from orders.models import Order
from referrals.selectors_compliance import unacknowledged_trees

DAYS = 30  # of the chart, unless somebody chooses others
DAYS_MAX = 731  # two years: what a chart still shows
TOP = 10


@dataclass(frozen=True)
class Span:
    """The days that the page looks at."""

    first: date
    last: date
    chosen: bool


def dashboard(request: HttpRequest, context: dict[str, Any]) -> dict[str, Any]:
    """Add what the front page shows to this user."""
    at = clock.now()
    context["title"] = _("Dashboard")
    context["queues"] = queues_of(request)
    if may_view(request.user, "analytics.shopday"):
        span = span_of(request, beijing_day(at))
        context |= numbers_of(span, at)
        context["clear"] = sees_personal_data(request.user)
    return context


def span_of(request: HttpRequest, day: date) -> Span:
    """Read ?from= and ?to=; the last thirty days when they are missing or make no sense."""
    first, last = parse_day(request.GET.get("from")), parse_day(request.GET.get("to"))
    if first is None and last is None:
        return Span(day - timedelta(days=DAYS - 1), day, chosen=False)
    last = last or day
    first = first or last - timedelta(days=DAYS - 1)
    if not timedelta() <= last - first < timedelta(days=DAYS_MAX):
        return Span(day - timedelta(days=DAYS - 1), day, chosen=False)
    return Span(first, last, chosen=True)


def numbers_of(span: Span, at: datetime) -> dict[str, Any]:
    """Return the numbers of today, of the span, and the promoters."""
    now = today(at)
    days = [now if facts.day == now.day else facts for facts in series(span.first, span.last)]
    month = span if span.chosen else Span(now.day.replace(day=1), now.day, chosen=False)
    return {
        "span": span,
        "cards": cards_of(now),
        "sums": sums_of(days, span),
        "chart": chart_of(days),
        "chart_options": json.dumps(CHART_OPTIONS),
        "top": [
            {
                "node": rank.promoter,
                "kept": yuan_text(rank.kept_fen),
                "gmv": yuan_text(rank.gmv_fen),
                "orders": rank.orders,
            }
            for rank in top_promoters(month.first, month.last, TOP)
        ],
        "top_title": _("Promoters of these days") if span.chosen else _("Promoters of the month"),
    }


def cards_of(now: DayFacts) -> list[dict[str, Any]]:
    """Return the cards of today."""
    share, light = now.share
    return [
        {
            "title": _("GMV today (yuan)"),
            "value": yuan_text(now.gmv_paid_fen),
            "note": _("net of refunds: %(net)s") % {"net": yuan_text(now.gmv_net_fen)},
        },
        {
            "title": _("Orders paid today"),
            "value": now.orders,
            "note": _("buyers: %(count)s") % {"count": now.buyers},
        },
        {
            "title": _("Commission today (yuan)"),
            "value": yuan_text(now.commission_fen),
            "note": _("after what refunds took back"),
        },
        {
            "title": _("Commission share today"),
            "value": share_text(share),
            "light": light.value,
            "light_text": light_text(light),
        },
    ]


def sums_of(days: list[DayFacts], span: Span) -> dict[str, Any]:
    """Return what the days add up to."""
    share, light = commission_share(span.first, span.last)
    return {
        "gmv": yuan_text(sum(day.gmv_paid_fen for day in days)),
        "orders": sum(day.orders for day in days),
        "commission": yuan_text(sum(day.commission_fen for day in days)),
        "members": sum(day.members_joined for day in days),
        "promoters": sum(day.promoters_joined for day in days),
        "share": share_text(share),
        "light": light.value,
        "light_text": light_text(light),
    }


def share_text(bps: int | None) -> str:
    """Write a share in percent; nothing sold has none."""
    return EMPTY if bps is None else f"{percent(bps)} %"


def light_text(light: Light) -> str:
    """Say what a light means."""
    return {
        Light.GOOD: _("healthy: at most 20 %"),
        Light.WATCH: _("watch: above 20 %"),
        Light.RISK: _("risk: above 30 %"),
        Light.NONE: _("nothing sold"),
    }[light]


# --- Chart ----------------------------------------------------------------------------------

GREY = "#9ca3af"
CHART_OPTIONS = {
    "animation": False,
    "maintainAspectRatio": False,
    "responsive": True,
    "interaction": {"mode": "index", "intersect": False},
    "plugins": {"legend": {"display": False}},
    "elements": {
        "point": {"radius": 0, "hitRadius": 8},
        "line": {"borderWidth": 2, "tension": 0},
    },
    "scales": {
        "x": {
            "grid": {"display": False},
            "ticks": {"color": GREY, "maxTicksLimit": 8, "maxRotation": 0},
        },
        "y": {
            "beginAtZero": True,
            "border": {"display": False},
            "grid": {"lineWidth": 0.5},
            "ticks": {"color": GREY, "maxTicksLimit": 5},
        },
    },
}


def chart_of(days: list[DayFacts]) -> str:
    """Return the lines of GMV and commission as Chart.js reads them, in yuan."""
    one_year = not days or days[0].day.year == days[-1].day.year
    form = "%m-%d" if one_year else "%Y-%m-%d"
    lines = [
        (_("GMV net (yuan)"), "var(--color-primary-600)", [yuan(day.gmv_net_fen) for day in days]),
        (_("Commission kept (yuan)"), "#d97706", [yuan(day.commission_fen) for day in days]),
    ]
    return json.dumps(
        {
            "labels": [f"{day.day:{form}}" for day in days],
            "datasets": [
                {"label": label, "borderColor": colour, "backgroundColor": colour, "data": data}
                for label, colour, data in lines
            ],
        }
    )


# --- Queues ---------------------------------------------------------------------------------


def queues_of(request: HttpRequest) -> list[dict[str, Any]]:
    """Return what waits for a person, as far as this user sees it."""
    waiting = waiting_queues()
    counts = {
        "orders.order": Order.objects.filter(status=Order.Status.PAID).count(),
        "referrals.application": waiting.applications,
        "orders.refund": waiting.refunds,
        "commissions.withdrawalrequest": waiting.withdrawals,
        "referrals.compliancestate": unacknowledged_trees().count(),
    }
    shown: list[tuple[Any, int, str, str]] = [
        (title, counts[model], model, query)
        for title, _icon, model, query in QUEUES
        if model in counts
    ]
    shown.append(
        (
            _("Identities to verify"),
            waiting.identities,
            "referrals.identity",
            "status__exact=pending",
        )
    )
    if waiting.missed_facts:
        shown.append(
            (_("Facts not heard"), waiting.missed_facts, "distro.missedfact", "done_at__isempty=1")
        )
    return [
        {"title": title, "count": count, "link": f"{list_url(model)}?{query}"}
        for title, count, model, query in shown
        if may_view(request.user, model)
    ]
