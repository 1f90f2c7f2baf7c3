"""Refunds as WeChat carries them out: sent under one number, finished once."""

from __future__ import annotations

import logging
from datetime import datetime, timedelta

from django.conf import settings
from django.db import transaction
from django.db.models import F

from distro import audit, outbox
from distro.actors import Actor
from distro.facts import tell
from distro.states import advance
from distro.wechat.errors import WechatError, WechatNotFound, WechatRefused
from distro.wechat.pay import RefundRequest, pay
from distro.wechat.states import RefundState
from orders import signals
from orders.errors import RefundMayBeUnderWay
from orders.models import Order, OrderLine, Payment, Refund
from orders.rules import happened_at, next_refund_query
from orders.selectors import refunds_to_query
from orders.services import stock
from orders.services.numbers import new_number

logger = logging.getLogger(__name__)

WECHAT = Actor("wechat", 0)
QUERY_BATCH = 100
UNDER_WAY = Refund.RESERVED
# So long after the last sending WeChat's "unknown number" is believed.
SETTLED_AFTER = timedelta(hours=1)

# What finish_refund() answers when all is well; any other outcome is an alarm.
REFUNDED, ALREADY, PROCESSING = "refunded", "already_refunded", "processing"
CLOSED, ALREADY_CLOSED = "closed", "already_closed"
GOOD = {REFUNDED, ALREADY, PROCESSING, ALREADY_CLOSED}

# --- Sending --------------------------------------------------------------------------------


def refund_late_payment(*, order: Order, payment: Payment, at: datetime) -> Refund:
    """Give back by itself what came after the order had ended; the order is locked."""
    refund = Refund.objects.create(
        order=order,
        payment=payment,
        kind=Refund.Kind.LATE_PAYMENT,
        out_refund_no=new_number("R", at=at),
        status=Refund.Status.APPROVED,
        goods_fen=payment.amount_fen - order.freight_fen,
        freight_fen=order.freight_fen,
        reason="订单已关闭，自动退款",
        requested_at=at,
        approved_at=at,
        next_query_at=next_refund_query(queries=0, at=at),
    )
    outbox.put("refund", f"refund:{refund.pk}", {"refund_id": refund.pk})
    return refund


def send_refund(*, refund_id: int, at: datetime) -> str:
    """Ask WeChat for a refund; a repetition goes out with the same number and content.

    Call it outside transactions. Returns the outcome of finish_refund(), or "done". Raises
    WechatError; what WeChat refuses stays approved, raises an alarm and is tried again.
    """
    refund = Refund.objects.select_related("payment").get(pk=refund_id)
    mine = Refund.objects.filter(pk=refund_id, status__in=UNDER_WAY, channel=Refund.Channel.WECHAT)
    if not mine.update(sent_at=at):  # noted before: nobody closes what may be on its way
        return "done"
    try:
        state = pay().refund(_request_of(refund))
    except WechatRefused as error:
        logger.error("ALARM refund %s refused by WeChat: %s", refund.out_refund_no, error.code)
        raise
    return finish_refund(state=state, at=at)


def _request_of(refund: Refund) -> RefundRequest:
    """Return the same content whenever it is asked for."""
    payment = refund.payment
    assert payment is not None
    return RefundRequest(
        out_refund_no=refund.out_refund_no,
        out_trade_no=payment.out_trade_no,
        transaction_id=payment.transaction_id or "",
        refund_fen=refund.amount_fen,
        total_fen=payment.amount_fen,
        reason=refund.reason,
        notify_url=f"{settings.WECHAT_NOTIFY_BASE}/api/v1/wechat/refund/notify",
    )


# --- Finishing ------------------------------------------------------------------------------


def finish_refund(*, state: RefundState, at: datetime) -> str:
    """Believe what WeChat says of a refund, once, and return what came of it.

    "refunded", "already_refunded", "processing", "already_closed" are well. These raise an
    alarm: "closed" (the reservation is free again), "abnormal", and, without any effect,
    "unknown_refund", "wrong_payment", "wrong_amount", "unexpected".
    """
    with transaction.atomic():
        outcome = _finish(state, at)
    if outcome not in GOOD:
        logger.error("ALARM refund %s: %s", state.out_refund_no, outcome)
    return outcome


def _finish(state: RefundState, at: datetime) -> str:
    ours = Refund.objects.filter(out_refund_no=state.out_refund_no, channel=Refund.Channel.WECHAT)
    order_id = ours.values_list("order_id", flat=True).first()
    if order_id is None:
        return "unknown_refund"
    order = Order.objects.select_for_update().get(pk=order_id)
    refund = ours.select_for_update().get()
    if fault := _fault(state, refund):
        return fault
    if refund.status not in UNDER_WAY:
        return _repeated(state, refund)
    if state.status == "SUCCESS":
        told = happened_at(told=state.success_time, not_before=refund.requested_at, now=at)
        book_success(
            order=order,
            refund=refund,
            succeeded_at=told,
            by=WECHAT,
            at=at,
            refund_id=state.refund_id,
        )
        return REFUNDED
    if state.status == "CLOSED":
        book_closed(order=order, refund=refund, by=WECHAT, at=at)
        return CLOSED
    return _note_progress(state, refund, at)


def _fault(state: RefundState, refund: Refund) -> str:
    """Return why this is not the refund we asked for; "" when it is."""
    payment = refund.payment
    if payment is None or state.out_trade_no != payment.out_trade_no:
        return "wrong_payment"
    amounts = (state.refund_fen, state.total_fen)
    return "" if amounts == (refund.amount_fen, payment.amount_fen) else "wrong_amount"


def _repeated(state: RefundState, refund: Refund) -> str:
    """Return what a message about a refund that has ended means."""
    same = {
        (Refund.Status.SUCCEEDED, "SUCCESS"): ALREADY,
        (Refund.Status.SUCCEEDED, "PROCESSING"): ALREADY,  # overtaken on its way
        (Refund.Status.CLOSED, "CLOSED"): ALREADY_CLOSED,
    }
    return same.get((Refund.Status(refund.status), state.status), "unexpected")


def _note_progress(state: RefundState, refund: Refund, at: datetime) -> str:
    """Move a refund that has not ended: with WeChat, or stuck there."""
    if state.status not in {"PROCESSING", "ABNORMAL"}:
        return "unexpected"
    if refund.status == Refund.Status.APPROVED or (
        refund.status == Refund.Status.ABNORMAL and state.status == "PROCESSING"
    ):
        advance(refund, Refund.Status.PROCESSING, by=WECHAT, at=at, refund_id=state.refund_id)
    if state.status == "PROCESSING":
        return PROCESSING
    if refund.status != Refund.Status.ABNORMAL:
        advance(refund, Refund.Status.ABNORMAL, by=WECHAT, at=at)
    return "abnormal"


def book_success(
    *,
    order: Order,
    refund: Refund,
    succeeded_at: datetime,
    by: Actor,
    at: datetime,
    refund_id: str = "",
    decision: str = "",
) -> None:
    """Book a refund that was paid back, its order and itself locked, and tell it once."""
    advance(
        refund,
        Refund.Status.SUCCEEDED,
        by=by,
        at=at,
        succeeded_at=succeeded_at,
        next_query_at=None,
        refund_id=refund_id,
        decision=decision,
    )
    if refund.kind == Refund.Kind.LATE_PAYMENT:
        return  # that money was never the order's
    for row in refund.lines.order_by("line_id"):
        OrderLine.objects.filter(pk=row.line_id).update(
            reserved_fen=F("reserved_fen") - row.amount_fen,
            refunded_fen=F("refunded_fen") + row.amount_fen,
        )
    Order.objects.filter(pk=order.pk).update(
        freight_reserved_fen=F("freight_reserved_fen") - refund.freight_fen,
        freight_refunded_fen=F("freight_refunded_fen") + refund.freight_fen,
        refunded_fen=F("refunded_fen") + refund.amount_fen,
    )
    order.refresh_from_db()
    _restock(order, refund)
    if order.refunded_fen == order.paid_fen:
        advance(order, Order.Status.REFUNDED, by=by, at=at, refunded_at=succeeded_at)
    tell(signals.order_refunded, order_id=order.pk, refund_id=refund.pk)


def book_closed(*, order: Order, refund: Refund, by: Actor, at: datetime, why: str = "") -> None:
    """End a refund that was not paid back, its order and itself locked; free its amounts."""
    advance(refund, Refund.Status.CLOSED, by=by, at=at, why=why, next_query_at=None)
    if refund.kind == Refund.Kind.LATE_PAYMENT:
        return
    for row in refund.lines.order_by("line_id"):
        line = OrderLine.objects.filter(pk=row.line_id)
        line.update(reserved_fen=F("reserved_fen") - row.amount_fen)
    mine = Order.objects.filter(pk=order.pk)
    mine.update(freight_reserved_fen=F("freight_reserved_fen") - refund.freight_fen)


def _restock(order: Order, refund: Refund) -> None:
    """Put back what never left the house; an imported order took nothing from it."""
    if order.status != Order.Status.PAID or order.shipped_at is not None:
        return
    if order.source == Order.Source.IMPORT:
        return
    rows = refund.lines.select_related("line")
    stock.give_back({row.line.sku_id: row.quantity for row in rows})


# --- Asking WeChat --------------------------------------------------------------------------


def query_refunds(*, at: datetime) -> int:
    """Ask WeChat about the refunds under way; return how many have ended by now.

    A job; call it outside transactions.
    """
    due = refunds_to_query(at).values_list("pk", flat=True)
    return sum([_query(pk, at) for pk in list(due[:QUERY_BATCH])])


def _query(pk: int, at: datetime) -> bool:
    """Ask about one refund, unless another worker does."""
    refund = Refund.objects.get(pk=pk)
    mine = Refund.objects.filter(pk=pk, status__in=UNDER_WAY, next_query_at=refund.next_query_at)
    next_at = next_refund_query(queries=refund.queries + 1, at=at)
    if not mine.update(next_query_at=next_at, queries=refund.queries + 1):
        return False
    try:
        return ask_wechat(refund_id=pk, at=at) in {REFUNDED, CLOSED}
    except WechatError as error:
        logger.warning("query of refund %s: %s", refund.out_refund_no, error)
        return False


def ask_wechat(*, refund_id: int, at: datetime) -> str:
    """Ask WeChat about a refund and act on it; send it again when WeChat does not know it.

    Call it outside transactions. Raises WechatError.
    """
    number = Refund.objects.values_list("out_refund_no", flat=True).get(pk=refund_id)
    try:
        state = pay().query_refund(number)
    except WechatNotFound:
        return send_refund(refund_id=refund_id, at=at)
    return finish_refund(state=state, at=at)


def close_refund(*, refund_id: int, why: str, by: Actor, at: datetime) -> Refund:
    """Give up a refund that WeChat keeps refusing, so that it can be made in another way.

    Only when it was not sent for an hour and WeChat does not know its number; call it outside
    transactions. Raises RefundMayBeUnderWay.
    """
    refund = Refund.objects.get(pk=refund_id)
    if refund.channel == Refund.Channel.WECHAT:
        _make_sure_unknown(refund, at)
    with transaction.atomic():
        order = Order.objects.select_for_update().get(pk=refund.order_id)
        now = Refund.objects.select_for_update().get(pk=refund_id)
        if now.status != Refund.Status.APPROVED or now.sent_at != refund.sent_at:
            raise RefundMayBeUnderWay
        book_closed(order=order, refund=now, by=by, at=at, why=why)
        audit.record(by=by, action="refund.close", target=now, reason=why, at=at)
    return now


def _make_sure_unknown(refund: Refund, at: datetime) -> None:
    """Raise RefundMayBeUnderWay unless WeChat certainly has not taken this refund."""
    if refund.sent_at is not None and at < refund.sent_at + SETTLED_AFTER:
        raise RefundMayBeUnderWay
    try:
        state = pay().query_refund(refund.out_refund_no)
    except WechatNotFound:
        return
    except WechatError:
        raise RefundMayBeUnderWay from None
    finish_refund(state=state, at=at)
    raise RefundMayBeUnderWay
