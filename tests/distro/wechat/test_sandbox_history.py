from __future__ import annotations

import time

import pytest

from distro.wechat.errors import WechatRefused
from distro.wechat.pay import RefundRequest, pay

PAID_AT = time.time() - 40 * 86_400
OPENID = "o" + "x" * 27


def request(number: str, fen: int) -> RefundRequest:
    return RefundRequest(
        out_refund_no=number,
        out_trade_no="P2611021234567890",
        transaction_id="4200000000000000000000000001",
        refund_fen=fen,
        total_fen=10_000,
        reason="test",
        notify_url="http://127.0.0.1:8000/api/v1/wechat/refund/notify",
    )


@pytest.fixture
def remembered(wechat):
    """A payment of 100 yuan and a refund of 40 that happened before the sandbox knew them."""
    payment = ("P2611021234567890", "4200000000000000000000000001", 10_000, OPENID, PAID_AT)
    refund = ("R1", "5030000000000000000000000001", "P2611021234567890", 4_000, PAID_AT + 3_600)
    wechat.remember(payments=[payment], refunds=[refund])
    wechat.remember(payments=[payment], refunds=[refund])  # again changes nothing
    return wechat


def test_a_remembered_payment_is_known_and_nobody_was_notified(remembered):
    state = pay().query("P2611021234567890")
    assert (state.trade_state, state.amount_fen, state.payer_openid) == ("REFUND", 10_000, OPENID)
    assert pay().query_refund("R1").status == "SUCCESS"
    assert remembered.notifications() == []


def test_a_remembered_payment_can_be_refunded_as_far_as_it_was_not(remembered):
    assert pay().refund(request("R2", 6_000)).status == "PROCESSING"
    with pytest.raises(WechatRefused):
        pay().refund(request("R3", 1))
