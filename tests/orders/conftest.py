"""A shop without price rules, a record of what was told, and an imitated pay client."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import pytest

from distro import facts
from distro.wechat.errors import WechatNotFound
from distro.wechat.pay import Prepay, RefundRequest
from distro.wechat.states import PaymentState, RefundState
from orders import signals
from orders.models import Order, Payment, Refund, Sku
from orders.rules import Item
from orders.services import paying, placing, refunding
from orders.services.placing import Address, place_order
from referrals.models import Member
from tests.factories import make_member, make_sku

ADDRESS = Address(receiver="张三", phone="13800000000", address="武夷山市 1 号")


@pytest.fixture(autouse=True)
def no_price_rules(settings: Any) -> None:
    settings.ORDER_PRICE_RULES = []


@pytest.fixture
def heard() -> Iterator[list[tuple[str, dict[str, int]]]]:
    """Everything that is told, in order, as (fact, ids)."""
    told: list[tuple[str, dict[str, int]]] = []
    named = [value for value in vars(signals).values() if isinstance(value, facts.Fact)]
    for fact in named:
        facts.hear(fact, recorder(fact.name, told), uid=f"test.{fact.name}")
    yield told
    for fact in named:
        facts.unhear(fact, f"test.{fact.name}")


def recorder(name: str, told: list[tuple[str, dict[str, int]]]) -> Callable[..., None]:
    return lambda **ids: told.append((name, ids))


def names(heard: list[tuple[str, dict[str, int]]]) -> list[str]:
    return [name for name, _ in heard]


@dataclass
class FakePay:
    """WeChat Pay without WeChat: answers what the test put there, keeps what was asked."""

    prepaid: list[Prepay] = field(default_factory=list)
    refunds: list[RefundRequest] = field(default_factory=list)
    closed: list[str] = field(default_factory=list)
    payments: dict[str, PaymentState] = field(default_factory=dict)
    refund_states: dict[str, RefundState] = field(default_factory=dict)
    errors: dict[str, Exception] = field(default_factory=dict)  # method -> raised once

    def _fail(self, method: str) -> None:
        if error := self.errors.pop(method, None):
            raise error

    def prepay(self, request: Prepay) -> str:
        self.prepaid.append(request)
        self._fail("prepay")
        return f"wx{len(self.prepaid)}"

    def client_params(self, prepay_id: str) -> dict[str, str]:
        return {"package": f"prepay_id={prepay_id}"}

    def query(self, number: str) -> PaymentState:
        self._fail("query")
        if number not in self.payments:
            raise WechatNotFound("ORDER_NOT_EXIST")
        return self.payments[number]

    def close(self, number: str) -> None:
        self._fail("close")
        self.closed.append(number)

    def refund(self, request: RefundRequest) -> RefundState:
        self.refunds.append(request)
        self._fail("refund")
        return refund_state_of(request, "PROCESSING")

    def query_refund(self, number: str) -> RefundState:
        self._fail("query_refund")
        if number not in self.refund_states:
            raise WechatNotFound("RESOURCE_NOT_EXISTS")
        return self.refund_states[number]


@pytest.fixture
def fake_pay(monkeypatch: pytest.MonkeyPatch) -> FakePay:
    fake = FakePay()
    for module in (paying, placing, refunding):
        monkeypatch.setattr(module, "pay", lambda: fake)
    return fake


# --- Rows and messages ----------------------------------------------------------------------


def place(
    at: datetime, member: Member | None = None, *items: tuple[Sku, int], coupon: str = ""
) -> Order:
    member = member or make_member()
    wanted = [Item(sku.pk, quantity) for sku, quantity in items or [(make_sku(), 1)]]
    return place_order(member_id=member.pk, items=wanted, coupon=coupon, address=ADDRESS, at=at)


def open_for(order: Order, at: datetime) -> Payment:
    return paying.open_payment(order_id=order.pk, openid=order.member.openid, at=at)


def paid_state(payment: Payment, **changes: Any) -> PaymentState:
    return PaymentState(
        **{
            "out_trade_no": payment.out_trade_no,
            "trade_state": "SUCCESS",
            "transaction_id": f"42{payment.pk:026d}",
            "amount_fen": payment.amount_fen,
            "currency": "CNY",
            "payer_openid": payment.openid,
            "success_time": None,
            "appid": "wx1",
            "mchid": "1900000001",
        }
        | changes
    )


def pay_for(order: Order, at: datetime) -> Payment:
    payment = open_for(order, at)
    assert paying.confirm_payment(state=paid_state(payment), at=at) == "paid"
    payment.refresh_from_db()
    order.refresh_from_db()
    return payment


def bought(at: datetime, *items: tuple[Sku, int], member: Member | None = None) -> Order:
    order = place(at, member, *items)
    pay_for(order, at)
    return order


def refund_state_of(request: RefundRequest, status: str) -> RefundState:
    return RefundState(
        out_refund_no=request.out_refund_no,
        out_trade_no=request.out_trade_no,
        refund_id=f"50{request.out_refund_no}",
        status=status,
        refund_fen=request.refund_fen,
        total_fen=request.total_fen,
        success_time=None,
    )


def refund_state(refund: Refund, status: str = "SUCCESS", **changes: Any) -> RefundState:
    assert refund.payment is not None
    return RefundState(
        **{
            "out_refund_no": refund.out_refund_no,
            "out_trade_no": refund.payment.out_trade_no,
            "refund_id": f"50{refund.pk:026d}",
            "status": status,
            "refund_fen": refund.amount_fen,
            "total_fen": refund.payment.amount_fen,
            "success_time": None,
        }
        | changes
    )
