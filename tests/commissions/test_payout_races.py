"""Any two things that can happen to a withdrawal, at the same moment, from each of its states."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from datetime import datetime
from typing import Any

import pytest
from django.db import transaction

from commissions.models import Account, Transfer, Withdrawal, WithdrawalRequest
from commissions.services import paying_out, transferring
from commissions.services.paying_out import send_due
from commissions.services.returning import return_unsent
from commissions.services.reviewing import (
    approve_request,
    hold_request,
    reject_request,
    release_request,
)
from commissions.services.transferring import deliver, finish_transfer, query_transfers
from commissions.services.withdrawals import cancel_withdrawal, request_withdrawal
from distro.errors import DomainError
from referrals.models import Identity, Promoter
from referrals.services.holds import open_hold
from referrals.services.identities import reject_identity
from referrals.services.promoters import suspend_promoter
from tests.commissions.payout_world import (
    ANNA,
    BORIS,
    Channel,
    make_payee,
    make_rules,
    standing,
    statuses,
)

pytestmark = [pytest.mark.postgres, pytest.mark.slow, pytest.mark.django_db(transaction=True)]
Run = Callable[..., Any]
Step = Callable[[], Any]

HAS, ASKED = 30_000, 20_000  # fen; asked for in two transfers
NEVER_PAID = {"failed", "rejected", "cancelled"}
PEOPLE = ["ask", "cancel", "approve", "reject", "hold", "release", "clawback"]
AT_WECHAT = ["deliver", "query", "success", "failure", "cancel", "reject", "clawback"]
STOPS = ["hold the promoter", "suspend", "reject the person"]
MEET = {  # what can meet at a withdrawal in this state
    "reviewing": PEOPLE,
    "approved": [*PEOPLE, *STOPS, "send"],
    "sent": AT_WECHAT,
}


@pytest.fixture
def channel(at: datetime, monkeypatch: pytest.MonkeyPatch) -> Channel:
    made = Channel(at)
    for module in (paying_out, transferring):
        monkeypatch.setattr(module, "pay", lambda: made)
    return made


def first(promoter: Promoter) -> Withdrawal:
    row = Withdrawal.objects.filter(promoter=promoter).order_by("pk").first()
    assert row is not None
    return row


def ended(channel: Channel, promoter: Promoter, state: str, at: datetime) -> None:
    """Let WeChat tell how the first transfer ended, if it has it and has told nothing else."""
    number = first(promoter).number
    with channel.lock:
        bill = channel.bills.get(number)
        if bill is None or bill["state"] not in {"WAIT_USER_CONFIRM", state}:
            return
        told = channel.end(number, state)
    finish_transfer(state=told, at=at)


def clawback(promoter: Promoter, at: datetime) -> None:
    with transaction.atomic():
        return_unsent(promoter_id=promoter.pk, needed_fen=1, why="refund", at=at)


def steps(channel: Channel, promoter: Promoter, at: datetime) -> dict[str, Step]:
    request, row = WithdrawalRequest.objects.get(promoter=promoter).pk, first(promoter).pk
    why = {"reason": "looked at", "by": BORIS, "at": at}
    member = promoter.member
    return {
        "ask": lambda: request_withdrawal(promoter_id=promoter.pk, amount_fen=10_000, at=at),
        "cancel": lambda: cancel_withdrawal(withdrawal_id=row, by=member.actor, at=at),
        "approve": lambda: approve_request(request_id=request, by=ANNA, at=at),
        "reject": lambda: reject_request(request_id=request, **why),
        "hold": lambda: hold_request(request_id=request, **why),
        "release": lambda: release_request(request_id=request, by=BORIS, at=at),
        "clawback": lambda: clawback(promoter, at),
        "send": lambda: send_due(at=at),
        "query": lambda: query_transfers(at=at),
        "deliver": lambda: deliver(withdrawal_id=row, at=at),
        "success": lambda: ended(channel, promoter, "SUCCESS", at),
        "failure": lambda: ended(channel, promoter, "FAIL", at),
        "hold the promoter": lambda: open_hold(promoter_id=promoter.pk, **why),
        "suspend": lambda: suspend_promoter(promoter_id=promoter.pk, why="x", by=BORIS, at=at),
        "reject the person": lambda: reject_identity(
            identity_id=Identity.objects.get(member=member).pk, **why
        ),
    }


def begin(state: str, at: datetime) -> Promoter:
    """Return a promoter whose withdrawal is in review, approved, or at WeChat."""
    promoter = make_payee(at, available_fen=HAS)
    request = request_withdrawal(promoter_id=promoter.pk, amount_fen=ASKED, at=at)
    if state != "reviewing":
        approve_request(request_id=request.pk, by=ANNA, at=at)
    if state == "sent":
        send_due(at=at)
    return promoter


def check(channel: Channel, promoter: Promoter) -> None:
    """No fen is lost or there twice, and WeChat paid what is booked as paid."""
    available, withdrawing, owed = standing(promoter)
    rows = list(Withdrawal.objects.filter(promoter=promoter))
    paid = sum(row.amount_fen for row in rows if row.status == "paid")
    assert (available + withdrawing + paid, owed) == (HAS, 0)
    open_fen = sum(r.amount_fen for r in rows if r.status not in {*NEVER_PAID, "paid"})
    assert withdrawing == open_fen
    at_wechat = {row.status for row in rows if row.number in channel.bills}
    assert at_wechat <= {"paying", "awaiting_confirm", "paid", "failed"}
    for row in rows:
        state = channel.bills.get(row.number, {}).get("state")
        assert (row.status == "paid") == (state == "SUCCESS")
        assert row.status != "failed" or state == "FAIL"
    for account in Account.objects.filter(promoter=promoter):
        credits = sum(Transfer.objects.filter(credit=account).values_list("amount_fen", flat=True))
        debits = sum(Transfer.objects.filter(debit=account).values_list("amount_fen", flat=True))
        assert account.balance_fen == credits - debits


@pytest.mark.parametrize("state", list(MEET))
def test_any_two_steps_at_once_lose_and_double_nothing(
    state: str, run_threads: Run, channel: Channel, at: datetime
) -> None:
    make_rules(at, channel_single_max_fen=10_000, review_first=True)
    for pair in itertools.combinations_with_replacement(MEET[state], 2):
        promoter = begin(state, at)
        known = steps(channel, promoter, at)
        outcome = run_threads(2, lambda index, pair=pair, known=known: known[pair[index]]())
        odd = [e for e in outcome.errors.values() if not isinstance(e, DomainError)]
        assert not odd, (pair, odd)
        check(channel, promoter)
        assert len(statuses(promoter)) in {2, 3, 4}, pair
