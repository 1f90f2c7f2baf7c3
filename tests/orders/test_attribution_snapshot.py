"""Whom an order is attributed to is a snapshot: nothing that happens later touches it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import pytest

from distro.actors import Actor
from orders.models import Order
from orders.rules import Item
from orders.selectors_timeline import order_moments
from orders.services.placing import place_order
from referrals.models import Binding, Member, Promoter
from referrals.selectors_timeline import Window, all_moments
from referrals.services.bindings import end_some_bindings, expire_bindings, touch
from referrals.services.bindings_staff import bind_by_staff, end_binding
from tests.factories import make_link, make_member, make_policy, make_promoter, make_sku

from .conftest import ADDRESS

pytestmark = pytest.mark.django_db

STAFF = Actor("staff", 1)
DAY = timedelta(days=1)
SNAPSHOT = ("promoter_1", "promoter_2", "promoter_3", "binding", "member")


@dataclass
class World:
    """A customer under the third of a chain of three, and his order."""

    top: Promoter
    middle: Promoter
    promoter: Promoter
    customer: Member
    order: Order
    at: datetime

    @property
    def binding(self) -> Binding:
        return Binding.objects.get(pk=self.order.binding_id)

    def snapshot(self) -> Any:
        return Order.objects.values_list(*SNAPSHOT).get(pk=self.order.pk)


@pytest.fixture
def world(at: datetime) -> World:
    make_policy(binding_mode="last_touch", binding_days=30, protection_days=0)
    top = make_promoter()
    middle = make_promoter(top)
    promoter = make_promoter(middle)
    customer = make_member()
    touch(member_id=customer.pk, link=make_link(promoter.member), at=at)
    order = place(customer, at)
    return World(top, middle, promoter, customer, order, at)


def place(customer: Member, at: datetime) -> Order:
    items = [Item(make_sku().pk, 1)]
    return place_order(member_id=customer.pk, items=items, coupon="", address=ADDRESS, at=at)


def touch_another(world: World) -> None:
    outcome = touch(member_id=world.customer.pk, link=make_link(), at=world.at + DAY).outcome
    assert outcome == "rebound"


def bind_by_hand(world: World) -> None:
    bind_by_staff(
        member_id=world.customer.pk, promoter_id=make_promoter().pk, reason="x", by=STAFF,
        at=world.at + DAY,
    )  # fmt: skip


def end_by_hand(world: World) -> None:
    end_binding(binding_id=world.binding.pk, reason="x", by=STAFF, at=world.at + DAY)


def expire(world: World) -> None:
    assert expire_bindings(at=world.at + 30 * DAY) == 1


def leave(world: World) -> None:
    assert end_some_bindings(
        promoter_id=world.promoter.pk, why=Binding.EndReason.CLOSED, note="", by=STAFF,
        at=world.at + DAY,
    )  # fmt: skip


def change_mode(world: World) -> None:
    make_policy(binding_mode="first_touch", effective_from=world.at + timedelta(hours=1))
    assert touch(member_id=world.customer.pk, link=make_link(), at=world.at + DAY).outcome == "kept"


def suspend(world: World) -> None:
    Promoter.objects.filter(pk=world.promoter.pk).update(status="suspended")


def become_one_person(world: World) -> None:
    for member in (world.customer, world.promoter.member):
        Member.objects.filter(pk=member.pk).update(phone_index="p" * 64)


LATER = [
    touch_another, bind_by_hand, end_by_hand, expire, leave, change_mode, suspend,
    become_one_person,
]  # fmt: skip


@pytest.mark.parametrize("later", LATER, ids=lambda later: later.__name__)
def test_nothing_later_touches_an_order(world: World, later: Callable[[World], None]) -> None:
    before = world.snapshot()
    assert before == (
        world.promoter.pk, world.middle.pk, world.top.pk, world.order.binding_id,
        world.customer.pk,
    )  # fmt: skip
    later(world)
    assert world.snapshot() == before


def test_the_next_order_follows_the_binding_of_its_own_moment(world: World) -> None:
    touch_another(world)
    second = place(world.customer, world.at + 2 * DAY)
    binding = Binding.objects.get(member=world.customer, ended_at=None)
    assert (second.binding, second.promoter_1) == (binding, binding.promoter)
    assert second.binding_id != world.order.binding_id


def test_an_order_before_the_binding_is_nobodys(at: datetime) -> None:
    customer = make_member()
    order = place(customer, at)
    touch(member_id=customer.pk, link=make_link(), at=at + timedelta(seconds=1))
    order.refresh_from_db()
    assert (order.promoter_1, order.binding) == (None, None)


# --- In the timeline --------------------------------------------------------------------------


def test_an_order_stands_in_the_timeline_with_its_snapshot(world: World) -> None:
    touch_another(world)
    order = next(one for one in all_moments(world.customer.pk) if one.kind == "order")
    assert (order.ref, order.promoter) == (world.order.number, world.promoter)
    assert order.binding_id == world.order.binding_id
    for code in (world.promoter.code, world.middle.code, world.top.code):
        assert code in str(order.text)


def test_nobodys_order_says_so(at: datetime) -> None:
    customer = make_member()
    order = place(customer, at)
    (moment,) = order_moments([customer.pk], Window(4, None, True, 10))
    assert (moment.ref, moment.promoter, moment.binding_id) == (order.number, None, None)
    assert str(moment.text) != ""
