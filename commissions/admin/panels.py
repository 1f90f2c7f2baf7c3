"""What commissions add to the pages of packages further left: an order's, a promoter's."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest

from commissions.explaining import explain
from commissions.models import Accrual, Commission
from commissions.services.ledger import balances
from distro.admin_base import Panel, add_panel
from distro.admin_columns import EMPTY, yuan_text
from distro.money import percent
from orders.models import Order
from referrals.models import Promoter


def order_commissions(request: HttpRequest, order: Order) -> dict[str, Any] | None:
    """Return who earns what from an order, and why."""
    if not request.user.has_perm("commissions.view_commission"):
        return None
    accruals = Accrual.objects.filter(order=order).select_related("plan").order_by("-revision")
    rows = (
        Commission.objects.filter(order=order)
        .select_related("order", "line", "promoter__member", "plan", "rate", "grade", "settlement")
        .order_by("voided_at", "line__line_no", "level", "pk")
    )
    return {"accruals": accruals, "rows": [_row(row) for row in rows]}


def _row(row: Commission) -> dict[str, Any]:
    return {
        "commission": row,
        "rate": f"{percent(row.rate_bps)} %" if row.rate_bps is not None else EMPTY,
        "base": yuan_text(row.base_fen),
        "amount": yuan_text(row.amount_fen),
        "back": yuan_text(row.reversed_fen) if row.reversed_fen else EMPTY,
        "kept": yuan_text(row.kept_fen),
        "why": explain(row),
    }


def promoter_money(request: HttpRequest, promoter: Promoter) -> dict[str, Any] | None:
    """Return what a promoter has, and what he owes."""
    if not request.user.has_perm("commissions.view_account"):
        return None
    money = balances(promoter.pk)
    return {
        "frozen": yuan_text(money.frozen_fen),
        "available": yuan_text(money.available_fen),
        "withdrawing": yuan_text(money.withdrawing_fen),
        "owed": yuan_text(money.owed_fen),
    }


add_panel(Order, Panel("admin/commissions/order.html", order_commissions))
add_panel(Promoter, Panel("admin/commissions/promoter.html", promoter_money))
