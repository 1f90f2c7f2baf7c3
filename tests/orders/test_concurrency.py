"""Many at once, on PostgreSQL: once is once, and the last piece is sold once."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.test import Client

from distro.errors import DomainError, IllegalTransition
from distro.models import MissedFact, OutboxMessage, StateChange, WechatNotice
from distro.wechat.sandbox.control import SandboxControl
from orders.errors import NotCancellable, NotShippable, OutOfStock, RefundTooHigh
from orders.models import Order, OrderLine, Payment, Refund, Shipment, Sku
from orders.rules import RefundItem
from orders.services.paying import confirm_payment, open_payment, prepay
from orders.services.placing import cancel_order, expire_orders
from orders.services.refunding import finish_refund
from orders.services.refunds import approve_refund, request_refund
from orders.services.shipping import complete_overdue, mature_orders, ship_order
from tests.factories import make_member, make_sku
from tests.orders.conftest import (
    FakePay,
    bought,
    names,
    open_for,
    paid_state,
    pay_for,
    place,
    refund_state,
)
from tests.orders.test_shipping import STAFF

pytestmark = [pytest.mark.postgres, pytest.mark.django_db(transaction=True)]

Threads = Callable[..., Any]
DAY = timedelta(days=1)


def steps(to: str, model: str) -> int:
    return StateChange.objects.filter(to_status=to, model=f"orders.{model}").count()


def refusals(outcome: Any) -> list[type[BaseException]]:
    return [type(error) for error in outcome.errors.values()]


# --- Payments -------------------------------------------------------------------------------


def test_eight_threads_delivering_one_notice_fifty_times_pay_once(
    run_threads: Threads, at: datetime, wechat: SandboxControl, heard: list[Any]
) -> None:
    order = place(at, make_member(openid=wechat.person("buyer").openid))
    wechat.set_clock(at)
    payment = open_payment(order_id=order.pk, openid=order.member.openid, at=at)
    prepay(payment_id=payment.pk, at=at)
    wechat.pay(payment.out_trade_no)
    sent = wechat.notifications(payment.out_trade_no)[-1]

    def deliver(number: int) -> set[int]:
        headers, body = wechat.signed_notice(sent.id)
        return {
            Client()
            .post(
                "/api/v1/wechat/pay/notify",
                body,
                content_type="application/json",
                headers=headers,
            )
            .status_code
            for _ in range(50)
        }

    assert list(run_threads(8, deliver)) == [{200}] * 8
    order.refresh_from_db()
    assert order.status == "paid"
    assert Payment.objects.get().status == "succeeded"
    assert (steps("paid", "order"), steps("succeeded", "payment")) == (1, 1)
    assert WechatNotice.objects.get().outcome == "paid"
    assert names(heard) == ["order_placed", "order_paid"]
    assert not MissedFact.objects.filter(uid__startswith="orders.").exists()


def test_different_notices_of_one_payment_pay_once(
    run_threads: Threads, at: datetime, heard: list[Any]
) -> None:
    payment = open_for(place(at), at)
    state = paid_state(payment)
    outcomes = list(run_threads(8, lambda n: confirm_payment(state=state, at=at)))
    assert sorted(outcomes) == ["already_paid"] * 7 + ["paid"]
    assert names(heard) == ["order_placed", "order_paid"]


def test_eight_threads_opening_a_payment_get_one_number(run_threads: Threads, at: datetime) -> None:
    order = place(at)
    numbers = set(run_threads(8, lambda n: open_for(order, at).out_trade_no))
    assert len(numbers) == Payment.objects.count() == 1


def test_cancelling_and_paying_at_the_same_moment_end_in_one_of_both(
    run_threads: Threads, at: datetime, fake_pay: FakePay, heard: list[Any]
) -> None:
    for _ in range(10):
        heard.clear()
        sku = make_sku(stock=5)
        order = place(at, None, (sku, 2))
        outcome = run_threads(2, racers(order, at))
        order.refresh_from_db()
        sku.refresh_from_db()
        assert order.payments.get().status == "succeeded"
        if order.status == "paid":
            assert refusals(outcome) == [NotCancellable]
            assert (outcome.results[1], sku.stock) == ("paid", 3)
            assert not order.refunds.exists()
            assert names(heard) == ["order_placed", "order_paid"]
        else:
            assert (order.status, sku.stock) == ("cancelled", 5)
            assert outcome.results == {0: "cancelled", 1: "late"}
            assert order.refunds.get().amount_fen == order.paid_fen
            assert names(heard) == ["order_placed", "order_cancelled"]


def racers(order: Order, at: datetime) -> Callable[[int], str]:
    state, buyer = paid_state(open_for(order, at)), order.member.actor

    def act(number: int) -> str:
        if number:
            return confirm_payment(state=state, at=at)
        return cancel_order(order_id=order.pk, by=buyer, why="", at=at).status

    return act


# --- Stock ----------------------------------------------------------------------------------


def test_the_last_five_pieces_are_sold_to_five_of_eight(run_threads: Threads, at: datetime) -> None:
    sku, members = make_sku(stock=5), [make_member() for _ in range(8)]
    outcome = run_threads(8, lambda n: place(at, members[n], (sku, 1)))
    sku.refresh_from_db()
    assert sku.stock == 0
    assert len(outcome.results) == Order.objects.count() == OrderLine.objects.count() == 5
    assert refusals(outcome) == [OutOfStock] * 3


def test_buyers_of_the_same_items_in_opposite_order_do_not_block_each_other(
    run_threads: Threads, at: datetime
) -> None:
    skus, members = [make_sku(stock=1000) for _ in range(4)], [make_member() for _ in range(8)]

    def buy(number: int) -> None:
        mine = skus if number % 2 else skus[::-1]
        for _ in range(10):
            place(at, members[number], *[(sku, 1) for sku in mine])

    list(run_threads(8, buy))
    assert set(Sku.objects.values_list("stock", flat=True)) == {920}


def test_eight_runs_of_the_timeout_give_the_stock_back_once(
    run_threads: Threads, at: datetime, fake_pay: FakePay, heard: list[Any]
) -> None:
    sku = make_sku(stock=10)
    for _ in range(5):
        open_for(place(at, None, (sku, 1)), at)
    later = at + timedelta(minutes=30)
    assert sum(run_threads(8, lambda n: expire_orders(at=later))) == 5
    sku.refresh_from_db()
    assert sku.stock == 10
    assert names(heard).count("order_cancelled") == steps("cancelled", "order") == 5


# --- Refunds --------------------------------------------------------------------------------


def ask(order: Order, fen: int, at: datetime) -> Refund:
    items = [RefundItem(order.lines.get().pk, 0, fen)]
    return request_refund(
        order_id=order.pk, lines=items, freight_fen=0, reason="x", by=STAFF, at=at
    )


def test_eight_threads_approving_one_refund_reserve_once(
    run_threads: Threads, at: datetime, fake_pay: FakePay
) -> None:
    order = bought(at)
    refund = ask(order, 4_000, at)
    outcome = run_threads(8, lambda n: approve_refund(refund_id=refund.pk, by=STAFF, at=at))
    assert len(outcome.results) == 1
    assert refusals(outcome) == [IllegalTransition] * 7
    assert order.lines.get().reserved_fen == 4_000
    assert OutboxMessage.objects.filter(topic="refund").count() == 1


def test_eight_threads_finishing_one_refund_book_once(
    run_threads: Threads, at: datetime, fake_pay: FakePay, heard: list[Any]
) -> None:
    sku = make_sku(stock=10)
    order = bought(at, (sku, 2))
    items = [RefundItem(order.lines.get().pk, 2, order.paid_fen)]
    refund = request_refund(
        order_id=order.pk, lines=items, freight_fen=0, reason="x", by=STAFF, at=at
    )
    approve_refund(refund_id=refund.pk, by=STAFF, at=at)
    state = refund_state(refund)
    outcomes = list(run_threads(8, lambda n: finish_refund(state=state, at=at)))
    assert sorted(outcomes) == ["already_refunded"] * 7 + ["refunded"]
    order.refresh_from_db()
    sku.refresh_from_db()
    line = order.lines.get()
    assert (order.status, order.refunded_fen) == ("refunded", order.paid_fen)
    assert (line.refunded_fen, line.reserved_fen, sku.stock) == (order.paid_fen, 0, 10)
    assert names(heard).count("order_refunded") == 1


def test_of_two_requests_that_exceed_a_line_together_one_wins(
    run_threads: Threads, at: datetime
) -> None:
    order = bought(at)
    outcome = run_threads(2, lambda n: ask(order, 6_000, at))
    assert refusals(outcome) == [RefundTooHigh]
    assert Refund.objects.count() == 1


def test_of_two_approvals_that_exceed_a_line_together_one_wins(
    run_threads: Threads, at: datetime, fake_pay: FakePay
) -> None:
    order = bought(at)
    refunds = [ask(order, 4_000, at), ask(order, 4_000, at)]
    for refund in refunds:  # as if both had been let in
        refund.lines.update(amount_fen=6_000)
    Refund.objects.update(goods_fen=6_000)
    outcome = run_threads(2, lambda n: approve_refund(refund_id=refunds[n].pk, by=STAFF, at=at))
    assert refusals(outcome) == [RefundTooHigh]
    assert order.lines.get().reserved_fen == 6_000
    statuses = Refund.objects.values_list("status", flat=True)
    assert sorted(statuses)[1] == "requested"


def test_shipping_and_refunding_at_the_same_moment_do_not_both_happen(
    run_threads: Threads, at: datetime
) -> None:
    order = bought(at)

    def act(number: int) -> Any:
        if number:
            return ask(order, 1_000, at).status
        return ship_order(order_id=order.pk, company="x", tracking_no="1", by=STAFF, at=at).status

    outcome = run_threads(2, act)
    order.refresh_from_db()
    assert outcome.results[1] == "requested"  # also a shipped order can be refunded
    assert (order.status == "shipped") == (0 in outcome.results)


# --- Shipping -------------------------------------------------------------------------------


def test_eight_threads_shipping_one_order_ship_once(
    run_threads: Threads, at: datetime, heard: list[Any]
) -> None:
    order = bought(at)

    def ship(number: int) -> None:
        ship_order(order_id=order.pk, company="x", tracking_no=str(number), by=STAFF, at=at)

    outcome = run_threads(8, ship)
    assert refusals(outcome) == [NotShippable] * 7
    assert Shipment.objects.count() == 1
    assert names(heard).count("order_shipped") == 1


def test_eight_runs_of_the_jobs_complete_and_mature_each_order_once(
    run_threads: Threads, at: datetime, heard: list[Any]
) -> None:
    for _ in range(5):
        order = bought(at)
        ship_order(order_id=order.pk, company="x", tracking_no="1", by=STAFF, at=at)
    assert sum(run_threads(8, lambda n: complete_overdue(at=at + 10 * DAY))) == 5
    assert sum(run_threads(8, lambda n: mature_orders(at=at + 17 * DAY))) == 5
    assert names(heard).count("order_completed") == 5
    assert names(heard).count("order_matured") == 5


def test_a_mixed_rush_leaves_every_sum_right(
    run_threads: Threads, at: datetime, fake_pay: FakePay
) -> None:
    """Random buyers place, pay, cancel, ask and finish at once; stock and refunds add up."""
    skus = [make_sku(1_000, stock=40) for _ in range(3)]
    members = [make_member() for _ in range(8)]

    def rush(number: int) -> None:
        for turn in range(6):
            mine = [skus[(number + turn) % 3], skus[(number * 2 + turn + 1) % 3]]
            try:
                order = place(
                    at, members[number], *[(sku, 2) for sku in {s.pk: s for s in mine}.values()]
                )
            except OutOfStock:
                continue
            if turn % 3 == 0:
                cancel_order(order_id=order.pk, by=order.member.actor, why="", at=at)
                continue
            pay_for(order, at)
            if turn % 3 == 1:
                line = order.lines.first()
                items = [RefundItem(line.pk, 2, line.paid_fen)]
                refund = request_refund(
                    order_id=order.pk, lines=items, freight_fen=0, reason="x", by=STAFF, at=at
                )
                approve_refund(refund_id=refund.pk, by=STAFF, at=at)
                finish_refund(state=refund_state(refund), at=at)

    outcome = run_threads(8, rush)
    assert not [e for e in outcome.errors.values() if not isinstance(e, DomainError)]
    assert not outcome.errors
    for sku in Sku.objects.all():
        lines = OrderLine.objects.filter(sku=sku, order__paid_at__isnull=False)
        gone = sum(line.quantity for line in lines)
        back = sum(row.quantity for line in lines for row in line.refund_lines.all())
        assert sku.stock == 40 - gone + back
    for line in OrderLine.objects.all():
        assert line.reserved_fen == 0
        assert line.refunded_fen == sum(row.amount_fen for row in line.refund_lines.all())
