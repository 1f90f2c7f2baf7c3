"""Refunds: refusals first, then every step to the fen."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from django.db import IntegrityError, transaction

from distro.actors import SYSTEM, Actor
from distro.errors import AmountOutOfRange, DomainError, IllegalTransition, NotAllowed
from distro.models import AuditEntry, OutboxMessage
from distro.money import FEN_MAX
from distro.wechat.errors import WechatNotFound, WechatRefused, WechatUnknown
from orders.errors import (
    ItemTwice,
    MissingText,
    NothingToRefund,
    NotOffline,
    NotRefundable,
    NotReturnable,
    RefundMayBeUnderWay,
    RefundQuantityTooHigh,
    RefundTooHigh,
    RefundTooLate,
    UnknownLine,
)
from orders.models import Order, OrderLine, Refund, RefundLine, ShopPolicy, Sku
from orders.rules import RefundItem
from orders.services.refunding import (
    close_refund,
    finish_refund,
    query_refunds,
    refund_late_payment,
    send_refund,
)
from orders.services.refunds import (
    approve_refund,
    record_offline_refund,
    reject_refund,
    request_refund,
    withdraw_refund,
)
from orders.services.shipping import complete_order, ship_order
from referrals.models import Message
from tests.factories import make_order, make_sku
from tests.orders.conftest import (
    FakePay,
    bought,
    names,
    open_for,
    pay_for,
    place,
    refund_state,
)

pytestmark = pytest.mark.django_db

STAFF = Actor("staff", 7)


@pytest.fixture
def order(at: datetime) -> Order:
    """Two lines, 3 x 10.00 and 1 x 5.01, freight 8.00; paid."""
    ShopPolicy.objects.create(effective_from=at - timedelta(days=1), freight_fen=800)
    return bought(at, (make_sku(1_000, stock=10), 3), (make_sku(501, stock=10), 1))


def line_of(order: Order, line_no: int) -> OrderLine:
    return order.lines.get(line_no=line_no)


def ask(
    order: Order,
    at: datetime,
    *items: tuple[int, int, int],
    freight: int = 0,
    by: Actor = STAFF,
    **kw: Any,
) -> Refund:
    """items: (line no., quantity, fen)."""
    lines = [RefundItem(line_of(order, n).pk, pieces, fen) for n, pieces, fen in items]
    return request_refund(
        order_id=order.pk, lines=lines, freight_fen=freight, reason="买多了", by=by, at=at, **kw
    )


def approve(refund: Refund, at: datetime) -> Refund:
    return approve_refund(refund_id=refund.pk, by=STAFF, at=at)


def refunded(order: Order, at: datetime, *items: tuple[int, int, int], freight: int = 0) -> Refund:
    refund = approve(ask(order, at, *items, freight=freight), at)
    assert finish_refund(state=refund_state(refund), at=at) == "refunded"
    order.refresh_from_db()
    refund.refresh_from_db()
    return refund


def sums(order: Order) -> list[tuple[int, int]]:
    """Return (refunded, reserved) per line, then of the freight."""
    order.refresh_from_db()
    lines = order.lines.order_by("line_no").values_list("refunded_fen", "reserved_fen")
    return [*lines, (order.freight_refunded_fen, order.freight_reserved_fen)]


def untouched(order: Order) -> None:
    assert sums(order) == [(0, 0), (0, 0), (0, 0)]
    assert order.refunded_fen == 0
    assert not RefundLine.objects.exists()
    assert not Refund.objects.exists()


# --- Refused requests -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("items", "freight", "refusal", "field"),
    [
        ([], 0, NothingToRefund, "lines"),
        ([(1, 1, 0)], 0, AmountOutOfRange, "lines.0.amount_fen"),
        ([(1, 1, -1)], 0, AmountOutOfRange, "lines.0.amount_fen"),
        ([(1, 1, FEN_MAX + 1)], 0, AmountOutOfRange, "lines.0.amount_fen"),
        ([(1, 1, 3_001)], 0, RefundTooHigh, "lines.0.amount_fen"),
        ([(2, 1, 501), (1, 3, 3_001)], 0, RefundTooHigh, "lines.1.amount_fen"),
        ([(1, 4, 1_000)], 0, RefundQuantityTooHigh, "lines.0.quantity"),
        ([(1, -1, 1_000)], 0, DomainError, "lines.0.quantity"),
        ([(1, 1, 1), (1, 1, 1)], 0, ItemTwice, "lines.1.line_no"),
        ([], -1, AmountOutOfRange, "freight_fen"),
        ([], 801, RefundTooHigh, "freight_fen"),
    ],
)
def test_a_bad_request_is_refused_with_its_field(
    items: Any, freight: int, refusal: Any, field: str, order: Order, at: datetime
) -> None:
    with pytest.raises(refusal) as caught:
        ask(order, at, *items, freight=freight)
    assert caught.value.field == field
    untouched(order)


def test_a_line_of_another_order_is_refused(order: Order, at: datetime) -> None:
    foreign = RefundItem(bought(at).lines.get().pk, 1, 100)
    with pytest.raises(UnknownLine):
        request_refund(
            order_id=order.pk, lines=[foreign], freight_fen=0, reason="x", by=STAFF, at=at
        )
    untouched(order)


@pytest.mark.parametrize("reason", ["", "  ", "长" * 81])
def test_a_refund_needs_a_reason_that_fits(reason: str, order: Order, at: datetime) -> None:
    with pytest.raises(MissingText) as caught:
        request_refund(order_id=order.pk, lines=[], freight_fen=1, reason=reason, by=STAFF, at=at)
    assert caught.value.field == "reason"
    untouched(order)


@pytest.mark.parametrize("status", ["placed", "cancelled", "refunded"])
def test_only_a_paid_order_is_refunded(status: str, order: Order, at: datetime) -> None:
    Order.objects.filter(pk=order.pk).update(status=status)
    with pytest.raises(NotRefundable):
        ask(order, at, (1, 1, 1_000))
    untouched(order)


def test_what_another_request_asks_for_is_taken(order: Order, at: datetime) -> None:
    ask(order, at, (1, 2, 2_000), freight=500)
    with pytest.raises(RefundTooHigh) as caught:
        ask(order, at, (1, 1, 1_001))
    assert caught.value.params == {"left_fen": 1_000}
    with pytest.raises(RefundQuantityTooHigh):
        ask(order, at, (1, 2, 1_000))
    with pytest.raises(RefundTooHigh):
        ask(order, at, freight=301)
    assert Refund.objects.count() == 1
    ask(order, at, (1, 1, 1_000), freight=300)


def test_a_line_is_not_refunded_twice(order: Order, at: datetime) -> None:
    refunded(order, at, (1, 3, 3_000))
    with pytest.raises(RefundTooHigh) as caught:
        ask(order, at, (1, 0, 1))
    assert caught.value.params == {"left_fen": 0}
    assert Refund.objects.count() == 1


def test_an_order_of_nothing_has_nothing_to_refund(at: datetime) -> None:
    order = place(at, None, (make_sku(price_fen=0), 1))
    with pytest.raises(RefundTooHigh):
        ask(order, at, (1, 1, 1))


# --- The buyer's rights ---------------------------------------------------------------------


def delivered(order: Order, at: datetime) -> None:
    ship_order(order_id=order.pk, company="顺丰", tracking_no="SF1", by=STAFF, at=at)
    complete_order(order_id=order.pk, by=order.member.actor, at=at)


def test_a_buyer_has_seven_days_after_receipt_but_not_a_second_more(
    order: Order, at: datetime
) -> None:
    delivered(order, at)
    end = at + timedelta(days=7)
    with pytest.raises(RefundTooLate):
        ask(order, end, (1, 1, 1_000), by=order.member.actor)
    untouched(order)
    ask(order, end - timedelta(seconds=1), (1, 1, 1_000), by=order.member.actor)


def test_staff_may_refund_at_any_time(order: Order, at: datetime) -> None:
    delivered(order, at)
    assert ask(order, at + timedelta(days=100), (1, 1, 1_000)).status == "requested"


def test_what_cannot_be_returned_is_refused_to_the_buyer_once_it_left(
    order: Order, at: datetime
) -> None:
    product = line_of(order, 2).sku.product
    product.returnable = False
    product.save()
    before = ask(order, at, (2, 1, 1), by=order.member.actor)
    withdraw_refund(refund_id=before.pk, by=order.member.actor, at=at)
    ship_order(order_id=order.pk, company="顺丰", tracking_no="SF1", by=STAFF, at=at)
    with pytest.raises(NotReturnable):
        ask(order, at, (1, 1, 1), (2, 1, 1), by=order.member.actor)
    ask(order, at, (1, 1, 1), by=order.member.actor)
    ask(order, at, (2, 1, 1))


# --- Decisions ------------------------------------------------------------------------------


def test_nothing_is_reserved_before_the_approval(order: Order, at: datetime) -> None:
    ask(order, at, (1, 1, 1_000), freight=800)
    assert sums(order) == [(0, 0), (0, 0), (0, 0)]
    assert not OutboxMessage.objects.filter(topic="refund").exists()


def test_an_approval_reserves_and_sends_once(order: Order, at: datetime) -> None:
    refund = approve(ask(order, at, (1, 1, 1_000), (2, 0, 100), freight=800), at)
    assert sums(order) == [(0, 1_000), (0, 100), (0, 800)]
    assert (refund.status, refund.approved_at) == ("approved", at)
    message = OutboxMessage.objects.get(topic="refund")
    assert message.payload == {"refund_id": refund.pk}
    assert AuditEntry.objects.get(action="refund.approve").actor_id == STAFF.id
    with pytest.raises(IllegalTransition):
        approve(refund, at)
    assert sums(order) == [(0, 1_000), (0, 100), (0, 800)]


def test_an_approval_without_room_is_refused_and_reserves_nothing(
    order: Order, at: datetime
) -> None:
    first, second = ask(order, at, (1, 1, 2_000)), ask(order, at, (2, 1, 100))
    line = line_of(order, 1)
    # As if both had been let in before the rule that counts requests.
    second.lines.update(line=line, amount_fen=1_001)
    approve(first, at)
    with pytest.raises(RefundTooHigh):
        approve(second, at)
    second.refresh_from_db()
    assert second.status == "requested"
    assert sums(order)[0] == (0, 2_000)


def test_the_database_refuses_more_than_was_paid(order: Order) -> None:
    line = OrderLine.objects.filter(pk=line_of(order, 1).pk)
    with pytest.raises(IntegrityError), transaction.atomic():
        line.update(reserved_fen=2_000, refunded_fen=1_001)
    with pytest.raises(IntegrityError), transaction.atomic():
        Order.objects.filter(pk=order.pk).update(refunded_fen=order.paid_fen + 1)


def test_a_rejection_has_a_reason_and_leaves_the_money(order: Order, at: datetime) -> None:
    refund = ask(order, at, (1, 1, 1_000))
    with pytest.raises(MissingText):
        reject_refund(refund_id=refund.pk, reason=" ", by=STAFF, at=at)
    reject_refund(refund_id=refund.pk, reason="已使用", by=STAFF, at=at)
    refund.refresh_from_db()
    assert (refund.status, refund.decision) == ("rejected", "已使用")
    assert sums(order)[0] == (0, 0)
    with pytest.raises(IllegalTransition):
        approve(refund, at)
    ask(order, at, (1, 3, 3_000))


def test_only_the_buyer_himself_withdraws_and_only_before_the_decision(
    order: Order, at: datetime
) -> None:
    refund = ask(order, at, (1, 1, 1_000))
    with pytest.raises(NotAllowed):
        withdraw_refund(refund_id=refund.pk, by=Actor("member", order.member_id + 1), at=at)
    approve(refund, at)
    with pytest.raises(IllegalTransition):
        withdraw_refund(refund_id=refund.pk, by=order.member.actor, at=at)
    refund.refresh_from_db()
    assert refund.status == "approved"


# --- Sending --------------------------------------------------------------------------------


def test_a_lost_answer_is_repeated_with_the_same_number_and_content(
    order: Order, at: datetime, fake_pay: FakePay
) -> None:
    refund = approve(ask(order, at, (1, 1, 1_000), freight=800), at)
    fake_pay.errors["refund"] = WechatUnknown("connection")
    with pytest.raises(WechatUnknown):
        send_refund(refund_id=refund.pk, at=at)
    assert send_refund(refund_id=refund.pk, at=at) == "processing"
    first, second = fake_pay.refunds
    assert first == second
    assert (first.refund_fen, first.total_fen) == (1_800, order.paid_fen)
    assert first.transaction_id == order.payments.get().transaction_id
    refund.refresh_from_db()
    assert (refund.status, refund.sent_at) == ("processing", at)


@pytest.mark.parametrize("status", ["requested", "succeeded", "closed", "rejected", "withdrawn"])
def test_only_a_refund_under_way_is_sent(
    status: str, order: Order, at: datetime, fake_pay: FakePay
) -> None:
    refund = ask(order, at, (1, 1, 1_000))
    Refund.objects.filter(pk=refund.pk).update(status=status, succeeded_at=at)
    assert send_refund(refund_id=refund.pk, at=at) == "done"
    assert not fake_pay.refunds


def test_a_refusal_of_wechat_keeps_the_refund_and_alarms(
    order: Order, at: datetime, fake_pay: FakePay, caplog: Any
) -> None:
    refund = approve(ask(order, at, (1, 1, 1_000)), at)
    fake_pay.errors["refund"] = WechatRefused("NOT_ENOUGH")
    with pytest.raises(WechatRefused):
        send_refund(refund_id=refund.pk, at=at)
    refund.refresh_from_db()
    assert refund.status == "approved"
    assert "NOT_ENOUGH" in caplog.text
    assert sums(order)[0] == (0, 1_000)


# --- Finishing ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "outcome"),
    [
        ({"out_refund_no": "Rnobody"}, "unknown_refund"),
        ({"out_trade_no": "Pother"}, "wrong_payment"),
        ({"refund_fen": 0}, "wrong_amount"),
        ({"refund_fen": 999}, "wrong_amount"),
        ({"refund_fen": 1_001}, "wrong_amount"),
        ({"total_fen": 1_000}, "wrong_amount"),
        ({"status": "REVIVED"}, "unexpected"),
    ],
)
def test_a_message_that_is_not_about_this_refund_marks_nothing_and_alarms(
    changes: dict[str, Any],
    outcome: str,
    order: Order,
    at: datetime,
    heard: list[Any],
    caplog: Any,
) -> None:
    refund = approve(ask(order, at, (1, 1, 1_000)), at)
    assert finish_refund(state=refund_state(refund, **changes), at=at) == outcome
    refund.refresh_from_db()
    assert refund.status == "approved"
    assert sums(order)[0] == (0, 1_000)
    assert not heard
    assert "ALARM" in caplog.text


@pytest.mark.parametrize("status", ["requested", "rejected", "withdrawn", "closed"])
def test_success_of_what_was_not_under_way_is_unexpected(
    status: str, order: Order, at: datetime, heard: list[Any]
) -> None:
    refund = ask(order, at, (1, 1, 1_000))
    Refund.objects.filter(pk=refund.pk).update(status=status)
    assert finish_refund(state=refund_state(refund), at=at) == "unexpected"
    assert sums(order)[0] == (0, 0)
    assert not heard


def test_a_success_is_booked_and_told_once(order: Order, at: datetime, heard: list[Any]) -> None:
    refund = approve(ask(order, at, (1, 1, 1_000), freight=800), at)
    later = at + timedelta(minutes=5)
    state = refund_state(refund, success_time=at + timedelta(minutes=4))
    assert finish_refund(state=state, at=later) == "refunded"
    assert finish_refund(state=state, at=later) == "already_refunded"
    assert finish_refund(state=refund_state(refund, "PROCESSING"), at=later) == "already_refunded"
    refund.refresh_from_db()
    assert (refund.status, refund.succeeded_at) == ("succeeded", at + timedelta(minutes=4))
    assert refund.refund_id == state.refund_id
    assert sums(order) == [(1_000, 0), (0, 0), (800, 0)]
    assert (order.refunded_fen, order.status) == (1_800, "paid")
    assert heard == [("order_refunded", {"order_id": order.pk, "refund_id": refund.pk})]
    message = Message.objects.get(kind="order_refunded")
    assert "18.00" in message.body


def test_a_closed_refund_frees_its_amounts(order: Order, at: datetime, heard: list[Any]) -> None:
    refund = approve(ask(order, at, (1, 3, 3_000), freight=800), at)
    assert finish_refund(state=refund_state(refund, "CLOSED"), at=at) == "closed"
    assert finish_refund(state=refund_state(refund, "CLOSED"), at=at) == "already_closed"
    assert sums(order) == [(0, 0), (0, 0), (0, 0)]
    assert not heard
    refunded(order, at, (1, 3, 3_000), freight=800)
    assert sums(order) == [(3_000, 0), (0, 0), (800, 0)]


def test_a_stuck_refund_goes_on_and_ends(order: Order, at: datetime, heard: list[Any]) -> None:
    refund = approve(ask(order, at, (1, 1, 1_000)), at)
    seen = [
        finish_refund(state=refund_state(refund, status), at=at)
        for status in ("ABNORMAL", "ABNORMAL", "PROCESSING", "ABNORMAL", "SUCCESS")
    ]
    assert seen == ["abnormal", "abnormal", "processing", "abnormal", "refunded"]
    assert sums(order)[0] == (1_000, 0)
    assert names(heard) == ["order_refunded"]


def test_an_order_is_refunded_when_everything_is_back_with_the_freight(
    order: Order, at: datetime
) -> None:
    refunded(order, at, (1, 3, 3_000), (2, 1, 501))
    assert order.status == "paid"
    refunded(order, at, freight=800)
    assert (order.status, order.refunded_at) == ("refunded", at)
    assert order.refunded_fen == order.paid_fen
    with pytest.raises(NotRefundable):
        ask(order, at, freight=1)


def test_pieces_that_never_left_go_back_into_stock(order: Order, at: datetime) -> None:
    refunded(order, at, (1, 2, 2_000), (2, 0, 100))
    assert list(Sku.objects.order_by("pk").values_list("stock", flat=True)) == [9, 9]


def test_pieces_that_had_left_do_not(order: Order, at: datetime) -> None:
    ship_order(order_id=order.pk, company="顺丰", tracking_no="SF1", by=STAFF, at=at)
    refunded(order, at, (1, 2, 2_000))
    assert list(Sku.objects.order_by("pk").values_list("stock", flat=True)) == [7, 9]


def test_a_late_payment_goes_back_without_touching_the_order(
    at: datetime, heard: list[Any], fake_pay: FakePay
) -> None:
    order = place(at)
    payment = open_for(order, at)
    with transaction.atomic():
        refund = refund_late_payment(order=order, payment=payment, at=at)
    send_refund(refund_id=refund.pk, at=at)
    heard.clear()
    assert finish_refund(state=refund_state(refund), at=at) == "refunded"
    order.refresh_from_db()
    assert (order.status, order.refunded_fen) == ("placed", 0)
    assert order.lines.get().refunded_fen == 0
    assert not heard


# --- Offline --------------------------------------------------------------------------------


def test_what_wechat_pays_back_is_not_recorded_by_hand(order: Order, at: datetime) -> None:
    refund = approve(ask(order, at, (1, 1, 1_000)), at)
    with pytest.raises(NotOffline):
        record_offline_refund(refund_id=refund.pk, note="银行转账", by=STAFF, at=at)
    assert sums(order)[0] == (0, 1_000)


def test_an_offline_refund_needs_approval_and_is_told_once(
    order: Order, at: datetime, heard: list[Any], fake_pay: FakePay
) -> None:
    refund = ask(order, at, (1, 1, 1_000), offline=True)
    with pytest.raises(IllegalTransition):
        record_offline_refund(refund_id=refund.pk, note="银行转账 17", by=STAFF, at=at)
    approve(refund, at)
    assert not OutboxMessage.objects.filter(topic="refund").exists()
    assert query_refunds(at=at + timedelta(days=1)) == 0
    record_offline_refund(refund_id=refund.pk, note="银行转账 17", by=STAFF, at=at)
    with pytest.raises(IllegalTransition):
        record_offline_refund(refund_id=refund.pk, note="银行转账 17", by=STAFF, at=at)
    refund.refresh_from_db()
    assert (refund.status, refund.decision) == ("succeeded", "银行转账 17")
    assert sums(order)[0] == (1_000, 0)
    assert names(heard) == ["order_refunded"]
    assert not fake_pay.refunds


def test_history_without_wechat_is_refunded_offline(at: datetime) -> None:
    assert ask(make_order(), at, (1, 1, 100)).channel == "offline"


def test_a_payment_older_than_a_year_is_refunded_offline(order: Order, at: datetime) -> None:
    assert ask(order, at + timedelta(days=364), (1, 0, 1)).channel == "wechat"
    assert ask(order, at + timedelta(days=365), (1, 0, 1)).channel == "offline"


# --- Asking, giving up ----------------------------------------------------------------------


def test_the_query_job_learns_the_end(order: Order, at: datetime, fake_pay: FakePay) -> None:
    refund = approve(ask(order, at, (1, 1, 1_000)), at)
    send_refund(refund_id=refund.pk, at=at)
    fake_pay.refund_states[refund.out_refund_no] = refund_state(refund)
    assert query_refunds(at=at + timedelta(seconds=59)) == 0
    assert query_refunds(at=at + timedelta(seconds=60)) == 1
    assert query_refunds(at=at + timedelta(days=9)) == 0
    assert sums(order)[0] == (1_000, 0)


def test_a_refund_wechat_does_not_know_goes_out_again_under_its_number(
    order: Order, at: datetime, fake_pay: FakePay
) -> None:
    refund = approve(ask(order, at, (1, 1, 1_000)), at)
    query_refunds(at=at + timedelta(minutes=1))
    assert [sent.out_refund_no for sent in fake_pay.refunds] == [refund.out_refund_no]
    refund.refresh_from_db()
    assert refund.status == "processing"


def test_the_query_job_bears_refusals(order: Order, at: datetime, fake_pay: FakePay) -> None:
    approve(ask(order, at, (1, 1, 1_000)), at)
    fake_pay.errors = {
        "query_refund": WechatNotFound("RESOURCE_NOT_EXISTS"),
        "refund": WechatRefused("NOT_ENOUGH"),
    }
    assert query_refunds(at=at + timedelta(minutes=1)) == 0
    refund = Refund.objects.get()
    assert (refund.status, refund.queries) == ("approved", 1)
    assert refund.next_query_at == at + timedelta(minutes=6)


def test_a_refund_that_may_be_under_way_is_not_given_up(
    order: Order, at: datetime, fake_pay: FakePay
) -> None:
    refund = approve(ask(order, at, (1, 1, 1_000)), at)
    fake_pay.errors["refund"] = WechatRefused("USER_ACCOUNT_ABNORMAL")
    with pytest.raises(WechatRefused):
        send_refund(refund_id=refund.pk, at=at)

    def give_up(minutes: int) -> None:
        moment = at + timedelta(minutes=minutes)
        close_refund(refund_id=refund.pk, why="账户注销", by=STAFF, at=moment)

    with pytest.raises(RefundMayBeUnderWay):
        give_up(59)
    fake_pay.errors["query_refund"] = WechatUnknown("connection")
    with pytest.raises(RefundMayBeUnderWay):
        give_up(60)
    fake_pay.refund_states[refund.out_refund_no] = refund_state(refund, "PROCESSING")
    with pytest.raises(RefundMayBeUnderWay):
        give_up(60)
    assert sums(order)[0] == (0, 1_000)


def test_a_refund_that_wechat_never_took_is_given_up_and_made_offline(
    order: Order, at: datetime, fake_pay: FakePay
) -> None:
    refund = approve(ask(order, at, (1, 1, 1_000)), at)
    fake_pay.errors["refund"] = WechatRefused("USER_ACCOUNT_ABNORMAL")
    with pytest.raises(WechatRefused):
        send_refund(refund_id=refund.pk, at=at)
    later = at + timedelta(hours=1)
    close_refund(refund_id=refund.pk, why="账户注销", by=STAFF, at=later)
    assert sums(order)[0] == (0, 0)
    assert send_refund(refund_id=refund.pk, at=later) == "done"
    again = approve(ask(order, later, (1, 1, 1_000), offline=True), later)
    record_offline_refund(refund_id=again.pk, note="银行转账 18", by=STAFF, at=later)
    assert sums(order)[0] == (1_000, 0)


def test_the_first_payment_is_the_one_refunded(at: datetime) -> None:
    order = place(at)
    payment = pay_for(order, at)
    assert ask(order, at, (1, 1, 100), by=SYSTEM).payment == payment


def test_pieces_of_an_imported_order_never_came_from_our_stock(order: Order, at: datetime) -> None:
    Order.objects.filter(pk=order.pk).update(source=Order.Source.IMPORT)
    refunded(order, at, (1, 2, 2_000))
    assert list(Sku.objects.order_by("pk").values_list("stock", flat=True)) == [7, 9]
