"""Closed months, seals, corrections and settlement under attack: races, forgeries, rights."""

from __future__ import annotations

import logging
import random
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import date, datetime
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import OperationalError, connection, transaction
from django.test import Client
from django.urls import reverse

from analytics.books import faults, one_moment
from analytics.books.ledger import (
    closed_months_are_whole,
    sealed_rows_are_unchanged,
    transfers_are_booked_on_their_day,
)
from commissions.admin import books
from commissions.errors_books import MonthNotOver, NothingOwed
from commissions.models import Account, Correction, Period, Seal, Transfer, Withdrawal
from commissions.rules_seals import chain, text_of
from commissions.selectors_periods import seal_faults
from commissions.services import returning, sealing, withdrawals
from commissions.services.accruing import accrue, set_release
from commissions.services.correcting import book_correction, reject_correction, request_correction
from commissions.services.ledger import EXPENSE, Entry, Kind, Ref, lock_accounts, post
from commissions.services.periods import close_month
from commissions.services.reversing import reverse_for_refund
from commissions.services.sealing import seal_ledger
from commissions.services.settling import settle_due
from commissions.services.withdrawals import cancel_withdrawal, request_withdrawal
from distro import locks
from distro.actors import SYSTEM, Actor
from distro.errors import DomainError
from distro.triggers import drop_triggers
from referrals.models import Promoter
from tests.analytics.admin_world import make_staff
from tests.commissions.builders import (
    make_attributed,
    make_chain,
    make_plan,
    receive,
    refund_line,
    stands,
)
from tests.commissions.payout_world import make_payee, make_rules, owe
from tests.commissions.test_mixed_load import open_chain, verified_chain
from tests.factories import AT

pytestmark = pytest.mark.django_db
threads = [pytest.mark.postgres, pytest.mark.django_db(transaction=True)]
ANNA, BERT = Actor("staff", 900_001), Actor("staff", 900_002)
Threads = Callable[..., Any]
JAN = date(2026, 1, 15)


def on(text: str) -> datetime:
    return datetime.fromisoformat(f"{text}T12:00:00+08:00")


GOLDEN = "4a9c2805011f76c2d13d7dd9cc14f1344b814bd90f145e1867ffbab766669501"


@pytest.fixture
def promoter() -> Promoter:
    return make_chain(1)[0]


def book(promoter: Promoter, key: str, at: datetime = AT, amount: int = 100) -> None:
    frozen = Ref(Kind.FROZEN, promoter.pk)
    post([Entry(EXPENSE, frozen, amount, "accrue", f"accrue:{key}", "commission:1")], at=at)


def ask(promoter: Promoter, kind: str, fen: int, **changes: Any) -> Correction:
    asked = {"promoter_id": promoter.pk, "kind": kind, "amount_fen": fen, "reason": "miscounted"}
    return request_correction(**{**asked, "by": ANNA, "at": AT, **changes})


def client_of(role: str) -> Client:
    client = Client(raise_request_exception=False)
    client.force_login(make_staff(role))
    return client


# --- Months ---------------------------------------------------------------------------------


def test_the_last_month_of_all_is_refused_not_a_crash(promoter: Promoter) -> None:
    book(promoter, "a", on("2026-01-10"))
    with pytest.raises(MonthNotOver):
        close_month(month=date(9999, 12, 31), by=ANNA, at=AT)
    page = client_of("owner").post(reverse("admin:commissions_period_add"), {"month": "9999-12-31"})
    assert page.status_code == 200


def test_a_month_closed_by_another_while_the_form_was_sent_is_no_crash(
    promoter: Promoter, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two click at once: both forms are valid, the second one's service refuses."""
    book(promoter, "a", on("2026-01-10"))
    owner = client_of("owner")
    close_month(month=JAN, by=ANNA, at=AT)
    monkeypatch.setattr(books, "refuse_month", lambda *args, **kw: None)
    answer = owner.post(reverse("admin:commissions_period_add"), {"month": "2026-01-15"})
    assert answer.status_code < 500
    assert Period.objects.count() == 1


def test_months_that_end_before_they_begin_are_refused(
    promoter: Promoter, django_user_model: Any
) -> None:
    django_user_model.objects.create_superuser("boss")
    with pytest.raises(CommandError):
        call_command("close_month", "2026-02", "--by=boss", "--through=2026-01")


FORGED = {
    "ends in the middle of a month": "'2026-01-20', 1, 100, 'staff:1', '2026-02-03'",
    "was closed before it was over": "'2026-01-31', 1, 100, 'staff:1', '2026-01-20'",
    "is the end of time": "'9999-12-31', 0, 0, 'staff:1', '2026-02-03'",
}


@pytest.mark.parametrize("row", FORGED.values(), ids=list(FORGED))
def test_a_period_forged_by_sql_is_refused_or_named(promoter: Promoter, row: str) -> None:
    book(promoter, "a", on("2026-01-10"))
    columns = "last_day, transfers, amount_fen, closed_by, closed_at"
    try:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(f"INSERT INTO commissions_period ({columns}) VALUES ({row})")
    except Exception:  # noqa: BLE001 - any refusal is fine
        return
    found = [*closed_months_are_whole(), *transfers_are_booked_on_their_day()]
    book(promoter, "the shop goes on", on("2026-02-20"))
    assert found != []


def test_an_old_history_brought_after_closing_lies_on_the_first_open_day(
    promoter: Promoter,
) -> None:
    book(promoter, "a", on("2026-01-10"))
    for month in (1, 2, 3):
        close_month(month=date(2026, month, 1), by=ANNA, at=AT)
    for day in ("1999-12-31", "2025-12-31", "2026-01-10", "2026-03-31", "2026-04-01"):
        book(promoter, day, on(day))
    days = Transfer.objects.exclude(idempotency_key="accrue:a").values_list("booked_on", flat=True)
    assert set(days) == {date(2026, 4, 1)}
    assert [*closed_months_are_whole(), *transfers_are_booked_on_their_day()] == []


# --- Seals ----------------------------------------------------------------------------------


def test_the_digest_of_a_row_is_the_same_on_every_database(promoter: Promoter) -> None:
    """Text with bars, letters beyond ASCII, microseconds and a platform's empty label."""
    row = (
        7, "correct_up", 123, "expense", None, "", "available", 5, "a|b\\", "钱:|1", "correction:1",
        date(2026, 1, 31), datetime.fromisoformat("2026-02-01T00:00:00.000001+08:00"),
    )  # fmt: skip
    assert [digest.hex() for _id, digest in chain("", [(7, text_of(row))])] == [GOLDEN]
    # and what comes out of the database is what went in
    at = datetime.fromisoformat("2026-02-01T00:00:00.000001+08:00")
    book(promoter, "钱|\\n\n'\"", at)
    kept = Transfer.objects.get()
    wanted = text_of((
        kept.pk, "accrue", 100, "expense", None, "", "frozen", promoter.pk, "",
        "accrue:钱|\\n\n'\"", "commission:1", date(2026, 2, 1), at,
    ))  # fmt: skip
    assert seal_ledger(at=AT) == 1
    assert Seal.objects.get().digest == next(d.hex() for _id, d in chain("", [(kept.pk, wanted)]))


@pytest.mark.parametrize(
    "forgery",
    [
        {"marks": b""},
        {"marks": b"short"},
        {"before": "no hex"},
        {"digest": "no hex"},
        {"rows": 999},
        {"first_id": 1_000_000, "last_id": 1_000_000},
    ],
    ids=str,
)
def test_a_forged_seal_is_named_and_stops_no_other_check(
    promoter: Promoter, forgery: dict[str, Any]
) -> None:
    book(promoter, "a")
    book(promoter, "b")
    seal_ledger(at=AT)
    drop_triggers(connection)
    Seal.objects.update(**forgery)
    assert list(sealed_rows_are_unchanged()) != []
    with pytest.raises(CommandError):
        call_command("verify_ledger", stdout=StringIO())


@pytest.mark.parametrize("pk", [0, -5])
def test_a_row_slipped_in_before_the_first_one_is_named(promoter: Promoter, pk: int) -> None:
    book(promoter, "a")
    seal_ledger(at=AT)
    row = Transfer.objects.get()
    row.pk, row.idempotency_key = pk, "accrue:slipped"
    row.save(force_insert=True)
    assert seal_ledger(at=AT) == 0
    assert list(sealed_rows_are_unchanged()) != []


def test_a_row_slipped_into_the_gap_of_a_rolled_back_one_is_named(promoter: Promoter) -> None:
    book(promoter, "a")
    seal_ledger(at=AT)
    last = Transfer.objects.get().pk
    book(promoter, "b")
    row = Transfer.objects.get(idempotency_key="accrue:b")
    row.pk, row.idempotency_key = last + 10, "accrue:c"
    row.save(force_insert=True)
    seal_ledger(at=AT)
    row.pk, row.idempotency_key = last + 5, "accrue:slipped"
    row.save(force_insert=True)
    assert list(seal_faults()) != []


def test_a_ledger_sealed_anew_after_a_loss_does_not_pass_for_the_old_one(
    promoter: Promoter,
) -> None:
    """The newest seal and its rows vanish, as in an older backup; others take their place."""
    for key in "ab":
        book(promoter, key)
        seal_ledger(at=AT)
    head = Seal.objects.order_by("-pk")[0]
    drop_triggers(connection)
    Transfer.objects.filter(pk=head.last_id).delete()
    head_digest = head.digest
    head.delete()
    book(promoter, "other", amount=9_999)
    seal_ledger(at=AT)
    with pytest.raises(CommandError):
        call_command("verify_ledger", f"--head={head_digest}", stdout=StringIO())
    # the audit trail still holds the digest of a seal that is gone
    with pytest.raises(CommandError):
        call_command("verify_ledger", stdout=StringIO())


# --- Corrections ----------------------------------------------------------------------------


def test_a_reason_too_long_is_a_refusal_on_every_database(promoter: Promoter) -> None:
    """SQLite keeps it, PostgreSQL raises DataError."""
    with pytest.raises(DomainError):
        ask(promoter, "correct_up", 100, reason="x" * 201)
    assert not Correction.objects.exists()


def test_a_correction_that_is_refused_leaves_no_trace() -> None:
    """A write-off of more than is owed, beside unsent withdrawals: nothing is given back."""
    make_rules(AT, review_first=True)
    promoter = make_payee(AT, available_fen=100_000)
    request_withdrawal(promoter_id=promoter.pk, amount_fen=90_000, at=AT)
    asked = ask(promoter, "write_off", 100)
    with pytest.raises(NothingOwed):
        book_correction(correction_id=asked.pk, by=BERT, at=AT)
    assert stands(promoter) == (0, 10_000, 90_000, 0)
    assert Withdrawal.objects.get().status == "reviewing"
    reject_correction(correction_id=asked.pk, reason="nothing owed", by=ANNA, at=AT)


def test_a_correction_thrown_back_by_sql_is_not_booked_twice(promoter: Promoter) -> None:
    book_correction(correction_id=ask(promoter, "correct_up", 100).pk, by=BERT, at=AT)
    down = ask(promoter, "correct_down", 100)
    book_correction(correction_id=down.pk, by=BERT, at=AT)
    assert stands(promoter) == (0, 0, 0, 0)
    try:
        with transaction.atomic():
            Correction.objects.filter(pk=down.pk).update(
                status="requested", decided_by="", decided_at=None
            )
            book_correction(correction_id=down.pk, by=BERT, at=AT)
    except Exception:  # noqa: BLE001 - any refusal is fine
        pass
    assert stands(promoter) == (0, 0, 0, 0)


# --- Rights ---------------------------------------------------------------------------------


@pytest.mark.parametrize("role", ["owner", "finance", "operator", "support", ""])
def test_who_may_close_ask_and_book_by_a_direct_post(promoter: Promoter, role: str) -> None:
    book(promoter, "a", on("2026-01-10"))
    asked = ask(promoter, "correct_up", 100)
    client, may = client_of(role), role in {"owner", "finance"}
    url = reverse("admin:commissions_correction_add")
    form = {
        "promoter": promoter.pk, "kind": "correct_up", "amount_fen": "1.00", "reason": "r",
        "status": "booked", "decided_by": "staff:1", "requested_by": "staff:99",
    }  # fmt: skip
    client.post(url, form)
    assert Correction.objects.count() == (2 if may else 1)
    if may:
        made = Correction.objects.order_by("-pk")[0]
        assert (made.status, made.amount_fen) == ("requested", 100)
        assert made.requested_by.startswith("staff:")
        assert made.requested_by != "staff:99"
        client.post(reverse("admin:commissions_correction_book", args=[made.pk]),
                    {"_form_submitted": "on"})  # fmt: skip
        made.refresh_from_db()
        assert made.status == "requested"  # his own
    client.post(
        reverse("admin:commissions_correction_book", args=[asked.pk]), {"_form_submitted": "on"}
    )
    asked.refresh_from_db()
    assert asked.status == ("booked" if may else "requested")
    assert stands(promoter)[1] == (100 if may else 0)
    client.post(reverse("admin:commissions_period_add"), {"month": "2026-01-15"})
    assert Period.objects.count() == int(may)


@pytest.mark.parametrize("model", ["correction", "period", "seal"])
def test_nobody_changes_or_deletes_them_by_a_direct_post(promoter: Promoter, model: str) -> None:
    book(promoter, "a", on("2026-01-10"))
    seal_ledger(at=AT)
    close_month(month=JAN, by=ANNA, at=AT)
    rows = {"correction": ask(promoter, "correct_up", 100), "period": Period.objects.get(),
            "seal": Seal.objects.get()}  # fmt: skip
    client, row = client_of("owner"), rows[model]
    for page in ("change", "delete"):
        url = reverse(f"admin:commissions_{model}_{page}", args=[row.pk])
        assert client.get(url).status_code == (200 if page == "change" else 403)
        answer = client.post(url, {"post": "yes", "amount_fen": "9", "month": "2026-02-01"})
        assert answer.status_code == 403
    url = reverse(f"admin:commissions_{model}_changelist")
    client.post(url, {"action": "delete_selected", "_selected_action": [row.pk], "post": "yes"})
    row.refresh_from_db()
    if model == "seal":
        assert client.post(reverse("admin:commissions_seal_add"), {}).status_code == 403


@pytest.mark.parametrize("amount", ["0", "-1", "0.001", "1e9", "100000000.01", "NaN", ""])
def test_a_bad_amount_in_the_admin_is_a_message(promoter: Promoter, amount: str) -> None:
    form = {"promoter": promoter.pk, "kind": "correct_up", "amount_fen": amount, "reason": "r"}
    answer = client_of("owner").post(reverse("admin:commissions_correction_add"), form)
    assert answer.status_code == 200
    assert not Correction.objects.exists()


# --- Settlement -----------------------------------------------------------------------------


def due_order(chain: list[Promoter], fen: int = 10_000) -> tuple[Any, datetime]:
    order = make_attributed(chain, fen)
    accrue(order_id=order.pk, at=AT)
    due_at = receive(order)
    set_release(order_id=order.pk)
    return order, due_at


@pytest.mark.parametrize("chunk", [1, 2, 3, 1000])
def test_short_promoters_keep_nobody_from_his_own_in_any_chunk(
    chunk: int, caplog: pytest.LogCaptureFixture
) -> None:
    make_plan(1000)
    promoters = [make_chain(1)[0] for _ in range(6)]
    for _ in range(3):
        for one in promoters:
            _order, due_at = due_order([one])
    short = promoters[::2]
    for one in short:  # a row and its transfer agree no more
        Account.objects.filter(promoter=one, kind="frozen").update(balance_fen=0)
    with caplog.at_level(logging.ERROR):
        assert settle_due(at=due_at, chunk=chunk) == 9
        assert settle_due(at=due_at, chunk=chunk) == 0
    assert [stands(one)[:2] for one in promoters[1::2]] == [(0, 3_000)] * 3
    assert [stands(one)[:2] for one in short] == [(0, 0)] * 3
    assert caplog.text.count("ALARM") == 6  # three a run


# --- At the same moment ---------------------------------------------------------------------


class TestThreads:
    pytestmark = threads

    @pytest.mark.slow
    def test_posting_sealing_and_closing_at_once(
        self, run_threads: Threads, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(sealing, "ROWS", 20)
        people = open_chain(4)
        book(people[0], "first", on("2026-01-10"))
        stop = threading.Event()

        def poster(index: int) -> None:
            rng = random.Random(index)
            for turn in range(12):
                with transaction.atomic():
                    day = f"2026-{rng.randint(1, 6):02d}-{rng.randint(1, 28):02d}"
                    book(people[index], f"{index}:{turn}", on(day))
                    time.sleep(0.01 * rng.random())
                    transaction.set_rollback(turn % 5 == 0)

        def closer() -> None:
            for month in range(1, 7):
                close_month(month=date(2026, month, 1), by=ANNA, at=AT)
                time.sleep(0.05)

        def sealer() -> None:
            while not stop.is_set():
                seal_ledger(at=AT)
                with one_moment():
                    assert list(sealed_rows_are_unchanged()) == []
                    assert list(closed_months_are_whole()) == []
                time.sleep(0.02)

        done = threading.Barrier(5, action=stop.set)

        def work(index: int) -> None:
            try:
                if index < 4:
                    poster(index)
                elif index == 4:
                    closer()
                else:
                    sealer()
            finally:
                if index < 5:
                    done.wait(50)

        list(run_threads(6, work))
        seal_ledger(at=AT)
        assert [*transfers_are_booked_on_their_day(), *closed_months_are_whole()] == []
        assert sum(Seal.objects.values_list("rows", flat=True)) == Transfer.objects.count()
        call_command("verify_ledger", stdout=StringIO())

    @pytest.mark.slow
    def test_corrections_beside_everything_lose_nothing(
        self, run_threads: Threads, caplog: pytest.LogCaptureFixture
    ) -> None:
        make_rules(AT)
        make_plan(1000, 500)
        people = verified_chain(2)
        orders = []
        for _ in range(12):
            order, due_at = due_order(people)
            orders.append(order)
        settle_due(at=due_at)
        more = [due_order(people)[0] for _ in range(12)]
        refunds = [refund_line(order.lines.get(), 4_000) for order in [*orders, *more]]
        wishes = [
            ask(people[n % 2], ("correct_down", "correct_up", "write_off")[n % 3], 700 + n)
            for n in range(36)
        ]
        unexpected: list[BaseException] = []

        def attempt(work: Callable[..., Any], **kw: Any) -> None:
            try:
                work(**kw)
            except DomainError:
                pass
            except BaseException as error:  # noqa: BLE001
                unexpected.append(error)

        def work(index: int) -> None:
            rng = random.Random(index)
            for turn in range(4):
                who = rng.choice(people)
                attempt(request_withdrawal, promoter_id=who.pk, amount_fen=300, at=due_at)
                wish = wishes[(index * 4 + turn) % 36]
                attempt(book_correction, correction_id=wish.pk, by=Actor("staff", 3), at=due_at)
                attempt(
                    reverse_for_refund, refund_id=refunds[(index * 4 + turn) % 24].pk, at=due_at
                )
                attempt(settle_due, at=due_at, chunk=6)
                row = Withdrawal.objects.filter(promoter=who, status__in=Withdrawal.UNSENT).first()
                if row:
                    attempt(cancel_withdrawal, withdrawal_id=row.pk, by=SYSTEM, at=due_at)

        with caplog.at_level(logging.ERROR):
            list(run_threads(6, work))
        assert unexpected == []
        assert "ALARM" not in caplog.text
        for refund in refunds:
            reverse_for_refund(refund_id=refund.pk, at=due_at)
        assert list(faults(at=due_at)) == []

    def test_a_correction_beside_a_request_and_its_cancellation_does_not_deadlock(
        self, run_threads: Threads, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The request commits while the correction waits for the accounts: its withdrawal was
        locked by nobody, and the correction wants it after the accounts."""
        make_rules(AT)
        promoter = make_payee(AT, available_fen=10_000)
        wish = ask(promoter, "correct_down", 10_000)
        asked, waits, cancels = threading.Event(), threading.Event(), threading.Event()
        real_lock, real_free, real_back = (
            lock_accounts,
            returning.return_unsent,
            returning.give_back,
        )
        me = threading.local()

        def lock(ids: Any) -> Any:
            if getattr(me, "corrects", False):
                waits.set()
            return real_lock(ids)

        def free(**kw: Any) -> int:
            cancels.wait(2)
            time.sleep(0.5)
            return real_free(**kw)

        def back(row: Withdrawal, **kw: Any) -> None:
            cancels.set()
            real_back(row, **kw)

        monkeypatch.setattr(returning, "lock_accounts", lock)
        monkeypatch.setattr(returning, "return_unsent", free)
        monkeypatch.setattr(withdrawals, "give_back", back)

        def requester() -> None:
            with transaction.atomic():
                request_withdrawal(promoter_id=promoter.pk, amount_fen=10_000, at=AT)
                asked.set()
                assert waits.wait(20)
                time.sleep(0.5)

        def corrector() -> None:
            assert asked.wait(20)
            me.corrects = True
            book_correction(correction_id=wish.pk, by=BERT, at=AT)

        def canceller() -> None:
            while not (row := Withdrawal.objects.first()):
                time.sleep(0.02)
            cancel_withdrawal(withdrawal_id=row.pk, by=SYSTEM, at=AT)

        outcome = run_threads(3, lambda n: (requester, corrector, canceller)[n]())
        deadlocks = [e for e in outcome.errors.values() if isinstance(e, OperationalError)]
        assert deadlocks == []
        assert stands(promoter) == (0, 0, 0, 0)

    def test_closing_does_not_hold_up_the_shop_behind_a_long_posting(
        self, run_threads: Threads, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """As `complete_up_to()` does: who waits for all writers gives up before it hurts."""
        monkeypatch.setattr(locks, "WRITERS_WAITED_FOR_S", 1)
        people = open_chain(2)
        book(people[0], "first", on("2026-01-10"))
        posted, closing = threading.Event(), threading.Event()
        took: list[float] = []

        def long_import() -> None:
            with transaction.atomic():
                book(people[0], "long", on("2026-01-11"))
                posted.set()
                time.sleep(5)

        def closer() -> None:
            assert posted.wait(10)
            closing.set()
            with suppress(OperationalError, DomainError):  # he tries again later
                close_month(month=JAN, by=ANNA, at=AT)

        def shop() -> None:
            assert closing.wait(10)
            time.sleep(0.5)
            begun = time.monotonic()
            book(people[1], "sale", on("2026-02-11"))
            took.append(time.monotonic() - begun)

        list(run_threads(3, lambda n: (long_import, closer, shop)[n]()))
        assert took[0] < 3

    def test_a_debt_is_forgiven_once(self, run_threads: Threads) -> None:
        promoter = open_chain(1)[0]
        owe(promoter, 500, AT)
        wishes = [ask(promoter, "write_off", 500, reason=f"{n}") for n in range(6)]
        outcome = run_threads(
            6, lambda n: book_correction(correction_id=wishes[n].pk, by=BERT, at=AT)
        )
        assert {type(error) for error in outcome.errors.values()} == {NothingOwed}
        assert len(outcome.results) == 1
        assert stands(promoter) == (0, 0, 0, 0)

    def test_the_proof_outside_a_transaction_names_a_broken_seal(
        self, run_threads: Threads
    ) -> None:
        people = open_chain(1)
        for n in range(3):
            book(people[0], f"{n}")
            seal_ledger(at=AT)
        drop_triggers(connection)
        Transfer.objects.filter(idempotency_key="accrue:1").update(amount_fen=7)
        assert any(line.startswith("seal ") for line in faults(at=AT))
        out = StringIO()
        with pytest.raises(CommandError):
            call_command("verify_ledger", stdout=out)
        assert "altered" in out.getvalue()
