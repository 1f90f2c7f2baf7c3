"""Pure rules by tables."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from distro.errors import AmountOutOfRange
from distro.money import FEN_MAX
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
from orders.rules import (
    Item,
    RefundItem,
    Room,
    check_items,
    check_refund,
    check_total,
    freight_of,
    happened_at,
    matures_at,
    next_payment_query,
    next_refund_query,
    refundable_by_wechat,
)

AT = datetime(2026, 11, 2, 2, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("items", "refusal", "field"),
    [
        ([], NothingOrdered, "items"),
        ([Item(n, 1) for n in range(101)], TooManyItems, "items"),
        ([Item(1, 0)], QuantityOutOfRange, "items.0.quantity"),
        ([Item(1, 1), Item(2, -1)], QuantityOutOfRange, "items.1.quantity"),
        ([Item(1, 10_001)], QuantityOutOfRange, "items.0.quantity"),
        ([Item(1, 1.5)], QuantityOutOfRange, "items.0.quantity"),
        ([Item(1, True)], QuantityOutOfRange, "items.0.quantity"),
        ([Item(1, "2")], QuantityOutOfRange, "items.0.quantity"),
        ([Item(1, 1), Item(1, 1)], ItemTwice, "items.1.sku"),
    ],
)
def test_bad_items_are_refused_with_their_field(items: Any, refusal: Any, field: str) -> None:
    with pytest.raises(refusal) as caught:
        check_items(items)
    assert caught.value.field == field


def test_the_limits_themselves_are_allowed() -> None:
    check_items([Item(1, 1), Item(2, 10_000)])
    check_items([Item(n, 1) for n in range(100)])
    check_total(FEN_MAX)


def test_an_order_above_100_million_yuan_is_refused() -> None:
    with pytest.raises(OrderTooLarge):
        check_total(FEN_MAX, 1)


@pytest.mark.parametrize(
    ("goods", "freight", "free_from", "due"),
    [
        (9_999, 800, 10_000, 800),
        (10_000, 800, 10_000, 0),
        (0, 800, 10_000, 800),
        (10**9, 800, 0, 800),
        (1, 0, 0, 0),
    ],
)
def test_freight_is_due_below_its_threshold(
    goods: int, freight: int, free_from: int, due: int
) -> None:
    assert freight_of(goods_fen=goods, freight_fen=freight, free_from_fen=free_from) == due


@pytest.mark.parametrize(
    ("items", "freight", "refusal", "field"),
    [
        ([], 0, NothingToRefund, "lines"),
        ([], -1, AmountOutOfRange, "freight_fen"),
        ([], 501, RefundTooHigh, "freight_fen"),
        ([], FEN_MAX + 1, AmountOutOfRange, "freight_fen"),
        ([], 1.0, AmountOutOfRange, "freight_fen"),
        ([RefundItem(9, 0, 1)], 0, UnknownLine, "lines.0.line_no"),
        ([RefundItem(1, 0, 1), RefundItem(1, 0, 1)], 0, ItemTwice, "lines.1.line_no"),
        ([RefundItem(1, 0, 0)], 0, AmountOutOfRange, "lines.0.amount_fen"),
        ([RefundItem(1, 0, -5)], 0, AmountOutOfRange, "lines.0.amount_fen"),
        ([RefundItem(1, 0, True)], 0, AmountOutOfRange, "lines.0.amount_fen"),
        ([RefundItem(1, 0, FEN_MAX + 1)], 0, AmountOutOfRange, "lines.0.amount_fen"),
        ([RefundItem(1, 0, 1001)], 0, RefundTooHigh, "lines.0.amount_fen"),
        ([RefundItem(1, -1, 1)], 0, QuantityOutOfRange, "lines.0.quantity"),
        ([RefundItem(1, 4, 1)], 0, RefundQuantityTooHigh, "lines.0.quantity"),
        ([RefundItem(2, 0, 1)], 0, RefundTooHigh, "lines.0.amount_fen"),
    ],
)
def test_a_bad_refund_is_refused_with_its_field(
    items: Any, freight: Any, refusal: Any, field: str
) -> None:
    room = {1: Room(3, 1000), 2: Room(0, 0)}
    with pytest.raises(refusal) as caught:
        check_refund(items=items, freight_fen=freight, room=room, freight_room_fen=500)
    assert caught.value.field == field


def test_a_refund_may_take_all_the_room() -> None:
    room = {1: Room(3, 1000)}
    check_refund(items=[RefundItem(1, 3, 1000)], freight_fen=500, room=room, freight_room_fen=500)
    check_refund(items=[], freight_fen=500, room=room, freight_room_fen=500)


def test_an_event_lies_between_its_cause_and_now() -> None:
    early, late = AT - timedelta(hours=1), AT + timedelta(hours=1)
    assert happened_at(told=None, not_before=early, now=AT) == AT
    assert happened_at(told=late, not_before=early, now=AT) == AT
    assert happened_at(told=early, not_before=AT, now=late) == AT


def test_a_payment_is_asked_about_every_hour_after_its_end() -> None:
    end = AT + timedelta(minutes=30)
    after = next_payment_query(created_at=AT, expires_at=end, at=end)
    assert after == end + timedelta(hours=1)


def test_a_refund_is_asked_about_ever_more_rarely_but_daily() -> None:
    waits = [(next_refund_query(queries=n, at=AT) - AT).total_seconds() for n in range(8)]
    assert waits == [60, 300, 1800, 7200, 21600, 86400, 86400, 86400]


@pytest.mark.parametrize(
    ("days", "refunds", "taken"),
    [(364, 0, True), (365, 0, False), (1, 49, True), (1, 50, False)],
)
def test_wechat_takes_refunds_for_a_year_and_fifty_times(
    days: int, refunds: int, taken: bool
) -> None:
    at = AT + timedelta(days=days)
    assert refundable_by_wechat(paid_at=AT, refunds=refunds, at=at) is taken


@pytest.mark.parametrize(
    ("returnable", "days"), [([True], 7), ([False], 0), ([False, True], 7), ([], 0)]
)
def test_only_what_can_be_returned_has_a_return_period(returnable: list[bool], days: int) -> None:
    end = matures_at(completed_at=AT, return_days=7, returnable=returnable)
    assert end == AT + timedelta(days=days)
