"""Payments: opened under a committed number, prepaid over HTTP, confirmed once."""

from __future__ import annotations

import logging
from datetime import datetime, timedelta
from typing import NoReturn

from django.conf import settings
from django.db import transaction

from distro.facts import tell
from distro.states import advance
from distro.wechat.errors import WechatError, WechatNotFound, WechatRefused, WechatUnknown
from distro.wechat.pay import Prepay, pay
from distro.wechat.states import PaymentState
from orders import signals
from orders.errors import (
    AlreadyPaid,
    NoOpenid,
    NotPayable,
    PaymentClosed,
    PaymentRefused,
    PayTooLate,
    WechatSilent,
)
from orders.models import Order, Payment
from orders.rules import Paid, happened_at, next_payment_query, payable_until, payment_fault
from orders.selectors import payments_to_query
from orders.services.numbers import new_number
from orders.services.refunding import WECHAT, refund_late_payment

logger = logging.getLogger(__name__)

CURRENCY = "CNY"
PREPAY_VALID = timedelta(minutes=110)  # WeChat says two hours
NUMBER_IS_DEAD = {"ORDERPAID", "ORDER_CLOSED", "OUT_TRADE_NO_USED"}
CLOSED_STATES = {"CLOSED", "REVOKED"}
TRANSACTION_CHARS = 64
QUERY_BATCH = 100

# What confirm_payment() answers when all is well; any other outcome is an alarm.
PAID, ALREADY_PAID, LATE = "paid", "already_paid", "late"
GOOD = {PAID, ALREADY_PAID, LATE}


# --- Opening --------------------------------------------------------------------------------


def open_payment(*, order_id: int, openid: str | None, at: datetime) -> Payment:
    """Return the order's open payment, made and committed before WeChat hears of it.

    As long as it is open, every try goes out under its number with the same content.
    Raises NoOpenid, NotPayable, PayTooLate.
    """
    if not openid:
        raise NoOpenid
    with transaction.atomic():
        order = Order.objects.select_for_update().get(pk=order_id)
        if order.status != Order.Status.PLACED:
            raise NotPayable
        if order.pay_before is None or order.pay_before <= at:
            raise PayTooLate
        found = order.payments.filter(status=Payment.Status.OPEN).first()
        if found is not None:
            return found
        expires_at = payable_until(pay_before=order.pay_before, at=at)
        return Payment.objects.create(
            order=order,
            channel=Payment.Channel.WECHAT,
            out_trade_no=new_number("P", at=at),
            openid=openid,
            amount_fen=order.paid_fen,
            created_at=at,
            expires_at=expires_at,
            next_query_at=next_payment_query(created_at=at, expires_at=expires_at, at=at),
        )


def prepay(*, payment_id: int, at: datetime) -> dict[str, str]:
    """Return what the mini-program hands to wx.requestPayment; call it outside transactions.

    Raises NotPayable, AlreadyPaid, PaymentClosed, PaymentRefused, WechatSilent.
    """
    payment = Payment.objects.select_related("order").get(pk=payment_id)
    if payment.status != Payment.Status.OPEN:
        raise NotPayable
    client = pay()
    if payment.prepay_id and at < payment.created_at + PREPAY_VALID:
        return client.client_params(payment.prepay_id)
    try:
        prepay_id = client.prepay(_request_of(payment))
    except WechatUnknown:
        raise WechatSilent from None
    except (WechatRefused, WechatNotFound) as error:
        _explain_refusal(payment, error, at)
    Payment.objects.filter(pk=payment.pk).update(prepay_id=prepay_id)
    return client.client_params(prepay_id)


def _request_of(payment: Payment) -> Prepay:
    """Return the same content whenever it is asked for."""
    assert payment.expires_at is not None
    return Prepay(
        out_trade_no=payment.out_trade_no,
        description=f"订单 {payment.order.number}",
        amount_fen=payment.amount_fen,
        openid=payment.openid,
        expires_at=payment.expires_at,
        notify_url=f"{settings.WECHAT_NOTIFY_BASE}/api/v1/wechat/pay/notify",
    )


def _explain_refusal(payment: Payment, error: WechatError, at: datetime) -> NoReturn:
    """Raise the refusal behind WeChat's; a number that is used up is asked about first."""
    if error.code not in NUMBER_IS_DEAD:
        logger.error("prepay %s refused: %s", payment.out_trade_no, error.code)
        raise PaymentRefused(reason=error.code) from None
    try:
        outcome = ask_wechat(out_trade_no=payment.out_trade_no, at=at)
    except WechatError:
        raise WechatSilent from None
    raise (AlreadyPaid if outcome in GOOD else PaymentClosed) from None


# --- Confirming -----------------------------------------------------------------------------


def confirm_payment(*, state: PaymentState, at: datetime) -> str:
    """Believe what WeChat says of a payment, once, and return what came of it.

    "paid": the order is paid now. "already_paid": a repetition. "late": the order had been
    cancelled or paid otherwise, the money goes back by itself. Everything else marks nothing
    and raises an alarm: "unknown_payment", "not_paid", "wrong_amount", "wrong_currency",
    "wrong_payer", "wrong_transaction", "reused_transaction", "other_transaction".
    """
    with transaction.atomic():
        outcome = _confirm(state, at)
    if outcome not in GOOD:
        logger.error("ALARM payment %s not accepted: %s", state.out_trade_no, outcome)
    return outcome


def _confirm(state: PaymentState, at: datetime) -> str:
    ours = Payment.objects.filter(out_trade_no=state.out_trade_no, channel=Payment.Channel.WECHAT)
    order_id = ours.values_list("order_id", flat=True).first()
    if order_id is None:
        return "unknown_payment"
    order = Order.objects.select_for_update().get(pk=order_id)
    payment = ours.select_for_update().get()
    if fault := _fault(state, payment):
        return fault
    if payment.status == Payment.Status.SUCCEEDED:
        return ALREADY_PAID
    return _mark_paid(order, payment, state, at)


def _fault(state: PaymentState, payment: Payment) -> str:
    """Return why this is not the payment we wait for, or have; "" when it is."""
    if not state.paid:
        return "not_paid"
    said = Paid(state.amount_fen, state.currency, state.payer_openid)
    due = Paid(payment.amount_fen, CURRENCY, payment.openid)
    if fault := payment_fault(said=said, due=due):
        return fault
    if not 0 < len(state.transaction_id) <= TRANSACTION_CHARS:
        return "wrong_transaction"
    if payment.transaction_id not in (None, state.transaction_id):
        return "other_transaction"
    others = Payment.objects.filter(transaction_id=state.transaction_id).exclude(pk=payment.pk)
    return "reused_transaction" if others.exists() else ""


def _mark_paid(order: Order, payment: Payment, state: PaymentState, at: datetime) -> str:
    paid_at = happened_at(told=state.success_time, not_before=order.placed_at, now=at)
    advance(
        payment,
        Payment.Status.SUCCEEDED,
        by=WECHAT,
        at=at,
        transaction_id=state.transaction_id,
        succeeded_at=paid_at,
        next_query_at=None,
    )
    if order.status != Order.Status.PLACED:
        refund_late_payment(order=order, payment=payment, at=at)
        return LATE
    _pay_order(order, paid_at, at)
    return PAID


def pay_nothing(*, order: Order, at: datetime) -> None:
    """Pay an order of 0.00, for which WeChat takes no payment; in the caller's transaction."""
    assert order.paid_fen == 0
    payment = Payment.objects.create(
        order=order,
        channel=Payment.Channel.NONE,
        out_trade_no=new_number("P", at=at),
        amount_fen=0,
        created_at=at,
    )
    advance(payment, Payment.Status.SUCCEEDED, by=order.member.actor, at=at, succeeded_at=at)
    _pay_order(order, at, at)


def _pay_order(order: Order, paid_at: datetime, at: datetime) -> None:
    advance(order, Order.Status.PAID, by=WECHAT, at=at, paid_at=paid_at)
    tell(signals.order_paid, order_id=order.pk, member_id=order.member_id)


# --- Asking WeChat --------------------------------------------------------------------------


def ask_wechat(*, out_trade_no: str, at: datetime) -> str:
    """Ask WeChat about a payment and act on it; call it outside transactions.

    Returns the outcome of confirm_payment(), else WeChat's state in lower case. Raises
    WechatError.
    """
    state = pay().query(out_trade_no)
    if state.paid:
        outcome = confirm_payment(state=state, at=at)
        if outcome == PAID and state.trade_state != "SUCCESS":
            logger.error("ALARM payment %s was refunded without us", out_trade_no)
        return outcome
    if state.trade_state in CLOSED_STATES:
        close_payment(out_trade_no=out_trade_no, at=at)
    return state.trade_state.lower()


def close_payment(*, out_trade_no: str, at: datetime) -> None:
    """Note that nobody can pay any more under this number."""
    with transaction.atomic():
        payment = Payment.objects.get(out_trade_no=out_trade_no)
        Order.objects.select_for_update().get(pk=payment.order_id)
        payment = Payment.objects.select_for_update().get(pk=payment.pk)
        if payment.status == Payment.Status.OPEN:
            end_payment(payment, at=at)


def end_payment(payment: Payment, *, at: datetime) -> None:
    """Close an open payment whose order is locked."""
    closed = Payment.Status.CLOSED
    advance(payment, closed, by=WECHAT, at=at, closed_at=at, next_query_at=None)


def sync_order(*, order_id: int, at: datetime) -> None:
    """Ask WeChat about an order's open payment, because the buyer says that he has paid.

    Raises WechatSilent.
    """
    payment = Payment.objects.filter(order=order_id, status=Payment.Status.OPEN).first()
    if payment is None:
        return
    try:
        ask_wechat(out_trade_no=payment.out_trade_no, at=at)
    except WechatNotFound:
        logger.info("payment %s is not known to WeChat", payment.out_trade_no)
    except WechatError:
        raise WechatSilent from None


def query_payments(*, at: datetime) -> int:
    """Ask WeChat about payments that it has not told us of; return how many were paid.

    A job; call it outside transactions.
    """
    due = payments_to_query(at).values_list("pk", flat=True)
    return sum([_query(pk, at) for pk in list(due[:QUERY_BATCH])])


def _query(pk: int, at: datetime) -> bool:
    """Ask about one payment, unless another worker does."""
    payment = Payment.objects.get(pk=pk)
    expires_at = payment.expires_at or at
    next_at = next_payment_query(created_at=payment.created_at, expires_at=expires_at, at=at)
    mine = Payment.objects.filter(
        pk=pk, status=Payment.Status.OPEN, next_query_at=payment.next_query_at
    )
    if not mine.update(next_query_at=next_at, queries=payment.queries + 1):
        return False
    try:
        return ask_wechat(out_trade_no=payment.out_trade_no, at=at) in GOOD
    except WechatError as error:
        logger.warning("query of payment %s: %s", payment.out_trade_no, error)
        return False
