from __future__ import annotations

import base64
import json
import traceback
from datetime import UTC, datetime, timedelta

import pytest
import requests
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding
from django.test import override_settings

from distro.wechat import pay as pay_module
from distro.wechat.config import config, forget_config
from distro.wechat.errors import WechatError, WechatNotFound, WechatRefused, WechatUnknown
from distro.wechat.pay import pay

from .make import OPENID, prepay, refund, transfer


def paid(wechat, **changes):
    request = prepay(**changes)
    pay().prepay(request)
    wechat.pay(request.out_trade_no)
    return request.out_trade_no


def refused(call, *args):
    with pytest.raises(WechatRefused) as caught:
        call(*args)
    return caught.value.code


# --- Payments -------------------------------------------------------------------------------


def test_a_payment_is_prepared_paid_and_found(wechat):
    request = prepay()
    prepay_id = pay().prepay(request)
    before = pay().query(request.out_trade_no)
    assert (before.trade_state, before.paid, before.transaction_id) == ("NOTPAY", False, "")
    assert before.success_time is None
    wechat.pay_prepay(prepay_id)
    after = pay().query(request.out_trade_no)
    assert (after.trade_state, after.paid, after.amount_fen) == ("SUCCESS", True, 1250)
    assert (after.currency, after.payer_openid) == ("CNY", OPENID)
    assert (after.appid, after.mchid) == (config().appid, config().mchid)
    assert abs(after.success_time - datetime.now(UTC)) < timedelta(seconds=5)
    assert after.transaction_id.isdigit()


def test_the_merchants_key_signs_what_the_phone_gets(wechat, sandbox):
    params = pay().client_params("wx123")
    assert params["package"] == "prepay_id=wx123"
    assert params["signType"] == "RSA"
    text = f"{config().appid}\n{params['timeStamp']}\n{params['nonceStr']}\nprepay_id=wx123\n"
    key = serialization.load_pem_public_key(sandbox.keys.merchant_public_key.encode())
    signature = base64.b64decode(params["paySign"])
    key.verify(signature, text.encode(), padding.PKCS1v15(), hashes.SHA256())


def test_the_same_request_again_gives_another_prepay_id_for_one_payment(wechat):
    request = prepay()
    first, second = pay().prepay(request), pay().prepay(request)
    assert first != second
    wechat.pay_prepay(second)
    assert len(wechat.payments()) == 1


def test_a_later_expiry_does_not_make_it_another_request(wechat):
    request = prepay()
    pay().prepay(request)
    later = {**vars(request), "expires_at": request.expires_at + timedelta(hours=1)}
    pay().prepay(type(request)(**later))
    assert wechat.payments()[0]["expires"] == int(request.expires_at.timestamp())


@pytest.mark.parametrize("change", [{"amount_fen": 1}, {"description": "红茶"}])
def test_the_same_number_with_other_content_is_refused(wechat, change):
    request = prepay()
    pay().prepay(request)
    other = type(request)(**{**vars(request), **change})
    assert refused(pay().prepay, other) == "INVALID_REQUEST"
    assert wechat.payments()[0]["total"] == 1250


def test_a_paid_number_cannot_be_prepared_again(wechat):
    request = prepay()
    pay().prepay(request)
    wechat.pay(request.out_trade_no)
    assert refused(pay().prepay, request) == "ORDERPAID"


def test_a_payment_ends_at_its_expiry(wechat):
    request = prepay()
    pay().prepay(request)
    wechat.advance(30 * 60 + 1)
    assert pay().query(request.out_trade_no).trade_state == "CLOSED"
    with pytest.raises(Exception, match="nothing to pay"):
        wechat.pay(request.out_trade_no)


def test_a_payment_may_lie_in_a_past_the_sandbox_was_put_to(wechat):
    at = datetime(2026, 1, 2, 3, 4, tzinfo=UTC)
    wechat.set_clock(at)
    request = prepay(expires_at=at + timedelta(minutes=30))
    pay().prepay(request)
    wechat.pay(request.out_trade_no)
    assert abs(pay().query(request.out_trade_no).success_time - at) < timedelta(seconds=5)


def test_an_expiry_too_near_is_refused(wechat):
    soon = datetime.now(UTC) + timedelta(seconds=30)
    assert refused(pay().prepay, prepay(expires_at=soon)) == "PARAM_ERROR"
    assert wechat.payments() == []


def test_an_unknown_payment_is_not_found(wechat):
    with pytest.raises(WechatNotFound):
        pay().query("T99999999")


def test_a_buyer_who_leaves_can_pay_later(wechat):
    request = prepay()
    pay().prepay(request)
    wechat.cancel_payment(request.out_trade_no)
    wechat.cancel_payment(request.out_trade_no, failed=True)
    assert pay().query(request.out_trade_no).trade_state == "PAYERROR"
    wechat.pay(request.out_trade_no)
    assert pay().query(request.out_trade_no).paid


def test_a_closed_payment_cannot_be_paid(wechat):
    request = prepay()
    pay().prepay(request)
    pay().close(request.out_trade_no)
    pay().close(request.out_trade_no)
    assert pay().query(request.out_trade_no).trade_state == "CLOSED"
    assert refused(pay().prepay, request) == "ORDER_CLOSED"


def test_a_paid_payment_cannot_be_closed(wechat):
    number = paid(wechat)
    assert refused(pay().close, number) == "ORDERPAID"
    assert pay().query(number).trade_state == "SUCCESS"


def test_closing_an_unknown_number_burns_it(wechat):
    request = prepay()
    pay().close(request.out_trade_no)
    assert refused(pay().prepay, request) == "ORDER_CLOSED"


@pytest.mark.parametrize(
    "change",
    [
        {"out_trade_no": "short"},
        {"out_trade_no": "has|pipe"},
        {"out_trade_no": "x" * 33},
        {"amount_fen": 0},
        {"amount_fen": -1},
        {"openid": ""},
        {"expires_at": datetime(2026, 1, 1)},
    ],
)
def test_an_impossible_payment_is_our_own_fault(change):
    with pytest.raises(AssertionError):
        prepay(**change)


def test_notify_urls_outside_this_machine_are_refused_by_the_sandbox(wechat):
    for url in ("https://shop.example/notify", "http://127.0.0.1:9/n?x=1", "ftp://127.0.0.1/n"):
        assert refused(pay().prepay, prepay(notify_url=url)) == "PARAM_ERROR"


# --- Unknown outcomes -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fault", "code", "happened"),
    [
        ("error_before", "SYSTEM_ERROR", False),
        ("error_after", "SYSTEM_ERROR", True),
        ("reply_lost", "connection", True),
        ("rate_limited", "FREQUENCY_LIMITED", False),
        ("bad_signature", "signature", True),
    ],
)
def test_an_outcome_nobody_knows_is_said_so(wechat, fault, code, happened):
    request = prepay()
    wechat.fault(fault, call="prepay")
    with pytest.raises(WechatUnknown) as caught:
        pay().prepay(request)
    assert caught.value.code == code
    assert bool(wechat.payments()) == happened
    assert pay().prepay(request)  # the same request repairs it
    assert len(wechat.payments()) == 1


def test_a_timeout_is_unknown(wechat, monkeypatch):
    monkeypatch.setattr(pay()._sdk._core, "_timeout", (1, 0.2))
    wechat.fault("slow", seconds=0.6)
    request = prepay()
    with pytest.raises(WechatUnknown) as caught:
        pay().prepay(request)
    assert caught.value.code == "connection"
    assert len(wechat.payments()) == 1


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (400, {"code": "PARAM_ERROR", "message": "x"}, WechatRefused),
        (401, {"code": "SIGN_ERROR"}, WechatRefused),
        (403, {"code": "NOT_ENOUGH"}, WechatRefused),
        (404, {"code": "ORDER_NOT_EXIST"}, WechatNotFound),
        (429, {"code": "FREQUENCY_LIMITED"}, WechatUnknown),
        (500, {"code": "SYSTEM_ERROR"}, WechatUnknown),
        (502, "<html>bad gateway</html>", WechatUnknown),
        (403, "<html>firewall</html>", WechatUnknown),
        (404, "<html>not found</html>", WechatUnknown),
        (400, {"message": "no code"}, WechatUnknown),
        (400, {"code": 7}, WechatUnknown),
        (302, {"code": "MOVED"}, WechatUnknown),
        (202, {"prepay_id": "wx1"}, WechatUnknown),
        (200, "not json", WechatUnknown),
        (200, [], WechatUnknown),
        (200, {}, WechatUnknown),
        (200, {"prepay_id": ""}, WechatUnknown),
        (200, {"prepay_id": 1}, WechatUnknown),
    ],
)
def test_only_wechats_own_4xx_is_certain(wechat, monkeypatch, status, body, kind):
    text = body if isinstance(body, str) else json.dumps(body)
    monkeypatch.setattr(pay()._sdk._core, "request", lambda *args, **options: (status, text))
    with pytest.raises(WechatError) as caught:
        pay().prepay(prepay())
    assert type(caught.value) is kind


@pytest.mark.parametrize(
    "change",
    [
        {"out_trade_no": "T00000000"},
        {"appid": "wx0000000000000000"},
        {"mchid": "1000000000"},
        {"transaction_id": None},
        {"amount": None},
        {"amount": {"total": "1250", "currency": "CNY"}},
        {"amount": {"total": True, "currency": "CNY"}},
        {"amount": {"total": 12.5, "currency": "CNY"}},
        {"amount": {"total": -1, "currency": "CNY"}},
        {"payer": {}},
        {"success_time": "yesterday"},
        {"success_time": "2026-11-02T10:00:00"},
        {"trade_state": 1},
    ],
)
def test_an_answer_about_something_else_or_of_a_wrong_shape_is_unknown(wechat, monkeypatch, change):
    number = paid(wechat)
    _, text = pay()._sdk.query(out_trade_no=number)
    answer = json.dumps({**json.loads(text), **change})
    monkeypatch.setattr(pay()._sdk, "query", lambda **options: (200, answer))
    with pytest.raises(WechatUnknown):
        pay().query(number)


def test_an_answer_about_another_refund_or_transfer_is_unknown(wechat, monkeypatch):
    number = paid(wechat)
    pay().refund(refund(number, refund_fen=1, out_refund_no="R-one"))
    pay().transfer(pay().transfer_body(transfer(out_bill_no="Bone")))
    of_refund, of_transfer = pay()._sdk.query_refund, pay()._sdk.mch_transfer_bills_query
    monkeypatch.setattr(pay()._sdk, "query_refund", lambda number: of_refund("R-one"))
    monkeypatch.setattr(
        pay()._sdk, "mch_transfer_bills_query", lambda out_bill_no: of_transfer(out_bill_no="Bone")
    )
    assert pay().query_refund("R-one")
    assert pay().query_transfer("Bone")
    with pytest.raises(WechatUnknown):
        pay().query_refund("R-two")
    with pytest.raises(WechatUnknown):
        pay().query_transfer("Btwo")


def test_errors_show_neither_keys_nor_people(wechat):
    request = prepay()
    wechat.fault("refuse", code="PARAM_ERROR", message=f"payer {OPENID} 13812345678 wrong")
    wechat.fault("reply_lost")
    for _ in range(2):
        with pytest.raises(WechatError) as caught:
            pay().prepay(request)
        shown = "".join(traceback.format_exception(caught.value)) + repr(vars(caught.value))
        for secret in (OPENID, "13812345678", config().apiv3_key, "Authorization"):
            assert secret not in shown


# --- Refunds --------------------------------------------------------------------------------


def test_a_refund_is_accepted_and_done(wechat):
    number = paid(wechat)
    request = refund(number, refund_fen=1_00)
    state = pay().refund(request)
    assert (state.status, state.refund_fen, state.total_fen) == ("PROCESSING", 100, 1250)
    assert (state.out_trade_no, state.success_time) == (number, None)
    wechat.advance(1)
    done = pay().query_refund(request.out_refund_no)
    assert done.status == "SUCCESS"
    assert done.success_time is not None
    assert done.refund_id == state.refund_id
    assert pay().query(number).trade_state == "REFUND"
    assert pay().query(number).paid


def test_the_same_refund_again_refunds_once(wechat):
    request = refund(paid(wechat))
    first = pay().refund(request)
    assert pay().refund(request).refund_id == first.refund_id


def test_a_refund_by_transaction_id(wechat):
    number = paid(wechat)
    transaction_id = pay().query(number).transaction_id
    state = pay().refund(refund(number, transaction_id=transaction_id))
    assert state.out_trade_no == number


def test_refunds_never_exceed_the_payment(wechat):
    number = paid(wechat)
    pay().refund(refund(number, refund_fen=12_00))
    assert refused(pay().refund, refund(number, refund_fen=51)) == "INVALID_REQUEST"
    pay().refund(refund(number, refund_fen=50))
    assert refused(pay().refund, refund(number, refund_fen=1)) == "INVALID_REQUEST"


def test_a_refund_must_name_the_true_total(wechat):
    number = paid(wechat)
    assert refused(pay().refund, refund(number, total_fen=1251)) == "INVALID_REQUEST"


def test_there_are_at_most_fifty_refunds(wechat):
    number = paid(wechat)
    for _ in range(50):
        pay().refund(refund(number, refund_fen=1))
    assert refused(pay().refund, refund(number, refund_fen=1)) == "INVALID_REQUEST"


def test_a_refund_after_a_year_is_refused(wechat):
    number = paid(wechat)
    wechat.advance(366 * 86400)
    assert refused(pay().refund, refund(number)) == "INVALID_REQUEST"


def test_a_refund_of_an_unpaid_payment_is_not_found(wechat):
    request = prepay()
    pay().prepay(request)
    with pytest.raises(WechatNotFound):
        pay().refund(refund(request.out_trade_no))


def test_the_same_refund_number_with_another_amount_is_refused(wechat):
    number = paid(wechat)
    request = refund(number, refund_fen=100)
    pay().refund(request)
    other = refund(number, refund_fen=200, out_refund_no=request.out_refund_no)
    assert refused(pay().refund, other) == "INVALID_REQUEST"


@pytest.mark.parametrize(
    ("fault", "status"), [("refund_abnormal", "ABNORMAL"), ("refund_closed", "CLOSED")]
)
def test_a_refund_may_fail(wechat, fault, status):
    wechat.fault(fault)
    request = refund(paid(wechat))
    pay().refund(request)
    wechat.advance(1)
    assert pay().query_refund(request.out_refund_no).status == status


def test_a_closed_refund_starts_again_under_its_number(wechat):
    wechat.fault("refund_closed")
    request = refund(paid(wechat))
    pay().refund(request)
    wechat.advance(1)
    assert pay().refund(request).status == "PROCESSING"
    wechat.advance(1)
    assert pay().query_refund(request.out_refund_no).status == "SUCCESS"


def test_a_refund_may_lack_money(wechat):
    wechat.fault("refuse", call="refund", status=403, code="NOT_ENOUGH")
    request = refund(paid(wechat))
    assert refused(pay().refund, request) == "NOT_ENOUGH"
    with pytest.raises(WechatNotFound):
        pay().query_refund(request.out_refund_no)


def test_a_refund_with_a_lost_answer_is_found(wechat):
    request = refund(paid(wechat))
    wechat.fault("reply_lost", call="refund")
    with pytest.raises(WechatUnknown):
        pay().refund(request)
    assert pay().query_refund(request.out_refund_no).refund_fen == 1250


# --- Transfers ------------------------------------------------------------------------------


def test_a_transfer_is_confirmed_and_paid(wechat):
    body = pay().transfer_body(transfer())
    state = pay().transfer(body)
    assert (state.state, state.amount_fen, state.openid) == ("WAIT_USER_CONFIRM", 500, OPENID)
    assert state.package_info
    assert pay().query_transfer(state.out_bill_no).package_info == ""
    wechat.confirm_transfer(state.out_bill_no)
    done = pay().query_transfer(state.out_bill_no)
    assert (done.state, done.fail_reason) == ("SUCCESS", "")
    assert done.transfer_bill_no == state.transfer_bill_no


def test_between_confirmation_and_end_a_transfer_is_on_its_way(wechat):
    wechat.settings(transfer_seconds=60)
    number = pay().transfer(pay().transfer_body(transfer())).out_bill_no
    wechat.confirm_transfer(number)
    assert pay().query_transfer(number).state == "TRANSFERING"
    wechat.advance(60)
    assert pay().query_transfer(number).state == "SUCCESS"


def test_a_stored_body_survives_json_and_pays_once(wechat):
    balance = wechat.settings()["balance"]
    body = json.loads(json.dumps(pay().transfer_body(transfer())))
    first, second = pay().transfer(body, "张三"), pay().transfer(body, "张三")
    assert first.transfer_bill_no == second.transfer_bill_no
    assert second.package_info == first.package_info
    assert wechat.settings()["balance"] == balance - 500


def test_the_same_number_with_another_body_is_refused(wechat):
    request = transfer()
    pay().transfer(pay().transfer_body(request))
    other = pay().transfer_body(transfer(out_bill_no=request.out_bill_no, amount_fen=501))
    assert refused(pay().transfer, other) == "INVALID_REQUEST"
    same = pay().transfer_body(request)
    assert refused(pay().transfer, same, "李四") == "INVALID_REQUEST"


def test_the_body_holds_no_name_and_what_the_scene_demands():
    body = pay_module.PayClient.transfer_body(
        type("Client", (), {"settings": type("S", (), {"appid": "wx1"})})(),
        transfer(remark="很" * 40, position="岗" * 40),
    )
    assert "user_name" not in body
    assert body["transfer_scene_id"] == "1005"
    assert body["user_recv_perception"] == "劳务报酬"
    assert len(body["transfer_remark"]) == 32
    infos = {
        info["info_type"]: info["info_content"] for info in body["transfer_scene_report_infos"]
    }
    assert infos == {"岗位类型": "岗" * 32, "报酬说明": "商品推广佣金"}


def test_below_thirty_fen_no_name_is_sent(wechat):
    assert pay().transfer(pay().transfer_body(transfer(amount_fen=29)), "张三").amount_fen == 29


def test_from_two_thousand_yuan_a_name_is_demanded(wechat):
    wechat.settings(transfer_max=1_000_000, transfer_day=1_000_000)
    body = pay().transfer_body(transfer(amount_fen=200_000))
    calls = len(wechat.calls())
    assert refused(pay().transfer, body) == "NAME_REQUIRED"
    assert len(wechat.calls()) == calls
    assert pay().transfer(body, "张三").state == "WAIT_USER_CONFIRM"
    assert pay().transfer(pay().transfer_body(transfer(amount_fen=199_999))).amount_fen == 199_999


def test_a_wrong_name_fails_after_the_confirmation(wechat):
    wechat.set_person("alice", real_name="张三")
    openid = wechat.person("alice").openid
    bodies = [pay().transfer_body(transfer(openid=openid)) for _ in range(2)]
    for body, name in zip(bodies, ["李四", "张三"]):
        pay().transfer(body, name)
        wechat.confirm_transfer(body["out_bill_no"])
    states = [pay().query_transfer(body["out_bill_no"]) for body in bodies]
    assert [state.state for state in states] == ["FAIL", "SUCCESS"]
    assert states[0].fail_reason == "NAME_NOT_CORRECT"


@pytest.mark.parametrize("fen", [9, 20_001])
def test_an_amount_outside_the_limits_is_refused(wechat, fen):
    assert refused(pay().transfer, pay().transfer_body(transfer(amount_fen=fen))) == (
        "INVALID_REQUEST"
    )
    assert wechat.transfers() == []


def test_a_persons_day_has_a_limit(wechat):
    wechat.settings(transfer_day=1_000)
    for _ in range(2):
        pay().transfer(pay().transfer_body(transfer()))
    body = pay().transfer_body(transfer())
    assert refused(pay().transfer, body) == "INVALID_REQUEST"
    other = pay().transfer_body(transfer(openid="o" + "B" * 27))
    assert pay().transfer(other).state == "WAIT_USER_CONFIRM"
    wechat.advance(86400)
    assert pay().transfer(body).state == "WAIT_USER_CONFIRM"


def test_a_merchant_without_money_cannot_transfer(wechat):
    wechat.settings(balance=499)
    body = pay().transfer_body(transfer())
    assert refused(pay().transfer, body) == "NOT_ENOUGH"
    wechat.top_up(1)
    assert pay().transfer(body).state == "WAIT_USER_CONFIRM"
    assert wechat.settings()["balance"] == 0


def test_an_unconfirmed_transfer_ends_after_a_day_and_the_money_returns(wechat):
    balance = wechat.settings()["balance"]
    number = pay().transfer(pay().transfer_body(transfer())).out_bill_no
    wechat.advance(86400)
    state = pay().query_transfer(number)
    assert (state.state, state.fail_reason) == ("FAIL", "OVERDUE_CLOSE")
    assert wechat.settings()["balance"] == balance


def test_a_transfer_may_fail_after_the_confirmation(wechat):
    wechat.fault("transfer_fail", reason="ACCOUNT_NOT_EXIST")
    number = pay().transfer(pay().transfer_body(transfer())).out_bill_no
    wechat.confirm_transfer(number)
    assert pay().query_transfer(number).fail_reason == "ACCOUNT_NOT_EXIST"


def test_a_transfer_is_cancelled_before_the_confirmation_only(wechat):
    wechat.settings(transfer_seconds=60)
    first, second = (pay().transfer(pay().transfer_body(transfer())) for _ in range(2))
    pay().cancel_transfer(first.out_bill_no)
    assert pay().query_transfer(first.out_bill_no).state == "CANCELING"
    wechat.advance(60)
    pay().cancel_transfer(first.out_bill_no)
    assert pay().query_transfer(first.out_bill_no).state == "CANCELLED"
    wechat.confirm_transfer(second.out_bill_no)
    assert refused(pay().cancel_transfer, second.out_bill_no) == "INVALID_REQUEST"


def test_an_accepted_transfer_gets_its_package_by_asking_again(wechat):
    wechat.settings(accept_seconds=30)
    body = pay().transfer_body(transfer())
    state = pay().transfer(body)
    assert (state.state, state.package_info) == ("ACCEPTED", "")
    wechat.advance(30)
    assert pay().transfer(body).package_info


def test_an_unknown_transfer_is_not_found(wechat):
    with pytest.raises(WechatNotFound):
        pay().query_transfer("B99999999")
    with pytest.raises(WechatNotFound):
        pay().cancel_transfer("B99999999")


@pytest.mark.parametrize("fault", ["error_after", "reply_lost", "bad_signature"])
def test_a_transfer_with_a_lost_answer_is_found_and_sent_again_without_paying_twice(wechat, fault):
    balance = wechat.settings()["balance"]
    body = pay().transfer_body(transfer())
    wechat.fault(fault, call="transfer")
    with pytest.raises(WechatUnknown):
        pay().transfer(body, "张三")
    assert pay().query_transfer(body["out_bill_no"]).state == "WAIT_USER_CONFIRM"
    assert pay().transfer(body, "张三").package_info
    assert wechat.settings()["balance"] == balance - 500


@pytest.mark.parametrize("change", [{"out_bill_no": "has-dash"}, {"amount_fen": 0}, {"openid": ""}])
def test_an_impossible_transfer_is_our_own_fault(change):
    with pytest.raises(AssertionError):
        transfer(**change)


# --- The client -----------------------------------------------------------------------------


def test_the_client_needs_no_call_to_start(wechat, monkeypatch):
    monkeypatch.setattr(requests, "get", None)
    monkeypatch.setattr(requests, "post", None)
    assert pay_module.PayClient(config())


def test_the_gateway_is_a_setting_and_a_dead_one_is_unknown(wechat):
    with override_settings(WECHATPAY_GATEWAY="http://127.0.0.1:9/"):
        forget_config()
        with pytest.raises(WechatUnknown) as caught:
            pay().query("T99999999")
    forget_config()
    assert caught.value.code == "connection"


def test_there_is_one_client_per_process(wechat):
    assert pay() is pay()
