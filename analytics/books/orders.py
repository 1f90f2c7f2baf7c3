"""Orders, payments, refunds and coupons: amounts agree wherever they stand twice."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from django.db.models import Count, Exists, F, Model, OuterRef, Q, Subquery

from analytics.books.comparing import differ, each, sums
from campaigns.models import Campaign, Coupon, CouponTemplate, Reward
from commissions.models import Withdrawal
from distro.models import StateChange
from orders.models import Order, OrderLine, Payment, Refund, RefundLine
from orders.selectors import PAID

DONE, UNDER_WAY = Refund.Status.SUCCEEDED, Refund.RESERVED


def orders_are_their_lines() -> Iterator[str]:
    """An order's goods, discount and refunds are the sums of its lines."""
    lines = OrderLine.objects.all()
    for column in ("goods_fen", "discount_fen"):
        found = sums(Order.objects.all(), "pk", column)
        yield from differ(f"{column} of order", found, sums(lines, "order_id", column))
    back = sums(lines.filter(refunded_fen__gt=0), "order_id", "refunded_fen")
    found = sums(Order.objects.all(), "pk", "refunded_fen", "freight_refunded_fen")
    yield from differ("goods refunded of order", found, back)
    counted = OrderLine.objects.exclude(order__source=Order.Source.IMPORT)
    wrong = counted.exclude(goods_fen=F("price_fen") * F("quantity"))
    yield from each("goods are not price by quantity", wrong)


def orders_were_paid_once() -> Iterator[str]:
    """An order is paid by exactly one payment of its amount, an unpaid one by none."""
    late = Refund.objects.filter(payment=OuterRef("pk"), kind=Refund.Kind.LATE_PAYMENT)
    payments = Payment.objects.filter(~Exists(late), status=Payment.Status.SUCCEEDED)
    paid = Order.objects.filter(paid_at__isnull=False)
    yield from differ(
        "paid for order", sums(payments, "order_id", "amount_fen"), sums(paid, "pk", "paid_fen")
    )
    ones = payments.filter(order=OuterRef("pk"))
    yield from each("paid without a payment", paid.filter(~Exists(ones)))
    twice = payments.values("order").annotate(rows=Count("pk")).filter(rows__gt=1)
    yield from (f"paid twice: order {row['order']}" for row in twice)


def orders_are_where_their_times_say() -> Iterator[str]:
    """The times of an order say what its status does."""
    rows = Order.objects.all()
    yield from each("paid or not", rows.filter(status__in=PAID, paid_at=None))
    yield from each("paid or not", rows.exclude(status__in=PAID).exclude(paid_at=None))
    whole = Q(paid_fen__gt=0, refunded_fen=F("paid_fen"))
    refunded = Order.Status.REFUNDED
    yield from each("refunded whole or not", rows.filter(whole).exclude(status=refunded))
    yield from each("refunded whole or not", rows.filter(~whole, status=refunded))
    early = Q(matured_at__lt=F("completed_at")) | Q(matured_at__isnull=False, completed_at=None)
    yield from each("matured before it was received", rows.filter(early))
    backwards = Q(paid_at__lt=F("placed_at")) | Q(completed_at__lt=F("paid_at"))
    yield from each("times run backwards", rows.filter(backwards))


def attributions_are_their_bindings() -> Iterator[str]:
    """An order names the promoter of its binding, and the binding its buyer."""
    rows = Order.objects.filter(promoter_1__isnull=False)
    wrong = ~Q(binding__promoter=F("promoter_1")) | ~Q(binding__member=F("member"))
    yield from each("not the promoter of its binding", rows.filter(wrong))


def refunds_are_on_their_orders() -> Iterator[str]:
    """What orders and lines show as refunded and reserved is what their refunds say."""
    ours = Q(refund__kind=Refund.Kind.AFTER_SALE)
    done = RefundLine.objects.filter(ours, refund__status=DONE)
    lines = OrderLine.objects.filter(Q(refunded_fen__gt=0) | Q(reserved_fen__gt=0))
    found = sums(lines, "pk", "refunded_fen")
    yield from differ("refunded of line", found, sums(done, "line_id", "amount_fen"))
    waiting = RefundLine.objects.filter(ours, refund__status__in=UNDER_WAY)
    reserved = sums(waiting, "line_id", "amount_fen")
    yield from differ("reserved of line", sums(lines, "pk", "reserved_fen"), reserved)
    refunds = Refund.objects.filter(kind=Refund.Kind.AFTER_SALE)
    paid_back = refunds.filter(status=DONE).annotate(total=F("goods_fen") + F("freight_fen"))
    found = sums(Order.objects.all(), "pk", "refunded_fen")
    yield from differ("refunded of order", found, sums(paid_back, "order_id", "total"))
    for column, statuses in (("refunded", [DONE]), ("reserved", UNDER_WAY)):
        found = sums(Order.objects.all(), "pk", f"freight_{column}_fen")
        wanted = sums(refunds.filter(status__in=statuses), "order_id", "freight_fen")
        yield from differ(f"freight {column} of order", found, wanted)


def refunds_are_their_lines() -> Iterator[str]:
    """A refund's goods are the sum of its lines, all of its own order and payment."""
    refunds = Refund.objects.filter(kind=Refund.Kind.AFTER_SALE)
    lines = RefundLine.objects.all()
    found = sums(refunds, "pk", "goods_fen")
    yield from differ("goods of refund", found, sums(lines, "refund_id", "amount_fen"))
    yield from each("line of another order", lines.exclude(line__order=F("refund__order")))
    paid = Refund.objects.filter(payment__isnull=False)
    yield from each("refund of another order", paid.exclude(payment__order=F("order")))


def coupons_are_counted() -> Iterator[str]:
    """Counters of coupons and rewards are the number of their rows."""
    templates = CouponTemplate.objects.annotate(rows=Count("coupons")).exclude(issued=F("rows"))
    yield from each("issued coupons", templates)
    granted = dict(
        Reward.objects.order_by()
        .values("participation__campaign_id")
        .annotate(rows=Count("pk"))
        .values_list("participation__campaign_id", "rows")
    )
    used = dict(Campaign.objects.values_list("pk", "used_rewards"))
    yield from differ("rewards of campaign", used, granted)


def coupons_pay_for_discounts() -> Iterator[str]:
    """A coupon is used by its owner; the discount of an order is at most its worth."""
    used = Coupon.objects.filter(order__isnull=False)
    yield from each("coupon of another member", used.exclude(member=F("order__member")))
    yield from each(
        "discount above the coupon", used.filter(order__discount_fen__gt=F("value_fen"))
    )
    coupons = Coupon.objects.filter(order=OuterRef("pk"))
    given_back = [Order.Status.CANCELLED, Order.Status.REFUNDED]
    cheaper = Order.objects.filter(discount_fen__gt=0).exclude(status__in=given_back)
    yield from each("discount without a coupon", cheaper.filter(~Exists(coupons)))


def statuses_are_their_last_steps() -> Iterator[str]:
    """A row with a history is where its last step led."""
    models: list[type[Model]] = [Order, Payment, Refund, Coupon, Withdrawal]
    for model in models:
        steps = StateChange.objects.filter(model=model._meta.label_lower, object_id=OuterRef("pk"))
        last = steps.order_by("-id").values("to_status")[:1]
        rows = model._default_manager.annotate(last_step=Subquery(last))
        yield from each(
            "not where its last step led",
            rows.exclude(status=F("last_step")).exclude(last_step=None),
        )


CHECKS: list[Callable[[], Iterator[str]]] = [
    orders_are_their_lines,
    orders_were_paid_once,
    orders_are_where_their_times_say,
    attributions_are_their_bindings,
    refunds_are_on_their_orders,
    refunds_are_their_lines,
    coupons_are_counted,
    coupons_pay_for_discounts,
    statuses_are_their_last_steps,
]
