"""Refunds as people decide them: asked for, approved, rejected, withdrawn, done by hand."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from django.db import transaction
from django.db.models import F

from distro import audit, outbox
from distro.actors import Actor
from distro.errors import NotAllowed
from distro.locks import require_transaction
from distro.states import advance
from orders.errors import MissingText, NotOffline, NotRefundable, NotReturnable, RefundTooLate
from orders.models import Order, OrderLine, Payment, Refund, RefundLine
from orders.rules import (
    RefundItem,
    check_refund,
    matures_at,
    next_refund_query,
    refundable_by_wechat,
)
from orders.selectors import approval_room, refund_room, shop_policy_at
from orders.services.numbers import new_number
from orders.services.refunding import book_success

REASON_CHARS = 80
DECISION_CHARS = 200
REFUNDABLE = {Order.Status.PAID, Order.Status.SHIPPED, Order.Status.COMPLETED}


@transaction.atomic
def request_refund(
    *,
    order_id: int,
    lines: Sequence[RefundItem],
    freight_fen: int,
    reason: str,
    by: Actor,
    at: datetime,
    offline: bool = False,
) -> Refund:
    """Ask for goods money back per line, and for freight; nothing is reserved yet.

    What other open refunds of the order ask for counts as taken. offline: the shop pays outside
    WeChat Pay; so it does anyway where WeChat did not take the payment or takes no refund.
    Raises NotRefundable, RefundTooLate, NotReturnable and the refusals of check_refund().
    """
    _check_text(reason, REASON_CHARS, field="reason")
    order = Order.objects.select_for_update().get(pk=order_id)
    if order.status not in REFUNDABLE:
        raise NotRefundable
    if by.kind == "member":
        _check_rights(order, lines, at)
    room, freight_room = refund_room(order)
    check_refund(items=lines, freight_fen=freight_fen, room=room, freight_room_fen=freight_room)
    payment = _payment_of(order)
    refund = Refund.objects.create(
        order=order,
        payment=payment,
        channel=Refund.Channel.OFFLINE if offline else _channel(payment, at),
        out_refund_no=new_number("R", at=at),
        goods_fen=sum(item.amount_fen for item in lines),
        freight_fen=freight_fen,
        reason=reason.strip(),
        requested_at=at,
    )
    RefundLine.objects.bulk_create(
        RefundLine(
            refund=refund, line_id=item.line_id, quantity=item.quantity, amount_fen=item.amount_fen
        )
        for item in lines
    )
    return refund


@transaction.atomic
def approve_refund(*, refund_id: int, by: Actor, at: datetime) -> Refund:
    """Approve a refund: reserve its amounts and let it be sent.

    Raises IllegalTransition, NotRefundable, RefundTooHigh.
    """
    order, refund = lock_refund(refund_id)
    if refund.status == Refund.Status.REQUESTED and order.status not in REFUNDABLE:
        raise NotRefundable
    advance(
        refund,
        Refund.Status.APPROVED,
        by=by,
        at=at,
        approved_at=at,
        next_query_at=next_refund_query(queries=0, at=at),
    )
    _reserve(order, refund)
    if refund.channel == Refund.Channel.WECHAT:
        outbox.put("refund", f"refund:{refund.pk}", {"refund_id": refund.pk})
    audit.record(by=by, action="refund.approve", target=refund, at=at)
    return refund


@transaction.atomic
def reject_refund(*, refund_id: int, reason: str, by: Actor, at: datetime) -> Refund:
    """Refuse a refund, with a reason that the buyer reads. Raises IllegalTransition."""
    _check_text(reason, DECISION_CHARS, field="reason")
    _, refund = lock_refund(refund_id)
    advance(refund, Refund.Status.REJECTED, by=by, at=at, why=reason, decision=reason.strip())
    audit.record(by=by, action="refund.reject", target=refund, reason=reason, at=at)
    return refund


@transaction.atomic
def withdraw_refund(*, refund_id: int, by: Actor, at: datetime) -> Refund:
    """Take back a request that nobody has decided. Raises NotAllowed, IllegalTransition."""
    order, refund = lock_refund(refund_id)
    if by.kind == "member" and by.id != order.member_id:
        raise NotAllowed
    advance(refund, Refund.Status.WITHDRAWN, by=by, at=at)
    return refund


@transaction.atomic
def record_offline_refund(*, refund_id: int, note: str, by: Actor, at: datetime) -> Refund:
    """Note that the shop has paid an approved refund by another way than WeChat Pay.

    note: how and under which number. Raises NotOffline, IllegalTransition.
    """
    _check_text(note, DECISION_CHARS, field="note")
    order, refund = lock_refund(refund_id)
    if refund.channel != Refund.Channel.OFFLINE:
        raise NotOffline
    book_success(order=order, refund=refund, succeeded_at=at, by=by, at=at, decision=note.strip())
    audit.record(by=by, action="refund.record", target=refund, reason=note, at=at)
    return refund


def lock_refund(refund_id: int) -> tuple[Order, Refund]:
    """Lock a refund after its order."""
    require_transaction("lock_refund()")
    order_id = Refund.objects.values_list("order_id", flat=True).get(pk=refund_id)
    order = Order.objects.select_for_update().get(pk=order_id)
    return order, Refund.objects.select_for_update().get(pk=refund_id)


def _check_text(text: str, maximum: int, *, field: str) -> None:
    if not 0 < len(text.strip()) <= maximum:
        raise MissingText(field=field, maximum=maximum)


def _check_rights(order: Order, items: Sequence[RefundItem], at: datetime) -> None:
    """Refuse what a buyer has no right to; staff may give more than the right."""
    lines = list(order.lines.select_related("sku__product"))
    if order.completed_at is not None:
        end = matures_at(
            completed_at=order.completed_at,
            return_days=shop_policy_at(order.completed_at).return_days,
            returnable=[line.sku.product.returnable for line in lines],
        )
        if at >= end:
            raise RefundTooLate
    asked = {item.line_id for item in items}
    for line in lines:
        if order.shipped_at and line.pk in asked and not line.sku.product.returnable:
            raise NotReturnable(field="lines", title=line.title)


def _payment_of(order: Order) -> Payment | None:
    """Return the payment that paid the order; one that came too late has its own refund."""
    paid = order.payments.filter(status=Payment.Status.SUCCEEDED)
    return paid.exclude(refunds__kind=Refund.Kind.LATE_PAYMENT).order_by("pk").first()


def _channel(payment: Payment | None, at: datetime) -> str:
    if payment is None or payment.channel != Payment.Channel.WECHAT:
        return Refund.Channel.OFFLINE
    refunds = payment.refunds.filter(channel=Refund.Channel.WECHAT).count()
    paid_at = payment.succeeded_at or payment.created_at
    taken = refundable_by_wechat(paid_at=paid_at, refunds=refunds, at=at)
    return Refund.Channel.WECHAT if taken else Refund.Channel.OFFLINE


def _reserve(order: Order, refund: Refund) -> None:
    """Reserve the amounts under the order's lock; refuse what has no room any more."""
    rows = list(refund.lines.order_by("line_id"))
    items = [RefundItem(row.line_id, row.quantity, row.amount_fen) for row in rows]
    room, freight_room = approval_room(refund)
    check_refund(
        items=items, freight_fen=refund.freight_fen, room=room, freight_room_fen=freight_room
    )
    for item in items:
        line = OrderLine.objects.filter(pk=item.line_id)
        line.update(reserved_fen=F("reserved_fen") + item.amount_fen)
    mine = Order.objects.filter(pk=order.pk)
    mine.update(freight_reserved_fen=F("freight_reserved_fen") + refund.freight_fen)
