"""Writing a history: orders that were placed, paid and received in another system."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.utils.translation import gettext as _

from distro.importing.cells import Fault
from distro.money import FEN_MAX
from orders.importing.staging import StagedOrder
from orders.models import (
    Category,
    Order,
    OrderLine,
    Payment,
    Product,
    Refund,
    RefundLine,
    Sku,
)
from orders.selectors import shop_policy_at
from orders.services.numbers import new_number
from referrals.models import Member, Promoter
from referrals.services.bindings import ImportedBinding, ensure_bindings
from referrals.services.members import ensure_members
from referrals.services.promoters import ensure_promoters

SAME_IN_AN_ORDER = ("buyer_no", "placed_at", "paid_at", "completed_at", "promoter_code")
Values = dict[str, Any]


@dataclass
class Written:
    """What one chunk came to: the orders made, those known before, the faults by order."""

    order_ids: list[int] = field(default_factory=list)
    known: int = 0
    faults: dict[str, list[Fault]] = field(default_factory=dict)


@dataclass(frozen=True)
class Directory:
    """What the codes of a chunk stand for."""

    skus: Mapping[str, Sku]
    members: Mapping[str, int]
    promoters: Mapping[str, Promoter]


def import_chunk(
    *,
    orders: Sequence[StagedOrder],
    first_placed: Mapping[str, datetime],
    create_missing: bool,
    at: datetime,
) -> Written:
    """Write the orders that are new and sound, as they happened; tell no fact of them.

    first_placed: when each buyer ordered first, by his number; his binding starts then.
    create_missing: make the products, members and promoters that the orders name.
    """
    with transaction.atomic():
        written = Written()
        fresh = _unknown(orders, written)
        fresh = _keep(fresh, written, {order.number: agree(order) for order in fresh})
        directory = _directory(fresh, first_placed, create=create_missing, at=at)
        fresh = _keep(fresh, written, {o.number: _unresolved(o, directory) for o in fresh})
        written.order_ids = _write(fresh, directory, first_placed, at)
    return written


def _unknown(orders: Sequence[StagedOrder], written: Written) -> list[StagedOrder]:
    numbers = [order.number for order in orders]
    rows = Order.objects.filter(external_no__in=numbers)
    known = set(rows.values_list("external_no", flat=True))
    written.known = len(known)
    return [order for order in orders if order.number not in known]


def _keep(
    orders: Sequence[StagedOrder], written: Written, faults: Mapping[str, list[Fault]]
) -> list[StagedOrder]:
    """Return the orders without a fault; note the faults of the others."""
    written.faults.update({number: found for number, found in faults.items() if found})
    return [order for order in orders if not faults[order.number]]


def agree(order: StagedOrder) -> list[Fault]:
    """Return what the rows of one order contradict each other in."""
    first_line, first = order.rows[0]
    numbers = Counter(row["line_no"] for _line, row in order.rows)
    faults = [
        Fault(line, name, _("differs from the other lines of the order"))
        for line, row in order.rows
        for name in SAME_IN_AN_ORDER
        if row[name] != first[name]
    ]
    faults += [
        Fault(line, "line_no", _("stands twice in the order"))
        for line, row in order.rows
        if numbers[row["line_no"]] > 1
    ]
    if sum(row["paid_amount"] + row["freight"] for _line, row in order.rows) > FEN_MAX:
        why = _("the lines of the order come to more than 100000000.00 yuan")
        faults.append(Fault(first_line, "paid_amount", why))
    return faults


# --- What the codes stand for ---------------------------------------------------------------


def _directory(
    orders: Sequence[StagedOrder],
    first_placed: Mapping[str, datetime],
    *,
    create: bool,
    at: datetime,
) -> Directory:
    rows = [row for order in orders for _line, row in order.rows]
    buyers = {row["buyer_no"] for row in rows}
    codes = {row["promoter_code"] for row in rows} - {""}
    if create:
        members = ensure_members(external_nos={no: first_placed[no] for no in buyers})
        ensure_promoters(codes=codes, at=min(first_placed.values(), default=at))
        _ensure_skus(rows, at)
    else:
        found = Member.objects.filter(external_no__in=buyers)
        members = {str(no): pk for no, pk in found.values_list("external_no", "pk")}
    skus = Sku.objects.filter(code__in={row["sku_code"] for row in rows})
    promoters = Promoter.objects.filter(code__in=codes)
    return Directory(
        skus={sku.code: sku for sku in skus},
        members=members,
        promoters={promoter.code: promoter for promoter in promoters},
    )


def _ensure_skus(rows: Sequence[Values], at: datetime) -> None:
    """Make the products that the rows name; they are not on sale until somebody says so."""
    wanted = {row["sku_code"]: row for row in rows}
    known = Sku.objects.filter(code__in=wanted).values_list("code", flat=True)
    for code in sorted(wanted.keys() - set(known)):
        row = wanted[code]
        category, _made = Category.objects.get_or_create(name=row["category"])
        product, _made = Product.objects.get_or_create(
            code=code,
            defaults={
                "title": row["product_name"],
                "category": category,
                "on_sale": False,
                "created_at": at,
            },
        )
        price = row["paid_amount"] // row["quantity"]
        Sku.objects.get_or_create(
            code=code, defaults={"product": product, "price_fen": price, "on_sale": False}
        )


def _unresolved(order: StagedOrder, directory: Directory) -> list[Fault]:
    """Return the codes of an order that stand for nothing."""
    named: list[tuple[str, Mapping[str, object]]] = [
        ("sku_code", directory.skus),
        ("buyer_no", directory.members),
        ("promoter_code", directory.promoters),
    ]
    return [
        Fault(line, name, _("is not known here; --create-missing would make it"))
        for line, row in order.rows
        for name, known in named
        if row[name] and row[name] not in known
    ]


# --- Writing --------------------------------------------------------------------------------


def _write(
    staged: Sequence[StagedOrder],
    directory: Directory,
    first_placed: Mapping[str, datetime],
    at: datetime,
) -> list[int]:
    bindings = _bindings(staged, directory, first_placed)
    returns = timedelta(days=shop_policy_at(at).return_days)
    orders = Order.objects.bulk_create(
        [_order(one, directory, bindings, at - returns) for one in staged]
    )
    lines = OrderLine.objects.bulk_create(
        [
            _line(order, row, directory)
            for one, order in zip(staged, orders)
            for _number, row in one.rows
        ]
    )
    payments = Payment.objects.bulk_create([_payment(order) for order in orders])
    _write_refunds(orders, lines, payments)
    return [order.pk for order in orders]


def _bindings(
    staged: Sequence[StagedOrder], directory: Directory, first_placed: Mapping[str, datetime]
) -> dict[tuple[int, int], int]:
    wanted: dict[tuple[int, int], ImportedBinding] = {}
    for one in staged:
        row = one.rows[0][1]
        if row["promoter_code"]:
            member = directory.members[row["buyer_no"]]
            promoter = directory.promoters[row["promoter_code"]].pk
            started = min(first_placed[row["buyer_no"]], row["placed_at"])
            wanted.setdefault((member, promoter), ImportedBinding(member, promoter, started))
    return ensure_bindings(wanted=list(wanted.values()))


def _order(
    staged: StagedOrder,
    directory: Directory,
    bindings: Mapping[tuple[int, int], int],
    matured_before: datetime,
) -> Order:
    first = staged.rows[0][1]
    rows = [row for _line, row in staged.rows]
    goods, freight, back = (
        sum(row[name] for row in rows) for name in ("paid_amount", "freight", "refunded_amount")
    )
    received = first["completed_at"]
    whole = 0 < goods == back and not freight
    order = Order(
        number=new_number("H", at=first["placed_at"]),
        external_no=staged.number,
        source=Order.Source.IMPORT,
        member_id=directory.members[first["buyer_no"]],
        status=_status(received, whole=whole),
        goods_fen=goods,
        freight_fen=freight,
        paid_fen=goods + freight,
        refunded_fen=back,
        placed_at=first["placed_at"],
        paid_at=first["paid_at"],
        shipped_at=received,
        completed_at=received,
        refunded_at=(received or first["paid_at"]) if whole else None,
        matured_at=received if received and received <= matured_before and not whole else None,
    )
    _attribute(order, directory.promoters.get(first["promoter_code"]), bindings)
    return order


def _status(received: datetime | None, *, whole: bool) -> str:
    if whole:
        return Order.Status.REFUNDED
    return Order.Status.COMPLETED if received else Order.Status.PAID


def _attribute(
    order: Order, promoter: Promoter | None, bindings: Mapping[tuple[int, int], int]
) -> None:
    """Note the promoter of the file and his uplines of today; never the buyer himself."""
    if promoter is None or promoter.member_id == order.member_id:
        return
    order.promoter_1 = promoter
    order.promoter_2_id, order.promoter_3_id = promoter.upline_1_id, promoter.upline_2_id
    order.binding_id = bindings[order.member_id, promoter.pk]


def _line(order: Order, row: Values, directory: Directory) -> OrderLine:
    sku = directory.skus[row["sku_code"]]
    return OrderLine(
        order=order,
        line_no=row["line_no"],
        sku=sku,
        sku_code=row["sku_code"],
        title=row["product_name"],
        quantity=row["quantity"],
        price_fen=row["paid_amount"] // row["quantity"],
        goods_fen=row["paid_amount"],
        paid_fen=row["paid_amount"],
        cost_fen=sku.cost_fen * row["quantity"],
        refunded_fen=row["refunded_amount"],
    )


def _payment(order: Order) -> Payment:
    assert order.paid_at is not None
    return Payment(
        order=order,
        channel=Payment.Channel.IMPORT,
        out_trade_no=new_number("HP", at=order.paid_at),
        amount_fen=order.paid_fen,
        status=Payment.Status.SUCCEEDED,
        created_at=order.placed_at,
        succeeded_at=order.paid_at,
    )


def _write_refunds(
    orders: Sequence[Order], lines: Sequence[OrderLine], payments: Sequence[Payment]
) -> None:
    """Note what the old system gave back, one refund an order."""
    back: dict[int, list[OrderLine]] = {}
    for line in lines:
        if line.refunded_fen:
            back.setdefault(line.order_id, []).append(line)
    paid = [(order, pay) for order, pay in zip(orders, payments) if order.pk in back]
    refunds = Refund.objects.bulk_create([_refund(order, pay) for order, pay in paid])
    RefundLine.objects.bulk_create(
        [
            RefundLine(refund=refund, line=line, amount_fen=line.refunded_fen)
            for refund in refunds
            for line in back[refund.order_id]
        ]
    )


def _refund(order: Order, payment: Payment) -> Refund:
    moment = order.completed_at or order.paid_at
    assert moment is not None
    return Refund(
        order=order,
        payment=payment,
        channel=Refund.Channel.IMPORT,
        out_refund_no=new_number("HR", at=moment),
        status=Refund.Status.SUCCEEDED,
        goods_fen=order.refunded_fen,
        reason=_("Refunded in the old system"),
        requested_at=moment,
        approved_at=moment,
        succeeded_at=moment,
    )
