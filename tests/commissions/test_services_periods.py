"""Closed months: nothing is booked in them any more, whoever tries and whenever."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import date, datetime
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import DatabaseError, IntegrityError, connection, transaction

from analytics.books.ledger import closed_months_are_whole, transfers_are_booked_on_their_day
from commissions.errors_books import MonthAlreadyClosed, MonthNotNext, MonthNotOver
from commissions.models import Period, Transfer
from commissions.services.correcting import book_correction, request_correction
from commissions.services.ledger import EXPENSE, Entry, Kind, Ref, post
from commissions.services.periods import close_month, end_of_month
from distro.actors import Actor
from referrals.models import Promoter
from tests.commissions.builders import make_chain

pytestmark = pytest.mark.django_db
FINANCE = Actor("staff", 7)


def on(text: str) -> datetime:
    """Return noon in Beijing of a day."""
    return datetime.fromisoformat(f"{text}T12:00:00+08:00")


@pytest.fixture
def promoter() -> Promoter:
    return make_chain(1)[0]


def book(promoter: Promoter, key: str, at: datetime, amount: int = 100) -> date:
    frozen = Ref(Kind.FROZEN, promoter.pk)
    post([Entry(EXPENSE, frozen, amount, "accrue", f"accrue:{key}", "commission:1")], at=at)
    return Transfer.objects.get(idempotency_key=f"accrue:{key}").booked_on


def close(month: str, at: str = "2026-06-01") -> Period:
    return close_month(month=date.fromisoformat(f"{month}-15"), by=FINANCE, at=on(at))


@pytest.mark.parametrize(
    ("day", "last"),
    [
        ("2026-01-31", "2026-01-31"),
        ("2026-02-01", "2026-02-28"),
        ("2028-02-10", "2028-02-29"),
        ("2026-12-01", "2026-12-31"),
    ],
)
def test_a_month_ends_on_its_last_day(day: str, last: str) -> None:
    assert end_of_month(date.fromisoformat(day)) == date.fromisoformat(last)


def test_what_occurred_in_a_closed_month_is_booked_on_the_first_open_day(
    promoter: Promoter,
) -> None:
    assert book(promoter, "a", on("2026-01-31")) == date(2026, 1, 31)
    period = close("2026-01")
    assert (period.last_day, period.transfers, period.amount_fen) == (date(2026, 1, 31), 1, 100)
    assert book(promoter, "late", on("2026-01-31")) == date(2026, 2, 1)
    assert book(promoter, "old", on("2025-03-02")) == date(2026, 2, 1)
    assert book(promoter, "now", on("2026-02-09")) == date(2026, 2, 9)
    close("2026-02")
    assert book(promoter, "later", on("2026-02-09")) == date(2026, 3, 1)
    assert [*transfers_are_booked_on_their_day(), *closed_months_are_whole()] == []


@pytest.mark.parametrize(
    ("month", "at", "refusal"),
    [
        ("2026-01", "2026-01-31", MonthNotOver),
        ("2026-02", "2026-06-01", MonthNotNext),
        ("2025-12", "2026-06-01", MonthAlreadyClosed),  # before the first booking
        ("2026-06", "2026-06-30", MonthNotOver),
    ],
)
def test_a_month_that_is_not_the_next_is_refused(
    promoter: Promoter, month: str, at: str, refusal: type[Exception]
) -> None:
    book(promoter, "a", on("2026-01-10"))
    with pytest.raises(refusal):
        close(month, at)
    assert not Period.objects.exists()


def test_a_month_is_closed_once(promoter: Promoter) -> None:
    book(promoter, "a", on("2026-01-10"))
    close("2026-01")
    with pytest.raises(MonthAlreadyClosed):
        close("2026-01")
    assert Period.objects.count() == 1


def test_the_day_over_is_the_one_of_beijing(promoter: Promoter) -> None:
    book(promoter, "a", on("2026-01-10"))
    almost = datetime.fromisoformat("2026-01-31T15:59:59+00:00")
    with pytest.raises(MonthNotOver):
        close_month(month=date(2026, 1, 1), by=FINANCE, at=almost)
    over = datetime.fromisoformat("2026-01-31T16:00:00+00:00")
    assert close_month(month=date(2026, 1, 1), by=FINANCE, at=over).pk


def test_the_database_refuses_a_row_in_a_closed_month(promoter: Promoter) -> None:
    book(promoter, "a", on("2026-01-10"))
    row = Transfer.objects.get()
    close("2026-01")
    row.pk, row.idempotency_key = None, "accrue:smuggled"
    with pytest.raises(DatabaseError), transaction.atomic():
        row.save(force_insert=True)
    values = {"transfers": 0, "closed_by": "x", "closed_at": on("2026-03-01")}
    for wrong in (
        {"last_day": date(2026, 1, 31), "amount_fen": 0},
        {"last_day": date(2026, 2, 28), "amount_fen": -1},
    ):
        with pytest.raises(IntegrityError), transaction.atomic():
            Period.objects.create(**values, **wrong)
    with pytest.raises(DatabaseError), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("DELETE FROM commissions_period")
    assert Transfer.objects.count() == 1


def test_the_command_closes_for_those_who_may(promoter: Promoter, django_user_model: Any) -> None:
    with pytest.raises(CommandError, match="no staff user"):
        call_command("close_month", "2026-01", by="nobody")
    django_user_model.objects.create_user("guest", is_staff=True)
    with pytest.raises(CommandError, match="may not"):
        call_command("close_month", "2026-01", by="guest")
    django_user_model.objects.create_superuser("boss")
    with pytest.raises(CommandError, match=r"not over|尚未结束"):
        call_command("close_month", "2126-01", by="boss")
    assert not Period.objects.exists()
    assert not Period.objects.exists()


def test_with_nothing_booked_the_last_month_that_is_over_is_the_first_to_close() -> None:
    with pytest.raises(MonthAlreadyClosed):
        close("2026-04")
    with pytest.raises(MonthNotOver):
        close("2026-06")
    assert close("2026-05").last_day == date(2026, 5, 31)


def test_the_command_closes_all_months_of_a_history_in_order(
    promoter: Promoter, django_user_model: Any
) -> None:
    django_user_model.objects.create_superuser("boss")
    asked = request_correction(promoter_id=promoter.pk, kind="correct_up", amount_fen=5, reason="r",
                               by=FINANCE, at=on("1997-11-05"))  # fmt: skip
    book_correction(correction_id=asked.pk, by=Actor("staff", 8), at=on("1997-11-05"))
    call_command("close_month", "1997-11", "--by=boss", "--through=1998-02")
    days = Period.objects.order_by("last_day").values_list("last_day", flat=True)
    assert [f"{day:%Y-%m}" for day in days] == ["1997-11", "1997-12", "1998-01", "1998-02"]


def test_the_command_refuses_while_the_books_have_faults(
    promoter: Promoter, django_user_model: Any
) -> None:
    book(promoter, "a", on("2026-01-10"))  # the commission behind it does not exist
    django_user_model.objects.create_superuser("boss")
    with pytest.raises(CommandError, match="faults"):
        call_command("close_month", "2026-01", by="boss")
    assert not Period.objects.exists()


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
def test_closing_waits_for_a_posting_under_way(run_threads: Callable[..., Any]) -> None:
    promoter = make_chain(1)[0]
    book(promoter, "a", on("2026-01-10"))
    posted, closing = threading.Event(), threading.Event()
    days: dict[str, date] = {}

    def poster() -> None:
        with transaction.atomic():
            days["before"] = book(promoter, "before", on("2026-01-20"))
            posted.set()
            assert closing.wait(10)
            assert not threading.Event().wait(0.5)  # the closer has time to run ahead of us
            days["same"] = book(promoter, "same", on("2026-01-21"))

    def closer() -> None:
        assert posted.wait(10)
        closing.set()
        close("2026-01")
        days["after"] = book(promoter, "after", on("2026-01-22"))

    list(run_threads(2, lambda index: (poster, closer)[index]()))
    assert days == {
        "before": date(2026, 1, 20),
        "same": date(2026, 1, 21),
        "after": date(2026, 2, 1),
    }
    assert (Period.objects.get().transfers, Period.objects.get().amount_fen) == (3, 300)


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
def test_a_month_closed_eight_times_at_once_is_closed_once(run_threads: Callable[..., Any]) -> None:
    book(make_chain(1)[0], "a", on("2026-01-10"))
    outcome = run_threads(8, lambda _: close("2026-01"))
    assert Period.objects.count() == 1
    assert sum(isinstance(error, MonthAlreadyClosed) for error in outcome.errors.values()) == 7
