"""Coupons: granted once a cause, used by one order, back when that order falls."""

from __future__ import annotations

import secrets
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import F

from campaigns.errors import CouponLimitReached, CouponNotUsable, CouponsExhausted
from campaigns.models import Coupon, CouponTemplate
from campaigns.rules import is_within
from distro.actors import SYSTEM, Actor
from distro.errors import ConflictingContent, IllegalTransition
from distro.states import advance
from orders.models import Order

CODE_ALPHABET = "23456789ABCDEFGHJKMNPQRSTUVWXYZ"  # nothing that looks like something else
CODE_CHARS = 12
EXPIRE_BATCH = 1_000  # coupons a run


@transaction.atomic
def grant(*, member_id: int, template_id: int, key: str, at: datetime) -> Coupon:
    """Give a member one free coupon of a template; the same key gives the first one again.

    Raises CouponsExhausted, CouponLimitReached, ConflictingContent.
    """
    template = CouponTemplate.objects.select_for_update(no_key=True).get(pk=template_id)
    if coupon := _granted(key, member_id, template_id, template.value_fen):
        return coupon
    free = CouponTemplate.objects.filter(pk=template_id, total__gt=F("issued") + F("reserved"))
    if free.update(issued=F("issued") + 1) != 1:
        raise CouponsExhausted
    mine = Coupon.objects.filter(template=template, member_id=member_id)
    if template.per_member is not None and mine.count() >= template.per_member:
        raise CouponLimitReached
    return _create(template, member_id, template.value_fen, key, at)


@transaction.atomic
def grant_reserved(
    *, member_id: int, template_id: int, value_fen: int, key: str, at: datetime
) -> Coupon:
    """Give a member one of the coupons that a campaign has reserved, worth what it says.

    Raises CouponsExhausted, ConflictingContent.
    """
    template = CouponTemplate.objects.select_for_update(no_key=True).get(pk=template_id)
    if coupon := _granted(key, member_id, template_id, value_fen):
        return coupon
    reserved = CouponTemplate.objects.filter(pk=template_id, reserved__gt=0)
    if reserved.update(issued=F("issued") + 1, reserved=F("reserved") - 1) != 1:
        raise CouponsExhausted
    return _create(template, member_id, value_fen, key, at)


def reserve(*, template_id: int, count: int) -> bool:
    """Set free coupons of a template aside for a campaign; say whether there were enough."""
    enough = CouponTemplate.objects.filter(
        pk=template_id, total__gte=F("issued") + F("reserved") + count
    )
    return enough.update(reserved=F("reserved") + count) == 1


def release(*, template_id: int, count: int) -> None:
    """Free the coupons that a campaign had set aside and did not grant."""
    rows = CouponTemplate.objects.filter(pk=template_id, reserved__gte=count)
    released = rows.update(reserved=F("reserved") - count)
    assert released == 1


@transaction.atomic
def use_coupon(*, coupon_id: int, order_id: int, at: datetime) -> Coupon:
    """Use a coupon for an order; of two orders at once one wins.

    Raises CouponNotUsable.
    """
    coupon = Coupon.objects.get(pk=coupon_id)
    if not is_within(at, start=coupon.valid_from, end=coupon.valid_until):
        raise CouponNotUsable(field="coupon")
    by = Actor("member", coupon.member_id)
    try:
        advance(coupon, Coupon.Status.USED, by=by, at=at, order_id=order_id, used_at=at)
    except IllegalTransition:
        raise CouponNotUsable(field="coupon") from None
    return coupon


@transaction.atomic
def return_coupon(*, order_id: int) -> Coupon | None:
    """Make the coupon of an order that fell usable again; None if there is nothing to return.

    A cancelled order gives it back always, a full refund only while it has not expired.
    """
    order = Order.objects.get(pk=order_id)
    coupon = Coupon.objects.filter(order=order, status=Coupon.Status.USED).first()
    if coupon is None:
        return None
    fell_at = order.cancelled_at
    if order.status == Order.Status.REFUNDED:
        fell_at = order.refunded_at
        if fell_at is not None and fell_at >= coupon.valid_until:
            return None
    elif order.status != Order.Status.CANCELLED:
        return None
    assert fell_at is not None
    changes = {"order": None, "used_at": None}
    advance(coupon, Coupon.Status.ISSUED, by=SYSTEM, at=fell_at, why=order.number, **changes)
    return coupon


@transaction.atomic
def cancel_coupon(*, coupon_id: int, why: str, by: Actor, at: datetime) -> Coupon:
    """Take an unused coupon away, by staff and with a reason. Raises IllegalTransition."""
    coupon = Coupon.objects.get(pk=coupon_id)
    advance(coupon, Coupon.Status.CANCELLED, by=by, at=at, why=why)
    return coupon


def expire_coupons(*, at: datetime) -> int:
    """Expire the unused coupons whose time is over; return how many."""
    due = Coupon.objects.filter(status=Coupon.Status.ISSUED, valid_until__lte=at)
    return sum([_expire(coupon, at) for coupon in due.order_by("valid_until", "id")[:EXPIRE_BATCH]])


def _expire(coupon: Coupon, at: datetime) -> bool:
    try:
        with transaction.atomic():
            advance(coupon, Coupon.Status.EXPIRED, by=SYSTEM, at=at)
    except IllegalTransition:  # used a moment ago, by an order placed in time
        return False
    return True


def _granted(key: str, member_id: int, template_id: int, value_fen: int) -> Coupon | None:
    coupon = Coupon.objects.filter(key=key).first()
    same = (member_id, template_id, value_fen)
    if coupon and (coupon.member_id, coupon.template_id, coupon.value_fen) != same:
        raise ConflictingContent
    return coupon


def _create(
    template: CouponTemplate, member_id: int, value_fen: int, key: str, at: datetime
) -> Coupon:
    return Coupon.objects.create(
        template=template,
        member_id=member_id,
        code="".join(secrets.choice(CODE_ALPHABET) for _ in range(CODE_CHARS)),
        key=key,
        value_fen=value_fen,
        valid_from=at,
        valid_until=at + timedelta(days=template.valid_days),
    )
