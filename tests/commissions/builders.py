"""A small shop with a chain of promoters, for the tests of this package."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction

from commissions.models import Commission, Plan, PlanRate
from commissions.services.ledger import Balances, balances
from orders.models import Order, OrderLine, Payment, Refund, RefundLine, Sku
from referrals.bulk import attach
from referrals.models import Binding, Member, Promoter
from tests.factories import AT, counter, make_member, make_order, make_sku

SETTLED_AFTER = timedelta(days=16)


def make_plan(*bps: int, code: str = "test", **kw: Any) -> Plan:
    """Make a published plan whose levels pay these shares of everything."""
    fields = {"name": code, "level_max": len(bps), "cap_bps": 3000, "effective_from": AT}
    plan = Plan.objects.create(**{"code": code} | fields | kw)
    for level, share in enumerate(bps, start=1):
        PlanRate.objects.create(plan=plan, level=level, rate_bps=share)
    return publish(plan)


def publish(plan: Plan) -> Plan:
    plan.rates.update(published=True)
    Plan.objects.filter(pk=plan.pk).update(status=Plan.Status.PUBLISHED, published_at=AT)
    plan.refresh_from_db()
    return plan


def make_chain(length: int = 3) -> list[Promoter]:
    """Return promoters, the nearest to the buyer first."""
    parent_id: int | None = None
    chain = []
    for _ in range(length):
        code = f"T{next(counter):06d}"
        with transaction.atomic():
            parent_id = attach(member_id=make_member().pk, parent_id=parent_id, code=code, at=AT)
        chain.append(Promoter.objects.get(pk=parent_id))
    return chain[::-1]


def bind(member: Member, promoter: Promoter, started_at: datetime = AT) -> Binding:
    return Binding.objects.create(
        member=member,
        promoter=promoter,
        mode=Binding.Mode.FIRST_TOUCH,
        started_at=started_at,
        made_by="test",
    )


def make_attributed(
    chain: Sequence[Promoter], *paid: int, member: Member | None = None, **kw: Any
) -> Order:
    """Make a paid order of one line for each amount, attributed to the chain."""
    member = member or make_member()
    goods = sum(paid) or 0
    order = make_order(member, paid_fen=paid[0], **kw)
    fields: dict[str, Any] = {"goods_fen": goods, "paid_fen": goods + order.freight_fen}
    if chain:
        fields |= {f"promoter_{n}": who for n, who in enumerate(chain, start=1)}
        fields["binding"] = bind(member, chain[0], min(AT, order.paid_at or AT))
    Order.objects.filter(pk=order.pk).update(**fields)
    for number, amount in enumerate(paid[1:], start=2):
        add_line(order, number, amount, make_sku(price_fen=amount))
    Payment.objects.create(
        order=order,
        channel=Payment.Channel.WECHAT,
        out_trade_no=f"T{order.number}",
        amount_fen=fields["paid_fen"],
        status=Payment.Status.SUCCEEDED,
        created_at=AT,
        succeeded_at=AT,
    )
    order.refresh_from_db()
    return order


def add_line(order: Order, number: int, paid_fen: int, sku: Sku) -> OrderLine:
    return OrderLine.objects.create(
        order=order,
        line_no=number,
        sku=sku,
        sku_code=sku.code,
        title=str(sku),
        quantity=1,
        price_fen=paid_fen,
        goods_fen=paid_fen,
        paid_fen=paid_fen,
    )


def refund_line(line: OrderLine, amount_fen: int, at: datetime = AT) -> Refund:
    """Make a refund of a line that succeeded, with the sums on line and order; tell nobody."""
    refund = Refund.objects.create(
        order=line.order,
        out_refund_no=f"R{next(counter):07d}",
        status=Refund.Status.SUCCEEDED,
        goods_fen=amount_fen,
        reason="test",
        requested_at=at,
        approved_at=at,
        succeeded_at=at,
    )
    RefundLine.objects.create(refund=refund, line=line, amount_fen=amount_fen)
    line.refresh_from_db()
    OrderLine.objects.filter(pk=line.pk).update(refunded_fen=line.refunded_fen + amount_fen)
    order = Order.objects.get(pk=line.order_id)
    fields: dict[str, Any] = {"refunded_fen": order.refunded_fen + amount_fen}
    if fields["refunded_fen"] == order.paid_fen:
        fields |= {"status": Order.Status.REFUNDED, "refunded_at": at}
    Order.objects.filter(pk=order.pk).update(**fields)
    return refund


def receive(order: Order, at: datetime = AT) -> datetime:
    """Let an order be received and its return period pass; return when it may settle."""
    Order.objects.filter(pk=order.pk).update(
        status=Order.Status.COMPLETED, completed_at=at, matured_at=at + timedelta(days=7)
    )
    return at + SETTLED_AFTER


def amounts(order: Order) -> list[tuple[int, int]]:
    """Return (level, what is kept) of an order's live commissions."""
    rows = Commission.objects.filter(order=order, voided_at=None).order_by("line_id", "level")
    return [(row.level, row.kept_fen) for row in rows]


def stands(promoter: Promoter) -> tuple[int, int, int, int]:
    """Return frozen, available, withdrawing and owed."""
    found: Balances = balances(promoter.pk)
    return found.frozen_fen, found.available_fen, found.withdrawing_fen, found.owed_fen
