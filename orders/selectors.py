"""Reads: the catalogue, a member's orders, what is due, what was sold."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from django.db.models import Count, Exists, F, Min, OuterRef, Prefetch, Q, QuerySet, Sum

from distro.errors import NotFound
from orders.errors import UnknownLine, UnknownSku
from orders.models import (
    Category,
    Order,
    OrderLine,
    Payment,
    Product,
    Refund,
    RefundLine,
    ShopPolicy,
    Sku,
)
from orders.rules import Item, RefundItem, Room
from referrals.selectors_accounts import accounts_of

PAID = [
    Order.Status.PAID,
    Order.Status.SHIPPED,
    Order.Status.COMPLETED,
    Order.Status.REFUNDED,
]
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
FAR = datetime(9000, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Gmv:
    """What was sold in a period, by time of payment: goods after discounts, without freight."""

    orders: int
    buyers: int
    paid_fen: int
    refunded_fen: int

    @property
    def net_fen(self) -> int:
        return self.paid_fen - self.refunded_fen


# --- Policies, catalogue --------------------------------------------------------------------


def shop_policy_at(at: datetime) -> ShopPolicy:
    """Return the policy that rules at a moment; the defaults before the first one."""
    past = ShopPolicy.objects.filter(effective_from__lte=at).order_by("-effective_from")
    return past.first() or ShopPolicy(effective_from=EPOCH)


def policy_periods() -> Iterator[tuple[datetime, datetime, ShopPolicy]]:
    """Yield [start, end) and the policy of that time; together they cover all time."""
    rows = [ShopPolicy(effective_from=EPOCH), *ShopPolicy.objects.order_by("effective_from")]
    ends = [*(row.effective_from for row in rows[1:]), FAR]
    return ((row.effective_from, end, row) for row, end in zip(rows, ends))


def categories() -> QuerySet[Category]:
    """Return the categories in the shop's order."""
    return Category.objects.order_by("position", "id")


def products_on_sale(category_id: int | None = None) -> QuerySet[Product]:
    """Return what is sold, in one category or all, each with its lowest price `from_fen`."""
    products = Product.objects.filter(on_sale=True, skus__on_sale=True)
    if category_id is not None:
        products = products.filter(category_id=category_id)
    return products.annotate(from_fen=Min("skus__price_fen")).select_related("category")


def product_on_sale(code: str) -> Product:
    """Return one product that is sold, with its SKUs that are; raise NotFound."""
    skus = Prefetch("skus", Sku.objects.filter(on_sale=True).order_by("id"))
    product = products_on_sale().filter(code=code).prefetch_related(skus).first()
    if product is None:
        raise NotFound
    return product


def items_of(wanted: Sequence[tuple[str, int]]) -> list[Item]:
    """Return the items for (SKU code, quantity); raise UnknownSku."""
    codes = [code for code, _ in wanted]
    ids = dict(Sku.objects.filter(code__in=codes).values_list("code", "id"))
    for place, code in enumerate(codes):
        if code not in ids:
            raise UnknownSku(field=f"items.{place}.sku")
    return [Item(ids[code], quantity) for code, quantity in wanted]


# --- A member's own -------------------------------------------------------------------------


def orders_of(member_id: int) -> QuerySet[Order]:
    """Return the orders of a member and of accounts merged into his, newest first, with lines."""
    lines = Prefetch("lines", OrderLine.objects.order_by("line_no"))
    orders = Order.objects.filter(member__in=accounts_of(member_id))
    return orders.prefetch_related(lines).order_by("-id")


def order_of(member_id: int, number: str) -> Order:
    """Return one of a member's orders with all that belongs to it; raise NotFound."""
    orders = orders_of(member_id).select_related("shipment")
    order = orders.prefetch_related("refunds__lines__line").filter(number=number).first()
    if order is None:
        raise NotFound
    return order


def refund_items_of(order: Order, wanted: Sequence[tuple[int, int, int]]) -> list[RefundItem]:
    """Return the items for (line no., quantity, fen) of an order; raise UnknownLine."""
    ids = {line.line_no: line.pk for line in order.lines.all()}
    for place, (line_no, _, _) in enumerate(wanted):
        if line_no not in ids:
            raise UnknownLine(field=f"lines.{place}.line_no")
    return [RefundItem(ids[line_no], quantity, fen) for line_no, quantity, fen in wanted]


def refund_of(member_id: int, out_refund_no: str) -> Refund:
    """Return one refund of a member's orders; raise NotFound."""
    refunds = Refund.objects.select_related("order").prefetch_related("lines__line")
    own = refunds.filter(order__member__in=accounts_of(member_id))
    refund = own.filter(out_refund_no=out_refund_no).first()
    if refund is None:
        raise NotFound
    return refund


def has_paid_order(member_id: int) -> bool:
    """Tell whether a member has ever paid an order, by any account, refunded since or not."""
    own = Order.objects.filter(member__in=accounts_of(member_id))
    return own.filter(paid_at__isnull=False).exists()


def has_received_order(member_id: int) -> bool:
    """Tell whether a member has received an order that was not refunded whole."""
    own = Order.objects.filter(member__in=accounts_of(member_id))
    return own.filter(status=Order.Status.COMPLETED).exists()


# --- Refunds --------------------------------------------------------------------------------


def open_refunds() -> QuerySet[Refund]:
    """Return the refunds of goods that are neither done nor given up."""
    return Refund.objects.filter(status__in=Refund.OPEN, kind=Refund.Kind.AFTER_SALE)


def refund_room(order: Order) -> tuple[dict[int, Room], int]:
    """Return the room per line id, and for freight, that succeeded and open refunds leave."""
    return _room(order, Refund.objects.filter(status__in=Refund.OPEN))


def approval_room(refund: Refund) -> tuple[dict[int, Room], int]:
    """Return the room that succeeded and approved refunds leave for this one."""
    approved = Refund.objects.filter(status__in=Refund.RESERVED).exclude(pk=refund.pk)
    return _room(refund.order, approved)


def _room(order: Order, others: QuerySet[Refund]) -> tuple[dict[int, Room], int]:
    others = others.filter(order=order, kind=Refund.Kind.AFTER_SALE)
    done = Refund.objects.filter(order=order, status=Refund.Status.SUCCEEDED)
    used = {
        row["line_id"]: (row["pieces"], row["fen"])
        for row in RefundLine.objects.filter(Q(refund__in=others) | Q(refund__in=done))
        .values("line_id")
        .annotate(
            pieces=Sum("quantity"),
            # What succeeded stands on the line, as does history without refund rows.
            fen=Sum("amount_fen", filter=Q(refund__in=others), default=0),
        )
    }
    room = {}
    for line in order.lines.all():
        pieces, fen = used.get(line.pk, (0, 0))
        room[line.pk] = Room(line.quantity - pieces, line.paid_fen - line.refunded_fen - fen)
    freight = others.aggregate(fen=Sum("freight_fen", default=0))["fen"]
    return room, order.freight_fen - order.freight_refunded_fen - freight


# --- What is due ----------------------------------------------------------------------------


def unpaid_orders(at: datetime) -> QuerySet[Order]:
    """Return the orders whose time to pay is over, the longest over first."""
    orders = Order.objects.filter(status=Order.Status.PLACED, pay_before__lte=at)
    return orders.order_by("pay_before", "id")


def payments_to_query(at: datetime) -> QuerySet[Payment]:
    """Return the open payments that WeChat shall be asked about."""
    payments = Payment.objects.filter(status=Payment.Status.OPEN, next_query_at__lte=at)
    return payments.order_by("next_query_at", "id")


def refunds_to_query(at: datetime) -> QuerySet[Refund]:
    """Return the refunds under way that WeChat shall be asked about."""
    refunds = Refund.objects.filter(status__in=Refund.RESERVED, next_query_at__lte=at)
    return refunds.filter(channel=Refund.Channel.WECHAT).order_by("next_query_at", "id")


def orders_to_complete(at: datetime) -> QuerySet[Order]:
    """Return the shipped orders that count as received by now, unless a refund is open."""
    shipped = Order.objects.filter(status=Order.Status.SHIPPED)
    return shipped.filter(_over("shipped_at", "receive_days", at), ~_refund_open())


def orders_to_mature(at: datetime) -> QuerySet[Order]:
    """Return the received orders whose return period is over and no refund open.

    The return days are those of the policy when the order was received; an order of which
    nothing can be returned does not wait.
    """
    lines = OrderLine.objects.filter(order=OuterRef("pk"), sku__product__returnable=True)
    received = Order.objects.filter(
        status=Order.Status.COMPLETED, matured_at__isnull=True, completed_at__lte=at
    )
    due = _over("completed_at", "return_days", at) | ~Exists(lines)
    return received.filter(due, ~_refund_open())


def _refund_open() -> Exists:
    return Exists(open_refunds().filter(order=OuterRef("pk")))


def _over(field: str, days: str, at: datetime) -> Q:
    """Return what is longer ago than the days of the policy that ruled then."""
    over = Q()
    for start, end, policy in policy_periods():
        last = at - timedelta(days=getattr(policy, days))
        over |= Q(**{f"{field}__gte": start, f"{field}__lt": end, f"{field}__lte": last})
    return over


# --- GMV ------------------------------------------------------------------------------------


def gmv(*, start: datetime, end: datetime, promoter_id: int | None = None) -> Gmv:
    """Return what was sold in [start, end), by all or attributed to one promoter."""
    orders = Order.objects.filter(status__in=PAID, paid_at__gte=start, paid_at__lt=end)
    if promoter_id is not None:
        orders = orders.filter(promoter_1=promoter_id)
    return Gmv(
        **orders.aggregate(
            orders=Count("id"),
            buyers=Count("member_id", distinct=True),
            paid_fen=Sum(F("paid_fen") - F("freight_fen"), default=0),
            refunded_fen=Sum(F("refunded_fen") - F("freight_refunded_fen"), default=0),
        )
    )
