from __future__ import annotations

import json
import time

import pytest
import requests
from django.test import RequestFactory

from distro.wechat.config import config
from distro.wechat.errors import NoticeRefused
from distro.wechat.notices import Notice, payment_of, read_notice, refund_of, transfer_of
from distro.wechat.pay import pay
from distro.wechat.sandbox.crypto import Platform
from tests.sandbox_fixture import notice

from .make import OPENID, notice_of, prepay, refund, transfer


@pytest.fixture
def paid(wechat):
    request = prepay()
    pay().prepay(request)
    wechat.pay(request.out_trade_no)
    return request.out_trade_no


@pytest.fixture
def no_calls_later(monkeypatch):
    """Return a function after which a request that leaves this process fails the test."""
    calls = []
    yield lambda: monkeypatch.setattr(
        requests.Session, "send", lambda *args, **_: calls.append(args)
    )
    assert calls == []


@pytest.fixture
def no_calls(no_calls_later):
    no_calls_later()


@pytest.fixture
def forge(sandbox):
    """Return `forge(content, **changes)`: a notification that WeChat's own key has signed."""
    platform = Platform(sandbox.keys)

    def make(content, *, event="TRANSACTION.SUCCESS", original="transaction", **changes):
        notice = {
            "id": "EV-1",
            "event_type": event,
            "resource_type": "encrypt-resource",
            "resource": platform.seal(content, original),
            **changes,
        }
        body = json.dumps(notice).encode()
        return platform.signed_headers(body), body

    return make


def reason(headers, body):
    with pytest.raises(NoticeRefused) as caught:
        read_notice(headers, body)
    return caught.value.reason, caught.value.status


def full_resource(**changes):
    return {
        "appid": config().appid,
        "mchid": config().mchid,
        "out_trade_no": "T00000001",
        "transaction_id": "4200000000000000000000000001",
        "trade_state": "SUCCESS",
        "success_time": "2026-11-02T10:00:00+08:00",
        "amount": {"total": 1250, "payer_total": 1000, "currency": "CNY"},
        "payer": {"openid": OPENID},
        **changes,
    }


# --- What is believed -----------------------------------------------------------------------


def test_a_payment_notice_says_what_the_query_says(wechat, paid):
    notice = read_notice(*notice_of(wechat, paid))
    assert notice.event_type == "TRANSACTION.SUCCESS"
    assert payment_of(notice) == pay().query(paid)


def test_the_price_is_the_total_whatever_coupons_the_buyer_used(wechat):
    request = prepay()
    pay().prepay(request)
    wechat.pay(request.out_trade_no, coupon_fen=250)
    notice = read_notice(*notice_of(wechat, request.out_trade_no))
    assert notice.resource["amount"]["payer_total"] == 1000
    assert payment_of(notice).amount_fen == 1250


def test_a_repeated_notice_keeps_its_id(wechat, paid):
    first, second = notice_of(wechat, paid), notice_of(wechat, paid)
    assert first[0]["Wechatpay-Signature"] != second[0]["Wechatpay-Signature"]
    assert first[1] == second[1]
    assert read_notice(*first) == read_notice(*second)


@pytest.mark.parametrize(
    ("fault", "event", "status"),
    [
        ("", "REFUND.SUCCESS", "SUCCESS"),
        ("refund_abnormal", "REFUND.ABNORMAL", "ABNORMAL"),
        ("refund_closed", "REFUND.CLOSED", "CLOSED"),
    ],
)
def test_a_refund_notice_says_how_it_ended(wechat, paid, fault, event, status):
    if fault:
        wechat.fault(fault)
    request = refund(paid)
    pay().refund(request)
    notice = read_notice(*notice_of(wechat, request.out_refund_no))
    assert notice.event_type == event
    assert refund_of(notice) == pay().query_refund(request.out_refund_no)
    assert refund_of(notice).status == status


@pytest.mark.parametrize(
    ("end", "state", "fail_reason"),
    [
        (lambda wechat, number: wechat.confirm_transfer(number), "SUCCESS", ""),
        (lambda wechat, number: wechat.fail_transfer(number, "TRANSFER_RISK"), "FAIL",
         "TRANSFER_RISK"),
        (lambda wechat, number: wechat.advance(86400), "FAIL", "OVERDUE_CLOSE"),
        (lambda wechat, number: pay().cancel_transfer(number), "CANCELLED", "MCH_CANCEL"),
    ],
)  # fmt: skip
def test_a_transfer_notice_says_how_it_ended(wechat, end, state, fail_reason):
    number = pay().transfer(pay().transfer_body(transfer())).out_bill_no
    end(wechat, number)
    notice = read_notice(*notice_of(wechat, number))
    assert transfer_of(notice) == pay().query_transfer(number)
    assert (transfer_of(notice).state, transfer_of(notice).fail_reason) == (state, fail_reason)


def test_header_names_in_any_case(wechat, paid):
    headers, body = notice_of(wechat, paid)
    for form in (str.lower, str.upper):
        assert read_notice({form(name): value for name, value in headers.items()}, body)


def test_the_headers_of_a_django_request_are_fine(wechat, paid):
    request = RequestFactory().post("/notify", **notice(wechat, paid))
    assert payment_of(read_notice(request.headers, request.body)).out_trade_no == paid


def test_empty_associated_data_is_fine(wechat, forge):
    assert payment_of(read_notice(*forge(full_resource(), original=""))).amount_fen == 1250


# --- What is not, and never makes a call ----------------------------------------------------

ENVELOPE = [
    ({"Wechatpay-Serial": "5F" * 20}, "serial"),
    ({"Wechatpay-Serial": "PUB_KEY_ID_0100000000000000000000000001"}, "serial"),
    ({"Wechatpay-Serial": ""}, "serial"),
    ({"Wechatpay-Serial": None}, "serial"),
    ({"Wechatpay-Signature-Type": "WECHATPAY2-SM2-WITH-SM3"}, "type"),
    ({"Wechatpay-Signature-Type": None}, "type"),
    ({"Wechatpay-Timestamp": None}, "timestamp"),
    ({"Wechatpay-Timestamp": ""}, "timestamp"),
    ({"Wechatpay-Timestamp": "-1"}, "timestamp"),
    ({"Wechatpay-Timestamp": "1e9"}, "timestamp"),
    ({"Wechatpay-Timestamp": " 1"}, "timestamp"),
    ({"Wechatpay-Timestamp": "９" * 10}, "timestamp"),
    ({"Wechatpay-Timestamp": "²"}, "timestamp"),
    ({"Wechatpay-Timestamp": "9" * 5000}, "timestamp"),
    ({"Wechatpay-Nonce": "other"}, "signature"),
    ({"Wechatpay-Nonce": None}, "signature"),
    ({"Wechatpay-Signature": "AAAA"}, "signature"),
    ({"Wechatpay-Signature": "not base64!"}, "signature"),
    ({"Wechatpay-Signature": "签名"}, "signature"),
    ({"Wechatpay-Signature": None}, "signature"),
]


@pytest.mark.parametrize(("change", "expected"), ENVELOPE)
def test_a_changed_envelope_is_refused(wechat, paid, no_calls_later, change, expected):
    headers, body = notice_of(wechat, paid)
    headers = {name: value for name, value in {**headers, **change}.items() if value is not None}
    no_calls_later()
    assert reason(headers, body) == (expected, 401)


@pytest.mark.parametrize(("late", "believed"), [(0, True), (295, True), (306, False)])
@pytest.mark.parametrize("sign", [1, -1])
def test_a_notice_is_believed_for_five_minutes(wechat, paid, monkeypatch, late, believed, sign):
    headers, body = notice_of(wechat, paid)
    moment = time.time() + sign * late
    monkeypatch.setattr("distro.wechat.notices.time.time", lambda: moment)
    if believed:
        assert read_notice(headers, body)
    else:
        assert reason(headers, body) == ("timestamp", 401)


def test_full_width_digits_of_the_right_time_are_refused(wechat, paid, no_calls_later):
    headers, body = notice_of(wechat, paid)
    no_calls_later()
    stamp = headers["Wechatpay-Timestamp"].translate(
        str.maketrans("0123456789", "０１２３４５６７８９")
    )
    assert reason({**headers, "Wechatpay-Timestamp": stamp}, body) == ("timestamp", 401)


@pytest.mark.parametrize(
    "change",
    [
        lambda body: body + b" ",
        lambda body: body.replace(b"TRANSACTION.SUCCESS", b"TRANSACTION.SUCCESs"),
        lambda body: json.dumps(json.loads(body), separators=(",", ":")).encode(),
        lambda body: b"",
        lambda body: b"\xff\xfe",
        lambda body: b"{}",
        lambda body: b"[" * 50_000,
    ],
)
def test_a_changed_body_is_refused(wechat, paid, no_calls_later, change):
    headers, body = notice_of(wechat, paid)
    no_calls_later()
    assert reason(headers, change(body)) == ("signature", 401)


def test_a_huge_body_is_refused_before_anything_else(wechat, no_calls):
    assert reason({}, b"x" * (64 * 1024 + 1)) == ("body", 413)


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        ("signtest", ("signature", 401)),
        ("unknown_serial", ("serial", 401)),
        ("stale", ("timestamp", 401)),
        ("wrong_appid", ("appid", 400)),
        ("wrong_mchid", ("mchid", 400)),
    ],
)
def test_what_the_sandbox_spoils_is_refused(wechat, no_calls_later, fault, expected):
    request = prepay()
    pay().prepay(request)
    wechat.fault(fault)
    wechat.pay(request.out_trade_no)
    headers, body = notice_of(wechat, request.out_trade_no)
    no_calls_later()
    assert reason(headers, body) == expected


def test_wrong_amounts_and_payers_are_the_callers_to_check(wechat):
    request = prepay()
    pay().prepay(request)
    wechat.fault("tampered_amount", amount_fen=0)
    wechat.pay(request.out_trade_no)
    state = payment_of(read_notice(*notice_of(wechat, request.out_trade_no)))
    assert (state.amount_fen, state.payer_openid) == (0, OPENID)


def test_another_key_for_the_content_is_refused(wechat, forge, no_calls):
    headers, body = forge(full_resource())
    client = pay()
    client._sdk._core._apiv3_key, key = "0" * 32, client._sdk._core._apiv3_key
    try:
        assert reason(headers, body) == ("signature", 401)
    finally:
        client._sdk._core._apiv3_key = key


@pytest.mark.parametrize(
    "event", ["SECURITY_ECHO.SUCCESS", "COUPON.USE", "transaction.success", "", None, 7, ["x"]]
)
def test_an_unknown_event_is_refused(wechat, forge, no_calls, event):
    assert reason(*forge(full_resource(), event=event)) == ("event", 400)


@pytest.mark.parametrize("key", ["", None, 7, "x" * 65])
def test_a_notice_without_a_usable_id_is_refused(wechat, forge, no_calls, key):
    assert reason(*forge(full_resource(), id=key)) == ("body", 400)


@pytest.mark.parametrize(
    ("event", "change", "expected"),
    [
        ("TRANSACTION.SUCCESS", {"mchid": "1000000000"}, "mchid"),
        ("TRANSACTION.SUCCESS", {"mchid": None}, "mchid"),
        ("TRANSACTION.SUCCESS", {"appid": "wx0000000000000000"}, "appid"),
        ("TRANSACTION.SUCCESS", {"appid": None}, "appid"),
        ("REFUND.SUCCESS", {"mchid": "1000000000"}, "mchid"),
        ("MCHTRANSFER.BILL.FINISHED", {}, "mchid"),  # there the field is mch_id
        ("MCHTRANSFER.BILL.FINISHED", {"mch_id": "1000000000"}, "mchid"),
        ("MCHTRANSFER.BILL.FINISHED", {"mch_id": None}, "mchid"),
    ],
)
def test_another_merchant_or_mini_program_is_refused(
    wechat, forge, no_calls, event, change, expected
):
    assert reason(*forge(full_resource(**change), event=event)) == (expected, 400)


@pytest.mark.parametrize("resource", [["x"], "text", 7, True])
def test_a_resource_that_is_no_object_is_refused(wechat, forge, no_calls, resource):
    assert reason(*forge(resource)) == ("body", 400)


@pytest.mark.parametrize("change", [{"resource": None}, {"resource": "x"}, {"resource_type": "x"}])
def test_a_notice_without_encrypted_content_is_refused(wechat, forge, no_calls, change):
    assert reason(*forge(full_resource(), **change)) == ("signature", 401)


@pytest.mark.parametrize(
    "change",
    [
        {"out_trade_no": None},
        {"out_trade_no": ""},
        {"transaction_id": None},
        {"trade_state": None},
        {"amount": None},
        {"amount": []},
        {"amount": {"total": "1250", "currency": "CNY"}},
        {"amount": {"total": True, "currency": "CNY"}},
        {"amount": {"total": 12.5, "currency": "CNY"}},
        {"amount": {"total": -1, "currency": "CNY"}},
        {"amount": {"total": 1250}},
        {"payer": None},
        {"payer": {"openid": ""}},
        {"success_time": None},
        {"success_time": "2026-11-02 10:00:00"},
        {"success_time": "soon"},
    ],
)
def test_a_payment_of_a_wrong_shape_is_refused(wechat, change):
    notice = Notice("EV-1", "TRANSACTION.SUCCESS", full_resource(**change))
    with pytest.raises(NoticeRefused) as caught:
        payment_of(notice)
    assert (caught.value.reason, caught.value.status) == ("body", 400)


@pytest.mark.parametrize("read", [refund_of, transfer_of])
def test_a_payment_is_no_refund_and_no_transfer(wechat, read):
    with pytest.raises(NoticeRefused) as caught:
        read(Notice("EV-1", "TRANSACTION.SUCCESS", full_resource()))
    assert caught.value.reason == "event"


def test_refunds_and_transfers_of_a_wrong_shape_are_refused(wechat):
    for read, event in ((refund_of, "REFUND.SUCCESS"), (transfer_of, "MCHTRANSFER.BILL.FINISHED")):
        with pytest.raises(NoticeRefused) as caught:
            read(Notice("EV-1", event, {}))
        assert caught.value.reason == "body"
