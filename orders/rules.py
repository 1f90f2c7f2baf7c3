"""Arithmetic and decisions of selling: no database, clock or settings."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from distro.money import FEN_MAX, check_amount
from orders.errors import (
    ItemTwice,
    NothingOrdered,
    NothingToRefund,
    OrderTooLarge,
    QuantityOutOfRange,
    RefundQuantityTooHigh,
    RefundTooHigh,
    TooManyItems,
    UnknownLine,
)

QUANTITY_MAX = 10_000  # pieces of one SKU in an order
ITEMS_MAX = 100  # different SKUs in an order

# When to ask WeChat about a payment nobody told us about, seconds after its start.
PAYMENT_QUERIES_S = (30, 120, 300, 600)
# Likewise for a refund; from the last on once in that time.
REFUND_QUERIES_S = (60, 300, 1800, 7200, 21600, 86400)
# WeChat demands that a payment can be made for at least a minute.
PAYABLE_MIN = timedelta(seconds=90)
# WeChat's limits for refunds of one payment.
WECHAT_REFUND_DAYS = 365
WECHAT_REFUNDS_MAX = 50


@dataclass(frozen=True)
class Item:
    """What the buyer wants: so many pieces of one SKU."""

    sku_id: int
    quantity: int


@dataclass(frozen=True)
class RefundItem:
    """What goes back for one line: pieces, which may be 0, and goods money in fen."""

    line_id: int
    quantity: int
    amount_fen: int


@dataclass(frozen=True)
class Room:
    """What one line still allows: pieces and fen neither refunded nor being refunded."""

    quantity: int
    amount_fen: int


@dataclass(frozen=True)
class Paid:
    """What a payment says, or should say."""

    amount_fen: int
    currency: str
    openid: str


# --- Placing --------------------------------------------------------------------------------


def check_items(items: Sequence[Item]) -> None:
    """Refuse an empty or too long order, a quantity out of range and a SKU named twice."""
    if not items:
        raise NothingOrdered(field="items")
    if len(items) > ITEMS_MAX:
        raise TooManyItems(field="items", maximum=ITEMS_MAX)
    seen: set[int] = set()
    for place, item in enumerate(items):
        if type(item.quantity) is not int or not 1 <= item.quantity <= QUANTITY_MAX:
            field = f"items.{place}.quantity"
            raise QuantityOutOfRange(field=field, minimum=1, maximum=QUANTITY_MAX)
        if item.sku_id in seen:
            raise ItemTwice(field=f"items.{place}.sku")
        seen.add(item.sku_id)


def check_total(goods_fen: int, freight_fen: int = 0) -> None:
    """Refuse an order above 100 million yuan."""
    if goods_fen + freight_fen > FEN_MAX:
        raise OrderTooLarge(field="items")


def freight_of(*, goods_fen: int, freight_fen: int, free_from_fen: int) -> int:
    """Return the freight of goods worth so much after discounts.

    free_from_fen: no freight from this sum on; 0 = there is always freight.
    """
    assert goods_fen >= 0 and freight_fen >= 0 and free_from_fen >= 0
    return 0 if free_from_fen and goods_fen >= free_from_fen else freight_fen


# --- Paying ---------------------------------------------------------------------------------


def payment_fault(*, said: Paid, due: Paid) -> str:
    """Return why a payment is not the one that is due; "" when it is.

    The amount is the order's, not `payer_total`, which is smaller when WeChat pays a part.
    """
    if said.amount_fen != due.amount_fen or said.amount_fen < 1:
        return "wrong_amount"
    if said.currency != due.currency:
        return "wrong_currency"
    return "" if said.openid == due.openid else "wrong_payer"


def happened_at(*, told: datetime | None, not_before: datetime, now: datetime) -> datetime:
    """Return WeChat's time of an event, within what our own clock allows."""
    return max(not_before, min(told or now, now))


def payable_until(*, pay_before: datetime, at: datetime) -> datetime:
    """Return when WeChat shall stop taking the payment: the order's end, but not at once."""
    return max(pay_before, at + PAYABLE_MIN)


def next_payment_query(*, created_at: datetime, expires_at: datetime, at: datetime) -> datetime:
    """Return when to ask WeChat again: 30 s, 2, 5, 10 minutes, the end, then every hour."""
    times = [created_at + timedelta(seconds=s) for s in PAYMENT_QUERIES_S]
    due = [time for time in [*times, expires_at] if time > at]
    return min(due, default=at + timedelta(hours=1))


def next_refund_query(*, queries: int, at: datetime) -> datetime:
    """Return when to ask WeChat again about a refund that was asked about so often."""
    wait = REFUND_QUERIES_S[min(queries, len(REFUND_QUERIES_S) - 1)]
    return at + timedelta(seconds=wait)


# --- Refunds --------------------------------------------------------------------------------


def check_refund(
    *, items: Sequence[RefundItem], freight_fen: int, room: dict[int, Room], freight_room_fen: int
) -> None:
    """Refuse a refund of nothing, of a foreign line, or of more than there is room for.

    room: per line id of the order.
    """
    if not items and freight_fen == 0:
        raise NothingToRefund(field="lines")
    check_amount(freight_fen, field="freight_fen", minimum=0)
    seen: set[int] = set()
    for place, item in enumerate(items):
        if item.line_id not in room:
            raise UnknownLine(field=f"lines.{place}.line_no")
        if item.line_id in seen:
            raise ItemTwice(field=f"lines.{place}.line_no")
        seen.add(item.line_id)
        check_refund_item(item, room[item.line_id], f"lines.{place}")
    if freight_fen > freight_room_fen:
        raise RefundTooHigh(field="freight_fen", left_fen=freight_room_fen)


def check_refund_item(item: RefundItem, room: Room, field: str) -> None:
    """Refuse an amount or a quantity that is out of range or above the room of its line."""
    check_amount(item.amount_fen, field=f"{field}.amount_fen")
    if type(item.quantity) is not int or not 0 <= item.quantity <= QUANTITY_MAX:
        raise QuantityOutOfRange(field=f"{field}.quantity", minimum=0, maximum=QUANTITY_MAX)
    if item.amount_fen > room.amount_fen:
        raise RefundTooHigh(field=f"{field}.amount_fen", left_fen=room.amount_fen)
    if item.quantity > room.quantity:
        raise RefundQuantityTooHigh(field=f"{field}.quantity", left=room.quantity)


def refundable_by_wechat(*, paid_at: datetime, refunds: int, at: datetime) -> bool:
    """Tell whether WeChat still takes a refund: within a year, at most fifty a payment."""
    young = at < paid_at + timedelta(days=WECHAT_REFUND_DAYS)
    return young and refunds < WECHAT_REFUNDS_MAX


def matures_at(*, completed_at: datetime, return_days: int, returnable: Iterable[bool]) -> datetime:
    """Return when the return period of an order ends; at once when nothing can be returned."""
    days = return_days if any(returnable) else 0
    return completed_at + timedelta(days=days)
