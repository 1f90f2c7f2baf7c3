"""Shipping, receiving, maturing."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest

from distro.actors import Actor
from orders.errors import MissingText, NotReceivable, NotShippable, RefundIsOpen
from orders.models import Order, Shipment, ShopPolicy
from orders.rules import RefundItem
from orders.services.refunding import finish_refund
from orders.services.refunds import approve_refund, reject_refund, request_refund
from orders.services.shipping import (
    complete_order,
    complete_overdue,
    mature_orders,
    ship_order,
)
from referrals.models import Message
from tests.factories import make_sku
from tests.orders.conftest import bought, names, place, refund_state

pytestmark = pytest.mark.django_db

STAFF = Actor("staff", 7)
DAY = timedelta(days=1)


def ship(order: Order, at: datetime, **kw: str) -> Order:
    given = {"company": "顺丰", "tracking_no": "SF1234567890"} | kw
    return ship_order(order_id=order.pk, by=STAFF, at=at, **given)


def received(at: datetime, **kw: Any) -> Order:
    order = bought(at, **kw)
    ship(order, at)
    return complete_order(order_id=order.pk, by=order.member.actor, at=at)


def ask_refund(order: Order, fen: int, at: datetime) -> int:
    items = [RefundItem(order.lines.get().pk, 0, fen)]
    return request_refund(
        order_id=order.pk, lines=items, freight_fen=0, reason="x", by=STAFF, at=at
    ).pk


# --- Refusals -------------------------------------------------------------------------------


@pytest.mark.parametrize("status", ["placed", "shipped", "completed", "refunded", "cancelled"])
def test_only_a_paid_order_is_shipped(status: str, at: datetime, heard: list[Any]) -> None:
    order = bought(at)
    Order.objects.filter(pk=order.pk).update(status=status)
    heard.clear()
    with pytest.raises(NotShippable):
        ship(order, at)
    assert not Shipment.objects.exists()
    assert not heard


@pytest.mark.parametrize(
    ("field", "text"),
    [("company", " "), ("company", "长" * 33), ("tracking_no", ""), ("tracking_no", "1" * 65)],
)
def test_a_shipment_needs_a_carrier_and_a_number(field: str, text: str, at: datetime) -> None:
    order = bought(at)
    with pytest.raises(MissingText) as caught:
        ship(order, at, **{field: text})
    assert caught.value.field == field
    assert not Shipment.objects.exists()


def test_an_order_with_an_open_refund_does_not_leave(at: datetime) -> None:
    order = bought(at)
    refund = ask_refund(order, 100, at)
    with pytest.raises(RefundIsOpen):
        ship(order, at)
    reject_refund(refund_id=refund, reason="no", by=STAFF, at=at)
    ship(order, at)


@pytest.mark.parametrize("status", ["placed", "paid", "completed", "refunded", "cancelled"])
def test_only_a_shipped_order_is_received(status: str, at: datetime, heard: list[Any]) -> None:
    order = bought(at)
    Order.objects.filter(pk=order.pk).update(status=status)
    heard.clear()
    with pytest.raises(NotReceivable):
        complete_order(order_id=order.pk, by=order.member.actor, at=at)
    assert not heard


# --- Steps ----------------------------------------------------------------------------------


def test_every_step_has_its_time_and_is_told_once(at: datetime, heard: list[Any]) -> None:
    order = bought(at)
    ship(order, at + DAY)
    complete_order(order_id=order.pk, by=order.member.actor, at=at + 2 * DAY)
    assert mature_orders(at=at + 9 * DAY - timedelta(seconds=1)) == 0
    assert mature_orders(at=at + 9 * DAY) == 1
    assert mature_orders(at=at + 10 * DAY) == 0
    order.refresh_from_db()
    assert (order.shipped_at, order.completed_at) == (at + DAY, at + 2 * DAY)
    assert (order.status, order.matured_at) == ("completed", at + 9 * DAY)
    assert names(heard) == [
        "order_placed",
        "order_paid",
        "order_shipped",
        "order_completed",
        "order_matured",
    ]
    message = Message.objects.get(kind="order_shipped")
    assert "SF1234567890" in message.body


def test_goods_count_as_received_after_the_days_of_the_policy(at: datetime) -> None:
    ship(bought(at), at)
    assert complete_overdue(at=at + 10 * DAY - timedelta(seconds=1)) == 0
    assert complete_overdue(at=at + 10 * DAY) == 1
    assert complete_overdue(at=at + 10 * DAY) == 0
    assert Order.objects.get().status == "completed"


def test_an_order_with_an_open_refund_is_not_received_by_itself(at: datetime) -> None:
    order = bought(at)
    ship(order, at)
    ask_refund(order, 100, at)
    assert complete_overdue(at=at + 20 * DAY) == 0


def test_the_return_days_are_those_of_the_policy_at_receipt(at: datetime) -> None:
    ShopPolicy.objects.create(effective_from=at - DAY, return_days=15)
    received(at)
    ShopPolicy.objects.create(effective_from=at + DAY, return_days=7)
    received(at + DAY)
    assert mature_orders(at=at + 8 * DAY) == 1
    assert mature_orders(at=at + 14 * DAY) == 0
    assert mature_orders(at=at + 15 * DAY) == 1


def test_what_cannot_be_returned_matures_at_once(at: datetime) -> None:
    gift = make_sku()
    gift.product.returnable = False
    gift.product.save()
    order = place(at, None, (gift, 1))
    received_order = bought(at, (gift, 1))
    ship(received_order, at)
    complete_order(order_id=received_order.pk, by=STAFF, at=at)
    mixed = bought(at, (gift, 1), (make_sku(), 1))
    ship(mixed, at)
    complete_order(order_id=mixed.pk, by=STAFF, at=at)
    assert mature_orders(at=at) == 1
    received_order.refresh_from_db()
    assert received_order.matured_at == at
    assert order.matured_at is None


def test_an_open_refund_holds_the_maturing_back(at: datetime) -> None:
    order = received(at)
    refund = ask_refund(order, 100, at)
    assert mature_orders(at=at + 8 * DAY) == 0
    reject_refund(refund_id=refund, reason="no", by=STAFF, at=at)
    assert mature_orders(at=at + 8 * DAY) == 1


def test_an_order_refunded_in_full_never_matures(at: datetime, heard: list[Any]) -> None:
    order = received(at)
    refund = approve_refund(refund_id=ask_refund(order, order.paid_fen, at), by=STAFF, at=at)
    finish_refund(state=refund_state(refund), at=at)
    assert mature_orders(at=at + 8 * DAY) == 0
    assert "order_matured" not in names(heard)


def test_a_partial_refund_does_not_stop_the_maturing(at: datetime) -> None:
    order = received(at)
    refund = approve_refund(refund_id=ask_refund(order, 1, at), by=STAFF, at=at)
    finish_refund(state=refund_state(refund), at=at)
    assert mature_orders(at=at + 8 * DAY) == 1
