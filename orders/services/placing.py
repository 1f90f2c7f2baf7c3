"""Orders begin and, unpaid, end: the price and the attribution are fixed here."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import transaction

from distro.actors import SYSTEM, Actor
from distro.errors import DomainError, StillRunning
from distro.facts import tell
from distro.states import advance
from distro.wechat.errors import WechatError, WechatNotFound, WechatRefused
from distro.wechat.pay import pay
from orders import signals
from orders.errors import AlreadyPaid, NotCancellable, WechatSilent
from orders.models import Order, OrderLine, Payment
from orders.rules import Item
from orders.selectors import shop_policy_at, unpaid_orders
from orders.services import stock
from orders.services.numbers import new_number
from orders.services.paying import ask_wechat, end_payment, pay_nothing
from orders.services.pricing import Quote, quote
from referrals.selectors import attribution_of

logger = logging.getLogger(__name__)

TIMEOUT = "timeout"  # the reason of an order that ended by itself
EXPIRE_BATCH = 200
SILENT_MAX = 5  # after so many orders without an answer the run gives up


@dataclass(frozen=True)
class Address:
    """Where the goods go."""

    receiver: str
    phone: str
    address: str


# --- Placing --------------------------------------------------------------------------------


@transaction.atomic
def place_order(
    *, member_id: int, items: Sequence[Item], coupon: str, address: Address, at: datetime
) -> Order:
    """Place an order at today's prices, take its stock and fix whom it is attributed to.

    An order of 0.00 is paid at once. Raises the refusals of quote() and claim(), OutOfStock.
    """
    priced = quote(member_id=member_id, items=items, coupon=coupon, at=at)
    order = _create(member_id, priced, address, at)
    for claim in priced.claims:
        claim.rule.claim(claim=claim.claim, order_id=order.pk, at=at)
    stock.take({line.sku.pk: line.quantity for line in priced.lines})
    tell(signals.order_placed, order_id=order.pk, member_id=member_id)
    if order.paid_fen == 0:
        pay_nothing(order=order, at=at)
    return order


def _create(member_id: int, priced: Quote, address: Address, at: datetime) -> Order:
    chain = attribution_of(member_id, at=at)
    attributed = chain.promoter_1 is not None
    order = Order.objects.create(
        number=new_number("D", at=at),
        member_id=member_id,
        goods_fen=priced.goods_fen,
        discount_fen=priced.discount_fen,
        freight_fen=priced.freight_fen,
        paid_fen=priced.paid_fen,
        promoter_1_id=chain.promoter_1,
        promoter_2_id=chain.promoter_2 if attributed else None,
        promoter_3_id=chain.promoter_3 if attributed else None,
        binding_id=chain.binding_id if attributed else None,
        receiver=address.receiver,
        phone=address.phone,
        address=address.address,
        placed_at=at,
        pay_before=at + timedelta(minutes=shop_policy_at(at).pay_minutes),
    )
    OrderLine.objects.bulk_create(
        OrderLine(
            order=order,
            line_no=line_no,
            sku=line.sku,
            sku_code=line.sku.code,
            title=str(line.sku),
            quantity=line.quantity,
            price_fen=line.sku.price_fen,
            goods_fen=line.goods_fen,
            discount_fen=line.discount_fen,
            paid_fen=line.paid_fen,
            cost_fen=line.sku.cost_fen * line.quantity,
        )
        for line_no, line in enumerate(priced.lines, start=1)
    )
    return order


# --- Ending unpaid --------------------------------------------------------------------------


def cancel_order(*, order_id: int, by: Actor, why: str, at: datetime) -> Order:
    """End an unpaid order: first at WeChat, so that nobody can pay it, then here.

    Call it outside transactions. Raises NotCancellable, AlreadyPaid (then the payment was
    confirmed), WechatSilent (then nothing was decided), StillRunning.
    """
    if Order.objects.get(pk=order_id).status != Order.Status.PLACED:
        raise NotCancellable
    waiting = Payment.objects.filter(order=order_id, status=Payment.Status.OPEN)
    numbers = set(waiting.values_list("out_trade_no", flat=True))
    for number in numbers:
        _close_at_wechat(number, at)
    with transaction.atomic():
        order = Order.objects.select_for_update().get(pk=order_id)
        if order.status != Order.Status.PLACED:
            raise NotCancellable
        for payment in waiting.select_for_update():
            if payment.out_trade_no not in numbers:
                raise StillRunning  # the buyer has just begun to pay
            end_payment(payment, at=at)
        advance(order, Order.Status.CANCELLED, by=by, at=at, why=why, cancelled_at=at)
        stock.give_back({line.sku_id: line.quantity for line in order.lines.all()})
        tell(signals.order_cancelled, order_id=order.pk, member_id=order.member_id)
    return order


def _close_at_wechat(number: str, at: datetime) -> None:
    """Make WeChat take no money under this number; confirm it when it already has."""
    try:
        pay().close(number)
    except WechatNotFound:
        return  # it never came to be
    except WechatRefused as error:
        if error.code == "ORDER_CLOSED":
            return
        _confirm_paid(number, at)
    except WechatError:
        raise WechatSilent from None


def _confirm_paid(number: str, at: datetime) -> None:
    """Raise AlreadyPaid after confirming the payment; return when WeChat has it closed."""
    try:
        outcome = ask_wechat(out_trade_no=number, at=at)
    except WechatError:
        raise WechatSilent from None
    if outcome in {"closed", "revoked"}:
        return
    raise WechatSilent if outcome in {"notpay", "userpaying", "payerror"} else AlreadyPaid


def expire_orders(*, at: datetime) -> int:
    """Cancel the orders that were not paid in time; return how many.

    A job; call it outside transactions. What WeChat gives no answer about waits for the next run.
    """
    ended = silent = 0
    for order_id in list(unpaid_orders(at).values_list("pk", flat=True)[:EXPIRE_BATCH]):
        try:
            cancel_order(order_id=order_id, by=SYSTEM, why=TIMEOUT, at=at)
        except WechatSilent:
            silent += 1
        except DomainError as refusal:
            logger.info("order %s does not expire: %s", order_id, refusal.code)
        else:
            ended += 1
        if silent >= SILENT_MAX:
            break
    return ended
