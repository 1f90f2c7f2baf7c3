"""What people buy in the demo shop, and what becomes of it."""

from __future__ import annotations

from datetime import datetime, timedelta
from functools import partial

from analytics.demo.world import Customer, World
from analytics.services.events import Told, take_events
from distro.actors import Actor
from orders.models import Order, Refund, Sku
from orders.rules import Item, RefundItem
from orders.services.paying import open_payment
from orders.services.placing import Address, place_order
from orders.services.refunds import (
    approve_refund,
    reject_refund,
    request_refund,
    withdraw_refund,
)
from orders.services.shipping import complete_order, ship_order

CARRIERS = (("顺丰速运", "SF"), ("中通快递", "ZTO"), ("圆通速递", "YT"), ("京东物流", "JDX"))
REASONS = ("不想要了", "尺寸不合适", "包装破损", "买多了", "与描述不符")
SIZES, SIZE_WEIGHTS = (1, 2, 3), (76, 18, 6)  # different goods in an order
PIECES, PIECE_WEIGHTS = (1, 2, 3), (85, 12, 3)
NEWCOMERS = 120  # who joined last and buy most of all
BROWSED = 0.15  # of the orders; of the others the mini-program told nothing
FORGOTTEN = 0.03  # orders that nobody pays
LEFT = (1.0, 0.4, 1.0, 0.2, 1.0)  # of the newest orders: what is asked back at the end
RECEIPT_TAPPED = 0.93  # of the buyers; the others' orders complete by themselves
# Share of the paid orders -> what becomes of them; the rest is kept.
BEFORE_SHIPPING, WHOLE, PART, GOODWILL, REFUSED, TAKEN_BACK = (
    0.014,
    0.012,
    0.02,
    0.005,
    0.004,
    0.003,
)


def buy(world: World, over_http: bool, at: datetime) -> None:
    """Let a customer place an order, which he pays in some minutes."""
    customer = _buyer(world)
    items, goods_fen = _cart(world)
    if world.chance(BROWSED):
        browse(world, customer, items, at)
    order = place_order(
        member_id=customer.member.pk,
        items=items,
        coupon=_coupon(world, customer, goods_fen, at),
        address=Address(customer.someone.name, customer.someone.phone, customer.someone.address),
        at=at,
    )
    world.orders += 1
    world.moved()
    later = min(at + timedelta(minutes=world.rng.uniform(0.3, 9)), world.end)
    world.agenda.note(later, partial(pay, world, customer, order, over_http))


def browse(world: World, customer: Customer, items: list[Item], at: datetime) -> None:
    """Let the mini-program tell what a buyer looked at before he ordered."""
    steps = ["session_start", "page_view", *["product_view"] * (1 + len(items)), "add_to_cart"]
    told = {
        place: Told(
            client_event_id=f"{world.rng.getrandbits(64):x}",
            name=name,
            occurred_at=at - timedelta(seconds=40 * (len(steps) - place)),
            channel="chat",
        )
        for place, name in enumerate([*steps, "checkout_start"])
    }
    take_events(member_id=customer.member.pk, events=told, at=at)


def forget(world: World, at: datetime) -> None:
    """Let somebody place an order that nobody pays."""
    customer = _buyer(world)
    someone = customer.someone
    items, _ = _cart(world)
    address = Address(someone.name, someone.phone, someone.address)
    place_order(member_id=customer.member.pk, items=items, coupon="", address=address, at=at)


def _buyer(world: World) -> Customer:
    """Choose somebody, mostly one who has just come."""
    newest = world.customers[-NEWCOMERS:]
    return world.rng.choice(newest if world.chance(0.6) else world.customers)


def _cart(world: World) -> tuple[list[Item], int]:
    """Choose different goods; return them and their price."""
    rng, skus = world.rng, world.shop.skus
    count = rng.choices(SIZES, SIZE_WEIGHTS)[0]
    popular = sorted(rng.sample(range(len(skus)), 2 * count))[:count]  # the first ones sell more
    chosen: list[tuple[Sku, int]] = [
        (skus[place], rng.choices(PIECES, PIECE_WEIGHTS)[0]) for place in popular
    ]
    items = [Item(sku.pk, pieces) for sku, pieces in chosen]
    return items, sum(sku.price_fen * pieces for sku, pieces in chosen)


def _coupon(world: World, customer: Customer, goods_fen: int, at: datetime) -> str:
    """Use up a coupon that fits."""
    for coupon in customer.coupons:
        fits = goods_fen >= coupon.template.threshold_fen and at < coupon.valid_until
        if fits and world.chance(0.8):
            customer.coupons.remove(coupon)
            return coupon.code
    return ""


# --- After the order ------------------------------------------------------------------------


def pay(world: World, customer: Customer, order: Order, over_http: bool, at: datetime) -> None:
    """Pay, and decide what becomes of the order."""
    payment = open_payment(order_id=order.pk, openid=customer.member.openid, at=at)
    (world.wechat.pay_over_http if over_http else world.wechat.pay)(payment, at)
    if over_http:
        return  # stays to be shipped
    if world.chance(BEFORE_SHIPPING):
        then = partial(ask_back, world, customer, order, 1.0, "approve")
        world.agenda.note(world.soon(at, 0.5, 3), then)
    else:
        world.agenda.note(world.soon(at, 4, 34), partial(ship, world, customer, order))


def ship(world: World, customer: Customer, order: Order, at: datetime) -> None:
    """Send the goods."""
    company, prefix = world.rng.choice(CARRIERS)
    number = f"{prefix}{world.rng.randrange(10**11, 10**12)}"
    by = world.shop.operator
    ship_order(order_id=order.pk, company=company, tracking_no=number, by=by, at=at)
    if world.chance(RECEIPT_TAPPED):
        when = world.soon(at, 30, 110)
        world.agenda.note(when, partial(receive, world, customer, order))


def receive(world: World, customer: Customer, order: Order, at: datetime) -> None:
    """Confirm the receipt; some want their money back."""
    complete_order(order_id=order.pk, by=customer.member.actor, at=at)
    fate = world.rng.random()
    for share, portion, decision, hours in (
        (WHOLE, 1.0, "approve", (10, 140)),
        (PART, 0.4, "approve", (10, 140)),
        (GOODWILL, 0.3, "goodwill", (24 * 17, 24 * 24)),
        (REFUSED, 1.0, "reject", (10, 140)),
        (TAKEN_BACK, 1.0, "withdraw", (10, 140)),
    ):
        if fate < share and (decision == "goodwill" or _may_return(order)):
            then = partial(ask_back, world, customer, order, portion, decision)
            world.agenda.note(world.soon(at, *hours), then)
            return
        fate -= share


def _may_return(order: Order) -> bool:
    return not order.lines.filter(sku__product__returnable=False).exists()


def ask_back(
    world: World, customer: Customer, order: Order, portion: float, decision: str, at: datetime
) -> None:
    """Ask for a refund of all, or of a part of the first line."""
    by: Actor = world.shop.support if decision == "goodwill" else customer.member.actor
    items, freight_fen = _share_of(order, portion)
    refund = request_refund(
        order_id=order.pk, lines=items, freight_fen=freight_fen,
        reason=world.rng.choice(REASONS), by=by, at=at,
    )  # fmt: skip
    world.agenda.note(world.soon(at, 1, 22), partial(decide, world, customer, refund, decision))


def _share_of(order: Order, portion: float) -> tuple[list[RefundItem], int]:
    lines = list(order.lines.order_by("line_no"))
    if portion == 1.0:
        rest = [RefundItem(line.pk, line.quantity, line.paid_fen) for line in lines]
        return [item for item in rest if item.amount_fen], order.freight_fen
    amount = max(1, int(lines[0].paid_fen * portion))
    return [RefundItem(lines[0].pk, 0, amount)], 0


def decide(world: World, customer: Customer, refund: Refund, decision: str, at: datetime) -> None:
    """Approve, reject or take back a refund that was asked for."""
    by = world.shop.operator
    if decision == "reject":
        reason = "已超出可退范围，详见客服说明"
        reject_refund(refund_id=refund.pk, reason=reason, by=by, at=at)
    elif decision == "withdraw":
        withdraw_refund(refund_id=refund.pk, by=customer.member.actor, at=at)
    else:
        approve_refund(refund_id=refund.pk, by=by, at=at)


# --- The last evening -----------------------------------------------------------------------


def leave_open(world: World, at: datetime) -> None:
    """Leave refunds to be decided and orders to be paid, for the queues to show."""
    paid = Order.objects.filter(status=Order.Status.PAID, paid_fen__gt=0).order_by("-pk")
    for order, portion in zip(paid.select_related("member"), LEFT):
        items, freight_fen = _share_of(order, portion)
        request_refund(
            order_id=order.pk, lines=items, freight_fen=freight_fen,
            reason=world.rng.choice(REASONS), by=order.member.actor, at=at,
        )  # fmt: skip
    for _ in range(2):
        forget(world, at)
