"""Accrual: one record per paid order, whatever comes of it."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from django.db import IntegrityError, transaction

from commissions.errors import OrderNotPaid
from commissions.models import Accrual, Commission, Plan, PlanRate, Transfer
from commissions.services.accruing import accrue, accrue_missing, accrue_orders, set_release
from orders.models import Order, OrderLine
from referrals.models import Identity, Member, Promoter
from tests.commissions.builders import (
    amounts,
    bind,
    make_attributed,
    make_chain,
    make_plan,
    publish,
    receive,
    refund_line,
    stands,
)
from tests.factories import AT, make_member, make_order

pytestmark = pytest.mark.django_db


def nothing_written() -> bool:
    return not (Commission.objects.exists() or Transfer.objects.exists())


def test_an_order_earns_its_chain_by_the_plan(at: datetime) -> None:
    plan = make_plan(1000, 500)
    chain = make_chain(3)
    order = make_attributed(chain, 19_999)
    accrual = accrue(order_id=order.pk, at=at)
    assert (accrual.outcome, accrual.plan, accrual.base_fen) == ("accrued", plan, 19_999)
    assert amounts(order) == [(1, 1999), (2, 999)]
    assert [stands(who) for who in chain] == [(1999, 0, 0, 0), (999, 0, 0, 0), (0, 0, 0, 0)]


def test_the_row_keeps_all_that_explains_it(at: datetime) -> None:
    plan = make_plan(1000)
    order = make_attributed(make_chain(1), 19_999)
    accrue(order_id=order.pk, at=at)
    row = Commission.objects.get()
    assert (row.plan, row.rate.level, row.grade, row.base_fen) == (plan, 1, None, 19_999)
    assert (row.rate_bps, row.uncapped_fen, row.amount_fen, row.capped) == (1000, 1999, 1999, False)
    assert (row.status, row.release_at, row.paid_at) == ("frozen", None, order.paid_at)


def test_accruing_twice_writes_once(at: datetime) -> None:
    make_plan(1000)
    order = make_attributed(make_chain(1), 10_000)
    first = accrue(order_id=order.pk, at=at)
    assert accrue(order_id=order.pk, at=at + timedelta(hours=1)) == first
    assert (Accrual.objects.count(), Commission.objects.count(), Transfer.objects.count()) == (
        1,
        1,
        1,
    )


def test_an_unpaid_order_is_refused(at: datetime) -> None:
    make_plan(1000)
    order = make_attributed(make_chain(1), 10_000, status="placed", paid_at=None)
    with pytest.raises(OrderNotPaid):
        accrue(order_id=order.pk, at=at)
    assert nothing_written()
    assert not Accrual.objects.exists()


def no_promoter() -> Order:
    return make_order()


def without_plan() -> Order:
    Plan.objects.update(effective_from=AT + timedelta(seconds=1))
    return make_attributed(make_chain(1), 10_000)


def gift() -> Order:
    return make_attributed(make_chain(1), 0)


def small() -> Order:
    return make_attributed(make_chain(1), 999)


def suspended() -> Order:
    Promoter.objects.filter(pk=(chain := make_chain(1))[0].pk).update(status="suspended")
    return make_attributed(chain, 10_000)


def bound_later() -> Order:
    order, promoter = make_attributed([], 10_000), make_chain(1)[0]
    binding = bind(order.member, promoter, AT + timedelta(seconds=1))
    Order.objects.filter(pk=order.pk).update(promoter_1=promoter, binding=binding)
    return order


def imported() -> Order:
    return make_attributed(make_chain(1), 10_000, source=Order.Source.IMPORT)


def own_purchase() -> Order:
    chain = make_chain(1)
    return make_attributed(chain, 10_000, member=chain[0].member)


def own_purchase_by_phone() -> Order:
    chain = make_chain(1)
    Member.objects.filter(pk=chain[0].member_id).update(phone_index="f" * 64)
    return make_attributed(chain, 10_000, member=make_member(phone_index="f" * 64))


def freight_only() -> Order:
    return make_attributed(make_chain(1), 0, freight_fen=1_000)


@pytest.mark.parametrize(
    ("make", "outcome"),
    [
        (no_promoter, "no_promoter"),
        (without_plan, "no_plan"),
        (gift, "zero_base"),
        (freight_only, "zero_base"),
        (small, "below_minimum"),
        (suspended, "not_entitled"),
        (bound_later, "bound_later"),
        (imported, "imported"),
        (own_purchase, "self_purchase"),
        (own_purchase_by_phone, "self_purchase"),
    ],
)
def test_what_earns_nothing_is_recorded_with_its_reason(
    make: object, outcome: str, at: datetime
) -> None:
    minimum = 1_000 if outcome == "below_minimum" else 0
    plan = make_plan(1000, min_order_fen=minimum) if outcome != "no_plan" else late_plan()
    order = make()  # type: ignore[operator]
    assert accrue(order_id=order.pk, at=at).outcome == outcome
    assert plan is not None
    assert nothing_written()


def late_plan() -> Plan:
    return make_plan(1000, effective_from=AT + timedelta(seconds=1))


def test_a_suspended_level_leaves_its_share_with_the_platform(at: datetime) -> None:
    make_plan(1000, 500)
    chain = make_chain(2)
    Promoter.objects.filter(pk=chain[0].pk).update(status="suspended")
    order = make_attributed(chain, 10_000)
    accrue(order_id=order.pk, at=at)
    assert amounts(order) == [(2, 500)]


def test_an_upline_who_buys_earns_nothing_from_his_own_order(at: datetime) -> None:
    make_plan(1000, 500)
    chain = make_chain(2)
    order = make_attributed(chain, 10_000, member=chain[1].member)
    accrue(order_id=order.pk, at=at)
    assert amounts(order) == [(1, 1000)]


def test_one_person_with_two_accounts_is_himself(at: datetime) -> None:
    make_plan(1000)
    chain, buyer = make_chain(1), make_member()
    for member, status in ((chain[0].member, "verified"), (buyer, "pending")):
        Identity.objects.create(
            member=member,
            name="甲",
            id_number="x",
            id_index="e" * 64,
            status=status,
            submitted_at=AT,
        )
    order = make_attributed(chain, 10_000, member=buyer)
    assert accrue(order_id=order.pk, at=at).outcome == "self_purchase"


def test_the_plan_in_force_when_the_order_was_paid_rules(at: datetime) -> None:
    old = make_plan(1000, code="old", effective_from=AT - timedelta(days=9))
    make_plan(500, code="new", effective_from=AT + timedelta(seconds=1))
    order = make_attributed(make_chain(1), 10_000)
    assert accrue(order_id=order.pk, at=at + timedelta(days=3)).plan == old


def test_no_rate_is_added_to_a_published_plan(at: datetime) -> None:
    plan = make_plan(500)
    with pytest.raises(IntegrityError), transaction.atomic():
        PlanRate.objects.create(plan=plan, level=2, rate_bps=300)
    assert plan.rates.count() == 1


def test_rates_by_product_beat_the_default(at: datetime) -> None:
    plan = Plan.objects.create(code="p", name="p", effective_from=AT, cap_bps=3000)
    order = make_attributed(make_chain(1), 10_000, 10_000)
    special = order.lines.get(line_no=2).sku.product
    PlanRate.objects.create(plan=plan, level=1, rate_bps=1000)
    PlanRate.objects.create(plan=plan, level=1, rate_bps=2500, scope="product", product=special)
    publish(plan)
    accrue(order_id=order.pk, at=at)
    assert amounts(order) == [(1, 1000), (1, 2500)]


def test_a_margin_plan_pays_on_what_is_left_after_cost(at: datetime) -> None:
    make_plan(1000, base=Plan.Base.MARGIN)
    order = make_attributed(make_chain(1), 10_000)
    OrderLine.objects.filter(order=order).update(cost_fen=4_000)
    assert accrue(order_id=order.pk, at=at).base_fen == 6_000
    assert amounts(order) == [(1, 600)]


def test_a_refund_before_the_accrual_is_applied_with_it(at: datetime) -> None:
    make_plan(1500)
    chain = make_chain(1)
    order = make_attributed(chain, 19_999)
    refund_line(order.lines.get(), 5_000)
    accrue(order_id=order.pk, at=at)
    assert amounts(order) == [(1, 2249)]
    assert stands(chain[0]) == (2249, 0, 0, 0)


def test_an_order_received_before_its_accrual_has_its_release_at_once(at: datetime) -> None:
    make_plan(1000, release_days=15)
    order = make_attributed(make_chain(1), 10_000)
    receive(order, at)
    accrue(order_id=order.pk, at=at + timedelta(days=1))
    assert Commission.objects.get().release_at == at + timedelta(days=15)


def test_the_release_is_set_once_the_goods_are_received(at: datetime) -> None:
    make_plan(1000, release_days=15)
    order = make_attributed(make_chain(1), 10_000)
    accrue(order_id=order.pk, at=at)
    assert set_release(order_id=order.pk) == 0
    receive(order, at + timedelta(days=3))
    assert set_release(order_id=order.pk) == 1
    assert set_release(order_id=order.pk) == 0
    assert Commission.objects.get().release_at == at + timedelta(days=18)


def test_the_sweep_accrues_what_was_missed_and_leaves_the_rest(at: datetime) -> None:
    make_plan(1000)
    order = make_attributed(make_chain(1), 10_000)
    assert accrue_missing(at=at + timedelta(seconds=59)) == 0
    assert accrue_missing(at=at + timedelta(seconds=60)) == 1
    assert accrue_missing(at=at + timedelta(seconds=60)) == 0
    assert amounts(order) == [(1, 1000)]


def test_an_import_accrues_under_the_plan_it_names_whatever_its_start(at: datetime) -> None:
    plan = make_plan(1000, effective_from=at + timedelta(days=1))
    order = make_attributed(make_chain(1), 10_000, source=Order.Source.IMPORT)
    assert accrue_orders(order_ids=[order.pk], at=at, plan=plan, quiet=True) == 1
    accrual = Accrual.objects.get()
    assert (accrual.plan, accrual.plan_forced, accrual.outcome) == (plan, True, "accrued")


def test_many_orders_at_once_come_to_the_same_as_one_by_one(at: datetime) -> None:
    make_plan(1000, 500)
    chain = make_chain(3)
    together = [make_attributed(chain, 1_234 * n, 77 * n) for n in range(1, 6)]
    alone = [make_attributed(chain, 1_234 * n, 77 * n) for n in range(1, 6)]
    assert accrue_orders(order_ids=[order.pk for order in together], at=at) == 5
    for order in alone:
        accrue(order_id=order.pk, at=at)
    assert [amounts(o) for o in together] == [amounts(o) for o in alone]


@pytest.mark.parametrize(
    "change",
    [
        {"reversed_fen": 1_001},
        {"reversed_fen": -1},
        {"status": "lost"},
        {"status": "reversed"},
        {"status": "settled"},
    ],
)
def test_the_database_refuses_a_commission_that_cannot_be(
    change: dict[str, object], at: datetime
) -> None:
    make_plan(1000)
    accrue(order_id=make_attributed(make_chain(1), 10_000).pk, at=at)
    with pytest.raises(IntegrityError), transaction.atomic():
        Commission.objects.update(**change)
