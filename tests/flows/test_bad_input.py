"""Bad input over HTTP: a clear refusal in the reader's language, and nothing written."""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.apps import apps
from django.conf import settings
from django.test import Client

from distro import clock
from distro.wechat.sandbox.control import SandboxControl
from distro.wechat.sandbox.crypto import Platform
from distro.wechat.sandbox.server import Sandbox
from orders.models import Order, Payment
from orders.services.paying import open_payment
from referrals.models import MemberToken
from referrals.selectors import token_digest
from tests.commissions.payout_world import earn
from tests.factories import make_link, make_sku
from tests.flows.shop import buy, join, open_shop, pay, promote, refund, verify

pytestmark = pytest.mark.django_db

API = "/api/v1/"
MONEY = "promoter/withdrawals"
LANGUAGES = ("zh-hans", "en")


@dataclass
class World:
    """A promoter with 100 yuan, his customer with a paid and an unpaid order of 100 yuan."""

    promoter: Any
    customer: Any
    order: Order
    waiting: Payment


@pytest.fixture
def world(at: datetime, monkeypatch: pytest.MonkeyPatch) -> World:
    monkeypatch.setattr(clock, "now", lambda: at)
    agreement = open_shop(at, 1000)
    promoter = promote(join(at - timedelta(days=9)), agreement, at - timedelta(days=8))
    verify(promoter, at)
    earn(promoter, 10_000, at)
    customer = join(at, by=promoter)
    order = buy(customer, 10_000, at)
    assert pay(order, at) == "paid"
    unpaid = buy(customer, 10_000, at)
    waiting = open_payment(order_id=unpaid.pk, openid=customer.openid, at=at)
    return World(promoter, customer, order, waiting)


def rows() -> dict[str, list[Any]]:
    """Return the content of every table of the project."""
    return {
        model._meta.label: sorted(map(repr, model._base_manager.values_list()))
        for app in settings.PROJECT_APPS
        for model in apps.get_app_config(app).get_models()
    }


def post(path: str, body: Any, *, member: Any = None, language: str = "en") -> Any:
    headers = {"Accept-Language": language, "Idempotency-Key": secrets.token_hex(8)}
    if member is not None:
        token = f"token-{member.pk}".ljust(43, "x")
        headers["Authorization"] = f"Bearer {token}"
        expires = clock.real_now() + timedelta(days=1)
        facts = {"member": member, "created_at": clock.real_now(), "expires_at": expires}
        MemberToken.objects.get_or_create(digest=token_digest(token), defaults=facts)
    text = body if isinstance(body, str) else json.dumps(body)
    return Client().post(API + path, text, content_type="application/json", headers=headers)


def refused(
    send: Callable[[str], Any], status: int, code: str, field: str, zh: str, en: str
) -> None:
    """Send in both languages; expect this refusal, and not one row more, less or other."""
    send("en")  # makes the token
    before = rows()
    for language, words in zip(LANGUAGES, (zh, en), strict=True):
        answer = send(language)
        said = answer.json()
        assert (answer.status_code, said["code"]) == (status, code)
        told = said["fields"][field][0] if field else said["message"]
        assert words in told
    assert rows() == before


# --- Logging in -----------------------------------------------------------------------------


def test_a_wrong_login_code(world: World, wechat: SandboxControl) -> None:
    refused(
        lambda language: post("auth/login", {"code": "0" * 32}, language=language),
        400, "login_code_wrong", "code", "登录凭证错误或已过期", "wrong or has expired",
    )  # fmt: skip


def test_a_login_code_used_before(world: World, wechat: SandboxControl) -> None:
    code = wechat.login_code("anna")
    assert post("auth/login", {"code": code}).status_code == 200
    refused(
        lambda language: post("auth/login", {"code": code}, language=language),
        400, "login_code_wrong", "code", "登录凭证错误或已过期", "wrong or has expired",
    )  # fmt: skip


def test_a_login_code_too_old(world: World, wechat: SandboxControl) -> None:
    code = wechat.login_code("anna")
    wechat.advance(301)
    refused(
        lambda language: post("auth/login", {"code": code}, language=language),
        400, "login_code_wrong", "code", "登录凭证错误或已过期", "wrong or has expired",
    )  # fmt: skip


# --- Amounts --------------------------------------------------------------------------------

ABOVE = 10_000_000_001  # fen; 100 million yuan and one fen
RANGE = ("amount_out_of_range", "金额必须是", "whole number of fen")
NO_NUMBER = ("invalid", "", "")


@pytest.mark.parametrize(
    ("fen", "expected"),
    [
        (0, RANGE),
        (-1, RANGE),
        (ABOVE, RANGE),
        (10**30, RANGE),
        (-(10**30), RANGE),
        (
            99,
            ("withdrawal_too_small", "最低提现金额为 1.00 元", "smallest withdrawal is 1.00 yuan"),
        ),
        (10_001, ("not_enough_available", "目前只能提现 100.00 元", "Only 100.00 yuan")),
        (True, NO_NUMBER),
        (1.5, NO_NUMBER),
        ("1e4", NO_NUMBER),
        (None, NO_NUMBER),
        ([100], NO_NUMBER),
        ({"fen": 100}, NO_NUMBER),
    ],
)
def test_a_withdrawal_of_a_wrong_sum(
    world: World, fen: Any, expected: tuple[str, str, str]
) -> None:
    code, zh, en = expected
    status = 409 if code == "not_enough_available" else 400
    member = world.promoter.member
    refused(
        lambda language: post(MONEY, {"amount_fen": fen}, member=member, language=language),
        status, code, "amount_fen", zh, en,
    )  # fmt: skip


def test_a_withdrawal_of_all_that_is_there_for_the_second_time(world: World) -> None:
    member = world.promoter.member
    assert post(MONEY, {"amount_fen": 10_000}, member=member).status_code == 201
    refused(
        lambda language: post(MONEY, {"amount_fen": 10_000}, member=member, language=language),
        409, "not_enough_available", "amount_fen", "目前只能提现 0.00 元", "Only 0.00 yuan",
    )  # fmt: skip


LINE = "lines.0.amount_fen"


@pytest.mark.parametrize(
    ("fen", "code", "zh", "en"),
    [
        (0, *RANGE),
        (-1, *RANGE),
        (ABOVE, *RANGE),
        (10_001, "refund_too_high", "最多还可退 10000 分", "At most 10000 fen"),
        (True, *NO_NUMBER),
    ],
)
def test_a_refund_of_a_wrong_sum(world: World, fen: Any, code: str, zh: str, en: str) -> None:
    body = {"lines": [{"line_no": 1, "amount_fen": fen}], "reason": "x"}
    path, member = f"orders/{world.order.number}/refunds", world.customer
    status = 409 if code == "refund_too_high" else 400
    refused(
        lambda language: post(path, body, member=member, language=language),
        status, code, LINE, zh, en,
    )  # fmt: skip


def test_a_line_refunded_twice(world: World, at: datetime) -> None:
    line = {"line_no": 1, "amount_fen": 5_000}
    path, member = f"orders/{world.order.number}/refunds", world.customer
    twice = {"lines": [line, line], "reason": "x"}
    refused(
        lambda language: post(path, twice, member=member, language=language),
        400, "item_twice", "lines.1.line_no", "", "only once",
    )  # fmt: skip
    refund(world.order, 6_000, at)
    again = {"lines": [line], "reason": "x"}
    refused(
        lambda language: post(path, again, member=member, language=language),
        409, "refund_too_high", LINE, "最多还可退 4000 分", "At most 4000 fen",
    )  # fmt: skip


@pytest.mark.parametrize("quantity", [0, -1, 10_001, 10**30, True, 1.5, "x", None])
def test_an_order_of_a_wrong_quantity(world: World, quantity: Any) -> None:
    home = {"receiver": "a", "phone": "13800138000", "address": "b"}
    items = [{"sku": make_sku().code, "quantity": quantity}]
    body = {"items": items, "address": home}
    before = rows()
    answer = post("orders", body, member=world.customer)
    after = rows()
    assert answer.status_code == 400
    assert "items.0.quantity" in answer.json()["fields"]
    assert {label for label in after if after[label] != before[label]} <= {"referrals.MemberToken"}


# --- Share codes ----------------------------------------------------------------------------


def visit(world: World, code: str, member: Any) -> Callable[[str], Any]:
    body = {"code": code, "visit_key": secrets.token_hex(8)}
    return lambda language: post("visits", body, member=member, language=language)


def test_an_own_share_code(world: World) -> None:
    code = make_link(world.promoter.member).code
    send = visit(world, code, world.promoter.member)
    refused(send, 409, "own_code", "code", "不能使用自己的分享码", "your own share code")


def test_an_unknown_share_code(world: World) -> None:
    send = visit(world, "22222222", world.customer)
    refused(send, 404, "unknown_code", "code", "分享码不存在", "does not exist")


def test_a_mistyped_share_code(world: World) -> None:
    code = make_link().code
    other = "3" if code[0] == "2" else "2"
    send = visit(world, other + code[1:], world.customer)
    refused(send, 400, "mistyped_code", "code", "分享码输入有误", "mistyped")


def test_a_revoked_share_code(world: World, at: datetime) -> None:
    send = visit(world, make_link(revoked_at=at).code, world.customer)
    refused(send, 410, "revoked_code", "code", "分享码已撤销", "revoked")


def test_an_expired_share_code(world: World, at: datetime) -> None:
    send = visit(world, make_link(expires_at=at).code, world.customer)
    refused(send, 410, "expired_code", "code", "分享码已过期", "expired")


# --- Notices --------------------------------------------------------------------------------


@pytest.fixture
def tell(sandbox: Sandbox, wechat: SandboxControl) -> Callable[..., Any]:
    """Return `tell(path, event, resource)`: what WeChat's own key signed, whatever it says."""
    platform = Platform(sandbox.keys)

    def send(
        path: str, event: str, resource: dict[str, Any], *, age: int = 0, key: str = ""
    ) -> Any:
        content = {
            "id": key or secrets.token_hex(16),
            "event_type": event,
            "resource_type": "encrypt-resource",
            "resource": platform.seal(resource, "transaction"),
        }
        body = json.dumps(content).encode()
        headers = platform.signed_headers(body, age=age)
        url = f"{API}wechat/{path}/notify"
        return Client().post(url, body, content_type="application/json", headers=headers)

    return send


def payment_resource(sandbox: Sandbox, payment: Payment, **changes: Any) -> dict[str, Any]:
    return {
        "appid": sandbox.keys.appid, "mchid": sandbox.keys.mchid,
        "out_trade_no": payment.out_trade_no, "transaction_id": "4200000001",
        "trade_state": "SUCCESS", "success_time": "2026-11-02T10:00:00+08:00",
        "amount": {"total": payment.amount_fen, "currency": "CNY"},
        "payer": {"openid": payment.openid},
    } | changes  # fmt: skip


def without_notices(content: dict[str, list[Any]]) -> dict[str, list[Any]]:
    """Leave out what is kept as evidence of a genuine notice."""
    return {label: found for label, found in content.items() if label != "distro.WechatNotice"}


@pytest.mark.parametrize("total", [0, 1, 9_999, 10_001, ABOVE])
def test_a_genuine_notice_of_a_wrong_amount_pays_nothing(
    total: int, world: World, tell: Callable[..., Any], sandbox: Sandbox
) -> None:
    amount = {"total": total, "currency": "CNY"}
    before = rows()
    resource = payment_resource(sandbox, world.waiting, amount=amount)
    assert tell("pay", "TRANSACTION.SUCCESS", resource).status_code == 200  # a retry is of no use
    assert without_notices(rows()) == without_notices(before)


@pytest.mark.parametrize(
    "changes",
    [
        {"amount": {"total": -10_000, "currency": "CNY"}},
        {"amount": {"total": True, "currency": "CNY"}},
        {"amount": {"total": 10_000.0, "currency": "CNY"}},
        {"amount": {"total": "10000", "currency": "CNY"}},
        {"amount": {}},
        {"appid": "wx0"},
        {"appid": None},
        {"mchid": "1"},
        {"payer": []},
        {"success_time": "2026-11-02T10:00:00"},
        {"transaction_id": ""},
        {"out_trade_no": None},
    ],
)
def test_a_genuine_notice_of_a_wrong_shape_leaves_nothing(
    changes: dict[str, Any], world: World, tell: Callable[..., Any], sandbox: Sandbox
) -> None:
    before = rows()
    resource = payment_resource(sandbox, world.waiting, **changes)
    assert tell("pay", "TRANSACTION.SUCCESS", resource).status_code == 400
    assert rows() == before


def test_a_late_notice_leaves_nothing(
    world: World, tell: Callable[..., Any], sandbox: Sandbox
) -> None:
    before = rows()
    resource = payment_resource(sandbox, world.waiting)
    for age in (301, 3600, -301):
        assert tell("pay", "TRANSACTION.SUCCESS", resource, age=age).status_code == 401
    assert rows() == before


@pytest.mark.parametrize("path", ["refund", "transfer"])
def test_a_payment_notice_at_another_address_leaves_nothing(
    path: str, world: World, tell: Callable[..., Any], sandbox: Sandbox
) -> None:
    before = rows()
    resource = payment_resource(sandbox, world.waiting)
    assert tell(path, "TRANSACTION.SUCCESS", resource).status_code == 400
    assert rows() == before


def test_a_replayed_notice_changes_nothing(
    world: World, tell: Callable[..., Any], sandbox: Sandbox
) -> None:
    resource = payment_resource(sandbox, world.waiting)
    assert tell("pay", "TRANSACTION.SUCCESS", resource, key="one").status_code == 200
    before = rows()
    assert tell("pay", "TRANSACTION.SUCCESS", resource, key="one").status_code == 200
    assert rows() == before
    assert tell("pay", "TRANSACTION.SUCCESS", resource, key="two").status_code == 200
    assert without_notices(rows()) == without_notices(before)
    assert Order.objects.get(payments=world.waiting).status == "paid"


def test_a_payment_of_another_order_cannot_be_told_twice(
    world: World, tell: Callable[..., Any], sandbox: Sandbox
) -> None:
    """One transaction of WeChat pays one order."""
    known = world.order.payments.get().transaction_id
    before = rows()
    resource = payment_resource(sandbox, world.waiting, transaction_id=known)
    assert tell("pay", "TRANSACTION.SUCCESS", resource).status_code == 200
    assert without_notices(rows()) == without_notices(before)


@pytest.mark.parametrize("body", [b"", b"{}", b"null", b"[" * 60_000, b"\xff\x00", b"x" * 70_000])
@pytest.mark.parametrize("path", ["pay", "refund", "transfer"])
def test_noise_at_the_addresses_of_notices_leaves_nothing(
    path: str, body: bytes, sandbox: Sandbox, wechat: SandboxControl
) -> None:
    before = rows()
    url = f"{API}wechat/{path}/notify"
    signed = Platform(sandbox.keys).signed_headers(body)
    for headers in ({}, signed, signed | {"Wechatpay-Serial": "X"}):
        answer = Client().post(url, body, content_type="application/json", headers=headers)
        assert answer.status_code in {400, 401, 413}
    assert rows() == before
