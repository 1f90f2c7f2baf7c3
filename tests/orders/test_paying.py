"""Payments: what is refused first, then what is paid."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest

from distro.models import OutboxMessage, StateChange
from distro.wechat.errors import WechatNotFound, WechatRefused, WechatUnknown
from orders.errors import (
    AlreadyPaid,
    NoOpenid,
    NotPayable,
    PaymentClosed,
    PaymentRefused,
    PayTooLate,
    WechatSilent,
)
from orders.models import Order, Payment, Refund
from orders.services.paying import (
    confirm_payment,
    open_payment,
    prepay,
    query_payments,
    sync_order,
)
from orders.services.placing import cancel_order
from tests.factories import make_sku
from tests.orders.conftest import FakePay, names, open_for, paid_state, pay_for, place

pytestmark = pytest.mark.django_db

HALF_HOUR = timedelta(minutes=30)


# --- Refusals -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "outcome"),
    [
        ({"amount_fen": 0}, "wrong_amount"),
        ({"amount_fen": 9_999}, "wrong_amount"),
        ({"amount_fen": 10_001}, "wrong_amount"),
        ({"amount_fen": -10_000}, "wrong_amount"),
        ({"currency": "USD"}, "wrong_currency"),
        ({"currency": ""}, "wrong_currency"),
        ({"payer_openid": "somebody"}, "wrong_payer"),
        ({"payer_openid": ""}, "wrong_payer"),
        ({"trade_state": "NOTPAY"}, "not_paid"),
        ({"trade_state": "PAYERROR"}, "not_paid"),
        ({"transaction_id": ""}, "wrong_transaction"),
        ({"transaction_id": "4" * 65}, "wrong_transaction"),
        ({"out_trade_no": "Pnobody"}, "unknown_payment"),
    ],
)
def test_a_payment_that_is_not_the_one_due_marks_nothing_and_alarms(
    changes: dict[str, Any], outcome: str, at: datetime, heard: list[Any], caplog: Any
) -> None:
    payment = open_for(place(at), at)
    heard.clear()
    assert confirm_payment(state=paid_state(payment, **changes), at=at) == outcome
    payment.refresh_from_db()
    assert (payment.status, payment.transaction_id) == ("open", None)
    assert payment.order.status == "placed"
    assert not heard
    assert not StateChange.objects.exists()
    assert "ALARM" in caplog.text


def test_a_transaction_pays_only_one_payment(at: datetime, heard: list[Any]) -> None:
    first = pay_for(place(at), at)
    second = open_for(place(at), at)
    heard.clear()
    state = paid_state(second, transaction_id=first.transaction_id)
    assert confirm_payment(state=state, at=at) == "reused_transaction"
    second.refresh_from_db()
    assert second.status == "open"
    assert not heard


def test_a_paid_payment_takes_no_other_transaction(at: datetime) -> None:
    payment = pay_for(place(at), at)
    state = paid_state(payment, transaction_id="4299")
    assert confirm_payment(state=state, at=at) == "other_transaction"
    assert not Refund.objects.exists()


def test_an_import_or_a_free_order_is_not_paid_by_wechat(at: datetime) -> None:
    order = place(at, None, (make_sku(price_fen=0), 1))
    payment = order.payments.get()
    state = paid_state(payment, amount_fen=0, payer_openid="")
    assert confirm_payment(state=state, at=at) == "unknown_payment"


@pytest.mark.parametrize(
    ("prepare", "refusal"),
    [
        (lambda order, at: pay_for(order, at), NotPayable),
        (lambda order, at: Order.objects.filter(pk=order.pk).update(pay_before=at), PayTooLate),
    ],
)
def test_an_order_that_waits_for_no_payment_gets_none(
    prepare: Any, refusal: type[Exception], at: datetime
) -> None:
    order = place(at)
    prepare(order, at)
    before = Payment.objects.count()
    with pytest.raises(refusal):
        open_payment(order_id=order.pk, openid="o1", at=at)
    assert Payment.objects.count() == before


@pytest.mark.parametrize("openid", [None, ""])
def test_nobody_pays_without_an_openid(openid: str | None, at: datetime) -> None:
    with pytest.raises(NoOpenid):
        open_payment(order_id=place(at).pk, openid=openid, at=at)
    assert not Payment.objects.exists()


# --- Prepay ---------------------------------------------------------------------------------


def test_a_payment_keeps_its_number_and_content_until_it_has_an_answer(
    at: datetime, fake_pay: FakePay
) -> None:
    order = place(at)
    fake_pay.errors["prepay"] = WechatUnknown("connection")
    with pytest.raises(WechatSilent):
        prepay(payment_id=open_for(order, at).pk, at=at)
    later = at + timedelta(minutes=10)
    assert prepay(payment_id=open_for(order, later).pk, at=later) == {"package": "prepay_id=wx2"}
    first, second = fake_pay.prepaid
    assert first == second
    assert Payment.objects.count() == 1


def test_a_prepay_id_is_used_again_while_it_is_valid(at: datetime, fake_pay: FakePay) -> None:
    payment = open_for(place(at), at)
    answers = [prepay(payment_id=payment.pk, at=at) for _ in range(2)]
    assert answers == [{"package": "prepay_id=wx1"}] * 2
    assert len(fake_pay.prepaid) == 1
    prepay(payment_id=payment.pk, at=at + timedelta(hours=2))
    assert len(fake_pay.prepaid) == 2


def test_what_is_asked_of_wechat_is_the_order(at: datetime, fake_pay: FakePay) -> None:
    order = place(at)
    payment = open_for(order, at)
    prepay(payment_id=payment.pk, at=at)
    asked = fake_pay.prepaid[0]
    assert (asked.amount_fen, asked.openid) == (10_000, order.member.openid)
    assert asked.expires_at == at + HALF_HOUR
    assert asked.notify_url.endswith("/api/v1/wechat/pay/notify")
    assert order.number in asked.description


def test_wechat_gets_its_minute_even_at_the_end_of_the_time_to_pay(at: datetime) -> None:
    order = place(at)
    late = at + HALF_HOUR - timedelta(seconds=5)
    payment = open_for(order, late)
    assert payment.expires_at == late + timedelta(seconds=90)


def test_a_refusal_of_wechat_is_told_with_its_code(at: datetime, fake_pay: FakePay) -> None:
    fake_pay.errors["prepay"] = WechatRefused("NO_AUTH")
    with pytest.raises(PaymentRefused, match="NO_AUTH"):
        prepay(payment_id=open_for(place(at), at).pk, at=at)


def test_a_number_that_is_paid_already_is_confirmed(at: datetime, fake_pay: FakePay) -> None:
    payment = open_for(place(at), at)
    fake_pay.errors["prepay"] = WechatRefused("ORDERPAID")
    fake_pay.payments[payment.out_trade_no] = paid_state(payment)
    with pytest.raises(AlreadyPaid):
        prepay(payment_id=payment.pk, at=at)
    payment.refresh_from_db()
    assert payment.order.status == "paid"


def test_a_closed_number_is_given_up_and_the_next_try_gets_a_new_one(
    at: datetime, fake_pay: FakePay
) -> None:
    order = place(at)
    payment = open_for(order, at)
    fake_pay.errors["prepay"] = WechatRefused("ORDER_CLOSED")
    fake_pay.payments[payment.out_trade_no] = paid_state(payment, trade_state="CLOSED")
    with pytest.raises(PaymentClosed):
        prepay(payment_id=payment.pk, at=at)
    again = open_for(order, at)
    assert again.out_trade_no != payment.out_trade_no
    assert [p.status for p in order.payments.order_by("pk")] == ["closed", "open"]


# --- Confirming -----------------------------------------------------------------------------


def test_a_payment_is_confirmed_once(at: datetime, heard: list[Any]) -> None:
    order = place(at)
    payment = open_for(order, at)
    told = at + timedelta(seconds=40)
    state = paid_state(payment, success_time=told)
    later = at + timedelta(minutes=1)
    assert confirm_payment(state=state, at=later) == "paid"
    assert confirm_payment(state=state, at=later) == "already_paid"
    order.refresh_from_db()
    payment.refresh_from_db()
    assert (order.status, order.paid_at) == ("paid", told)
    assert (payment.status, payment.succeeded_at) == ("succeeded", told)
    assert names(heard) == ["order_placed", "order_paid"]


@pytest.mark.parametrize(("told", "paid_at"), [(-60, 0), (600, 60), (30, 30)])
def test_wechats_time_of_payment_is_believed_only_between_order_and_now(
    told: int, paid_at: int, at: datetime
) -> None:
    payment = open_for(place(at), at)
    state = paid_state(payment, success_time=at + timedelta(seconds=told))
    confirm_payment(state=state, at=at + timedelta(seconds=60))
    payment.refresh_from_db()
    assert payment.succeeded_at == at + timedelta(seconds=paid_at)


def test_money_for_a_cancelled_order_goes_back_by_itself(
    at: datetime, fake_pay: FakePay, heard: list[Any]
) -> None:
    order = place(at)
    payment = open_for(order, at)
    cancel_order(order_id=order.pk, by=order.member.actor, why="", at=at)
    state = paid_state(payment)
    assert confirm_payment(state=state, at=at) == "late"
    assert confirm_payment(state=state, at=at) == "already_paid"
    order.refresh_from_db()
    payment.refresh_from_db()
    refund = Refund.objects.get()
    assert (order.status, payment.status) == ("cancelled", "succeeded")
    assert (refund.kind, refund.status) == ("late_payment", "approved")
    assert refund.amount_fen == payment.amount_fen == 10_000
    assert OutboxMessage.objects.filter(topic="refund").count() == 1
    assert names(heard) == ["order_placed", "order_cancelled"]


def test_a_second_payment_of_one_order_goes_back_by_itself(at: datetime, fake_pay: FakePay) -> None:
    order = place(at)
    first = open_for(order, at)
    fake_pay.payments[first.out_trade_no] = paid_state(first, trade_state="CLOSED")
    sync_order(order_id=order.pk, at=at)  # WeChat says closed, and is wrong
    pay_for(order, at)
    assert confirm_payment(state=paid_state(first), at=at) == "late"
    refund = Refund.objects.get()
    assert (refund.payment, refund.kind) == (first, "late_payment")
    order.refresh_from_db()
    assert (order.status, order.refunded_fen) == ("paid", 0)


# --- Asking ---------------------------------------------------------------------------------


def test_a_sync_confirms_what_wechat_has(at: datetime, fake_pay: FakePay) -> None:
    order = place(at)
    payment = open_for(order, at)
    fake_pay.payments[payment.out_trade_no] = paid_state(payment)
    sync_order(order_id=order.pk, at=at)
    order.refresh_from_db()
    assert order.status == "paid"


def test_a_sync_of_what_wechat_does_not_know_changes_nothing(
    at: datetime, fake_pay: FakePay
) -> None:
    order = place(at)
    sync_order(order_id=order.pk, at=at)
    open_for(order, at)
    sync_order(order_id=order.pk, at=at)
    order.refresh_from_db()
    assert order.status == "placed"


def test_a_sync_without_an_answer_says_so(at: datetime, fake_pay: FakePay) -> None:
    order = place(at)
    open_for(order, at)
    fake_pay.errors["query"] = WechatUnknown("connection")
    with pytest.raises(WechatSilent):
        sync_order(order_id=order.pk, at=at)


def test_the_query_job_asks_after_30_s_2_5_and_10_minutes_and_at_the_end(
    at: datetime, fake_pay: FakePay
) -> None:
    payment = open_for(place(at), at)
    asked = []
    for second in range(0, 1900, 10):
        moment = at + timedelta(seconds=second)
        query_payments(at=moment)
        before, payment.queries = payment.queries, 0
        payment.refresh_from_db()
        if payment.queries > before:
            asked.append(second)
    assert asked == [30, 120, 300, 600, 1800]


def test_the_query_job_confirms_what_nobody_told_us(at: datetime, fake_pay: FakePay) -> None:
    paid, silent, unknown = [open_for(place(at), at) for _ in range(3)]
    fake_pay.payments = {
        paid.out_trade_no: paid_state(paid),
        silent.out_trade_no: paid_state(silent, trade_state="NOTPAY"),
    }
    assert query_payments(at=at + timedelta(seconds=30)) == 1
    states = Payment.objects.order_by("pk").values_list("status", flat=True)
    assert list(states) == ["succeeded", "open", "open"]
    assert unknown.order.status == "placed"


def test_one_silent_answer_does_not_stop_the_others(at: datetime, fake_pay: FakePay) -> None:
    first, second = [open_for(place(at), at) for _ in range(2)]
    fake_pay.payments = {p.out_trade_no: paid_state(p) for p in (first, second)}
    fake_pay.errors["query"] = WechatUnknown("connection")
    assert query_payments(at=at + timedelta(seconds=30)) == 1


def test_a_payment_refunded_without_us_is_paid_and_alarms(
    at: datetime, fake_pay: FakePay, caplog: Any
) -> None:
    payment = open_for(place(at), at)
    fake_pay.payments[payment.out_trade_no] = paid_state(payment, trade_state="REFUND")
    assert query_payments(at=at + timedelta(seconds=30)) == 1
    assert "refunded without us" in caplog.text


def test_wechat_not_knowing_a_payment_is_no_reason_to_close_it(
    at: datetime, fake_pay: FakePay
) -> None:
    payment = open_for(place(at), at)
    fake_pay.errors["query"] = WechatNotFound("ORDER_NOT_EXIST")
    query_payments(at=at + timedelta(seconds=30))
    payment.refresh_from_db()
    assert payment.status == "open"
