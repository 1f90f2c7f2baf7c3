"""Goods leave, arrive, and the time to return them runs out."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from django.db import transaction
from django.db.models import QuerySet

from distro import audit
from distro.actors import SYSTEM, Actor
from distro.facts import tell
from distro.states import advance
from orders import signals
from orders.errors import MissingText, NotReceivable, NotShippable, RefundIsOpen
from orders.models import Order, Shipment
from orders.selectors import open_refunds, orders_to_complete, orders_to_mature

COMPANY_CHARS = 32
TRACKING_CHARS = 64
BATCH = 500


@transaction.atomic
def ship_order(*, order_id: int, company: str, tracking_no: str, by: Actor, at: datetime) -> Order:
    """Note that a paid order left the house.

    Raises MissingText, NotShippable, RefundIsOpen.
    """
    company, tracking_no = company.strip(), tracking_no.strip()
    if not 0 < len(company) <= COMPANY_CHARS:
        raise MissingText(field="company", maximum=COMPANY_CHARS)
    if not 0 < len(tracking_no) <= TRACKING_CHARS:
        raise MissingText(field="tracking_no", maximum=TRACKING_CHARS)
    order = Order.objects.select_for_update().get(pk=order_id)
    if order.status != Order.Status.PAID:
        raise NotShippable
    if open_refunds().filter(order=order).exists():
        raise RefundIsOpen
    Shipment.objects.create(order=order, company=company, tracking_no=tracking_no, shipped_at=at)
    advance(order, Order.Status.SHIPPED, by=by, at=at, shipped_at=at)
    audit.record(by=by, action="order.ship", target=order, at=at)
    tell(signals.order_shipped, order_id=order.pk, member_id=order.member_id)
    return order


@transaction.atomic
def complete_order(*, order_id: int, by: Actor, at: datetime) -> Order:
    """Note that the buyer has the goods; the return period starts. Raises NotReceivable."""
    order = Order.objects.select_for_update().get(pk=order_id)
    if order.status != Order.Status.SHIPPED:
        raise NotReceivable
    advance(order, Order.Status.COMPLETED, by=by, at=at, completed_at=at)
    tell(signals.order_completed, order_id=order.pk, member_id=order.member_id)
    return order


def complete_overdue(*, at: datetime) -> int:
    """Complete what was shipped long enough ago; return how many. A job."""
    due = orders_to_complete(at)
    return sum(_complete(order_id, due, at) for order_id in _each(due))


def mature_orders(*, at: datetime) -> int:
    """Note the orders whose return period is over without an open refund; return how many.

    A job; each order in a transaction of its own.
    """
    due = orders_to_mature(at)
    return sum(_mature(order_id, due, at) for order_id in _each(due))


def _each(due: QuerySet[Order]) -> Iterator[int]:
    """Yield the ids of what is due, in pk order, in batches."""
    last = 0
    while batch := list(
        due.filter(pk__gt=last).order_by("pk").values_list("pk", flat=True)[:BATCH]
    ):
        yield from batch
        last = batch[-1]


@transaction.atomic
def _complete(order_id: int, due: QuerySet[Order], at: datetime) -> bool:
    if _locked(due, order_id) is None:
        return False
    complete_order(order_id=order_id, by=SYSTEM, at=at)
    return True


@transaction.atomic
def _mature(order_id: int, due: QuerySet[Order], at: datetime) -> bool:
    order = _locked(due, order_id)
    if order is None:
        return False
    Order.objects.filter(pk=order_id).update(matured_at=at)
    tell(signals.order_matured, order_id=order_id, member_id=order.member_id)
    return True


def _locked(due: QuerySet[Order], order_id: int) -> Order | None:
    """Lock an order and return it if it is still due."""
    Order.objects.select_for_update().only("pk").get(pk=order_id)
    return due.filter(pk=order_id).first()
