"""Reads that others count on."""

from __future__ import annotations

from datetime import datetime, timedelta
from itertools import pairwise

import pytest

from orders.models import ShopPolicy
from orders.selectors import Gmv, gmv, has_paid_order, policy_periods, shop_policy_at
from tests.factories import make_member, make_order
from tests.orders.conftest import FakePay, bought
from tests.orders.test_refunds import refunded

pytestmark = pytest.mark.django_db

DAY = timedelta(days=1)


@pytest.mark.parametrize(
    ("status", "paid"),
    [("placed", False), ("cancelled", False), ("paid", True), ("refunded", True)],
)
def test_a_member_has_paid_once_any_order_was_paid(status: str, paid: bool, at: datetime) -> None:
    order = make_order(status=status, paid_at=at if paid else None)
    assert has_paid_order(order.member_id) is paid
    assert not has_paid_order(make_member().pk)


def test_gmv_is_goods_by_time_of_payment_without_freight(at: datetime) -> None:
    buyer = make_member()
    make_order(buyer, 1_000, freight_fen=800, paid_at=at)
    make_order(buyer, 500, paid_at=at + DAY - timedelta(seconds=1), status="completed")
    make_order(paid_fen=100, paid_at=at + DAY)
    make_order(paid_fen=100, paid_at=at - timedelta(seconds=1))
    make_order(paid_fen=100, status="cancelled", paid_at=None)
    assert gmv(start=at, end=at + DAY) == Gmv(orders=2, buyers=1, paid_fen=1_500, refunded_fen=0)


def test_gmv_net_subtracts_goods_refunds_but_no_freight(at: datetime, fake_pay: FakePay) -> None:
    ShopPolicy.objects.create(effective_from=at - DAY, freight_fen=800)
    order = bought(at)
    refunded(order, at, (1, 0, 4_000), freight=800)
    found = gmv(start=at, end=at + DAY)
    assert (found.paid_fen, found.refunded_fen, found.net_fen) == (10_000, 4_000, 6_000)
    assert gmv(start=at, end=at + DAY, promoter_id=1) == Gmv(0, 0, 0, 0)


def test_the_latest_past_policy_rules_and_the_defaults_before_it(at: datetime) -> None:
    assert shop_policy_at(at).pay_minutes == 30
    ShopPolicy.objects.create(effective_from=at, pay_minutes=15)
    ShopPolicy.objects.create(effective_from=at + DAY, pay_minutes=5)
    assert shop_policy_at(at - DAY).pay_minutes == 30
    assert shop_policy_at(at).pay_minutes == 15
    assert shop_policy_at(at + 2 * DAY).pay_minutes == 5


def test_the_periods_of_the_policies_cover_all_time(at: datetime) -> None:
    for days in (0, 1):
        ShopPolicy.objects.create(effective_from=at + days * DAY)
    periods = list(policy_periods())
    assert [(a, b) for a, b, _ in periods][1] == (at, at + DAY)
    assert all(before[1] == after[0] for before, after in pairwise(periods))
