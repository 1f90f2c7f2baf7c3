"""Accrual, refunds, settlement and withdrawals of the same promoters at once, on PostgreSQL.

No deadlock, nothing lost, nothing twice: the books are sound after it and the sum is known.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import transaction

from analytics.books import faults
from commissions.models import Commission, PlanRate, Withdrawal
from commissions.services import publishing
from commissions.services.accruing import accrue, accrue_missing, set_release
from commissions.services.ledger import Entry, Kind, Ref, lock_accounts, post
from commissions.services.reversing import reverse_for_refund
from commissions.services.settling import settle_due
from commissions.services.withdrawals import cancel_withdrawal, request_withdrawal
from distro.actors import SYSTEM, Actor
from distro.errors import DomainError
from distro.facts import repeat_missed
from orders.models import OrderLine
from referrals.models import Promoter
from tests.commissions.builders import (
    make_attributed,
    make_chain,
    make_plan,
    receive,
    refund_line,
    stands,
)
from tests.commissions.payout_world import make_rules
from tests.commissions.test_services_publishing import draft
from tests.factories import AT, make_policy
from tests.flows.shop import verify

pytestmark = [pytest.mark.postgres, pytest.mark.django_db(transaction=True)]
Threads = Callable[[int, Callable[[int], Any]], Any]
LATER = timedelta(days=90)


def open_chain(length: int) -> list[Promoter]:
    """Return a chain whose accounts are opened as an approval opens them."""
    chain = make_chain(length)
    with transaction.atomic():
        lock_accounts(who.pk for who in chain)
    return chain


def verified_chain(length: int) -> list[Promoter]:
    make_policy(identity_review=False)
    chain = open_chain(length)
    for who in chain:
        verify(who, AT)
    return chain


def test_everything_at_once_leaves_sound_books_and_no_deadlock(run_threads: Threads) -> None:
    make_rules(AT)
    make_plan(1000, 500, 200)
    chains = [verified_chain(3) for _ in range(2)]
    # One promoter stands at different levels, so that accounts are wanted in every order.
    mixed = [[c[0], chains[1 - n][1], c[2]] for n, c in enumerate(chains)] + chains
    orders = [make_attributed(mixed[n % 4], 10_000 + n, 3_333) for n in range(48)]
    for order in orders[:24]:
        accrue(order_id=order.pk, at=AT)
        due_at = receive(order)
        set_release(order_id=order.pk)
    settle_due(at=due_at)
    refunds = [refund_line(o.lines.order_by("pk")[0], 5_000) for o in orders[:36]]
    unexpected: list[BaseException] = []

    def attempt(work: Callable[..., Any], **kw: Any) -> None:
        try:
            work(**kw)
        except DomainError:
            pass  # nothing left to withdraw, or sent already
        except BaseException as error:
            unexpected.append(error)
            raise

    def work(index: int) -> None:
        rng = random.Random(index)
        for turn in range(12):
            for refund in refunds[index::8][turn % 5 :: 5]:
                attempt(reverse_for_refund, refund_id=refund.pk, at=due_at)
            order = orders[24 + (index + turn * 7) % 24]
            attempt(accrue, order_id=order.pk, at=due_at)
            attempt(set_release, order_id=order.pk)
            who = rng.choice(chains[index % 2])
            attempt(request_withdrawal, promoter_id=who.pk, amount_fen=300, at=due_at)
            row = Withdrawal.objects.filter(promoter=who, status__in=Withdrawal.UNSENT).first()
            if row and turn % 2:
                attempt(cancel_withdrawal, withdrawal_id=row.pk, by=SYSTEM, at=due_at)
            attempt(settle_due, at=due_at, chunk=5)
            attempt(accrue_missing, at=due_at)
            attempt(repeat_missed, at=due_at)

    list(run_threads(8, work))
    assert unexpected == []
    assert Withdrawal.objects.exists()
    for refund in refunds:
        reverse_for_refund(refund_id=refund.pk, at=due_at)
    for order in orders:
        first, second = order.lines.order_by("pk")
        left = first.paid_fen - (5_000 if order in orders[:36] else 0)
        rows = Commission.objects.filter(order=order)
        kept = {(r.line_id, r.level): r.kept_fen for r in rows}
        for level, bps in enumerate((1000, 500, 200), start=1):
            assert kept[first.pk, level] == left * bps // 10_000
            assert kept[second.pk, level] == 3_333 * bps // 10_000
    assert list(faults(at=AT + LATER)) == []


def test_accrual_with_its_refund_beside_a_settlement_does_not_deadlock(
    run_threads: Threads,
) -> None:
    """Both want frozen and available of the same promoters: all of them in one order."""
    make_plan(1000, 500)
    chain = open_chain(2)
    fresh = [make_attributed(chain, 10_000) for _ in range(80)]
    for order in fresh:
        refund_line(order.lines.get(), 1_000)
    due_at = AT
    for _ in range(80):
        order = make_attributed(chain, 10_000)
        accrue(order_id=order.pk, at=AT)
        due_at = receive(order)
        set_release(order_id=order.pk)

    def work(index: int) -> None:
        if index % 2:
            settle_due(at=due_at, chunk=1)
        else:
            for order in fresh[index // 2 :: 4]:
                accrue(order_id=order.pk, at=due_at)

    list(run_threads(8, work))
    assert stands(chain[0]) == (80 * 900, 80 * 1_000, 0, 0)
    assert list(faults(at=AT + LATER)) == []


def test_a_refund_that_frees_a_withdrawal_beside_an_accrual_does_not_deadlock(
    run_threads: Threads,
) -> None:
    """The upline's account is freed before the promoter's is touched, but not locked before it."""
    make_rules(AT)
    make_plan(1000, 1000)
    chain = verified_chain(2)
    earned, due_at = [], AT
    for _ in range(20):
        order = make_attributed(chain, 10_000)
        accrue(order_id=order.pk, at=AT)
        due_at = receive(order)
        set_release(order_id=order.pk)
        earned.append(order)
    settle_due(at=due_at)
    late = max(chain, key=lambda who: who.pk)
    for _ in range(19):
        request_withdrawal(promoter_id=late.pk, amount_fen=1_000, at=due_at)
    rows = [refund_line(order.lines.get(), 10_000) for order in earned]
    fresh = [make_attributed(chain, 10_000) for _ in range(60)]

    def work(index: int) -> None:
        if index % 2:
            for refund in rows[index // 2 :: 4]:
                reverse_for_refund(refund_id=refund.pk, at=due_at)
        else:
            for order in fresh[index // 2 :: 4]:
                accrue(order_id=order.pk, at=due_at)

    list(run_threads(8, work))
    assert [stands(who) for who in chain] == [(60_000, 0, 0, 0)] * 2
    assert list(faults(at=AT + LATER)) == []


def test_a_withdrawal_that_wins_against_a_refund_is_given_back_for_it(
    run_threads: Threads,
) -> None:
    """Never a debt while money of the same promoter waits unsent."""
    make_rules(AT)
    make_plan(3000)
    chains = [verified_chain(1) for _ in range(8)]
    due_at = AT
    for chain in chains:
        order = make_attributed(chain, 10_000)
        accrue(order_id=order.pk, at=AT)
        due_at = receive(order)
        set_release(order_id=order.pk)
    settle_due(at=due_at)
    refunds = [refund_line(line, 10_000) for line in OrderLine.objects.order_by("pk")]

    def work(index: int) -> None:
        chain = chains[index // 2]
        try:
            if index % 2:
                reverse_for_refund(refund_id=refunds[index // 2].pk, at=due_at)
            else:
                request_withdrawal(promoter_id=chain[0].pk, amount_fen=3_000, at=due_at)
        except DomainError:
            pass

    list(run_threads(16, work))
    assert [stands(chain[0]) for chain in chains] == [(0, 0, 0, 0)] * 8
    assert list(faults(at=AT + LATER)) == []


def test_a_rate_changed_beside_the_publication_is_refused(
    run_threads: Threads, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was looked at is what rules: nobody slips another rate in between."""
    plan = draft({"rate_bps": 1000}, effective_from=AT, level_max=1, cap_bps=1000)
    looked = threading.Event()
    check_start = publishing.check_start

    def slowly(*args: Any) -> None:
        check_start(*args)
        looked.set()
        time.sleep(0.5)

    monkeypatch.setattr(publishing, "check_start", slowly)

    def work(index: int) -> None:
        if index == 0:
            publishing.publish_plan(plan_id=plan.pk, by=Actor("staff", 1), at=AT)
        else:
            looked.wait(5)
            PlanRate.objects.filter(plan=plan).update(rate_bps=3000)

    outcome = run_threads(2, work)
    assert set(outcome.errors) == {1}
    assert plan.rates.get().rate_bps == 1000


def test_the_proof_of_a_shop_that_sells_shows_no_fault_that_is_none(run_threads: Threads) -> None:
    """All checks look at one moment, whatever is booked between them."""
    make_plan(1000)
    chain = make_chain(1)
    orders = [make_attributed(chain, 10_000) for _ in range(40)]
    seen: list[str] = []
    stop = threading.Event()

    def work(index: int) -> None:
        if index == 0:
            for order in orders:
                accrue(order_id=order.pk, at=AT)
            stop.set()
            return
        while not stop.is_set():
            seen.extend(faults(at=AT))

    list(run_threads(2, work))
    assert seen == []


def test_one_key_posted_by_eight_at_once_is_booked_once(run_threads: Threads) -> None:
    who = open_chain(1)[0]
    frozen = Ref(Kind.FROZEN, who.pk)
    entry = Entry(Ref(Kind.EXPENSE), frozen, 100, "accrue", "accrue:1", "commission:1")
    counts = list(run_threads(8, lambda _: post([entry], at=AT)))
    assert sorted(counts) == [0] * 7 + [1]
    assert stands(who)[0] == 100
