"""The ledger: balanced, idempotent, never below zero, and the same as a naive one."""

from __future__ import annotations

from datetime import datetime
from types import SimpleNamespace

import pytest
from django.db import DatabaseError, IntegrityError, connection, transaction
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from commissions.errors import InsufficientFunds
from commissions.models import Account, Transfer
from commissions.models.ledger import PROMOTER_KINDS
from commissions.services.ledger import EXPENSE, Entry, Kind, Ref, balances, lock_accounts, post
from distro.errors import ConflictingContent
from referrals.models import Promoter
from tests.commissions.builders import make_chain, stands
from tests.factories import AT

pytestmark = pytest.mark.django_db


@pytest.fixture
def promoter() -> Promoter:
    return make_chain(1)[0]


def entry(debit: Ref, credit: Ref, amount: int, key: str, code: str = "accrue") -> Entry:
    return Entry(debit, credit, amount, code, key, "test:1")


def frozen(promoter: Promoter) -> Ref:
    return Ref(Kind.FROZEN, promoter.pk)


def available(promoter: Promoter) -> Ref:
    return Ref(Kind.AVAILABLE, promoter.pk)


def owed(promoter: Promoter) -> Ref:
    return Ref(Kind.RECEIVABLE, promoter.pk)


def test_a_posting_moves_both_sides_once(promoter: Promoter) -> None:
    rows = [entry(EXPENSE, frozen(promoter), 100, "a"), entry(EXPENSE, frozen(promoter), 23, "b")]
    assert post(rows, at=AT) == 2
    assert post(rows, at=AT) == 0
    assert stands(promoter) == (123, 0, 0, 0)
    assert Transfer.objects.count() == 2


def test_an_amount_of_zero_writes_nothing(promoter: Promoter) -> None:
    assert post([entry(EXPENSE, frozen(promoter), 0, "a")], at=AT) == 0
    assert not Transfer.objects.exists()


@pytest.mark.parametrize("other", ["amount", "account", "code"])
def test_a_known_key_with_other_content_is_refused(promoter: Promoter, other: str) -> None:
    post([entry(EXPENSE, frozen(promoter), 100, "a")], at=AT)
    changed = {
        "amount": entry(EXPENSE, frozen(promoter), 101, "a"),
        "account": entry(EXPENSE, frozen(make_chain(1)[0]), 100, "a"),
        "code": entry(EXPENSE, available(promoter), 100, "a", code="bonus"),
    }[other]
    with pytest.raises(ConflictingContent):
        post([entry(EXPENSE, frozen(promoter), 7, "new"), changed], at=AT)
    assert stands(promoter) == (100, 0, 0, 0)
    assert Transfer.objects.count() == 1


def test_nobody_gives_what_he_does_not_have(promoter: Promoter) -> None:
    post([entry(EXPENSE, frozen(promoter), 100, "a")], at=AT)
    with pytest.raises(InsufficientFunds):
        post([entry(frozen(promoter), available(promoter), 101, "b", "settle")], at=AT)
    assert stands(promoter) == (100, 0, 0, 0)


def test_a_debt_is_never_paid_beyond_zero(promoter: Promoter) -> None:
    post([entry(owed(promoter), EXPENSE, 30, "debt", "claw_debt")], at=AT)
    with pytest.raises(InsufficientFunds):
        post([entry(Ref(Kind.WRITE_OFF), owed(promoter), 31, "b", "write_off")], at=AT)
    assert stands(promoter) == (0, 0, 0, 30)


def test_what_becomes_available_pays_the_debt_first(promoter: Promoter) -> None:
    post([entry(owed(promoter), EXPENSE, 30, "debt", "claw_debt")], at=AT)
    post([entry(EXPENSE, frozen(promoter), 100, "a")], at=AT)
    post([entry(frozen(promoter), available(promoter), 20, "s1", "settle")], at=AT)
    assert stands(promoter) == (80, 0, 0, 10)
    post([entry(frozen(promoter), available(promoter), 80, "s2", "settle")], at=AT)
    assert stands(promoter) == (0, 70, 0, 0)
    offsets = Transfer.objects.filter(code="offset").order_by("pk")
    assert [(row.idempotency_key, row.amount_fen) for row in offsets] == [
        ("offset:s1", 20),
        ("offset:s2", 10),
    ]


def test_a_repeated_credit_pays_no_debt_twice(promoter: Promoter) -> None:
    post([entry(EXPENSE, frozen(promoter), 50, "a")], at=AT)
    credit = [entry(frozen(promoter), available(promoter), 50, "s", "settle")]
    post(credit, at=AT)
    post([entry(available(promoter), EXPENSE, 50, "c", "claw_available")], at=AT)
    post([entry(owed(promoter), EXPENSE, 10, "d", "claw_debt")], at=AT)
    assert post(credit, at=AT) == 0
    assert stands(promoter) == (0, 0, 0, 10)


def test_balances_of_an_unknown_promoter_are_zero_and_locking_opens_accounts() -> None:
    promoter = make_chain(1)[0]
    Account.objects.filter(promoter=promoter).delete()
    assert balances(promoter.pk).frozen_fen == 0
    lock_accounts([promoter.pk])
    lock_accounts([promoter.pk])
    assert Account.objects.filter(promoter=promoter).count() == 4


@pytest.mark.parametrize(
    "change",
    [{"amount_fen": 1}, {"idempotency_key": "x"}, {"code": "settle"}],
)
def test_a_transfer_is_never_changed(promoter: Promoter, change: dict[str, object]) -> None:
    post([entry(EXPENSE, frozen(promoter), 100, "a")], at=AT)
    with pytest.raises(DatabaseError), transaction.atomic():
        Transfer.objects.update(**change)
    with pytest.raises(DatabaseError), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("DELETE FROM commissions_transfer")
    assert Transfer.objects.get().amount_fen == 100


@pytest.mark.parametrize(
    ("kind", "balance"),
    [("frozen", -1), ("available", -1), ("withdrawing", -1), ("receivable", 1)],
)
def test_the_database_knows_the_sign_of_each_account(
    promoter: Promoter, kind: str, balance: int
) -> None:
    lock_accounts([promoter.pk])
    with pytest.raises(IntegrityError), transaction.atomic():
        Account.objects.filter(promoter=promoter, kind=kind).update(balance_fen=balance)


# --- The only postings ----------------------------------------------------------------------


def ref(kind: str, promoter: Promoter) -> Ref:
    return Ref(kind, promoter.pk) if kind in PROMOTER_KINDS else Ref(kind, label="test")


@pytest.mark.parametrize("code", Transfer.Code.values)
@pytest.mark.parametrize("debit", Account.Kind.values)
def test_a_code_goes_only_between_its_own_accounts(
    promoter: Promoter, code: str, debit: str
) -> None:
    for credit in Account.Kind.values:
        row = entry(ref(debit, promoter), ref(credit, promoter), 5, f"{debit}:{credit}", code)
        if (debit, credit) in DESIGNED[code]:
            post([entry(EXPENSE, frozen(promoter), 9, f"f{credit}")], at=AT)
            post([entry(EXPENSE, available(promoter), 9, f"a{credit}", "bonus")], at=AT)
            if debit == "withdrawing":
                taken = (available(promoter), ref("withdrawing", promoter))
                post([entry(*taken, 5, f"w{credit}", "request")], at=AT)
            if credit == "receivable":
                post([entry(owed(promoter), EXPENSE, 5, f"o{credit}", "claw_debt")], at=AT)
            assert post([row], at=AT) == 1
        else:
            with pytest.raises(AssertionError):
                post([row], at=AT)


# code -> (debit, credit), as the design lists them
DESIGNED: dict[str, set[tuple[str, str]]] = {
    "accrue": {("expense", "frozen")},
    "settle": {("frozen", "available")},
    "claw_frozen": {("frozen", "expense")},
    "claw_available": {("available", "expense")},
    "claw_debt": {("receivable", "expense")},
    "offset": {("available", "receivable")},
    "bonus": {("expense", "available")},
    "bonus_back": {("available", "expense"), ("receivable", "expense")},
    "reward": {("expense", "available")},
    "reward_back": {("available", "expense"), ("receivable", "expense")},
    "correct_up": {("expense", "available")},
    "correct_down": {("available", "expense"), ("receivable", "expense")},
    "request": {("available", "withdrawing")},
    "return": {("withdrawing", "available")},
    "pay_net": {("withdrawing", "clearing")},
    "pay_tax": {("withdrawing", "tax_payable")},
    "bounce": {("clearing", "withdrawing")},
    "untax": {("tax_payable", "withdrawing")},
    "tax_back": {("tax_payable", "available")},
    "bank": {("clearing", "bank"), ("bank", "clearing")},
    "fee": {("fee_expense", "bank"), ("bank", "fee_expense")},
    "file_tax": {("tax_payable", "bank")},
    "write_off": {("write_off", "receivable")},
}


# --- Against a naive ledger -----------------------------------------------------------------

STEPS = st.lists(
    st.tuples(
        st.sampled_from(
            ["accrue", "settle", "claw_frozen", "claw_available", "claw_debt", "request"]
        ),
        st.integers(0, 200),
        st.integers(0, 4),  # a small key space: repeats happen
    ),
    max_size=25,
)


class Naive:
    """Four numbers and a set of keys."""

    def __init__(self) -> None:
        self.at = SimpleNamespace(frozen=0, available=0, withdrawing=0, owed=0)
        self.keys: dict[str, tuple[str, int]] = {}

    def play(self, code: str, amount: int, key: str) -> str:
        if amount == 0:
            return "ok"
        if key in self.keys:
            return "ok" if self.keys[key] == (code, amount) else "conflict"
        a = self.at
        source = {"settle": "frozen", "claw_frozen": "frozen", "claw_available": "available",
                  "request": "available"}.get(code)  # fmt: skip
        if source and getattr(a, source) < amount:
            return "short"
        if source:
            setattr(a, source, getattr(a, source) - amount)
        target = {"accrue": "frozen", "settle": "available", "request": "withdrawing",
                  "claw_debt": "owed"}.get(code)  # fmt: skip
        if target:
            setattr(a, target, getattr(a, target) + amount)
        if code == "settle":
            paid = min(a.available, a.owed)
            a.available, a.owed = a.available - paid, a.owed - paid
        self.keys[key] = (code, amount)
        return "ok"


def sides(code: str, promoter: Promoter) -> tuple[Ref, Ref]:
    withdrawing = Ref(Kind.WITHDRAWING, promoter.pk)
    return {
        "accrue": (EXPENSE, frozen(promoter)),
        "settle": (frozen(promoter), available(promoter)),
        "claw_frozen": (frozen(promoter), EXPENSE),
        "claw_available": (available(promoter), EXPENSE),
        "claw_debt": (owed(promoter), EXPENSE),
        "request": (available(promoter), withdrawing),
    }[code]


@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(steps=STEPS)
def test_it_agrees_with_a_naive_ledger(
    promoter: Promoter, steps: list[tuple[str, int, int]]
) -> None:
    sid = transaction.savepoint()
    naive = Naive()
    for code, amount, number in steps:
        key = f"{code}:{number}"
        try:
            with transaction.atomic():
                post([entry(*sides(code, promoter), amount, key, code)], at=AT)
            outcome = "ok"
        except ConflictingContent:
            outcome = "conflict"
        except InsufficientFunds:
            outcome = "short"
        assert outcome == naive.play(code, amount, key)
        n = naive.at
        assert stands(promoter) == (n.frozen, n.available, n.withdrawing, n.owed)
    transaction.savepoint_rollback(sid)


def test_the_booking_day_is_the_day_in_beijing(promoter: Promoter) -> None:
    late = datetime.fromisoformat("2026-01-31T16:00:00+00:00")
    post([entry(EXPENSE, frozen(promoter), 1, "a")], at=late)
    assert str(Transfer.objects.get().booked_on) == "2026-02-01"
