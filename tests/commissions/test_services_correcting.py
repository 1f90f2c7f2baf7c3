"""Corrections by hand: two persons, to the fen, once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.db import IntegrityError, transaction

from analytics.books.ledger import corrections_are_booked, what_came_is_what_went
from commissions.errors_books import NothingOwed, SecondPersonNeeded
from commissions.errors_withdrawals import OnlyStaffDecides
from commissions.models import Correction, Transfer, Withdrawal
from commissions.services.correcting import (
    book_correction,
    reject_correction,
    request_correction,
)
from commissions.services.ledger import EXPENSE, Entry, Kind, Ref, post
from commissions.services.withdrawals import request_withdrawal
from distro.actors import SYSTEM, Actor
from distro.errors import AmountOutOfRange, DomainError, IllegalTransition
from distro.models import AuditEntry
from referrals.errors import ReasonMissing
from referrals.models import Promoter
from tests.commissions.builders import make_chain, stands
from tests.commissions.payout_world import make_payee, make_rules
from tests.factories import AT

pytestmark = pytest.mark.django_db
ANNA, BERT = Actor("staff", 1), Actor("staff", 2)


@pytest.fixture
def promoter() -> Promoter:
    return make_chain(1)[0]


def ask(promoter: Promoter, kind: str, fen: int, **changes: Any) -> Correction:
    asked = {"promoter_id": promoter.pk, "kind": kind, "amount_fen": fen, "reason": "miscounted"}
    return request_correction(**{**asked, "by": ANNA, "at": AT, **changes})


def owe(promoter: Promoter, fen: int) -> None:
    debt = Ref(Kind.RECEIVABLE, promoter.pk)
    post([Entry(debt, EXPENSE, fen, "claw_debt", f"claw_debt:{fen}", "refund:1")], at=AT)


def sound() -> bool:
    return not [*corrections_are_booked(), *what_came_is_what_went()]


def test_a_promoter_is_corrected_up_then_down_into_debt_and_forgiven(promoter: Promoter) -> None:
    asked = ask(promoter, "correct_up", 1_000)
    assert stands(promoter) == (0, 0, 0, 0)  # nothing moves for one person's wish
    book_correction(correction_id=asked.pk, by=BERT, at=AT)
    assert stands(promoter) == (0, 1_000, 0, 0)
    down = ask(promoter, "correct_down", 1_300)
    book_correction(correction_id=down.pk, by=BERT, at=AT)
    assert stands(promoter) == (0, 0, 0, 300)
    assert sound()
    pay_off = ask(promoter, "correct_up", 50)
    book_correction(correction_id=pay_off.pk, by=BERT, at=AT)
    assert stands(promoter) == (0, 0, 0, 250)
    forgiven = ask(promoter, "write_off", 250)
    book_correction(correction_id=forgiven.pk, by=BERT, at=AT)
    assert stands(promoter) == (0, 0, 0, 0)
    assert sound()
    codes = Transfer.objects.order_by("pk").values_list("code", "amount_fen")
    assert list(codes) == [
        ("correct_up", 1_000),
        ("correct_down", 1_000),
        ("correct_down", 300),
        ("correct_up", 50),
        ("offset", 50),
        ("write_off", 250),
    ]
    assert AuditEntry.objects.filter(action="correction.book", actor_id=2).count() == 4


def test_what_is_taken_comes_out_of_unsent_withdrawals_first() -> None:
    make_rules(AT, review_first=True)
    promoter = make_payee(AT, available_fen=100_000)
    request_withdrawal(promoter_id=promoter.pk, amount_fen=90_000, at=AT)
    assert stands(promoter) == (0, 10_000, 90_000, 0)
    down = ask(promoter, "correct_down", 50_000)
    book_correction(correction_id=down.pk, by=BERT, at=AT)
    assert stands(promoter) == (0, 50_000, 0, 0)
    assert Withdrawal.objects.get().status == Withdrawal.Status.CANCELLED
    assert sound()


@pytest.mark.parametrize(
    ("changes", "refusal"),
    [
        ({"reason": "  "}, ReasonMissing),
        ({"amount_fen": 0}, AmountOutOfRange),
        ({"amount_fen": -1}, AmountOutOfRange),
        ({"amount_fen": 10_000_000_001}, AmountOutOfRange),
        ({"by": SYSTEM}, OnlyStaffDecides),
        ({"by": Actor("member", 1)}, OnlyStaffDecides),
    ],
)
def test_a_bad_request_writes_nothing(
    promoter: Promoter, changes: dict[str, Any], refusal: type[DomainError]
) -> None:
    with pytest.raises(refusal):
        ask(promoter, "correct_up", 100, **changes)
    assert not Correction.objects.exists()
    assert not AuditEntry.objects.exists()


def test_who_asked_does_not_book_but_may_reject(promoter: Promoter) -> None:
    asked = ask(promoter, "correct_up", 100)
    with pytest.raises(SecondPersonNeeded):
        book_correction(correction_id=asked.pk, by=ANNA, at=AT)
    with pytest.raises(ReasonMissing):
        reject_correction(correction_id=asked.pk, reason=" ", by=ANNA, at=AT)
    assert stands(promoter) == (0, 0, 0, 0)
    reject_correction(correction_id=asked.pk, reason="a mistake", by=ANNA, at=AT)
    with pytest.raises(IllegalTransition):
        book_correction(correction_id=asked.pk, by=BERT, at=AT)
    assert not Transfer.objects.exists()


@pytest.mark.parametrize("owed", [0, 99])
def test_no_more_is_written_off_than_is_owed(promoter: Promoter, owed: int) -> None:
    if owed:
        owe(promoter, owed)
    asked = ask(promoter, "write_off", 100)
    with pytest.raises(NothingOwed):
        book_correction(correction_id=asked.pk, by=BERT, at=AT)
    asked.refresh_from_db()
    assert asked.status == Correction.Status.REQUESTED
    assert stands(promoter) == (0, 0, 0, owed)


def test_the_database_wants_two_persons_and_a_whole_decision(promoter: Promoter) -> None:
    values: dict[str, Any] = {
        "promoter": promoter,
        "kind": "correct_up",
        "amount_fen": 1,
        "reason": "r",
        "requested_by": "staff:1",
        "requested_at": AT,
    }
    decided = {"status": "booked", "decided_by": "staff:2", "decided_at": AT}
    for wrong in (
        {"amount_fen": 0},
        {"kind": "gift"},
        {"reason": ""},
        {**decided, "decided_by": "staff:1"},
        {**decided, "decided_by": ""},
        {**decided, "decided_at": None},
        {"status": "paid"},
        {"decided_by": "staff:2"},
    ):
        with pytest.raises(IntegrityError), transaction.atomic():
            Correction.objects.create(**{**values, **wrong})
    row = Correction.objects.create(**values)
    with pytest.raises(IntegrityError), transaction.atomic():
        Correction.objects.filter(pk=row.pk).update(amount_fen=2)
    with pytest.raises(IntegrityError), transaction.atomic():
        row.delete()


def test_a_correction_paid_to_another_promoter_is_a_fault(promoter: Promoter) -> None:
    asked = ask(promoter, "correct_up", 100)
    other = Ref(Kind.AVAILABLE, make_chain(1)[0].pk)
    source = f"correction:{asked.pk}"
    post([Entry(EXPENSE, other, 100, "correct_up", f"correct_up:{asked.pk}:1", source)], at=AT)
    assert len(list(corrections_are_booked())) == 1


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
def test_a_correction_booked_eight_times_at_once_moves_once(
    run_threads: Callable[..., Any],
) -> None:
    promoter = make_chain(1)[0]
    asked = ask(promoter, "correct_up", 100)
    outcome = run_threads(
        8,
        lambda index: book_correction(correction_id=asked.pk, by=Actor("staff", 2 + index), at=AT),
    )
    assert len(outcome.errors) == 7
    assert stands(promoter) == (0, 100, 0, 0)
