"""The ledger's only door: balanced, idempotent postings.

A transfer goes from its debit to its credit account; balance = credits - debits. A promoter's
four accounts carry a balance, moved here together with the rows. Whatever is credited to an
available account first pays what its promoter owes, in the same posting.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db import transaction
from django.db.models import BigIntegerField, Case, F, Q, Value, When

from commissions.errors import AccountClosed, InsufficientFunds
from commissions.models import Account, Transfer
from commissions.models.ledger import POSTINGS, PROMOTER_KINDS
from commissions.selectors_periods import open_day
from distro.clock import beijing_day
from distro.errors import ConflictingContent
from distro.locks import Lock, advisory_shared

Kind = Account.Kind
Code = Transfer.Code
BATCH = 500  # accounts moved in one statement


@dataclass(frozen=True)
class Ref:
    """Names an account: a promoter's by kind, the platform's by kind and label."""

    kind: str
    promoter_id: int | None = None
    label: str = ""


@dataclass(frozen=True)
class Entry:
    """One transfer to book; amount_fen >= 0, an amount of 0 writes none."""

    debit: Ref
    credit: Ref
    amount_fen: int
    code: str
    key: str
    source: str


@dataclass(frozen=True)
class Balances:
    """What stands on a promoter's accounts, in fen; owed_fen >= 0 is what he owes."""

    frozen_fen: int = 0
    available_fen: int = 0
    withdrawing_fen: int = 0
    owed_fen: int = 0


EXPENSE = Ref(Kind.EXPENSE)


def post(entries: Sequence[Entry], *, at: datetime) -> int:
    """Book the entries that are not booked yet; return how many were.

    Raises ConflictingContent when a key was used for something else, InsufficientFunds when a
    promoter's account would pass zero, AccountClosed when its promoter has left. What occurred in
    a closed month is booked on the first open day.
    """
    entries = [entry for entry in entries if entry.amount_fen]
    if not entries:
        return 0
    assert all(_is_posting(entry) for entry in entries)
    with transaction.atomic():
        accounts = _locked_accounts(entries)
        fresh = _not_booked(entries, accounts)
        fresh += _offsets(fresh, accounts)
        _insert(fresh, accounts, at)
        _move(fresh, accounts)
    return len(fresh)


def lock_accounts(promoter_ids: Iterable[int]) -> dict[int, Balances]:
    """Lock all accounts of these promoters until the transaction ends; return their balances."""
    ids = sorted(set(promoter_ids))
    _make_missing({Ref(kind, pk) for pk in ids for kind in PROMOTER_KINDS})
    rows = Account.objects.filter(promoter_id__in=ids).order_by("pk").select_for_update()
    return _balances(ids, rows)


def balances(promoter_id: int) -> Balances:
    """Return what stands on a promoter's accounts now, without locking."""
    rows = Account.objects.filter(promoter_id=promoter_id)
    return _balances([promoter_id], rows)[promoter_id]


def _balances(ids: Sequence[int], rows: Iterable[Account]) -> dict[int, Balances]:
    sums: dict[int, dict[str, int]] = {pk: {} for pk in ids}
    for row in rows:
        assert row.promoter_id is not None and row.balance_fen is not None
        sums[row.promoter_id][row.kind] = row.balance_fen
    return {
        pk: Balances(
            frozen_fen=kinds.get(Kind.FROZEN, 0),
            available_fen=kinds.get(Kind.AVAILABLE, 0),
            withdrawing_fen=kinds.get(Kind.WITHDRAWING, 0),
            owed_fen=-kinds.get(Kind.RECEIVABLE, 0),
        )
        for pk, kinds in sums.items()
    }


# --- Accounts -------------------------------------------------------------------------------


def _locked_accounts(entries: Iterable[Entry]) -> dict[Ref, Account]:
    """Return the accounts that the entries touch, promoters' locked in pk order.

    The receivable of a promoter who gets something available is locked with it.
    """
    refs = {ref for entry in entries for ref in (entry.debit, entry.credit)}
    refs |= {Ref(Kind.RECEIVABLE, ref.promoter_id) for ref in refs if ref.kind == Kind.AVAILABLE}
    found = _find(refs)
    if missing := refs - found.keys():
        _make_missing(missing)
        found = _find(refs)
    return found


def _find(refs: set[Ref]) -> dict[Ref, Account]:
    promoters = {ref.promoter_id for ref in refs if ref.promoter_id is not None}
    kinds = {ref.kind for ref in refs}
    own = Account.objects.filter(promoter_id__in=promoters, kind__in=kinds)
    rows = list(own.order_by("pk").select_for_update(of=("self",)))
    rows += Account.objects.filter(promoter=None, kind__in=kinds - set(PROMOTER_KINDS))
    by_ref = {Ref(row.kind, row.promoter_id, row.label): row for row in rows}
    return {ref: by_ref[ref] for ref in refs if ref in by_ref}


def _make_missing(refs: Iterable[Ref]) -> None:
    rows = [
        Account(
            kind=ref.kind,
            promoter_id=ref.promoter_id,
            label=ref.label,
            balance_fen=None if ref.promoter_id is None else 0,
        )
        for ref in sorted(refs, key=lambda ref: (ref.promoter_id or 0, ref.kind, ref.label))
    ]
    Account.objects.bulk_create(rows, ignore_conflicts=True)


# --- Transfers ------------------------------------------------------------------------------


def _is_posting(entry: Entry) -> bool:
    """Say whether an entry is one of the few postings there are, and takes what is above 0."""
    return entry.amount_fen > 0 and (entry.debit.kind, entry.credit.kind) in POSTINGS[entry.code]


def _not_booked(entries: Sequence[Entry], accounts: dict[Ref, Account]) -> list[Entry]:
    """Return the entries whose key is new; refuse a known key with other content."""
    by_key = {entry.key: entry for entry in entries}
    assert len(by_key) == len(entries), "one key twice in one posting"
    known = Transfer.objects.filter(idempotency_key__in=by_key)
    for row in known:
        entry = by_key.pop(row.idempotency_key)
        same = (accounts[entry.debit].pk, accounts[entry.credit].pk, entry.amount_fen, entry.code)
        if same != (row.debit_id, row.credit_id, row.amount_fen, row.code):
            raise ConflictingContent
    return list(by_key.values())


def _offsets(fresh: Sequence[Entry], accounts: dict[Ref, Account]) -> list[Entry]:
    """Return the entries that pay debts out of what becomes available, one a promoter."""
    credited = {e.credit: e for e in fresh if e.credit.kind == Kind.AVAILABLE}
    net = _net(fresh)
    offsets = []
    for ref, last in credited.items():
        debt = Ref(Kind.RECEIVABLE, ref.promoter_id)
        owed = -(accounts[debt].balance_fen or 0) - net.get(debt, 0)
        available = (accounts[ref].balance_fen or 0) + net[ref]
        amount = min(available, owed)
        if amount > 0:
            key = f"offset:{last.key}"
            offsets.append(Entry(ref, debt, amount, Code.OFFSET, key, last.source))
    return offsets


def _insert(fresh: Sequence[Entry], accounts: dict[Ref, Account], at: datetime) -> None:
    """Book the rows; nobody closes a month between the look at the periods and our commit."""
    advisory_shared(Lock.PERIOD)
    booked_on = open_day(beijing_day(at))
    Transfer.objects.bulk_create(
        [
            Transfer(
                debit=accounts[entry.debit],
                credit=accounts[entry.credit],
                amount_fen=entry.amount_fen,
                code=entry.code,
                idempotency_key=entry.key,
                source=entry.source,
                booked_on=booked_on,
                occurred_at=at,
            )
            for entry in fresh
        ],
        batch_size=2 * BATCH,
    )


def _net(entries: Iterable[Entry]) -> dict[Ref, int]:
    net: dict[Ref, int] = {}
    for entry in entries:
        net[entry.debit] = net.get(entry.debit, 0) - entry.amount_fen
        net[entry.credit] = net.get(entry.credit, 0) + entry.amount_fen
    return net


def _move(fresh: Sequence[Entry], accounts: dict[Ref, Account]) -> None:
    """Move each promoter's account once, by its net sum."""
    deltas = {
        accounts[ref].pk: delta
        for ref, delta in _net(fresh).items()
        if ref.promoter_id is not None and delta
    }
    for ref, delta in _net(fresh).items():
        after = (accounts[ref].balance_fen or 0) + delta
        if ref.promoter_id is not None and (
            after > 0 if ref.kind == Kind.RECEIVABLE else after < 0
        ):
            raise InsufficientFunds
        if accounts[ref].closed and after > 0:
            raise AccountClosed
    keys = sorted(deltas)
    for start in range(0, len(keys), BATCH):
        _move_batch({key: deltas[key] for key in keys[start : start + BATCH]})


def _move_batch(deltas: dict[int, int]) -> None:
    change = Case(
        *(When(Q(pk=pk), then=Value(delta)) for pk, delta in deltas.items()),
        output_field=BigIntegerField(),
    )
    Account.objects.filter(pk__in=deltas).update(balance_fen=F("balance_fen") + change)
