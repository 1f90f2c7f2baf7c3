"""Seals: whatever is changed behind them is named, row by row."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import timedelta
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import DatabaseError, IntegrityError, OperationalError, connection, transaction
from hypothesis import given
from hypothesis import strategies as st

from commissions.models import Account, Seal, Transfer
from commissions.rules_seals import chain, first_difference, mark, text_of
from commissions.selectors_periods import seal_faults
from commissions.services import sealing
from commissions.services.ledger import EXPENSE, Entry, Kind, Ref, post
from commissions.services.sealing import seal_ledger
from distro import locks
from distro.models import AuditEntry
from distro.triggers import drop_triggers
from referrals.models import Promoter
from tests.commissions.builders import make_chain
from tests.factories import AT

pytestmark = pytest.mark.django_db


@pytest.fixture
def promoter() -> Promoter:
    return make_chain(1)[0]


def book(promoter: Promoter, *keys: str) -> None:
    frozen = Ref(Kind.FROZEN, promoter.pk)
    post([Entry(EXPENSE, frozen, 100, "accrue", key, "commission:1") for key in keys], at=AT)


def named() -> list[tuple[int, str]]:
    return [(row.fault.row_id, row.fault.what) for row in seal_faults()]


@pytest.fixture
def sealed(promoter: Promoter, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Seven transfers in three seals; return their ids, with the triggers taken down."""
    monkeypatch.setattr(sealing, "ROWS", 3)
    book(promoter, *"abcdefg")
    assert seal_ledger(at=AT) == 7
    drop_triggers(connection)
    return list(Transfer.objects.order_by("pk").values_list("pk", flat=True))


def test_every_transfer_is_sealed_once_and_the_seals_are_a_chain(sealed: list[int]) -> None:
    seals = list(Seal.objects.order_by("pk"))
    assert [(row.first_id, row.last_id, row.rows) for row in seals] == [
        (sealed[0], sealed[2], 3),
        (sealed[3], sealed[5], 3),
        (sealed[6], sealed[6], 1),
    ]
    assert [row.before for row in seals] == ["", seals[0].digest, seals[1].digest]
    assert seal_ledger(at=AT + timedelta(days=1)) == 0
    assert named() == []
    newest = AuditEntry.objects.filter(action="ledger.seal").order_by("-pk").first()
    assert newest is not None
    assert newest.detail["digest"] == seals[2].digest


ALTERED = [
    {"amount_fen": 101},
    {"code": "settle"},
    {"source": "commission:2"},
    {"idempotency_key": "z"},
    {"occurred_at": AT + timedelta(microseconds=1)},
    {"booked_on": AT.date() + timedelta(days=40)},
]


@pytest.mark.parametrize("change", ALTERED)
@pytest.mark.parametrize("index", [0, 4, 6])
def test_an_altered_row_is_named(sealed: list[int], index: int, change: dict[str, Any]) -> None:
    Transfer.objects.filter(pk=sealed[index]).update(**change)
    assert named() == [(sealed[index], "altered")]


def test_money_given_to_another_promoter_is_named(sealed: list[int]) -> None:
    other = make_chain(1)[0]
    account = Account.objects.create(promoter=other, kind="frozen", balance_fen=0)
    Transfer.objects.filter(pk=sealed[1]).update(credit=account)
    assert named() == [(sealed[1], "altered")]


@pytest.mark.parametrize("index", [0, 2, 4])
def test_a_row_that_is_gone_is_named(sealed: list[int], index: int) -> None:
    Transfer.objects.filter(pk=sealed[index]).delete()
    assert named()[0] == (sealed[index], "gone")


def test_a_row_slipped_in_is_named(sealed: list[int]) -> None:
    row = Transfer.objects.get(pk=sealed[4])
    Transfer.objects.filter(pk=sealed[4]).delete()
    row.idempotency_key = "other"
    row.save(force_insert=True)
    assert named() == [(sealed[4], "altered")]
    Transfer.objects.filter(pk=sealed[6]).delete()
    assert named() == [(sealed[4], "altered"), (sealed[6], "gone")]


def test_a_forged_seal_breaks_the_chain(sealed: list[int]) -> None:
    second = Seal.objects.order_by("pk")[1]
    Seal.objects.filter(pk=second.pk).update(digest="0" * 64)
    assert {what for _row, what in named()} == {"altered", "chain"}


def test_the_command_names_the_rows_and_fails(sealed: list[int]) -> None:
    out = StringIO()
    call_command("verify_ledger", stdout=out)
    head = Seal.objects.order_by("-pk")[0].digest
    assert out.getvalue() == (
        f"ledger: 3 seals, 7 transfers sealed, 0 not yet, head {head}, 0 faults\n"
    )
    call_command("verify_ledger", head=head, stdout=out)
    with pytest.raises(CommandError):
        call_command("verify_ledger", head="f" * 64, stdout=out)
    Transfer.objects.filter(pk=sealed[1]).update(amount_fen=5)
    out = StringIO()
    with pytest.raises(CommandError):
        call_command("verify_ledger", stdout=out)
    assert out.getvalue().startswith(
        f"seal {sealed[0]}–{sealed[2]}: transfer {sealed[1]} altered\n"
    )


def test_seals_are_never_changed_and_never_fork(promoter: Promoter) -> None:
    book(promoter, "a")
    seal_ledger(at=AT)
    seal = Seal.objects.get()
    for sql in ("UPDATE commissions_seal SET rows = 2", "DELETE FROM commissions_seal"):
        with pytest.raises(DatabaseError), transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(sql)
    values = {"marks": b"", "digest": "x", "sealed_at": AT, "rows": 1}
    for wrong in (
        {"first_id": 10_000, "last_id": 10_000, "before": ""},  # a second beginning
        {"first_id": seal.first_id, "last_id": 10_000, "before": "y"},
        {"first_id": 10_000, "last_id": 9_999, "before": "y"},
        {"first_id": 10_000, "last_id": 10_000, "before": "y", "rows": 0},
    ):
        with pytest.raises(IntegrityError), transaction.atomic():
            Seal.objects.create(**{**values, **wrong})
    assert Seal.objects.count() == 1


@given(st.lists(st.text(), min_size=1, max_size=6), st.data())
def test_any_single_change_is_found_at_its_place(texts: list[str], data: st.DataObject) -> None:
    rows = list(enumerate(texts, start=5))
    links = list(chain("", rows))
    marks, digest = b"".join(mark(*link) for link in links), links[-1][1].hex()
    assert first_difference(marks, chain("", rows), digest) is None
    place = data.draw(st.integers(0, len(rows) - 1))
    other = [*rows]
    other[place] = (rows[place][0], rows[place][1] + "!")
    fault = first_difference(marks, chain("", other), digest)
    assert fault is not None
    assert (fault.row_id, fault.what) == (rows[place][0], "altered")


def test_two_rows_with_equal_letters_have_different_texts() -> None:
    assert text_of(["a|", "b"]) != text_of(["a", "|b"])
    assert text_of(["a\\", "b"]) != text_of(["a", "\\b"])
    assert text_of([None, "b"]) == text_of(["", "b"])


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
def test_a_seal_waits_for_an_older_row_that_is_not_committed_yet(
    run_threads: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    one, other = make_chain(1)[0], make_chain(1)[0]
    book(one, "first")
    book(other, "second")
    written, waited = threading.Event(), threading.Event()
    monkeypatch.setattr(locks, "WRITERS_WAITED_FOR_S", 1)

    def slow() -> None:
        with transaction.atomic():
            book(one, "older")
            written.set()
            assert waited.wait(20)

    def sealer() -> None:
        assert written.wait(10)
        book(other, "newer")  # a higher id, committed before the older one
        with pytest.raises(OperationalError):
            seal_ledger(at=AT)
        assert not Seal.objects.exists()
        waited.set()

    list(run_threads(2, lambda index: (slow, sealer)[index]()))
    assert seal_ledger(at=AT) == 4
    assert named() == []


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
def test_eight_sealers_at_once_seal_each_row_once(
    run_threads: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sealing, "ROWS", 2)
    book(make_chain(1)[0], *"abcdefghi")
    counts = list(run_threads(8, lambda _: seal_ledger(at=AT)))
    assert sum(counts) == 9
    assert Seal.objects.count() == 5
    assert named() == []
