"""The same money from many sides at once, on a real PostgreSQL."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from analytics.books import faults
from commissions.models import Accrual, Commission, Settlement, Transfer
from commissions.services.accruing import accrue, set_release
from commissions.services.reversing import reverse_for_refund
from commissions.services.settling import settle_due
from tests.commissions.builders import (
    make_attributed,
    make_chain,
    make_plan,
    receive,
    refund_line,
    stands,
)
from tests.factories import AT

pytestmark = [pytest.mark.postgres, pytest.mark.django_db(transaction=True)]
Threads = Callable[[int, Callable[[int], Any]], Any]


def clean() -> bool:
    return list(faults(at=AT + timedelta(days=90))) == []


def test_one_order_accrued_eight_times_at_once_earns_once(run_threads: Threads) -> None:
    make_plan(1000, 500)
    chain = make_chain(3)
    order = make_attributed(chain, 19_999)
    list(run_threads(8, lambda _: accrue(order_id=order.pk, at=AT)))
    assert (Accrual.objects.count(), Commission.objects.count()) == (1, 2)
    assert [stands(who)[0] for who in chain] == [1999, 999, 0]
    assert clean()


def test_many_orders_of_one_promoter_at_once_all_count(run_threads: Threads) -> None:
    make_plan(1000, 500)
    chain = make_chain(2)
    orders = [make_attributed(chain, 10_000 + n) for n in range(24)]

    def work(index: int) -> None:
        for order in orders[index::8]:
            accrue(order_id=order.pk, at=AT)

    list(run_threads(8, work))
    assert stands(chain[0])[0] == sum((10_000 + n) // 10 for n in range(24))
    assert clean()


def test_settlement_run_eight_times_at_once_settles_each_row_once(run_threads: Threads) -> None:
    make_plan(1000, 500)
    chains = [make_chain(2) for _ in range(5)]
    for n in range(60):
        order = make_attributed(chains[n % 5], 10_000)
        accrue(order_id=order.pk, at=AT)
        due_at = receive(order)
        set_release(order_id=order.pk)
    counts = list(run_threads(8, lambda _: settle_due(at=due_at, chunk=7)))
    assert sum(counts) == 120
    assert Commission.objects.filter(status="settled").count() == 120
    assert [stands(chain[0]) for chain in chains] == [(0, 12_000, 0, 0)] * 5
    assert Settlement.objects.count() >= 120 // 7
    assert clean()


def test_refund_and_settlement_at_the_same_moment_leave_the_same_money(
    run_threads: Threads,
) -> None:
    make_plan(1500)
    chain = make_chain(1)
    refunds = []
    for _ in range(20):
        order = make_attributed(chain, 19_999)
        accrue(order_id=order.pk, at=AT)
        due_at = receive(order)
        set_release(order_id=order.pk)
        refunds.append(refund_line(order.lines.get(), 5_000))

    def work(index: int) -> None:
        if index % 2:
            settle_due(at=due_at, chunk=3)
        for refund in refunds[index::8]:
            reverse_for_refund(refund_id=refund.pk, at=due_at)

    list(run_threads(8, work))
    settle_due(at=due_at)
    assert stands(chain[0]) == (0, 20 * 2249, 0, 0)
    taken = Transfer.objects.filter(code__startswith="claw")
    assert sum(row.amount_fen for row in taken) == 20 * 750
    assert clean()


def test_one_refund_reversed_eight_times_at_once_takes_once(run_threads: Threads) -> None:
    make_plan(1500)
    chain = make_chain(1)
    order = make_attributed(chain, 19_999)
    accrue(order_id=order.pk, at=AT)
    refund = refund_line(order.lines.get(), 5_000)
    taken = list(run_threads(8, lambda _: reverse_for_refund(refund_id=refund.pk, at=AT)))
    assert sorted(taken) == [0] * 7 + [750]
    assert stands(chain[0]) == (2249, 0, 0, 0)
    assert clean()
