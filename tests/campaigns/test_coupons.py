"""Coupons: granted once a cause, used once, back when the order falls."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest

from campaigns.errors import CouponLimitReached, CouponNotUsable, CouponsExhausted
from campaigns.models import Coupon, CouponTemplate
from campaigns.services.coupons import (
    cancel_coupon,
    expire_coupons,
    grant,
    grant_reserved,
    release,
    reserve,
    return_coupon,
    use_coupon,
)
from distro.errors import ConflictingContent, IllegalTransition
from distro.states import history
from orders.models import Order
from tests.campaigns.parts import MAKER, make_coupon, make_template
from tests.factories import make_member, make_order

pytestmark = pytest.mark.django_db
DAY = timedelta(days=1)


def counts(template: CouponTemplate) -> tuple[int, int, int]:
    template.refresh_from_db()
    return template.issued, template.reserved, Coupon.objects.filter(template=template).count()


# --- Granting -------------------------------------------------------------------------------


def test_a_grant_is_worth_and_valid_as_its_template_says(at: datetime) -> None:
    template, member = make_template(valid_days=3), make_member()
    coupon = grant(member_id=member.pk, template_id=template.pk, key="welcome:1", at=at)
    assert (coupon.value_fen, coupon.status) == (500, "issued")
    assert (coupon.valid_from, coupon.valid_until) == (at, at + 3 * DAY)
    assert counts(template) == (1, 0, 1)


def test_the_same_cause_grants_once(at: datetime) -> None:
    template, member = make_template(), make_member()
    codes = {
        grant(member_id=member.pk, template_id=template.pk, key="k", at=at + n * DAY).code
        for n in range(3)
    }
    assert len(codes) == 1
    assert counts(template) == (1, 0, 1)


@pytest.mark.parametrize("other", ["member", "template"])
def test_a_cause_with_other_content_is_refused(at: datetime, other: str) -> None:
    template, member = make_template(), make_member()
    grant(member_id=member.pk, template_id=template.pk, key="k", at=at)
    with pytest.raises(ConflictingContent):
        grant(
            member_id=make_member().pk if other == "member" else member.pk,
            template_id=make_template().pk if other == "template" else template.pk,
            key="k",
            at=at,
        )
    assert Coupon.objects.count() == 1


def test_no_more_than_the_total_are_issued(at: datetime) -> None:
    template = make_template(total=1)
    grant(member_id=make_member().pk, template_id=template.pk, key="1", at=at)
    with pytest.raises(CouponsExhausted):
        grant(member_id=make_member().pk, template_id=template.pk, key="2", at=at)
    assert counts(template) == (1, 0, 1)


def test_what_campaigns_have_reserved_is_not_free(at: datetime) -> None:
    template = make_template(total=2, reserved=2)
    with pytest.raises(CouponsExhausted):
        grant(member_id=make_member().pk, template_id=template.pk, key="1", at=at)
    assert counts(template) == (0, 2, 0)


def test_a_member_gets_no_more_than_his_limit(at: datetime) -> None:
    template, member = make_template(per_member=1), make_member()
    grant(member_id=member.pk, template_id=template.pk, key="1", at=at)
    with pytest.raises(CouponLimitReached):
        grant(member_id=member.pk, template_id=template.pk, key="2", at=at)
    assert counts(template) == (1, 0, 1)


# --- Reserving ------------------------------------------------------------------------------


def test_reserved_free_and_issued_are_always_the_total(at: datetime) -> None:
    template, member = make_template(total=10), make_member()
    assert reserve(template_id=template.pk, count=6)
    assert not reserve(template_id=template.pk, count=5)
    for key in "ab":
        grant_reserved(member_id=member.pk, template_id=template.pk, value_fen=321, key=key, at=at)
    release(template_id=template.pk, count=3)
    assert counts(template) == (2, 1, 2)
    assert {coupon.value_fen for coupon in template.coupons.all()} == {321}


def test_nothing_is_granted_from_an_empty_reserve(at: datetime) -> None:
    template, member = make_template(), make_member()
    with pytest.raises(CouponsExhausted):
        grant_reserved(member_id=member.pk, template_id=template.pk, value_fen=1, key="k", at=at)
    assert counts(template) == (0, 0, 0)


# --- Using ----------------------------------------------------------------------------------


def test_a_coupon_is_used_for_one_order(at: datetime) -> None:
    member = make_member()
    coupon, order = make_coupon(member), make_order(member)
    use_coupon(coupon_id=coupon.pk, order_id=order.pk, at=at)
    coupon.refresh_from_db()
    assert (coupon.status, coupon.order, coupon.used_at) == ("used", order, at)
    with pytest.raises(CouponNotUsable):
        use_coupon(coupon_id=coupon.pk, order_id=make_order(member).pk, at=at)
    coupon.refresh_from_db()
    assert coupon.order == order
    assert history(coupon).count() == 1


@pytest.mark.parametrize("days", [-1, 30])
def test_a_coupon_is_not_used_out_of_its_time(at: datetime, days: int) -> None:
    member = make_member()
    coupon, order = make_coupon(member), make_order(member)
    with pytest.raises(CouponNotUsable):
        use_coupon(coupon_id=coupon.pk, order_id=order.pk, at=at + days * DAY)
    coupon.refresh_from_db()
    assert coupon.status == "issued"


# --- Coming back ----------------------------------------------------------------------------


def used_coupon(at: datetime, **order: Any) -> tuple[Coupon, Order]:
    member = make_member()
    coupon, bought = make_coupon(member), make_order(member)
    use_coupon(coupon_id=coupon.pk, order_id=bought.pk, at=at)
    Order.objects.filter(pk=bought.pk).update(**order)
    return coupon, bought


def test_a_cancelled_order_gives_its_coupon_back_once(at: datetime) -> None:
    coupon, order = used_coupon(at, status="cancelled", cancelled_at=at)
    assert return_coupon(order_id=order.pk)
    assert return_coupon(order_id=order.pk) is None
    coupon.refresh_from_db()
    assert (coupon.status, coupon.order, coupon.used_at) == ("issued", None, None)


def test_a_full_refund_gives_an_unexpired_coupon_back(at: datetime) -> None:
    coupon, order = used_coupon(at, status="refunded", refunded_at=at + 29 * DAY)
    assert return_coupon(order_id=order.pk)
    coupon.refresh_from_db()
    assert coupon.status == "issued"


@pytest.mark.parametrize(
    "order",
    [{"status": "refunded", "days": 30}, {"status": "paid"}, {"status": "completed"}],
)
def test_a_coupon_stays_used_after_its_time_or_a_partial_refund(
    at: datetime, order: dict[str, Any]
) -> None:
    if days := order.pop("days", 0):
        order["refunded_at"] = at + days * DAY
    coupon, bought = used_coupon(at, **order)
    assert return_coupon(order_id=bought.pk) is None
    coupon.refresh_from_db()
    assert (coupon.status, coupon.order) == ("used", bought)


def test_an_order_without_a_coupon_gives_nothing_back(at: datetime) -> None:
    make_coupon(make_member())
    assert return_coupon(order_id=make_order(status="cancelled", cancelled_at=at).pk) is None


# --- Ending ---------------------------------------------------------------------------------


def test_unused_coupons_expire_when_their_time_is_over(at: datetime) -> None:
    member = make_member()
    make_coupon(member, valid_days=1), make_coupon(member, valid_days=2)
    used, _ = used_coupon(at)
    assert expire_coupons(at=at + 2 * DAY - timedelta(seconds=1)) == 1
    assert expire_coupons(at=at + 2 * DAY) == 1
    assert expire_coupons(at=at + 30 * DAY) == 0
    used.refresh_from_db()
    assert used.status == "used"


def test_staff_take_an_unused_coupon_away_with_a_reason(at: datetime) -> None:
    coupon = make_coupon(make_member())
    cancel_coupon(coupon_id=coupon.pk, why="sent by mistake", by=MAKER, at=at)
    assert history(coupon).get().why == "sent by mistake"


def test_a_used_coupon_is_not_taken_away(at: datetime) -> None:
    coupon, _ = used_coupon(at)
    with pytest.raises(IllegalTransition):
        cancel_coupon(coupon_id=coupon.pk, why="", by=MAKER, at=at)
    coupon.refresh_from_db()
    assert coupon.status == "used"
