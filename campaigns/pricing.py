"""The price rule of coupons, asked by orders through ORDER_PRICE_RULES."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from campaigns.errors import (
    CouponBelowThreshold,
    CouponExpired,
    CouponNotForThese,
    CouponNotUsable,
    CouponNotYetValid,
)
from campaigns.models import Coupon
from campaigns.rules import spread
from campaigns.selectors import coupon_of
from campaigns.services.coupons import use_coupon
from distro.money import yuan
from orders.services.pricing import Discount, PriceLine


class CouponRule:
    """One coupon an order, spread over the lines in its scope by their totals."""

    def price(
        self, *, member_id: int, lines: Sequence[PriceLine], coupon: str, at: datetime
    ) -> Discount | None:
        """Return what the buyer's coupon takes off; None without one, or for an unknown code.

        Raises CouponNotUsable, CouponNotYetValid, CouponExpired, CouponNotForThese,
        CouponBelowThreshold.
        """
        found = coupon_of(member_id, coupon) if coupon else None
        if found is None:
            return None
        _refuse(found, at)
        eligible = [_is_for(found, line) for line in lines]
        goods = [line.goods_fen for line in lines]
        total = sum(fen for fen, ok in zip(goods, eligible) if ok)
        if not any(eligible):
            raise CouponNotForThese(field="coupon")
        if total < found.template.threshold_fen:
            threshold = yuan(found.template.threshold_fen)
            raise CouponBelowThreshold(field="coupon", threshold=threshold)
        return Discount(per_line_fen=spread(found.value_fen, goods, eligible), claim=found.pk)

    def claim(self, *, claim: object, order_id: int, at: datetime) -> None:
        """Use the coupon up, in the transaction that places the order. Raises CouponNotUsable."""
        assert isinstance(claim, int)
        use_coupon(coupon_id=claim, order_id=order_id, at=at)


def _refuse(coupon: Coupon, at: datetime) -> None:
    if at >= coupon.valid_until:
        raise CouponExpired(field="coupon")
    if coupon.status != Coupon.Status.ISSUED:
        raise CouponNotUsable(field="coupon")
    if at < coupon.valid_from:
        raise CouponNotYetValid(field="coupon")


def _is_for(coupon: Coupon, line: PriceLine) -> bool:
    """Say whether a line is in a coupon's scope: everything, one category or one product."""
    template = coupon.template
    return template.product_id in (None, line.product_id) and template.category_id in (
        None,
        line.category_id,
    )
