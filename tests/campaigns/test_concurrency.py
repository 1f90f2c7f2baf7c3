"""What holds when it happens at the same moment, on a database with row locks."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest

from campaigns.errors import CouponNotUsable, CouponsExhausted
from campaigns.models import Coupon, Invitation, Participation
from campaigns.services.coupons import grant, use_coupon
from campaigns.services.inviting import count_sale, join_campaign
from orders.models import Order
from tests.campaigns.parts import (
    bring,
    buy,
    join,
    ladder,
    make_coupon,
    make_template,
    rewards,
    run,
    sell,
)
from tests.factories import AT, make_member, make_order

pytestmark = [pytest.mark.postgres, pytest.mark.django_db(transaction=True)]
Threads = Callable[[int, Callable[[int], Any]], Any]


def test_a_coupon_of_two_orders_at_once_serves_one(run_threads: Threads, at: datetime) -> None:
    member = make_member()
    coupon = make_coupon(member)
    orders = [make_order(member) for _ in range(8)]
    outcome = run_threads(
        8, lambda n: use_coupon(coupon_id=coupon.pk, order_id=orders[n].pk, at=at)
    )
    assert len(outcome.results) == 1
    assert {type(error) for error in outcome.errors.values()} == {CouponNotUsable}
    coupon.refresh_from_db()
    assert coupon.order == orders[next(iter(outcome.results))]


def test_eight_threads_take_no_more_than_the_total(run_threads: Threads, at: datetime) -> None:
    template = make_template(total=5)
    members = [make_member() for _ in range(8)]
    outcome = run_threads(
        8,
        lambda n: grant(member_id=members[n].pk, template_id=template.pk, key=f"{n}", at=at),
    )
    assert len(outcome.results) == 5
    assert {type(error) for error in outcome.errors.values()} == {CouponsExhausted}
    template.refresh_from_db()
    assert (template.issued, Coupon.objects.count()) == (5, 5)


def test_one_cause_in_eight_threads_grants_once(run_threads: Threads, at: datetime) -> None:
    template, member = make_template(), make_member()
    outcome = run_threads(
        8, lambda n: grant(member_id=member.pk, template_id=template.pk, key="k", at=at)
    )
    assert len({coupon.pk for coupon in outcome}) == 1
    template.refresh_from_db()
    assert template.issued == 1


def matured(part: Participation) -> Order:
    invitation = bring(part)
    assert invitation
    order = buy(invitation)
    Order.objects.filter(pk=order.pk).update(matured_at=AT + timedelta(days=10))
    return order


def test_of_two_invited_buyers_at_once_one_reaches_the_tier(run_threads: Threads) -> None:
    part = join(run(ladder((1, 500), (3, 900))))
    sell(part)
    orders = [matured(part), matured(part)]
    list(run_threads(2, lambda n: count_sale(order_id=orders[n].pk)))
    part.refresh_from_db()
    assert part.counted == 3
    assert rewards(part) == [(1, 500, False), (3, 900, False)]
    assert Coupon.objects.count() == 2


def test_one_matured_sale_told_eight_times_counts_once(run_threads: Threads) -> None:
    part = join(run(ladder((1, 500), (2, 400))))
    order = matured(part)
    list(run_threads(8, lambda n: count_sale(order_id=order.pk)))
    part.refresh_from_db()
    assert (part.counted, rewards(part)) == (1, [(1, 500, False)])


def test_the_last_reward_goes_to_one_of_eight(run_threads: Threads) -> None:
    campaign = run(ladder((1, 500), total_rewards=1))
    orders = [matured(join(campaign)) for _ in range(8)]
    list(run_threads(8, lambda n: count_sale(order_id=orders[n].pk)))
    campaign.refresh_from_db()
    assert (campaign.used_rewards, campaign.status, Coupon.objects.count()) == (1, "ended", 1)
    assert Invitation.objects.filter(status="counted").count() == 8


def test_one_member_joining_eight_times_at_once_takes_part_once(
    run_threads: Threads, at: datetime
) -> None:
    campaign, member = run(ladder((1, 500))), make_member()
    outcome = run_threads(
        8,
        lambda n: join_campaign(member=member, code=campaign.code, channel="chat", at=at),
    )
    assert len({part.link.code for part in outcome}) == 1
    assert Participation.objects.count() == 1
