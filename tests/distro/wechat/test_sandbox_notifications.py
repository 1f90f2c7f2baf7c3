"""The sandbox delivers as WeChat does: signed anew each time, until the merchant takes it."""

from __future__ import annotations

import time

import pytest

from distro.wechat.errors import NoticeRefused
from distro.wechat.notices import payment_of, read_notice
from distro.wechat.pay import pay
from distro.wechat.sandbox.notifications import SCHEDULE
from distro.wechat.sandbox.server import Sandbox
from distro.wechat.sandbox.store import Store

from .make import prepay, receiver, transfer


@pytest.fixture
def merchant(wechat):
    wechat.settings(deliver=1)
    with receiver() as server:
        yield server
    wechat.settings(deliver=0)


def order(wechat, url):
    request = prepay(notify_url=url)
    pay().prepay(request)
    wechat.pay(request.out_trade_no)
    return request.out_trade_no


def wait(wechat, number, done):
    end = time.monotonic() + 10
    while time.monotonic() < end:
        notice = wechat.notifications(number)[-1]
        if done(notice):
            return notice
        time.sleep(0.02)
    raise AssertionError(notice)


def test_a_notification_is_delivered_and_believed(wechat, merchant):
    number = order(wechat, merchant.url)
    sent = wechat.wait_delivered(number)
    assert (sent.event, sent.tries, len(merchant.received)) == ("TRANSACTION.SUCCESS", 1, 1)
    assert payment_of(read_notice(*merchant.received[0])).out_trade_no == number


def test_a_transfer_is_announced_when_the_payee_confirms(wechat, merchant):
    body = pay().transfer_body(transfer(notify_url=merchant.url))
    pay().transfer(body)
    assert wechat.notifications() == []
    wechat.confirm_transfer(body["out_bill_no"])
    wechat.wait_delivered(body["out_bill_no"])
    assert read_notice(*merchant.received[0]).event_type == "MCHTRANSFER.BILL.FINISHED"


def test_a_refused_notification_comes_again_with_a_new_signature_and_the_same_body(
    wechat, merchant
):
    merchant.statuses += [500, 401, 302]
    sent = wechat.wait_delivered(order(wechat, merchant.url))
    assert [attempt.status for attempt in sent.attempts] == [500, 401, 302, 200]
    assert len({body for _, body in merchant.received}) == 1
    assert len({headers["Wechatpay-Nonce"] for headers, _ in merchant.received}) == 4
    assert all(read_notice(headers, body) for headers, body in merchant.received)


def test_a_redirect_is_not_followed(wechat, merchant):
    merchant.statuses += [302]
    merchant.location = merchant.url
    wechat.wait_delivered(order(wechat, merchant.url))
    assert len(merchant.received) == 2


def test_204_is_as_good_as_200(wechat, merchant):
    merchant.statuses += [204]
    assert wechat.wait_delivered(order(wechat, merchant.url)).tries == 1


def test_the_pauses_are_those_of_the_protocol(wechat, merchant):
    assert sum(SCHEDULE) == 24 * 3600 + 4 * 60
    wechat.settings(retry_factor=1)
    merchant.statuses += [500] * 20
    number = order(wechat, merchant.url)
    pauses = []
    for tries in range(1, len(SCHEDULE) + 1):
        sent = wait(wechat, number, lambda notice, n=tries: notice.tries == n and notice.due)
        pauses.append(round(sent.due - sent.attempts[-1].at))
        wechat.advance(pauses[-1])
    assert pauses == SCHEDULE
    assert wait(wechat, number, lambda notice: notice.state == "given_up").tries == 16


def test_a_dead_merchant_is_tried_again(wechat, merchant):
    number = order(wechat, "http://127.0.0.1:9/notify")
    sent = wait(wechat, number, lambda notice: notice.tries >= 2)
    assert sent.attempts[0].status == 0


def test_a_duplicate_comes_at_the_same_moment(wechat, merchant):
    wechat.fault("duplicate")
    number = order(wechat, merchant.url)
    wait(wechat, number, lambda notice: len(notice.attempts) == 2)
    assert len({body for _, body in merchant.received}) == 1
    assert wechat.notifications(number)[0].state == "delivered"


def test_a_notification_may_never_come(wechat, merchant):
    wechat.fault("never")
    number = order(wechat, merchant.url)
    assert wechat.notifications(number)[0].state == "kept"
    assert pay().query(number).paid
    wechat.resend(wechat.notifications(number)[0].id)
    wechat.wait_delivered(number)


def test_a_probe_is_refused_and_the_real_one_follows(wechat, merchant):
    wechat.fault("signtest")
    merchant.statuses += [401]
    wechat.wait_delivered(order(wechat, merchant.url))
    probe, real = merchant.received
    assert probe[0]["Wechatpay-Signature"].startswith("WECHATPAY/SIGNTEST/")
    with pytest.raises(NoticeRefused):
        read_notice(*probe)
    assert read_notice(*real)


@pytest.mark.parametrize("fault", ["unknown_serial", "stale"])
def test_only_the_first_attempt_is_spoilt(wechat, merchant, fault):
    wechat.fault(fault)
    merchant.statuses += [401]
    wechat.wait_delivered(order(wechat, merchant.url))
    first, second = merchant.received
    with pytest.raises(NoticeRefused):
        read_notice(*first)
    assert read_notice(*second)


def test_a_delivered_notification_can_be_sent_again(wechat, merchant):
    number = order(wechat, merchant.url)
    wechat.resend(wechat.wait_delivered(number).id)
    wait(wechat, number, lambda notice: len(notice.attempts) == 2 and notice.state == "delivered")
    assert read_notice(*merchant.received[0]).id == read_notice(*merchant.received[1]).id


def test_a_fault_may_wait_for_one_kind_of_notification(wechat, merchant):
    wechat.fault("never", call="mch_payment")
    wechat.wait_delivered(order(wechat, merchant.url))
    body = pay().transfer_body(transfer(notify_url=merchant.url))
    pay().transfer(body)
    wechat.confirm_transfer(body["out_bill_no"])
    assert wechat.notifications(body["out_bill_no"])[0].state == "kept"


def test_everything_survives_a_restart(tmp_path):
    first = Sandbox(tmp_path).start()
    first.control.settings(refund_seconds=7)
    alice = first.control.person("alice")
    code = first.control.login_code("alice")
    first.stop()
    second = Sandbox(tmp_path).start()
    assert second.control.settings()["refund_seconds"] == 7
    assert second.control.person("alice") == alice
    assert second.keys.secret == first.keys.secret
    second.stop()
    assert code


def test_what_a_killed_sandbox_was_sending_is_sent_again(tmp_path):
    store = Store(tmp_path / "sandbox.sqlite3")
    with store.transaction() as db:
        db.execute("INSERT INTO notification (id, state, tries) VALUES ('a', 'sending', 0)")
    store.close()
    with Store(tmp_path / "sandbox.sqlite3").transaction() as db:
        row = db.execute("SELECT * FROM notification").fetchone()
    assert (row["state"], row["due"]) == ("waiting", 0)


def test_a_failed_transaction_writes_nothing(tmp_path):
    store = Store(tmp_path / "sandbox.sqlite3")

    def write_and_fail():
        with store.transaction() as db:
            db.execute("INSERT INTO setting VALUES ('balance', 1)")
            raise KeyError

    with pytest.raises(KeyError):
        write_and_fail()
    with store.transaction() as db:
        assert db.execute("SELECT COUNT(*) FROM setting").fetchone()[0] == 0
    store.close()
