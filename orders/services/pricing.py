"""What an order costs: prices, discounts and freight, decided by the server alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from django.conf import settings
from django.utils.module_loading import import_string

from orders.errors import NotOnSale, UnknownCoupon, UnknownSku
from orders.models import Sku
from orders.rules import Item, check_items, check_total, freight_of
from orders.selectors import shop_policy_at

__all__ = ["Claim", "Discount", "Item", "PriceLine", "PriceRule", "Quote", "QuoteLine", "quote"]


@dataclass(frozen=True)
class PriceLine:
    """What a price rule sees of a line; goods_fen is after the rules before it."""

    sku_id: int
    product_id: int
    category_id: int
    goods_fen: int


@dataclass(frozen=True)
class Discount:
    """What a price rule takes off, in fen per line, and what it claims for that."""

    per_line_fen: list[int]
    claim: object


class PriceRule(Protocol):
    """A package further right that makes orders cheaper; named in ORDER_PRICE_RULES."""

    def price(
        self, *, member_id: int, lines: Sequence[PriceLine], coupon: str, at: datetime
    ) -> Discount | None:
        """Return the discount, None when this rule has none here; write nothing."""

    def claim(self, *, claim: object, order_id: int, at: datetime) -> None:
        """Use up what the discount was given for; raise DomainError to refuse the order."""


@dataclass(frozen=True)
class Claim:
    """A discount that has to be claimed when the order is placed."""

    rule: PriceRule
    claim: object


@dataclass(frozen=True)
class QuoteLine:
    """One line with its price now."""

    sku: Sku
    quantity: int
    goods_fen: int
    discount_fen: int
    paid_fen: int


@dataclass(frozen=True)
class Quote:
    """What an order would cost now."""

    lines: list[QuoteLine]
    goods_fen: int
    discount_fen: int
    freight_fen: int
    paid_fen: int
    claims: list[Claim]


def quote(*, member_id: int, items: Sequence[Item], coupon: str, at: datetime) -> Quote:
    """Price what a buyer wants, without writing anything.

    Raises NothingOrdered, TooManyItems, QuantityOutOfRange, ItemTwice, UnknownSku, NotOnSale,
    OrderTooLarge, UnknownCoupon and the refusals of the price rules.
    """
    check_items(items)
    skus = _skus_of(items)
    goods = [sku.price_fen * item.quantity for sku, item in zip(skus, items)]
    check_total(sum(goods))
    lines = [
        PriceLine(sku.pk, sku.product_id, sku.product.category_id, fen)
        for sku, fen in zip(skus, goods)
    ]
    paid, claims = _discounted(member_id=member_id, lines=lines, coupon=coupon, at=at)
    policy = shop_policy_at(at)
    freight = freight_of(
        goods_fen=sum(paid),
        freight_fen=policy.freight_fen,
        free_from_fen=policy.free_freight_from_fen,
    )
    check_total(sum(goods), freight)
    return Quote(
        lines=[
            QuoteLine(sku, item.quantity, before, before - after, after)
            for sku, item, before, after in zip(skus, items, goods, paid)
        ],
        goods_fen=sum(goods),
        discount_fen=sum(goods) - sum(paid),
        freight_fen=freight,
        paid_fen=sum(paid) + freight,
        claims=claims,
    )


def price_rules() -> list[PriceRule]:
    """Return the rules named in the settings, in that order."""
    return [import_string(path)() for path in settings.ORDER_PRICE_RULES]


def _skus_of(items: Sequence[Item]) -> list[Sku]:
    """Return the SKUs in the order of the items; refuse what is unknown or not on sale."""
    found = Sku.objects.select_related("product").in_bulk([item.sku_id for item in items])
    for place, item in enumerate(items):
        sku = found.get(item.sku_id)
        if sku is None:
            raise UnknownSku(field=f"items.{place}.sku")
        if not (sku.on_sale and sku.product.on_sale):
            raise NotOnSale(field=f"items.{place}.sku", title=str(sku))
    return [found[item.sku_id] for item in items]


def _discounted(
    *, member_id: int, lines: Sequence[PriceLine], coupon: str, at: datetime
) -> tuple[list[int], list[Claim]]:
    """Return what is left to pay per line, and the claims of the rules that took something."""
    left, claims = list(lines), []
    for rule in price_rules():
        found = rule.price(member_id=member_id, lines=left, coupon=coupon, at=at)
        if found is None:
            continue
        assert len(found.per_line_fen) == len(left)
        assert all(0 <= off <= line.goods_fen for off, line in zip(found.per_line_fen, left))
        left = [
            PriceLine(line.sku_id, line.product_id, line.category_id, line.goods_fen - off)
            for line, off in zip(left, found.per_line_fen)
        ]
        claims.append(Claim(rule, found.claim))
    if coupon and not claims:
        raise UnknownCoupon(field="coupon")
    return [line.goods_fen for line in left], claims
