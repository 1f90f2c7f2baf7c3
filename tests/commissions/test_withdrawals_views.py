"""Withdrawals over HTTP: the owner's eyes only, refusals with code and field, WeChat's notices."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from rest_framework.test import APIClient

from commissions.models import WithdrawalRequest
from commissions.services import paying_out, transferring
from commissions.services.paying_out import send_due
from distro import clock
from distro.models import WechatNotice
from distro.wechat.sandbox.control import SandboxControl
from referrals.models import Member, MemberToken, Promoter
from referrals.selectors import token_digest
from tests.commissions.payout_world import (
    Channel,
    booked,
    make_payee,
    make_rules,
    only,
    standing,
)
from tests.sandbox_fixture import notice

pytestmark = pytest.mark.django_db
BASE = "/api/v1/promoter/withdrawals"
NOTIFY = "/api/v1/wechat/transfer/notify"
LISTED = {
    "number", "request_number", "status", "status_text", "amount_fen", "tax_fen", "net_fen",
    "not_before", "requested_at", "approved_at", "sent_at", "confirm_before", "finished_at",
    "reason",
}  # fmt: skip


@pytest.fixture(autouse=True)
def clock_at(at: datetime, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clock, "now", lambda: at)


@pytest.fixture
def promoter(at: datetime) -> Promoter:
    make_rules(at)
    return make_payee(at, available_fen=100_000)


def client_of(member: Member, at: datetime) -> APIClient:
    token = f"token-{member.pk}".ljust(43, "x")
    MemberToken.objects.get_or_create(
        digest=token_digest(token),
        defaults={
            "member": member, "created_at": at,
            "expires_at": clock.real_now() + timedelta(days=1),
        },
    )  # fmt: skip
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {token}")
    return client


@pytest.fixture
def client(promoter: Promoter, at: datetime) -> APIClient:
    return client_of(promoter.member, at)


def ask(client: APIClient, fen: object, key: str = "key-00001"):
    headers = {"Idempotency-Key": key}
    return client.post(BASE, {"amount_fen": fen}, format="json", headers=headers)


# --- Reading --------------------------------------------------------------------------------


def test_a_quote_says_net_tax_pieces_and_days(client: APIClient) -> None:
    answer = client.get(f"{BASE}/quote", {"amount_fen": 100_000})
    piece = {"amount_fen": 100_000, "tax_fen": 4_000, "net_fen": 96_000, "day": "2026-11-02"}
    assert answer.status_code == 200
    assert answer.json() == {
        "amount_fen": 100_000, "tax_fen": 4_000, "net_fen": 96_000, "pieces": [piece],
        "arrives_on": "2026-11-02", "needs_review": False, "review_reasons": [],
    }  # fmt: skip
    assert WithdrawalRequest.objects.count() == 0


def test_a_list_never_says_how_to_confirm(client: APIClient) -> None:
    ask(client, 30_000)
    ask(client, 20_000, "key-00002")
    answer = client.get(BASE)
    rows = answer.json()["results"]
    assert [row["amount_fen"] for row in rows] == [20_000, 30_000]
    assert set(rows[0]) == LISTED


def test_only_the_owner_sees_and_cancels_a_withdrawal(
    client: APIClient, promoter: Promoter, at: datetime
) -> None:
    ask(client, 30_000)
    number = only(promoter).number
    stranger = client_of(make_payee(at, available_fen=1_000).member, at)
    for answer in (
        stranger.get(f"{BASE}/{number}"),
        stranger.post(f"{BASE}/{number}/cancel", headers={"Idempotency-Key": "key-00009"}),
        stranger.get(f"{BASE}/unknown"),
    ):
        assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
    assert stranger.get(BASE).json()["results"] == []
    assert standing(promoter) == (70_000, 30_000, 0)
    assert client.get(f"{BASE}/{number}").json()["number"] == number


def test_who_is_no_promoter_finds_nothing(at: datetime) -> None:
    member = Member.objects.create(no="M-plain", openid="plain", joined_at=at)
    client = client_of(member, at)
    assert client.get(BASE).status_code == 404
    assert ask(client, 100).status_code == 404


@pytest.mark.parametrize("path", ["", "/quote?amount_fen=100", "/WD1"])
def test_nobody_looks_without_a_token(path: str) -> None:
    assert APIClient().get(BASE + path).status_code == 401


# --- Asking ---------------------------------------------------------------------------------


def test_a_request_answers_with_its_transfers(client: APIClient, promoter: Promoter) -> None:
    answer = ask(client, 30_000)
    body = answer.json()
    assert answer.status_code == 201
    assert (body["amount_fen"], body["estimated_net_fen"]) == (30_000, 30_000)
    assert [row["status"] for row in body["withdrawals"]] == ["approved"]
    assert set(body["withdrawals"][0]) == LISTED
    assert standing(promoter) == (70_000, 30_000, 0)


def test_the_same_key_asks_once(client: APIClient, promoter: Promoter) -> None:
    first, second = ask(client, 30_000), ask(client, 30_000)
    assert first.json() == second.json()
    assert standing(promoter) == (70_000, 30_000, 0)
    assert ask(client, 20_000).status_code == 422
    assert standing(promoter) == (70_000, 30_000, 0)


@pytest.mark.parametrize(
    ("fen", "status", "code"),
    [
        (0, 400, "amount_out_of_range"),
        (-1, 400, "amount_out_of_range"),
        (10_000_000_001, 400, "amount_out_of_range"),
        (10**30, 400, "amount_out_of_range"),
        (99, 400, "withdrawal_too_small"),
        (100_001, 409, "not_enough_available"),
        ("many", 400, "invalid"),
        (1.5, 400, "invalid"),
        (None, 400, "invalid"),
        (True, 400, "invalid"),
        ([100], 400, "invalid"),
    ],
)
def test_a_refusal_has_code_and_field_and_writes_nothing(
    fen: object, status: int, code: str, client: APIClient, promoter: Promoter
) -> None:
    answer = ask(client, fen)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert list(answer.json()["fields"]) == ["amount_fen"]
    assert WithdrawalRequest.objects.count() == 0
    assert standing(promoter) == (100_000, 0, 0)


def test_a_request_without_a_key_is_refused(client: APIClient, promoter: Promoter) -> None:
    assert client.post(BASE, {"amount_fen": 100}, format="json").status_code == 400
    assert standing(promoter) == (100_000, 0, 0)


def test_a_refused_sum_is_explained_in_the_readers_language(client: APIClient) -> None:
    texts = {
        client.get(f"{BASE}/quote", {"amount_fen": 5}, headers={"Accept-Language": lang}).json()[
            "message"
        ]
        for lang in ("en",)
    }
    assert texts == {"The smallest withdrawal is 1.00 yuan."}


def test_a_withdrawal_is_cancelled_once(client: APIClient, promoter: Promoter) -> None:
    ask(client, 30_000)
    url = f"{BASE}/{only(promoter).number}/cancel"
    first = client.post(url, headers={"Idempotency-Key": "cancel-01"})
    assert (first.status_code, first.json()["status"]) == (200, "cancelled")
    second = client.post(url, headers={"Idempotency-Key": "cancel-02"})
    assert (second.status_code, second.json()["code"]) == (409, "already_sent")
    assert standing(promoter) == (100_000, 0, 0)
    assert booked("return") == [30_000]


def test_how_to_confirm_is_told_to_the_owner_while_it_waits(
    client: APIClient, promoter: Promoter, at: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    channel = Channel(at)
    for module in (paying_out, transferring):
        monkeypatch.setattr(module, "pay", lambda: channel)
    ask(client, 30_000)
    number = only(promoter).number
    assert client.get(f"{BASE}/{number}").json()["package_info"] == ""
    send_due(at=at)
    waiting = client.get(f"{BASE}/{number}").json()
    assert (waiting["status"], waiting["net_fen"]) == ("awaiting_confirm", 30_000)
    assert waiting["package_info"] == f"package-{number}"
    assert waiting["mch_id"] and waiting["app_id"]
    transferring.finish_transfer(state=channel.end(number), at=at)
    paid = client.get(f"{BASE}/{number}").json()
    assert (paid["status"], paid["package_info"]) == ("paid", "")


# --- Over the real client, to the imitated WeChat -------------------------------------------


def openid_of(promoter: Promoter, wechat: SandboxControl) -> None:
    person = wechat.person("promoter")
    Member.objects.filter(pk=promoter.member_id).update(openid=person.openid)


def sent(client: APIClient, promoter: Promoter, wechat: SandboxControl, at: datetime) -> str:
    openid_of(promoter, wechat)
    wechat.settings(transfer_max=10_000_000, transfer_day=100_000_000)
    wechat.top_up(10_000_000)
    ask(client, 100_000)
    assert send_due(at=at) == 1
    transferring.query_transfers(at=at + timedelta(minutes=1))
    row = only(promoter)
    assert (row.status, row.net_fen) == ("awaiting_confirm", 96_000)
    assert row.package_info
    return row.number


def test_wechat_confirms_and_its_notice_pays_once(
    client: APIClient, promoter: Promoter, wechat: SandboxControl, at: datetime
) -> None:
    number = sent(client, promoter, wechat, at)
    wechat.confirm_transfer(number)
    transferring.pay().query_transfer(number)  # lets the sandbox take it to its end
    for _ in range(3):
        answer = APIClient().post(NOTIFY, **notice(wechat, number))
        assert answer.status_code == 200
    assert only(promoter).status == "paid"
    assert standing(promoter) == (0, 0, 0)
    assert (booked("pay_net"), booked("pay_tax")) == ([96_000], [4_000])
    assert WechatNotice.objects.get().outcome == "paid"


def test_wechat_says_that_it_failed_and_the_money_is_back(
    client: APIClient, promoter: Promoter, wechat: SandboxControl, at: datetime
) -> None:
    number = sent(client, promoter, wechat, at)
    wechat.fail_transfer(number, "OVERDUE_CLOSE")
    transferring.query_transfers(at=at + timedelta(hours=1))
    assert APIClient().post(NOTIFY, **notice(wechat, number)).status_code == 200
    assert (only(promoter).status, standing(promoter)) == ("failed", (100_000, 0, 0))
    assert client.get(f"{BASE}/{number}").json()["reason"]
    assert booked("return") == [100_000]


@pytest.mark.parametrize("fault", ["error_before", "error_after", "reply_lost", "bad_signature"])
def test_a_bad_line_to_wechat_pays_once(
    fault: str, client: APIClient, promoter: Promoter, wechat: SandboxControl, at: datetime
) -> None:
    openid_of(promoter, wechat)
    wechat.settings(transfer_max=10_000_000, transfer_day=100_000_000)
    wechat.top_up(10_000_000)
    ask(client, 100_000)
    wechat.fault(fault)
    send_due(at=at)
    assert only(promoter).status == "paying"
    for minutes in range(1, 4):
        transferring.query_transfers(at=at + timedelta(minutes=minutes))
    assert only(promoter).status == "awaiting_confirm"
    assert only(promoter).package_info
    wechat.confirm_transfer(only(promoter).number)
    for minutes in range(10, 14):
        transferring.query_transfers(at=at + timedelta(minutes=minutes))
    assert [row["state"] for row in wechat.transfers()] == ["SUCCESS"]
    assert standing(promoter) == (0, 0, 0)
    assert booked("pay_net") == [96_000]


def test_a_sum_above_wechats_limit_fails_and_returns(
    client: APIClient, promoter: Promoter, wechat: SandboxControl, at: datetime
) -> None:
    openid_of(promoter, wechat)
    wechat.top_up(10_000_000)
    ask(client, 100_000)  # our limits allow it, WeChat's 200 yuan do not
    send_due(at=at)
    row = only(promoter)
    assert (row.status, row.fail_reason) == ("failed", "INVALID_REQUEST")
    assert standing(promoter) == (100_000, 0, 0)


def test_a_forged_notice_changes_nothing(
    client: APIClient, promoter: Promoter, wechat: SandboxControl, at: datetime
) -> None:
    number = sent(client, promoter, wechat, at)
    wechat.confirm_transfer(number)
    transferring.pay().query_transfer(number)
    genuine = notice(wechat, number)
    for forged in (
        {**genuine, "headers": {**genuine["headers"], "Wechatpay-Signature": "eA=="}},
        {**genuine, "data": genuine["data"].replace(b"EV", b"EW") + b" "},
        {**genuine, "headers": {}},
        {"data": b"{}", "content_type": "application/json"},
    ):
        answer = APIClient().post(NOTIFY, **forged)
        assert answer.status_code in {400, 401}
    assert (only(promoter).status, standing(promoter)) == ("awaiting_confirm", (0, 100_000, 0))
    assert WechatNotice.objects.count() == 0


def test_a_validly_signed_notice_of_another_sum_pays_nothing(
    client: APIClient, promoter: Promoter, wechat: SandboxControl, at: datetime
) -> None:
    number = sent(client, promoter, wechat, at)
    wechat.fault("tampered_amount", call="mch_payment", amount_fen=1)
    wechat.confirm_transfer(number)
    transferring.pay().query_transfer(number)
    answer = APIClient().post(NOTIFY, **notice(wechat, number))
    assert answer.status_code == 200
    assert (only(promoter).status, standing(promoter)) == ("awaiting_confirm", (0, 100_000, 0))
    assert booked("pay_net") == []
    assert WechatNotice.objects.get().outcome == "mismatch"
