"""Coupons at checkout, through the quote and the order itself."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from django.test import override_settings
from hypothesis import given
from hypothesis import strategies as st

from campaigns.errors import (
    CouponBelowThreshold,
    CouponExpired,
    CouponNotForThese,
    CouponNotUsable,
    CouponNotYetValid,
)
from campaigns.models import Coupon
from campaigns.pricing import CouponRule
from campaigns.services.coupons import cancel_coupon, expire_coupons
from distro.actors import Actor
from distro.errors import DomainError
from orders.errors import OutOfStock, UnknownCoupon
from orders.models import Category, Order
from orders.rules import Item
from orders.services.placing import Address, cancel_order, place_order
from orders.services.pricing import PriceLine, quote
from referrals.models import Member
from tests.campaigns.parts import MAKER, make_coupon
from tests.factories import make_member, make_sku

pytestmark = pytest.mark.django_db
HOME = Address("张三", "13800000000", "杭州")


@pytest.fixture(autouse=True)
def coupon_rule() -> Any:
    with override_settings(ORDER_PRICE_RULES=["campaigns.pricing.CouponRule"]):
        yield


def line(fen: int, *, product: int = 1, category: int = 1) -> PriceLine:
    return PriceLine(sku_id=1, product_id=product, category_id=category, goods_fen=fen)


def price(coupon: Coupon, *lines: PriceLine, at: datetime) -> list[int]:
    member_id = coupon.member_id
    found = CouponRule().price(member_id=member_id, lines=lines, coupon=coupon.code, at=at)
    assert found is not None
    return found.per_line_fen


# --- The rule -------------------------------------------------------------------------------


def test_a_coupon_is_spread_over_the_lines(at: datetime) -> None:
    assert price(make_coupon(make_member()), line(3000), line(2000), at=at) == [300, 200]


@pytest.mark.parametrize("scope", ["product", "category"])
def test_only_lines_in_its_scope_become_cheaper(at: datetime, scope: str) -> None:
    sku = make_sku()
    chosen = sku.product if scope == "product" else sku.product.category
    coupon = make_coupon(make_member(), **{scope: chosen})
    mine = line(6000, product=sku.product_id, category=sku.product.category_id)
    assert price(coupon, line(9000, product=0, category=0), mine, at=at) == [0, 500]


def test_the_threshold_counts_only_goods_in_the_scope(at: datetime) -> None:
    coupon = make_coupon(make_member(), category=Category.objects.create(name="Tea"))
    tea = coupon.template.category_id
    with pytest.raises(CouponBelowThreshold):
        price(coupon, line(4999, category=tea), line(9999, category=0), at=at)
    assert price(coupon, line(5000, category=tea), line(9999, category=0), at=at) == [500, 0]


def test_a_coupon_for_other_goods_is_refused(at: datetime) -> None:
    coupon = make_coupon(make_member(), category=Category.objects.create(name="Tea"))
    with pytest.raises(CouponNotForThese):
        price(coupon, line(9999, category=0), at=at)


@pytest.mark.parametrize(
    ("seconds", "refusal"),
    [(-1, CouponNotYetValid), (0, None), (86399, None), (86400, CouponExpired)],
)
def test_a_coupon_counts_in_its_time_only(
    at: datetime, seconds: int, refusal: type[DomainError] | None
) -> None:
    coupon, moment = make_coupon(make_member(), valid_days=1), at + timedelta(seconds=seconds)
    if refusal is None:
        assert price(coupon, line(9999), at=moment) == [500]
        return
    with pytest.raises(refusal):
        price(coupon, line(9999), at=moment)


def test_an_expired_coupon_is_expired_whether_the_job_ran_or_not(at: datetime) -> None:
    coupon, later = make_coupon(make_member()), at + timedelta(days=31)
    expire_coupons(at=later)
    with pytest.raises(CouponExpired):
        price(coupon, line(9999), at=later)


def test_a_cancelled_coupon_is_refused(at: datetime) -> None:
    coupon = make_coupon(make_member())
    cancel_coupon(coupon_id=coupon.pk, why="x", by=MAKER, at=at)
    with pytest.raises(CouponNotUsable):
        price(coupon, line(9999), at=at)


def test_the_code_may_be_typed_in_small_letters(at: datetime) -> None:
    coupon = make_coupon(make_member())
    coupon.code = f" {coupon.code.lower()} "
    assert price(coupon, line(9999), at=at) == [500]


@pytest.mark.parametrize("coupon", ["", "NOSUCHCOUPON"])
def test_without_a_known_coupon_the_rule_says_nothing(at: datetime, coupon: str) -> None:
    rule = CouponRule()
    assert rule.price(member_id=make_member().pk, lines=[line(9)], coupon=coupon, at=at) is None


@given(st.lists(st.integers(0, 10**9), min_size=1, max_size=30), st.integers(1, 10**9))
def test_no_line_becomes_cheaper_than_free(goods: list[int], value: int) -> None:
    from campaigns.rules import spread

    parts = spread(value, goods, [True] * len(goods))
    assert all(part <= fen for part, fen in zip(parts, goods))


# --- In an order ----------------------------------------------------------------------------


def place(member: Member, coupon: str, at: datetime, *prices: int, stock: int = 9) -> Order:
    items = [Item(make_sku(price_fen=fen, stock=stock).pk, 1) for fen in prices]
    return place_order(member_id=member.pk, items=items, coupon=coupon, address=HOME, at=at)


def test_an_order_uses_the_coupon_and_its_lines_sum_up(at: datetime) -> None:
    member = make_member()
    coupon = make_coupon(member)
    order = place(member, coupon.code, at, 3333, 3333, 3334)
    coupon.refresh_from_db()
    assert (coupon.status, coupon.order, coupon.used_at) == ("used", order, at)
    assert (order.goods_fen, order.discount_fen) == (10_000, 500)
    assert [row.discount_fen for row in order.lines.order_by("line_no")] == [167, 166, 167]


@pytest.mark.parametrize("whose", ["nobody's", "another's", "used"])
def test_a_coupon_one_does_not_have_places_no_order(at: datetime, whose: str) -> None:
    member, other = make_member(), make_member()
    coupon = make_coupon(member if whose == "used" else other).code
    if whose == "used":
        place(member, coupon, at, 9999)
    before = Order.objects.count()
    code = "NOSUCHCOUPON" if whose == "nobody's" else coupon
    with pytest.raises(CouponNotUsable if whose == "used" else UnknownCoupon):
        place(member, code, at, 9999)
    assert Order.objects.count() == before


def test_a_refused_order_leaves_the_coupon_usable(at: datetime) -> None:
    member = make_member()
    coupon = make_coupon(member)
    with pytest.raises(OutOfStock):
        place(member, coupon.code, at, 9999, stock=0)
    coupon.refresh_from_db()
    assert (coupon.status, coupon.order) == ("issued", None)


def test_a_quote_uses_nothing(at: datetime) -> None:
    member = make_member()
    coupon = make_coupon(member)
    items = [Item(make_sku().pk, 1)]
    assert quote(member_id=member.pk, items=items, coupon=coupon.code, at=at).discount_fen == 500
    coupon.refresh_from_db()
    assert coupon.status == "issued"


def test_a_cancelled_order_gives_the_coupon_back_by_itself(at: datetime) -> None:
    member = make_member()
    coupon = make_coupon(member)
    order = place(member, coupon.code, at, 9999)
    cancel_order(order_id=order.pk, by=Actor("member", member.pk), why="changed my mind", at=at)
    coupon.refresh_from_db()
    assert (coupon.status, coupon.order) == ("issued", None)
