"""A whole story over HTTP: what it leaves in logs, queues and trails names nobody."""

from __future__ import annotations

import json
import logging
import secrets
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client

from commissions.models import Withdrawal, WithdrawalRequest
from commissions.services.paying_out import send_due
from commissions.services.reviewing import approve_request
from commissions.services.transferring import query_transfers
from distro import clock, facts, outbox
from distro.logs import JsonFormatter, RedactingFilter
from distro.models import (
    AuditEntry,
    IdempotentRequest,
    JobRun,
    MissedFact,
    OutboxMessage,
    StateChange,
    WechatNotice,
)
from distro.wechat.config import config
from distro.wechat.sandbox.control import SandboxControl
from orders.models import Payment
from orders.signals import order_paid
from referrals.models import Agreement, AgreementAcceptance, Member, Promoter, Visit
from tests.commissions.payout_world import earn
from tests.factories import make_sku
from tests.flows.shop import STAFF, open_shop
from tests.sandbox_fixture import notice

pytestmark = pytest.mark.django_db

NAME, ID_NUMBER, ADDRESS = "欧阳小明", "11010519491231002X", "福建省武夷山市星村镇 88 号"
RECEIVER, PHONE, DEVICE = "诸葛大力", "13912345678", "device-of-anna-0001"
TRAILS = (AuditEntry, IdempotentRequest, JobRun, MissedFact, OutboxMessage, StateChange)


class Phone:
    """One person's mini-program."""

    def __init__(self, wechat: SandboxControl, name: str, link_code: str = "") -> None:
        body = {"code": wechat.login_code(name), "link_code": link_code, "device": DEVICE}
        self.token = self.post("auth/login", body, token="").json()["token"]
        self.person = wechat.person(name)
        self.patch({"phone_code": wechat.phone_code(name), "nickname": NAME})

    def post(self, path: str, body: Any = None, token: str | None = None) -> Any:
        held = self.token if token is None else token
        headers = {"Idempotency-Key": secrets.token_hex(8)}
        if held:
            headers["Authorization"] = f"Bearer {held}"
        answer = Client().post(
            f"/api/v1/{path}", body or {}, content_type="application/json", headers=headers
        )
        assert answer.status_code < 300, answer.content
        return answer

    def patch(self, body: Any) -> None:
        headers = {"Authorization": f"Bearer {self.token}"}
        answer = Client().patch(
            "/api/v1/me", body, content_type="application/json", headers=headers
        )
        assert answer.status_code == 200, answer.content


def told(wechat: SandboxControl, number: str, kind: str) -> None:
    """Deliver WeChat's notice of a payment or transfer."""
    assert (
        Client().post(f"/api/v1/wechat/{kind}/notify", **notice(wechat, number)).status_code == 200
    )


def story(wechat: SandboxControl, at: datetime) -> list[Phone]:
    """Let Anna become a promoter, Boris buy through her link, and Anna be paid."""
    anna = Phone(wechat, "anna")
    terms = Agreement.objects.get()
    signed = {"version": terms.version, "body_sha256": terms.body_sha256, "accepted": True}
    anna.post("promoter/apply", signed | {"note": "hello"})
    anna.post("me/identity", {"name": NAME, "id_number": ID_NUMBER})
    code = anna.post("share-links", {}).json()["code"]
    boris = Phone(wechat, "boris", code)
    boris.post("visits", {"code": code, "visit_key": "visit-0001", "device": DEVICE})
    home = {"receiver": RECEIVER, "phone": PHONE, "address": ADDRESS}
    items = [{"sku": make_sku().code, "quantity": 1}]
    order = boris.post("orders", {"items": items, "address": home}).json()["number"]
    boris.post(f"orders/{order}/pay")
    number = Payment.objects.get(order__number=order).out_trade_no
    wechat.pay(number)
    told(wechat, number, "pay")
    line = {"lines": [{"line_no": 1, "amount_fen": 1}], "reason": "x"}
    boris.post(f"orders/{order}/refunds", line)
    promoter = Promoter.objects.get()
    earn(promoter, 10_000, at)
    anna.post("promoter/withdrawals", {"amount_fen": 10_000})
    for request in WithdrawalRequest.objects.filter(approvals_needed__gt=0):
        approve_request(request_id=request.pk, by=STAFF, at=at)
    MissedFact.objects.update(done_at=at)  # which would hold the payout
    send_due(at=at)
    transfer = Withdrawal.objects.get().number
    wechat.confirm_transfer(transfer)
    query_transfers(at=at + timedelta(minutes=2))
    told(wechat, transfer, "transfer")
    return [anna, boris]


@pytest.fixture
def secret_texts(
    wechat: SandboxControl, at: datetime, monkeypatch: pytest.MonkeyPatch, caplog: Any
) -> list[str]:
    """Play the story with a receiver that fails loudly; return what must stand nowhere."""
    monkeypatch.setattr(clock, "now", lambda: at)
    wechat.set_clock(at)
    caplog.set_level(logging.DEBUG)
    caplog.handler.addFilter(RedactingFilter())
    open_shop(at, 1000)

    def fail(**ids: Any) -> None:
        member = Member.objects.exclude(phone_index="").get(promoter=None)
        raise ValueError(f"{member.phone} is '{member.openid}', {ID_NUMBER} is '{NAME}'")

    facts.hear(order_paid, fail, "test.fail")
    try:
        phones = story(wechat, at)
    finally:
        facts.unhear(order_paid, "test.fail")
    assert MissedFact.objects.filter(uid="test.fail").exists()
    outbox.deliver(at=at)
    people = [text for phone in phones for text in (phone.token, phone.person.openid)]
    people += [phone.person.phone for phone in phones]
    own = [NAME, ID_NUMBER, ADDRESS, RECEIVER, PHONE, DEVICE, "127.0.0.1"]
    keys = config()
    return [*people, *own, keys.secret, keys.apiv3_key, keys.private_key[40:80]]


def test_no_log_line_names_anybody(secret_texts: list[str], caplog: Any) -> None:
    lines = [JsonFormatter().format(record) for record in caplog.get_records("setup")]
    assert len(lines) >= 3
    addresses = [text for text in secret_texts if text != "127.0.0.1"]  # the sandbox's host
    assert [(text, line) for line in lines for text in addresses if text in line] == []


def test_no_queue_and_no_trail_names_anybody(secret_texts: list[str]) -> None:
    found = []
    for model in TRAILS:
        for row in model._base_manager.values():
            row.pop("answer", None)  # encrypted; read below as the database holds it
            text = json.dumps(row, default=str, ensure_ascii=False)
            found += [(model.__name__, one, text) for one in secret_texts if one in text]
    assert found == []


def test_what_is_kept_of_people_is_not_readable_in_the_database(secret_texts: list[str]) -> None:
    """Phone, name, ID number, answers and notices are encrypted; devices and addresses hashed."""
    found = []
    for model in (AgreementAcceptance, IdempotentRequest, Visit, WechatNotice, Member, Promoter):
        with connection.cursor() as cursor:
            cursor.execute(f"SELECT * FROM {model._meta.db_table}")
            rows = json.dumps(cursor.fetchall(), default=str, ensure_ascii=False)
        known = {NAME} if model is Member else set()  # a nickname is shown, masked elsewhere
        openids = {m.openid for m in Member.objects.all()} if model is Member else set()
        found += [
            (model.__name__, one)
            for one in secret_texts
            if one in rows and one not in known | openids
        ]
    assert found == []
