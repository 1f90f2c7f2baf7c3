"""An order history from the file to the books: everything once, and nothing by halves."""

from __future__ import annotations

import csv
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from openpyxl import Workbook

from analytics.books import faults
from analytics.importing import Totals, import_history
from analytics.models import ShopDay
from commissions.models import Accrual, Commission, Plan, Transfer
from distro.errors import DomainError
from distro.importing.errors import ColumnMissing, FileNotReadable
from orders.importing.columns import COLUMNS
from orders.models import Order, OrderLine, Payment, Refund, Sku
from referrals.models import Binding, Member, Promoter
from tests.commissions.builders import bind, make_plan, stands
from tests.factories import make_member, make_promoter, make_sku

pytestmark = pytest.mark.django_db

TITLES = [column.title for column in COLUMNS]
FIELDS = [column.field for column in COLUMNS]
FIRST = {
    "order_no": "A-1",
    "line_no": "1",
    "buyer_no": "B1",
    "placed_at": "1997-01-01 12:00:00",
    "paid_at": "1997-01-01 12:01:00",
    "completed_at": "1997-01-01 18:00:00",
    "sku_code": "CD",
    "product_name": "唱片",
    "category": "音乐",
    "quantity": "2",
    "paid_amount": "29.33",
    "freight": "0.00",
    "refunded_amount": "0.00",
    "promoter_code": "P0001",
}


def row(**changes: str) -> list[str]:
    return list((FIRST | changes).values())


def write(path: Path, *rows: list[str], encoding: str = "utf-8-sig", titles: Any = TITLES) -> Path:
    with path.open("w", encoding=encoding, newline="") as file:
        csv.writer(file).writerows([titles, *rows])
    return path


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "history.csv"


def take(path: Path, at: datetime, plan: Plan | None = None, *, create: bool = True) -> Totals:
    """Import a file and insist that the books are sound after it."""
    rejects = path.with_name("rejects.csv")
    totals = import_history(
        path=path, rejects=rejects, create_missing=create, plan=plan, at=at,
        progress=lambda what, count: None,
    )  # fmt: skip
    assert list(faults(at=at)) == []
    return totals


def rejected(path: Path) -> list[list[str]]:
    with path.with_name("rejects.csv").open(encoding="utf-8-sig", newline="") as file:
        return list(csv.reader(file))[1:]


def nothing_written() -> bool:
    models = (Order, Payment, Member, Promoter, Sku, Accrual, Binding, ShopDay)
    return not any(model._default_manager.exists() for model in models)


# --- Totals ---------------------------------------------------------------------------------


def test_a_small_history_comes_to_its_control_totals(path: Path, at: datetime) -> None:
    plan = make_plan(1000, 500, code="demo", effective_from=at)
    write(
        path,
        row(),
        row(order_no="A-2", buyer_no="B2", promoter_code="", paid_amount="10.00", quantity="1"),
        row(order_no="A-3", line_no="1", paid_amount="0.00"),
        row(order_no="A-4", line_no="1", refunded_amount="10.00"),
        row(order_no="A-4", line_no="2", sku_code="LP", paid_amount="9.99", freight="5.00"),
        row(order_no="A-5", line_no="1", paid_amount="7.00", refunded_amount="7.00"),
    )
    totals = take(path, at, plan)
    assert str(totals) == (
        "imported: 5 orders, 6 lines, 2 buyers, 11 items, paid 85.65 yuan,"
        " commission 5.85 yuan; skipped 0 known; rejected 0 rows"
    )
    kept = 293 + 193 + 99  # 29.33, 29.33 less 10.00, 9.99; each rounded down
    assert stands(Promoter.objects.get(code="P0001")) == (0, kept, 0, 0)
    assert sorted(Order.objects.values_list("external_no", "status", "refunded_fen")) == [
        ("A-1", "completed", 0),
        ("A-2", "completed", 0),
        ("A-3", "completed", 0),
        ("A-4", "completed", 1_000),
        ("A-5", "refunded", 700),
    ]


def test_a_second_run_adds_nothing(path: Path, at: datetime) -> None:
    plan = make_plan(1000, code="demo", effective_from=at)
    write(path, row(), row(order_no="A-2", line_no="1"))
    take(path, at, plan)
    before = (Order.objects.count(), Transfer.objects.count(), Binding.objects.count())
    totals = take(path, at + timedelta(days=1), plan)
    assert (totals.orders, totals.skipped, totals.commission_fen) == (0, 2, 0)
    assert (Order.objects.count(), Transfer.objects.count(), Binding.objects.count()) == before


def test_an_order_that_is_known_stays_as_it_is(path: Path, at: datetime) -> None:
    take(write(path, row()), at)
    totals = take(write(path, row(paid_amount="99.00"), row(order_no="A-2")), at)
    assert (totals.orders, totals.skipped) == (1, 1)
    assert OrderLine.objects.get(order__external_no="A-1").paid_fen == 2_933


def test_what_broke_off_in_the_middle_is_finished_by_the_next_run(
    path: Path, at: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = make_plan(1000, code="demo", effective_from=at)
    write(path, *(row(order_no=f"A-{n}", buyer_no=f"B{n}") for n in range(7)))
    monkeypatch.setattr("analytics.importing.CHUNK", 2)

    def power_cut(what: str, count: int) -> None:
        if what == "orders" and Order.objects.count() == 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        import_history(path=path, rejects=path.with_name("r"), create_missing=True, plan=plan,
                       at=at, progress=power_cut)  # fmt: skip
    assert Order.objects.count() == Accrual.objects.count() == 4
    totals = take(path, at, plan)
    assert (totals.orders, totals.skipped) == (3, 4)
    assert stands(Promoter.objects.get(code="P0001")) == (0, 7 * 293, 0, 0)


# --- Rows of one order ----------------------------------------------------------------------


def test_the_rows_of_an_order_may_lie_anywhere(
    path: Path, at: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("analytics.importing.CHUNK_ROWS", 2)
    many = [row(order_no=f"X-{n}", buyer_no=f"B{n}") for n in range(5)]
    write(path, row(line_no="2"), *many, row(line_no="1"), row(order_no="X-9"), row(line_no="3"))
    totals = take(path, at)
    assert (totals.orders, totals.lines) == (7, 9)
    lines = OrderLine.objects.filter(order__external_no="A-1")
    assert sorted(lines.values_list("line_no", flat=True)) == [1, 2, 3]


def test_one_bad_line_rejects_its_whole_order_and_no_other(path: Path, at: datetime) -> None:
    write(
        path,
        row(),
        row(order_no="A-2", buyer_no="B2"),
        row(line_no="2", quantity="0", product_name="=1+1"),
    )
    totals = take(path, at)
    assert (totals.orders, totals.rejected) == (1, 2)
    assert [order.external_no for order in Order.objects.all()] == ["A-2"]
    assert not Member.objects.filter(external_no="B1").exists()
    assert [(line, number, field) for line, number, field, _why in rejected(path)] == [
        ("2", "A-1", ""),
        ("4", "A-1", "product_name"),
        ("4", "A-1", "quantity"),
    ]
    assert all(why for *_cell, why in rejected(path))


def test_a_formula_in_the_rejects_is_disarmed(path: Path, at: datetime) -> None:
    write(path, row(order_no="A-1", quantity="x"), row(order_no="=A2"), row(order_no="-1+1"))
    assert take(path, at).rejected == 3
    assert not [cell for line in rejected(path) for cell in line if cell.startswith(("=", "-"))]


@pytest.mark.parametrize("other", [" A-1", "A-1\u3000", " A-1 "])
def test_blanks_around_an_order_number_do_not_make_two_orders(
    path: Path, at: datetime, other: str
) -> None:
    totals = take(write(path, row(), row(order_no=other, line_no="2")), at)
    assert (totals.orders, totals.lines) == (1, 2)


def test_the_same_line_twice_rejects_the_order(path: Path, at: datetime) -> None:
    totals = take(write(path, row(), row()), at)
    assert (totals.orders, totals.rejected) == (0, 2)


@pytest.mark.parametrize(
    "rows",
    [
        [row(paid_amount="100000000.00", freight="0.01")],
        [row(paid_amount="100000000.00"), row(line_no="2", paid_amount="0.01")],
        [row(placed_at="0001-01-01 00:00:00")],
        [row(order_no="1.23457E+17"), row(order_no="1.23457E+17", line_no="2")],
        [[*row(paid_amount="1", freight="234.00")[:-1], "0.00", "P0001"]],
    ],
)
def test_what_no_database_could_hold_is_rejected_by_name(
    path: Path, at: datetime, rows: list[list[str]]
) -> None:
    totals = take(write(path, *rows, row(order_no="good")), at)
    assert (totals.orders, totals.rejected) == (1, len(rows))
    assert [line for line in rejected(path) if line[3]]


def test_a_hundred_million_yuan_are_taken(path: Path, at: datetime) -> None:
    plan = make_plan(3000, code="demo", effective_from=at)
    totals = take(write(path, row(paid_amount="100000000.00")), at, plan)
    assert totals.commission_fen == 3_000_000_000


# --- Commission -----------------------------------------------------------------------------


def test_an_import_without_accrual_earns_nothing(path: Path, at: datetime) -> None:
    make_plan(1000, effective_from=at - timedelta(days=20_000))
    assert take(write(path, row()), at).commission_fen == 0
    assert Accrual.objects.get().outcome == "imported"
    assert not Commission.objects.exists()


def test_what_was_received_long_ago_settles_at_once_and_the_rest_waits(
    path: Path, at: datetime
) -> None:
    plan = make_plan(1000, code="demo", effective_from=at)
    recent = f"{at - timedelta(days=3):%Y-%m-%d %H:%M:%S}"
    fresh = {"placed_at": recent, "paid_at": recent}
    write(
        path,
        row(),
        row(order_no="A-2", completed_at=recent, **fresh),
        row(order_no="A-3", completed_at="", **fresh),
    )
    take(path, at, plan)
    assert stands(Promoter.objects.get(code="P0001")) == (586, 293, 0, 0)
    assert sorted(Order.objects.values_list("status", flat=True)) == [
        "completed", "completed", "paid",
    ]  # fmt: skip


def test_a_binding_of_today_does_not_deny_the_history(path: Path, at: datetime) -> None:
    """The binding rule of payments is not applied to an import."""
    plan = make_plan(1000, code="demo", effective_from=at)
    bind(make_member(external_no="B1"), make_promoter(code="P0001"), started_at=at)
    take(write(path, row()), at, plan)
    assert Accrual.objects.get().outcome == "accrued"


def test_a_promoter_earns_nothing_from_his_own_history(path: Path, at: datetime) -> None:
    plan = make_plan(1000, code="demo", effective_from=at)
    promoter = make_promoter(code="P0001", member=make_member(external_no="B1"))
    take(write(path, row()), at, plan)
    assert Accrual.objects.get().outcome == "no_promoter"
    assert stands(promoter) == (0, 0, 0, 0)
    assert not Binding.objects.exists()


def test_a_margin_plan_takes_the_cost_that_is_known(path: Path, at: datetime) -> None:
    plan = make_plan(1000, code="demo", effective_from=at, base="margin")
    make_sku(code="CD", cost_fen=1_000)
    take(write(path, row()), at, plan)
    assert Commission.objects.get().base_fen == 933


def test_a_refund_of_the_history_leaves_the_commission_of_the_rest(
    path: Path, at: datetime
) -> None:
    plan = make_plan(1500, code="demo", effective_from=at)
    write(path, row(paid_amount="199.99", refunded_amount="50.00"))
    assert take(path, at, plan).commission_fen == 2_249
    assert Refund.objects.get().channel == "import"


# --- Files ----------------------------------------------------------------------------------


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030"])
def test_three_encodings_are_taken(path: Path, at: datetime, encoding: str) -> None:
    totals = take(write(path, row(), encoding=encoding), at)
    assert (totals.encoding, totals.orders) == (encoding, 1)
    assert OrderLine.objects.get().title == "唱片"


def test_a_workbook_is_taken(tmp_path: Path, at: datetime) -> None:
    book = Workbook()
    sheet = book.active
    assert sheet is not None
    times = [datetime(1997, 1, 1, 12), datetime(1997, 1, 1, 12, 1), None]
    sheet.append(FIELDS)
    sheet.append([*row()[:3], *times, *row()[6:9], 2, 29.33, 0, None, "P0001"])
    book.save(tmp_path / "history.xlsx")
    totals = take(tmp_path / "history.xlsx", at)
    assert (totals.encoding, totals.orders, totals.paid_fen) == ("xlsx", 1, 2_933)


@pytest.mark.parametrize(
    ("text", "refusal"),
    [
        (",".join(TITLES[1:]) + "\n" + ",".join(row()[1:]), ColumnMissing),
        (",".join(TITLES) + "\n" + ",".join(row()) + '\n"A-2', FileNotReadable),
    ],
)
def test_a_file_that_cannot_be_read_whole_writes_nothing(
    path: Path, at: datetime, text: str, refusal: type[DomainError]
) -> None:
    path.write_text(text, encoding="utf-8")
    with pytest.raises(refusal):
        take(path, at)
    assert nothing_written()


def test_without_leave_to_make_them_unknown_codes_reject_the_order(
    path: Path, at: datetime
) -> None:
    totals = take(write(path, row()), at, create=False)
    assert (totals.orders, totals.rejected) == (0, 1)
    assert {line[2] for line in rejected(path)} == {"buyer_no", "promoter_code", "sku_code"}
    assert nothing_written()


def test_the_rejects_never_overwrite_the_history(path: Path) -> None:
    write(path, row(quantity="x"))
    text = path.read_bytes()
    with pytest.raises(CommandError):
        call_command("import_orders", path, "--rejects", path)
    assert path.read_bytes() == text
