"""From a share link to money in the promoter's hand, with every balance after every step."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from analytics.books import faults
from commissions.models import Commission, Transfer
from commissions.services.paying_out import send_due
from commissions.services.settling import settle_due
from commissions.services.transferring import query_transfers
from distro.facts import missed_order_ids
from distro.wechat.sandbox.control import SandboxControl
from orders.models import Order, Refund
from orders.services.paying import open_payment
from orders.services.placing import cancel_order
from tests.flows.shop import (
    buy,
    deliver,
    join,
    open_shop,
    pay,
    promote,
    refund,
    stands,
    verify,
    withdraw,
)

pytestmark = pytest.mark.django_db
RELEASED = timedelta(days=18)


def sound(at: datetime) -> bool:
    return list(faults(at=at)) == [] and not missed_order_ids().exists()


def test_a_referred_order_earns_settles_and_pays_out(
    at: datetime,
    wechat: SandboxControl,
) -> None:
    agreement = open_shop(at, 1000, 500)
    upline = promote(join(at), agreement, at)
    seller = promote(join(at, by=upline, openid=wechat.person("seller").openid), agreement, at)
    assert (seller.parent, seller.upline_1) == (upline, upline)
    buyer = join(at, by=seller)

    # He places an order: the snapshot names both, nothing is earned yet.
    order = buy(buyer, 19_999, at)
    assert (order.promoter_1, order.promoter_2, order.promoter_3) == (seller, upline, None)
    assert [stands(seller), stands(upline)] == [(0, 0, 0, 0), (0, 0, 0, 0)]

    # WeChat says it is paid, twice: 10 % and 5 %, rounded down, once.
    assert pay(order, at) == "paid"
    assert pay(order, at) == "already_paid"
    assert [stands(seller), stands(upline)] == [(1999, 0, 0, 0), (999, 0, 0, 0)]
    assert sound(at)

    # Received and past its return period, but not released: 15 days after receipt.
    over = deliver(order, at)
    assert settle_due(at=over) == 0
    released = at + RELEASED
    assert settle_due(at=released) == 2
    assert [stands(seller), stands(upline)] == [(0, 1999, 0, 0), (0, 999, 0, 0)]
    assert sound(released)

    # He asks for his money; below 800 yuan a month nothing is withheld.
    verify(seller, released)
    row = withdraw(seller, 1_500, released)
    assert stands(seller) == (0, 499, 1_500, 0)
    assert send_due(at=released) == 1
    row.refresh_from_db()
    assert (row.status, row.tax_fen, row.net_fen) == ("awaiting_confirm", 0, 1_500)
    assert row.package_info
    assert stands(seller) == (0, 499, 1_500, 0)

    # He confirms in WeChat; asked twice, it is booked once.
    wechat.confirm_transfer(row.number)
    later = released + timedelta(hours=1)
    for _ in range(2):
        query_transfers(at=later)
    row.refresh_from_db()
    assert row.status == "paid"
    assert stands(seller) == (0, 499, 0, 0)
    assert [t.amount_fen for t in Transfer.objects.filter(code="pay_net")] == [1_500]
    assert sound(later)


def test_tax_is_withheld_above_800_yuan_of_a_month(
    at: datetime,
    wechat: SandboxControl,
) -> None:
    wechat.settings(transfer_max=1_000_000, transfer_day=10_000_000)
    agreement = open_shop(at, 1000)
    seller = promote(join(at, openid=wechat.person("seller").openid), agreement, at)
    order = buy(join(at, by=seller), 1_000_000, at)
    pay(order, at)
    deliver(order, at)
    released = at + RELEASED
    settle_due(at=released)
    verify(seller, released)
    assert stands(seller) == (0, 100_000, 0, 0)
    row = withdraw(seller, 100_000, released)
    send_due(at=released)
    wechat.confirm_transfer(row.number)
    query_transfers(at=released + timedelta(hours=1))
    row.refresh_from_db()
    assert (row.status, row.tax_fen, row.net_fen) == ("paid", 4_000, 96_000)
    assert stands(seller) == (0, 0, 0, 0)
    booked = Transfer.objects.filter(code__in=["pay_net", "pay_tax"]).order_by("amount_fen")
    assert [t.amount_fen for t in booked] == [4_000, 96_000]
    assert sound(released)


def test_a_transfer_that_fails_gives_the_money_back_once(
    at: datetime,
    wechat: SandboxControl,
) -> None:
    agreement = open_shop(at, 1000)
    seller = promote(join(at, openid=wechat.person("seller").openid), agreement, at)
    order = buy(join(at, by=seller), 20_000, at)
    pay(order, at)
    deliver(order, at)
    released = at + RELEASED
    settle_due(at=released)
    verify(seller, released)
    row = withdraw(seller, 2_000, released)
    send_due(at=released)
    wechat.fail_transfer(row.number)
    for hours in (1, 2):
        query_transfers(at=released + timedelta(hours=hours))
    row.refresh_from_db()
    assert row.status == "failed"
    assert row.fail_reason
    assert stands(seller) == (0, 2_000, 0, 0)
    assert sound(released)


@pytest.mark.parametrize(
    ("goods_fen", "kept_fen"),
    [(5_000, 1_499), (19_999, 0), (1, 1_999), (10, 1_998)],
)
def test_a_refund_before_settlement_takes_its_share_to_the_fen(
    goods_fen: int, kept_fen: int, at: datetime
) -> None:
    agreement = open_shop(at, 1000)
    seller = promote(join(at), agreement, at)
    order = buy(join(at, by=seller), 19_999, at)
    pay(order, at)
    refund(order, goods_fen, at)
    assert stands(seller) == (kept_fen, 0, 0, 0)
    order.refresh_from_db()
    assert (order.status == Order.Status.REFUNDED) is (goods_fen == 19_999)
    assert sound(at)


def test_a_refund_after_payout_becomes_a_debt_that_the_next_sale_pays(
    at: datetime,
    wechat: SandboxControl,
) -> None:
    agreement = open_shop(at, 1000)
    seller = promote(join(at, openid=wechat.person("seller").openid), agreement, at)
    buyer = join(at, by=seller)
    first = buy(buyer, 20_000, at)
    pay(first, at)
    deliver(first, at)
    released = at + RELEASED
    settle_due(at=released)
    verify(seller, released)
    row = withdraw(seller, 2_000, released)
    send_due(at=released)
    wechat.confirm_transfer(row.number)
    query_transfers(at=released + timedelta(hours=1))
    assert stands(seller) == (0, 0, 0, 0)

    refund(first, 20_000, released + timedelta(hours=2))
    assert stands(seller) == (0, 0, 0, 2_000)
    assert sound(released)

    second = buy(buyer, 30_000, released + timedelta(hours=3))
    pay(second, released + timedelta(hours=3))
    deliver(second, released + timedelta(hours=4))
    assert stands(seller) == (3_000, 0, 0, 2_000)
    later = released + timedelta(hours=4) + RELEASED
    settle_due(at=later)
    assert stands(seller) == (0, 1_000, 0, 0)
    assert sound(later)


def test_a_refund_takes_an_unsent_withdrawal_back_first(at: datetime) -> None:
    agreement = open_shop(at, 1000)
    seller = promote(join(at), agreement, at)
    order = buy(join(at, by=seller), 20_000, at)
    pay(order, at)
    deliver(order, at)
    released = at + RELEASED
    settle_due(at=released)
    verify(seller, released)
    row = withdraw(seller, 2_000, released)
    assert stands(seller) == (0, 0, 2_000, 0)
    refund(order, 5_000, released)
    row.refresh_from_db()
    assert row.status == "cancelled"
    assert stands(seller) == (0, 1_500, 0, 0)
    assert sound(released)


def test_a_payment_after_the_cancellation_goes_back_and_earns_nothing(
    at: datetime,
    wechat: SandboxControl,
) -> None:
    agreement = open_shop(at, 1000)
    seller = promote(join(at), agreement, at)
    order = buy(join(at, by=seller), 20_000, at)
    open_payment(order_id=order.pk, openid=order.member.openid, at=at)
    cancel_order(order_id=order.pk, by=order.member.actor, why="", at=at)
    assert pay(order, at) == "late"
    assert pay(order, at) == "already_paid"
    order.refresh_from_db()
    assert order.status == Order.Status.CANCELLED
    back = Refund.objects.get()
    assert (back.kind, back.amount_fen) == (Refund.Kind.LATE_PAYMENT, 20_000)
    assert stands(seller) == (0, 0, 0, 0)
    assert not Commission.objects.exists()
    assert sound(at)


def test_a_gift_is_an_order_that_earns_nothing(at: datetime) -> None:
    agreement = open_shop(at, 1000)
    seller = promote(join(at), agreement, at)
    order = buy(join(at, by=seller), 0, at)
    assert order.status == Order.Status.PAID
    assert stands(seller) == (0, 0, 0, 0)
    assert order.accruals.get().outcome == "zero_base"
    assert sound(at + timedelta(hours=1))
