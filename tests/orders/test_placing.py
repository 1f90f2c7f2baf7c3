"""Placing: refusals write nothing, prices are the server's, stock is taken."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.db import IntegrityError, transaction

from distro.errors import DomainError
from orders.errors import (
    NotOnSale,
    OrderTooLarge,
    OutOfStock,
    QuantityOutOfRange,
    UnknownCoupon,
    UnknownSku,
)
from orders.models import Order, OrderLine, Payment, ShopPolicy, Sku
from orders.rules import Item
from orders.services import placing, pricing
from orders.services.pricing import Discount, PriceLine, quote
from referrals.models import Binding, Promoter
from referrals.selectors import Attribution
from tests.factories import make_member, make_sku
from tests.orders.conftest import ADDRESS, names, place

pytestmark = pytest.mark.django_db


def nothing_was_written() -> None:
    assert not Order.objects.exists()
    assert not OrderLine.objects.exists()
    assert not Payment.objects.exists()


def policy(at: datetime, **kw: Any) -> ShopPolicy:
    return ShopPolicy.objects.create(effective_from=at - timedelta(days=1), **kw)


class TenOffWithCoupon:
    """A price rule: ten fen off the first line for the coupon TEN."""

    claimed: list[tuple[object, int]] = []

    def price(
        self, *, member_id: int, lines: Sequence[PriceLine], coupon: str, at: datetime
    ) -> Discount | None:
        if coupon != "TEN":
            return None
        return Discount(per_line_fen=[10, *[0] * (len(lines) - 1)], claim="the coupon")

    def claim(self, *, claim: object, order_id: int, at: datetime) -> None:
        self.claimed.append((claim, order_id))


class Refusing(TenOffWithCoupon):
    """A price rule whose coupon is gone when the order is placed."""

    def claim(self, *, claim: object, order_id: int, at: datetime) -> None:
        raise UnknownCoupon(field="coupon")


class Generous(TenOffWithCoupon):
    """A price rule that gives everything away."""

    def price(
        self, *, member_id: int, lines: Sequence[PriceLine], coupon: str, at: datetime
    ) -> Discount | None:
        return Discount(per_line_fen=[line.goods_fen for line in lines], claim=None)

    def claim(self, *, claim: object, order_id: int, at: datetime) -> None:
        pass


@pytest.fixture
def use_rule(monkeypatch: pytest.MonkeyPatch) -> Any:
    def use(*rules: Any) -> None:
        monkeypatch.setattr(pricing, "price_rules", lambda: [rule() for rule in rules])

    TenOffWithCoupon.claimed = []
    return use


# --- Refusals -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("quantity", "refusal", "field"),
    [
        (0, QuantityOutOfRange, "items.0.quantity"),
        (-1, QuantityOutOfRange, "items.0.quantity"),
        (10_001, QuantityOutOfRange, "items.0.quantity"),
        (101, OutOfStock, "items.0.quantity"),
    ],
)
def test_a_bad_quantity_is_refused_and_nothing_written(
    quantity: int, refusal: type[DomainError], field: str, at: datetime, heard: list[Any]
) -> None:
    sku = make_sku(stock=100)
    with pytest.raises(refusal) as caught:
        place(at, None, (sku, quantity))
    assert caught.value.field == field
    nothing_was_written()
    sku.refresh_from_db()
    assert sku.stock == 100
    assert not heard


def test_an_unknown_sku_is_refused(at: datetime) -> None:
    with pytest.raises(UnknownSku) as caught:
        quote(member_id=1, items=[Item(10**9, 1)], coupon="", at=at)
    assert caught.value.field == "items.0.sku"


@pytest.mark.parametrize("off", ["sku", "product"])
def test_what_is_off_sale_is_refused(off: str, at: datetime) -> None:
    good, gone = make_sku(), make_sku()
    row = gone if off == "sku" else gone.product
    row.on_sale = False
    row.save()
    with pytest.raises(NotOnSale) as caught:
        place(at, None, (good, 1), (gone, 1))
    assert caught.value.field == "items.1.sku"
    nothing_was_written()


def test_an_order_above_100_million_yuan_is_refused(at: datetime) -> None:
    with pytest.raises(OrderTooLarge) as caught:
        place(at, None, (make_sku(price_fen=10**9, stock=100), 11))
    assert caught.value.field == "items"
    nothing_was_written()


def test_freight_counts_towards_the_limit(at: datetime) -> None:
    policy(at, freight_fen=1)
    with pytest.raises(OrderTooLarge):
        place(at, None, (make_sku(price_fen=10**9, stock=100), 10))
    nothing_was_written()


def test_one_item_out_of_stock_refuses_the_whole_order(at: datetime) -> None:
    few, many = make_sku(stock=1), make_sku(stock=9)
    with pytest.raises(OutOfStock) as caught:
        place(at, None, (many, 2), (few, 2))
    assert caught.value.field == "items.1.quantity"
    assert caught.value.params["left"] == 1
    nothing_was_written()
    many.refresh_from_db()
    assert many.stock == 9


def test_a_coupon_that_no_rule_knows_is_refused(at: datetime, use_rule: Any) -> None:
    use_rule(TenOffWithCoupon)
    with pytest.raises(UnknownCoupon) as caught:
        place(at, coupon="ELEVEN")
    assert caught.value.field == "coupon"
    nothing_was_written()


def test_a_coupon_gone_meanwhile_refuses_the_order(at: datetime, use_rule: Any) -> None:
    use_rule(Refusing)
    sku = make_sku(stock=5)
    with pytest.raises(UnknownCoupon):
        place(at, None, (sku, 1), coupon="TEN")
    nothing_was_written()
    sku.refresh_from_db()
    assert sku.stock == 5


def test_the_database_refuses_negative_stock() -> None:
    sku = make_sku(stock=1)
    with pytest.raises(IntegrityError), transaction.atomic():
        Sku.objects.filter(pk=sku.pk).update(stock=-1)


# --- Placing --------------------------------------------------------------------------------


def test_an_order_takes_prices_names_and_stock_of_this_moment(
    at: datetime, heard: list[Any]
) -> None:
    tea, cup = make_sku(price_fen=1_999, cost_fen=700, stock=10), make_sku(price_fen=500, stock=3)
    member = make_member()
    order = place(at, member, (tea, 3), (cup, 1))
    Sku.objects.update(price_fen=1)
    lines = list(order.lines.order_by("line_no"))
    assert [(row.line_no, row.sku_code, row.quantity) for row in lines] == [
        (1, tea.code, 3),
        (2, cup.code, 1),
    ]
    assert [(row.price_fen, row.goods_fen, row.paid_fen) for row in lines] == [
        (1_999, 5_997, 5_997),
        (500, 500, 500),
    ]
    assert lines[0].cost_fen == 2_100
    assert lines[0].title == str(tea)
    order.refresh_from_db()
    assert (order.status, order.goods_fen, order.paid_fen) == ("placed", 6_497, 6_497)
    assert order.pay_before == at + timedelta(minutes=30)
    assert (order.receiver, order.phone) == (ADDRESS.receiver, ADDRESS.phone)
    assert list(Sku.objects.order_by("pk").values_list("stock", flat=True)) == [7, 2]
    assert heard == [("order_placed", {"order_id": order.pk, "member_id": member.pk})]


def test_numbers_are_dated_in_beijing_and_differ(at: datetime) -> None:
    midnight = at.replace(hour=0, minute=30)  # still the day before in UTC
    first, second = place(midnight), place(midnight)
    assert first.number.startswith("D261102")
    assert len(first.number) == 19
    assert first.number != second.number


def test_the_attribution_is_what_referrals_says_now(
    at: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    member = make_member()
    chain = [promoter(at) for _ in range(3)]
    binding = Binding.objects.create(
        member=member, promoter=chain[0], mode="first_touch", started_at=at, made_by="test"
    )
    found = Attribution(*[p.pk for p in chain], binding_id=binding.pk)
    monkeypatch.setattr(placing, "attribution_of", lambda member_id, *, at: found)
    order = place(at, member)
    assert [order.promoter_1, order.promoter_2, order.promoter_3] == chain
    assert order.binding == binding


def promoter(at: datetime) -> Promoter:
    """A root, written past the services, which are not the matter here."""
    row = Promoter(
        member=make_member(), code=f"T{Promoter.objects.count()}", approved_at=at,
        tree_id=1000 + Promoter.objects.count(), lft=1, rght=2, level=0,
    )  # fmt: skip
    row.save_base(force_insert=True)
    return Promoter.objects.get(code=row.code)


def test_an_order_of_nobodys_customer_is_attributed_to_nobody(at: datetime) -> None:
    order = place(at)
    assert (order.promoter_1, order.promoter_2, order.promoter_3, order.binding) == (None,) * 4


def test_a_discount_is_taken_per_line_and_claimed(at: datetime, use_rule: Any) -> None:
    use_rule(TenOffWithCoupon)
    order = place(at, None, (make_sku(100), 1), (make_sku(200), 1), coupon="TEN")
    assert (order.goods_fen, order.discount_fen, order.paid_fen) == (300, 10, 290)
    assert [row.paid_fen for row in order.lines.order_by("line_no")] == [90, 200]
    assert TenOffWithCoupon.claimed == [("the coupon", order.pk)]


def test_a_second_rule_sees_what_the_first_left(at: datetime, use_rule: Any) -> None:
    use_rule(TenOffWithCoupon, Generous)
    order = place(at, None, (make_sku(100), 1), coupon="TEN")
    assert (order.discount_fen, order.paid_fen) == (100, 0)


@pytest.mark.parametrize(("quantity", "freight"), [(1, 800), (2, 0)])
def test_freight_follows_the_policy(quantity: int, freight: int, at: datetime) -> None:
    policy(at, freight_fen=800, free_freight_from_fen=200)
    order = place(at, None, (make_sku(100), quantity))
    assert order.freight_fen == freight
    assert order.paid_fen == 100 * quantity + freight


def test_a_policy_of_the_future_does_not_rule_yet(at: datetime) -> None:
    ShopPolicy.objects.create(effective_from=at + timedelta(seconds=1), freight_fen=800)
    assert place(at).freight_fen == 0


def test_an_order_of_nothing_is_paid_at_once_without_wechat(
    at: datetime, use_rule: Any, heard: list[Any]
) -> None:
    use_rule(Generous)
    order = place(at)
    assert (order.status, order.paid_fen, order.paid_at) == ("paid", 0, at)
    payment = order.payments.get()
    assert (payment.channel, payment.status, payment.amount_fen) == ("none", "succeeded", 0)
    assert names(heard) == ["order_placed", "order_paid"]
