"""Every pair of states, through the one mover."""

from __future__ import annotations

from datetime import datetime
from itertools import product
from typing import Any

import pytest

from distro.actors import SYSTEM
from distro.errors import IllegalTransition
from distro.models import StateChange
from distro.states import advance
from orders.models import Order, Payment, Refund
from tests.factories import make_order

pytestmark = pytest.mark.django_db

# As the rules say it, written anew: (from, to) for each step that is allowed.
ORDER_STEPS = {
    ("placed", "paid"),
    ("placed", "cancelled"),
    ("paid", "shipped"),
    ("paid", "completed"),
    ("paid", "refunded"),
    ("shipped", "completed"),
    ("shipped", "refunded"),
    ("completed", "refunded"),
}
PAYMENT_STEPS = {("open", "succeeded"), ("open", "closed"), ("closed", "succeeded")}
REFUND_STEPS = {
    ("requested", "approved"),
    ("requested", "rejected"),
    ("requested", "withdrawn"),
    ("approved", "processing"),
    ("approved", "succeeded"),
    ("approved", "closed"),
    ("processing", "succeeded"),
    ("processing", "closed"),
    ("processing", "abnormal"),
    ("abnormal", "processing"),
    ("abnormal", "succeeded"),
    ("abnormal", "closed"),
}


def pairs(model: Any) -> list[tuple[str, str]]:
    states = [str(value) for value in model.Status.values]
    return list(product(states, states))


def make_payment(status: str, at: datetime) -> Payment:
    order = make_order()
    return Payment.objects.create(
        order=order, channel="wechat", out_trade_no=f"P{order.pk}", amount_fen=1,
        status=status, created_at=at,
    )  # fmt: skip


def make_refund(status: str, at: datetime) -> Refund:
    order = make_order()
    return Refund.objects.create(
        order=order, out_refund_no=f"R{order.pk}", status=status, goods_fen=1, reason="x",
        requested_at=at, succeeded_at=at,
    )  # fmt: skip


def walk(row: Any, to: str, steps: set[tuple[str, str]], at: datetime) -> None:
    start = row.status
    if (start, to) in steps:
        advance(row, to, by=SYSTEM, at=at)
        assert row.status == to
        assert StateChange.objects.filter(from_status=start, to_status=to).count() == 1
        return
    with pytest.raises(IllegalTransition):
        advance(row, to, by=SYSTEM, at=at)
    row.refresh_from_db()
    assert row.status == start
    assert not StateChange.objects.exists()


@pytest.mark.parametrize(("start", "to"), pairs(Order))
def test_an_order_moves_only_along_the_map(start: str, to: str, at: datetime) -> None:
    walk(make_order(status=start), to, ORDER_STEPS, at)


@pytest.mark.parametrize(("start", "to"), pairs(Payment))
def test_a_payment_moves_only_along_the_map(start: str, to: str, at: datetime) -> None:
    walk(make_payment(start, at), to, PAYMENT_STEPS, at)


@pytest.mark.parametrize(("start", "to"), pairs(Refund))
def test_a_refund_moves_only_along_the_map(start: str, to: str, at: datetime) -> None:
    walk(make_refund(start, at), to, REFUND_STEPS, at)


@pytest.mark.parametrize("model", [Order, Payment, Refund])
def test_the_map_names_every_state(model: Any) -> None:
    assert {str(state) for state in model.TRANSITIONS} == set(model.Status.values)
