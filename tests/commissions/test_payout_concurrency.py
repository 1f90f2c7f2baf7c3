"""Many at once on PostgreSQL: one wins, the tax is right, a transfer is booked once."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.db import transaction

from commissions.errors_withdrawals import AlreadyApproved, AlreadySent, NotEnoughAvailable
from commissions.models import Account, TaxMonth, Transfer, Withdrawal, WithdrawalRequest
from commissions.services import paying_out, transferring
from commissions.services.ledger import balances
from commissions.services.paying_out import send_due, start_payout
from commissions.services.returning import return_unsent
from commissions.services.reviewing import approve_request, reject_request
from commissions.services.transferring import deliver, finish_transfer, query_transfers
from commissions.services.withdrawals import cancel_withdrawal, request_withdrawal
from distro.errors import DomainError
from referrals.models import Promoter
from tests.commissions.payout_world import (
    ANNA,
    Channel,
    booked,
    make_payee,
    make_rules,
    only,
    standing,
    statuses,
)

pytestmark = [pytest.mark.postgres, pytest.mark.django_db(transaction=True)]
Run = Callable[..., Any]


@pytest.fixture
def channel(at: datetime, monkeypatch: pytest.MonkeyPatch) -> Channel:
    made = Channel(at)
    for module in (paying_out, transferring):
        monkeypatch.setattr(module, "pay", lambda: made)
    return made


def ask(promoter: Promoter, fen: int, at: datetime) -> WithdrawalRequest:
    return request_withdrawal(promoter_id=promoter.pk, amount_fen=fen, at=at)


def books_are_clean() -> None:
    for account in Account.objects.exclude(promoter=None):
        credits = sum(Transfer.objects.filter(credit=account).values_list("amount_fen", flat=True))
        debits = sum(Transfer.objects.filter(debit=account).values_list("amount_fen", flat=True))
        assert account.balance_fen == credits - debits


def test_of_eight_withdrawals_of_everything_one_wins(run_threads: Run, at: datetime) -> None:
    make_rules(at)
    promoter = make_payee(at, available_fen=100_000)
    outcome = run_threads(8, lambda _: ask(promoter, 100_000, at))
    assert len(outcome.results) == 1
    assert [type(error) for error in outcome.errors.values()] == [NotEnoughAvailable] * 7
    assert standing(promoter) == (0, 100_000, 0)
    assert booked("request") == [100_000]
    assert (Withdrawal.objects.count(), WithdrawalRequest.objects.count()) == (1, 1)
    books_are_clean()


def test_large_sums_asked_for_at_once_do_not_slip_past_the_review(
    run_threads: Run, at: datetime
) -> None:
    make_rules(at, two_persons_day_fen=500_000)
    promoter = make_payee(at, available_fen=600_000)
    list(run_threads(6, lambda _: ask(promoter, 100_000, at)))
    needed = sorted(WithdrawalRequest.objects.values_list("approvals_needed", flat=True))
    assert needed == [0, 0, 0, 0, 2, 2]


def test_ten_payouts_of_500_yuan_at_once_bear_the_tax_of_5000(
    run_threads: Run, channel: Channel, at: datetime
) -> None:
    channel.confirm = False
    make_rules(at)
    promoter = make_payee(at, available_fen=500_000)
    for _ in range(10):
        ask(promoter, 50_000, at)
    ids = list(Withdrawal.objects.values_list("pk", flat=True))

    def pay_mine(index: int) -> None:
        while Withdrawal.objects.get(pk=ids[index]).status != "paid":
            if start_payout(withdrawal_id=ids[index], at=at):
                deliver(withdrawal_id=ids[index], at=at)

    list(run_threads(10, pay_mine))
    assert statuses(promoter) == ["paid"] * 10
    assert sum(booked("pay_tax")) == 80_000
    assert sum(booked("pay_net")) == channel.paid_fen() == 420_000
    assert standing(promoter) == (0, 0, 0)
    assert TaxMonth.objects.count() == 1
    assert channel.calls["transfer"] == 10
    books_are_clean()


def test_ten_send_jobs_at_once_send_each_transfer_once(
    run_threads: Run, channel: Channel, at: datetime
) -> None:
    make_rules(at)
    promoters = [make_payee(at, available_fen=50_000) for _ in range(6)]
    for promoter in promoters:
        ask(promoter, 50_000, at)
    counts = list(run_threads(10, lambda _: send_due(at=at)))
    assert sum(counts) == 6
    assert channel.calls == {"transfer": 6}
    assert all(only(promoter).status == "awaiting_confirm" for promoter in promoters)


def test_notice_and_query_at_once_pay_once(
    run_threads: Run, channel: Channel, at: datetime
) -> None:
    make_rules(at)
    promoter = make_payee(at, available_fen=100_000)
    ask(promoter, 100_000, at)
    send_due(at=at)
    state = channel.end(only(promoter).number)
    later = at + timedelta(hours=1)

    def one(index: int) -> Any:
        if index % 2:
            return finish_transfer(state=state, at=later)
        return query_transfers(at=later)

    found = list(run_threads(8, one))
    assert set(found[1::2]) <= {"paid", "already"}
    assert only(promoter).status == "paid"
    assert (booked("pay_net"), booked("pay_tax")) == ([96_000], [4_000])
    assert standing(promoter) == (0, 0, 0)
    books_are_clean()


def test_eight_notices_of_a_failure_return_the_money_once(
    run_threads: Run, channel: Channel, at: datetime
) -> None:
    make_rules(at)
    promoter = make_payee(at, available_fen=100_000)
    ask(promoter, 100_000, at)
    send_due(at=at)
    state = channel.end(only(promoter).number, "FAIL", "OVERDUE_CLOSE")
    found = list(run_threads(8, lambda _: finish_transfer(state=state, at=at)))
    assert sorted(found) == ["already"] * 7 + ["returned"]
    assert booked("return") == [100_000]
    assert standing(promoter) == (100_000, 0, 0)


def test_success_and_failure_at_once_leave_one_end(
    run_threads: Run, channel: Channel, at: datetime
) -> None:
    make_rules(at)
    promoter = make_payee(at, available_fen=100_000)
    ask(promoter, 100_000, at)
    send_due(at=at)
    number = only(promoter).number
    states = [channel.end(number, "SUCCESS"), channel.end(number, "FAIL", "X")]
    found = sorted(run_threads(2, lambda i: finish_transfer(state=states[i], at=at)))
    assert found in (["conflict", "paid"], ["conflict", "returned"])
    assert len(booked("pay_net")) + len(booked("return")) == 1
    books_are_clean()


def test_cancel_and_payout_at_once_do_one_of_both(
    run_threads: Run, channel: Channel, at: datetime
) -> None:
    make_rules(at)
    ends = set()
    for _ in range(6):
        promoter = make_payee(at, available_fen=50_000)
        ask(promoter, 50_000, at)
        pk, me = only(promoter).pk, promoter.member.actor

        def one(index: int, pk: int = pk, me: Any = me) -> Any:
            if index:
                return start_payout(withdrawal_id=pk, at=at)
            return cancel_withdrawal(withdrawal_id=pk, by=me, at=at)

        outcome = run_threads(2, one)
        assert all(isinstance(e, AlreadySent) for e in outcome.errors.values())
        ends.add(only(promoter).status)
        returned = only(promoter).status == "cancelled"
        assert standing(promoter) == ((50_000, 0, 0) if returned else (0, 50_000, 0))
    assert ends <= {"cancelled", "paying"}
    books_are_clean()


def test_clawback_and_payout_at_once_never_use_the_same_money(
    run_threads: Run, channel: Channel, at: datetime
) -> None:
    make_rules(at)
    for _ in range(6):
        promoter = make_payee(at, available_fen=50_000)
        ask(promoter, 50_000, at)

        def one(index: int, promoter: Promoter = promoter) -> Any:
            if index:
                return send_due(at=at)
            with transaction.atomic():
                return return_unsent(
                    promoter_id=promoter.pk, needed_fen=20_000, why="Refund", at=at
                )

        returned, _sent = run_threads(2, one)
        status = only(promoter).status
        assert (returned, status) in [(50_000, "cancelled"), (0, "awaiting_confirm")]
        assert balances(promoter.pk).available_fen == returned
    books_are_clean()


def test_one_person_approving_eight_times_at_once_counts_once(
    run_threads: Run, at: datetime
) -> None:
    make_rules(at, two_persons_day_fen=50_000)
    promoter = make_payee(at, available_fen=60_000)
    request = ask(promoter, 60_000, at)
    outcome = run_threads(8, lambda _: approve_request(request_id=request.pk, by=ANNA, at=at))
    assert len(outcome.results) == 1
    assert {type(error) for error in outcome.errors.values()} == {AlreadyApproved}
    assert statuses(promoter) == ["reviewing"]


def test_approving_and_rejecting_at_once_move_the_money_once(
    run_threads: Run, at: datetime
) -> None:
    make_rules(at, review_first=True)
    promoter = make_payee(at, available_fen=60_000)
    request = ask(promoter, 60_000, at)

    def one(index: int) -> Any:
        if index % 2:
            return approve_request(request_id=request.pk, by=ANNA, at=at)
        return reject_request(request_id=request.pk, reason="No", by=ANNA, at=at)

    outcome = run_threads(8, one)
    assert all(isinstance(error, DomainError) for error in outcome.errors.values())
    assert len(booked("return")) <= 1
    assert statuses(promoter)[0] in {"approved", "rejected"}
    books_are_clean()


def test_two_transfers_of_one_payee_never_start_at_once(
    run_threads: Run, channel: Channel, at: datetime
) -> None:
    make_rules(at)
    promoter = make_payee(at, available_fen=160_000)
    for _ in range(2):
        ask(promoter, 80_000, at)
    ids = list(Withdrawal.objects.order_by("pk").values_list("pk", flat=True))
    started = list(run_threads(8, lambda i: start_payout(withdrawal_id=ids[i % 2], at=at)))
    assert sorted(started) == [False] * 7 + [True]
    assert sorted(statuses(promoter)) == ["approved", "paying"]


def test_a_turn_of_the_month_does_not_start_two_transfers(
    run_threads: Run, channel: Channel, at: datetime
) -> None:
    last, first = at.replace(day=1, hour=0) - timedelta(seconds=1), at.replace(day=1, hour=0)
    make_rules(last)
    for _ in range(4):
        promoter = make_payee(last, available_fen=160_000)
        for _ in range(2):
            ask(promoter, 80_000, last)
        rows = Withdrawal.objects.filter(promoter=promoter).order_by("pk")
        ids = list(rows.values_list("pk", flat=True))
        times = [last, first]

        def one(i: int, ids: list[int] = ids, times: list[datetime] = times) -> bool:
            return start_payout(withdrawal_id=ids[i], at=times[i])

        assert sorted(run_threads(2, one)) == [False, True]
