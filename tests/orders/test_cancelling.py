"""Unpaid orders end: at WeChat first, then here, once."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest

from distro.actors import SYSTEM
from distro.errors import StillRunning
from distro.models import StateChange
from distro.wechat.errors import WechatNotFound, WechatRefused, WechatUnknown
from orders.errors import AlreadyPaid, NotCancellable, WechatSilent
from orders.models import Order, Sku
from orders.services.placing import TIMEOUT, cancel_order, expire_orders
from referrals.models import Message
from tests.factories import make_sku
from tests.orders.conftest import FakePay, bought, names, open_for, paid_state, place

pytestmark = pytest.mark.django_db

HALF_HOUR = timedelta(minutes=30)


def cancel(order: Order, at: datetime) -> Order:
    return cancel_order(order_id=order.pk, by=order.member.actor, why="", at=at)


def assert_untouched(order: Order, stock: int) -> None:
    order.refresh_from_db()
    assert order.status == "placed"
    assert Sku.objects.get().stock == stock
    assert not StateChange.objects.filter(to_status="cancelled").exists()


# --- Refusals -------------------------------------------------------------------------------


@pytest.mark.parametrize("status", ["paid", "shipped", "completed", "refunded", "cancelled"])
def test_only_an_unpaid_order_is_cancelled(status: str, at: datetime, fake_pay: FakePay) -> None:
    order = bought(at)
    Order.objects.filter(pk=order.pk).update(status=status)
    with pytest.raises(NotCancellable):
        cancel(order, at)
    order.refresh_from_db()
    assert order.status == status
    assert Sku.objects.get().stock == 99
    assert not fake_pay.closed


def test_without_an_answer_of_wechat_nothing_is_decided(
    at: datetime, fake_pay: FakePay, heard: list[Any]
) -> None:
    order = place(at)
    payment = open_for(order, at)
    heard.clear()
    fake_pay.errors["close"] = WechatUnknown("connection")
    with pytest.raises(WechatSilent):
        cancel(order, at)
    assert_untouched(order, 99)
    payment.refresh_from_db()
    assert payment.status == "open"
    assert not heard


def test_an_order_paid_at_wechat_is_confirmed_instead(
    at: datetime, fake_pay: FakePay, heard: list[Any]
) -> None:
    order = place(at)
    payment = open_for(order, at)
    fake_pay.errors["close"] = WechatRefused("ORDERPAID")
    fake_pay.payments[payment.out_trade_no] = paid_state(payment)
    with pytest.raises(AlreadyPaid):
        cancel(order, at)
    order.refresh_from_db()
    assert order.status == "paid"
    assert names(heard) == ["order_placed", "order_paid"]


def test_a_paid_number_that_cannot_be_queried_decides_nothing(
    at: datetime, fake_pay: FakePay
) -> None:
    order = place(at)
    open_for(order, at)
    fake_pay.errors = {
        "close": WechatRefused("ORDERPAID"),
        "query": WechatUnknown("connection"),
    }
    with pytest.raises(WechatSilent):
        cancel(order, at)
    assert_untouched(order, 99)


def test_a_payment_begun_meanwhile_keeps_the_order(
    at: datetime, fake_pay: FakePay, monkeypatch: pytest.MonkeyPatch
) -> None:
    order = place(at)
    first = open_for(order, at)

    def close_and_open_another(number: str) -> None:
        type(first).objects.filter(pk=first.pk).update(status="closed")
        open_for(order, at)

    monkeypatch.setattr(fake_pay, "close", close_and_open_another)
    with pytest.raises(StillRunning):
        cancel(order, at)
    assert_untouched(order, 99)


# --- Cancelling -----------------------------------------------------------------------------


def test_a_cancelled_order_gives_its_stock_back_once(
    at: datetime, fake_pay: FakePay, heard: list[Any]
) -> None:
    first, second = make_sku(stock=10), make_sku(stock=10)
    order = place(at, None, (second, 3), (first, 2))
    cancel(order, at)
    with pytest.raises(NotCancellable):
        cancel(order, at)
    order.refresh_from_db()
    assert (order.status, order.cancelled_at) == ("cancelled", at)
    assert list(Sku.objects.values_list("stock", flat=True)) == [10, 10]
    assert not fake_pay.closed  # nobody had begun to pay
    assert names(heard) == ["order_placed", "order_cancelled"]


@pytest.mark.parametrize(
    "answer", [None, WechatNotFound("ORDER_NOT_EXIST"), WechatRefused("ORDER_CLOSED")]
)
def test_what_wechat_has_closed_or_never_seen_is_closed(
    answer: Exception | None, at: datetime, fake_pay: FakePay
) -> None:
    order = place(at)
    payment = open_for(order, at)
    if answer:
        fake_pay.errors["close"] = answer
    cancel(order, at)
    payment.refresh_from_db()
    order.refresh_from_db()
    assert (payment.status, order.status) == ("closed", "cancelled")


# --- Timeout --------------------------------------------------------------------------------


def test_an_order_ends_exactly_when_its_time_is_over(at: datetime, fake_pay: FakePay) -> None:
    order = place(at)
    payment = open_for(order, at)
    assert expire_orders(at=at + HALF_HOUR - timedelta(seconds=1)) == 0
    assert expire_orders(at=at + HALF_HOUR) == 1
    assert expire_orders(at=at + HALF_HOUR) == 0
    order.refresh_from_db()
    assert order.status == "cancelled"
    assert fake_pay.closed == [payment.out_trade_no]
    change = StateChange.objects.get(to_status="cancelled")
    assert (change.actor_kind, change.why) == (SYSTEM.kind, TIMEOUT)


def test_a_buyer_is_told_of_the_timeout_but_not_of_his_own_cancelling(
    at: datetime, fake_pay: FakePay
) -> None:
    own, late = place(at), place(at)
    cancel(own, at)
    assert not Message.objects.exists()
    expire_orders(at=at + HALF_HOUR)
    message = Message.objects.get()
    assert (message.member, message.kind) == (late.member, "order_timeout")
    assert late.number in message.body


def test_an_order_paid_in_the_last_moment_is_confirmed_not_cancelled(
    at: datetime, fake_pay: FakePay
) -> None:
    order, other = place(at), place(at)
    payment = open_for(order, at)
    fake_pay.errors["close"] = WechatRefused("ORDERPAID")
    fake_pay.payments[payment.out_trade_no] = paid_state(payment)
    assert expire_orders(at=at + HALF_HOUR) == 1
    order.refresh_from_db()
    other.refresh_from_db()
    assert (order.status, other.status) == ("paid", "cancelled")


def test_one_silent_answer_does_not_keep_the_others(at: datetime, fake_pay: FakePay) -> None:
    orders = [place(at) for _ in range(3)]
    for order in orders:
        open_for(order, at)
    fake_pay.errors["close"] = WechatUnknown("connection")
    assert expire_orders(at=at + HALF_HOUR) == 2
    assert expire_orders(at=at + HALF_HOUR) == 1


def test_a_run_gives_up_when_wechat_stays_silent(
    at: datetime, fake_pay: FakePay, monkeypatch: pytest.MonkeyPatch
) -> None:
    for order in [place(at) for _ in range(7)]:
        open_for(order, at)
    asked = []

    def silent(number: str) -> None:
        asked.append(number)
        raise WechatUnknown("connection")

    monkeypatch.setattr(fake_pay, "close", silent)
    assert expire_orders(at=at + HALF_HOUR) == 0
    assert len(asked) == 5
