"""The whole way over HTTP with the imitated WeChat: real signatures, real encryption."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

import pytest
from django.db import OperationalError
from django.test import Client

from distro import clock
from distro.models import WechatNotice
from distro.wechat.sandbox.control import SandboxControl
from orders.models import Order, Payment, Refund
from orders.rules import RefundItem
from orders.services import notices
from orders.services.paying import open_payment, prepay, query_payments, sync_order
from orders.services.placing import cancel_order, expire_orders
from orders.services.refunding import query_refunds, send_refund
from orders.services.refunds import approve_refund, request_refund
from tests.factories import make_member, make_sku
from tests.orders.conftest import names, place
from tests.orders.test_shipping import STAFF

pytestmark = pytest.mark.django_db

PAY, REFUND = "/api/v1/wechat/pay/notify", "/api/v1/wechat/refund/notify"


@pytest.fixture(autouse=True)
def frozen(at: datetime, monkeypatch: pytest.MonkeyPatch, wechat: SandboxControl) -> None:
    monkeypatch.setattr(clock, "now", lambda: at)
    wechat.set_clock(at)


@pytest.fixture
def order(at: datetime, wechat: SandboxControl) -> Order:
    buyer = make_member(openid=wechat.person("buyer").openid)
    return place(at, buyer, (make_sku(10_000, stock=5), 2))


def begin(order: Order, at: datetime) -> Payment:
    payment = open_payment(order_id=order.pk, openid=order.member.openid, at=at)
    assert prepay(payment_id=payment.pk, at=at)["package"].startswith("prepay_id=")
    return payment


def notice_of(wechat: SandboxControl, number: str) -> tuple[dict[str, str], bytes]:
    return wechat.signed_notice(wechat.notifications(number)[-1].id)


def send(url: str, headers: dict[str, str], body: bytes) -> Any:
    return Client().post(url, body, content_type="application/json", headers=headers)


def paid(order: Order, at: datetime, wechat: SandboxControl) -> Payment:
    payment = begin(order, at)
    wechat.pay(payment.out_trade_no)
    assert send(PAY, *notice_of(wechat, payment.out_trade_no)).status_code == 200
    payment.refresh_from_db()
    order.refresh_from_db()
    assert order.status == "paid"
    return payment


def approved(order: Order, at: datetime, fen: int = 10_000) -> Refund:
    items = [RefundItem(order.lines.get().pk, 1, fen)]
    refund = request_refund(
        order_id=order.pk, lines=items, freight_fen=0, reason="买多了", by=STAFF, at=at
    )
    return approve_refund(refund_id=refund.pk, by=STAFF, at=at)


# --- Refused notifications ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("Wechatpay-Signature", "WECHATPAY/SIGNTEST/abc"),
        ("Wechatpay-Signature", ""),
        ("Wechatpay-Serial", "PUB_KEY_ID_0"),
        ("Wechatpay-Nonce", "other"),
        ("Wechatpay-Timestamp", "1"),
        ("Wechatpay-Timestamp", "yesterday"),
    ],
)
def test_a_forged_or_late_notification_is_a_401_and_leaves_nothing(
    name: str, value: str, order: Order, at: datetime, wechat: SandboxControl
) -> None:
    payment = begin(order, at)
    wechat.pay(payment.out_trade_no)
    headers, body = notice_of(wechat, payment.out_trade_no)
    found = {key.lower(): text for key, text in headers.items()} | {name.lower(): value}
    answer = send(PAY, found, body)
    assert (answer.status_code, answer.json()["code"]) == (401, "FAIL")
    order.refresh_from_db()
    assert order.status == "placed"
    assert not WechatNotice.objects.exists()


def test_an_altered_body_is_a_401(order: Order, at: datetime, wechat: SandboxControl) -> None:
    payment = begin(order, at)
    wechat.pay(payment.out_trade_no)
    headers, body = notice_of(wechat, payment.out_trade_no)
    altered = json.dumps(json.loads(body) | {"summary": "other"}).encode()
    assert send(PAY, headers, altered).status_code == 401
    assert not WechatNotice.objects.exists()


def test_a_notification_at_the_wrong_address_is_a_400(
    order: Order, at: datetime, wechat: SandboxControl
) -> None:
    payment = begin(order, at)
    wechat.pay(payment.out_trade_no)
    assert send(REFUND, *notice_of(wechat, payment.out_trade_no)).status_code == 400
    assert not WechatNotice.objects.exists()


@pytest.mark.parametrize("url", [PAY, REFUND])
def test_only_posts_are_taken(url: str) -> None:
    assert Client().get(url).status_code == 405


def test_a_wrong_amount_is_a_200_that_marks_nothing_and_is_kept(
    order: Order, at: datetime, wechat: SandboxControl, caplog: Any, heard: list[Any]
) -> None:
    payment = begin(order, at)
    wechat.pay(payment.out_trade_no)
    Payment.objects.filter(pk=payment.pk).update(amount_fen=payment.amount_fen + 1)
    assert send(PAY, *notice_of(wechat, payment.out_trade_no)).status_code == 200
    order.refresh_from_db()
    payment.refresh_from_db()
    assert (order.status, payment.status) == ("placed", "open")
    kept = WechatNotice.objects.get()
    assert (kept.outcome, kept.handled_at) == ("wrong_amount", at)
    assert json.loads(kept.resource)["amount"]["total"] == 20_000
    assert "ALARM" in caplog.text
    assert not heard


def test_another_payer_is_a_200_that_marks_nothing(
    order: Order, at: datetime, wechat: SandboxControl
) -> None:
    payment = begin(order, at)
    wechat.pay(payment.out_trade_no)
    Payment.objects.filter(pk=payment.pk).update(openid="somebody")
    assert send(PAY, *notice_of(wechat, payment.out_trade_no)).status_code == 200
    order.refresh_from_db()
    assert order.status == "placed"
    assert WechatNotice.objects.get().outcome == "wrong_payer"


def test_trouble_with_the_database_is_a_500_so_that_wechat_repeats(
    order: Order, at: datetime, wechat: SandboxControl, monkeypatch: pytest.MonkeyPatch
) -> None:
    payment = begin(order, at)
    wechat.pay(payment.out_trade_no)

    def fail(**kw: Any) -> str:
        raise OperationalError("server closed the connection")

    client = Client(raise_request_exception=False)
    headers, body = notice_of(wechat, payment.out_trade_no)
    with monkeypatch.context() as patch:
        patch.setattr(notices, "confirm_payment", fail)
        answer = client.post(PAY, body, content_type="application/json", headers=headers)
    assert answer.status_code == 500
    kept = WechatNotice.objects.get()
    assert (kept.handled_at, kept.outcome) == (None, "")
    assert send(PAY, headers, body).status_code == 200
    kept.refresh_from_db()
    order.refresh_from_db()
    assert (kept.outcome, order.status) == ("paid", "paid")


# --- Payments -------------------------------------------------------------------------------


def test_a_notified_payment_pays_the_order_once(
    heard: list[Any], order: Order, at: datetime, wechat: SandboxControl
) -> None:
    payment = paid(order, at, wechat)
    for _ in range(2):
        assert send(PAY, *notice_of(wechat, payment.out_trade_no)).status_code == 200
    assert WechatNotice.objects.count() == 1
    assert names(heard) == ["order_placed", "order_paid"]
    assert payment.transaction_id
    assert order.paid_at == payment.succeeded_at


def test_a_wechat_coupon_does_not_change_the_amount_that_counts(
    order: Order, at: datetime, wechat: SandboxControl
) -> None:
    payment = begin(order, at)
    wechat.pay(payment.out_trade_no, coupon_fen=500)
    send(PAY, *notice_of(wechat, payment.out_trade_no))
    order.refresh_from_db()
    assert order.status == "paid"


def test_a_payment_nobody_told_us_of_is_found_by_asking(
    order: Order, at: datetime, wechat: SandboxControl
) -> None:
    payment = begin(order, at)
    sync_order(order_id=order.pk, at=at)
    order.refresh_from_db()
    assert order.status == "placed"
    wechat.pay(payment.out_trade_no)
    Payment.objects.update(next_query_at=at)
    assert query_payments(at=at) == 1
    order.refresh_from_db()
    assert order.status == "paid"


def test_a_cancelled_order_cannot_be_paid_at_wechat_any_more(
    order: Order, at: datetime, wechat: SandboxControl
) -> None:
    payment = begin(order, at)
    cancel_order(order_id=order.pk, by=order.member.actor, why="", at=at)
    assert wechat.payments()[0]["state"] == "CLOSED"
    payment.refresh_from_db()
    assert payment.status == "closed"


def test_an_order_paid_at_the_last_moment_is_not_cancelled(
    order: Order, at: datetime, wechat: SandboxControl
) -> None:
    payment = begin(order, at)
    wechat.pay(payment.out_trade_no)
    Order.objects.update(pay_before=at)
    assert expire_orders(at=at) == 0
    order.refresh_from_db()
    assert order.status == "paid"


# --- Refunds --------------------------------------------------------------------------------


def test_a_notified_refund_is_booked_once(
    order: Order, at: datetime, wechat: SandboxControl, heard: list[Any]
) -> None:
    paid(order, at, wechat)
    refund = approved(order, at)
    assert send_refund(refund_id=refund.pk, at=at) == "processing"
    heard.clear()
    for _ in range(2):
        headers, body = notice_of(wechat, refund.out_refund_no)
        assert send(REFUND, headers, body).status_code == 200
    refund.refresh_from_db()
    order.refresh_from_db()
    assert (refund.status, order.refunded_fen) == ("succeeded", 10_000)
    assert names(heard) == ["order_refunded"]
    assert order.lines.get().refunded_fen == 10_000


def test_sending_twice_refunds_once(order: Order, at: datetime, wechat: SandboxControl) -> None:
    paid(order, at, wechat)
    refund = approved(order, at)
    for _ in range(3):
        send_refund(refund_id=refund.pk, at=at)
    Refund.objects.update(next_query_at=at)
    query_refunds(at=at)
    order.refresh_from_db()
    assert order.refunded_fen == 10_000
    assert [name for name, _ in wechat.calls()].count("refund") <= 3


def test_money_paid_after_the_cancelling_comes_back(
    order: Order, at: datetime, wechat: SandboxControl
) -> None:
    payment = begin(order, at)
    wechat.pay(payment.out_trade_no)
    # As if WeChat had answered the close a moment before the buyer's bank did.
    Payment.objects.filter(pk=payment.pk).update(status="closed")
    Order.objects.filter(pk=order.pk).update(status="cancelled")
    assert send(PAY, *notice_of(wechat, payment.out_trade_no)).status_code == 200
    assert WechatNotice.objects.get().outcome == "late"
    refund = Refund.objects.get()
    send_refund(refund_id=refund.pk, at=at)
    send(REFUND, *notice_of(wechat, refund.out_refund_no))
    refund.refresh_from_db()
    order.refresh_from_db()
    assert (refund.status, refund.amount_fen) == ("succeeded", 20_000)
    assert (order.status, order.refunded_fen) == ("cancelled", 0)
