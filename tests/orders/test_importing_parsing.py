"""One row of an order history: each cell that cannot be is named with its reason."""

from __future__ import annotations

from datetime import datetime

import pytest

from distro.clock import BEIJING
from distro.importing.reading import SURPLUS
from orders.importing.parsing import parse
from orders.importing.staging import StagedOrder
from orders.services.importing import agree

NOW = datetime(2026, 11, 2, 10, 0, tzinfo=BEIJING)
GOOD = {
    "order_no": "A-1",
    "line_no": "1",
    "buyer_no": "B1",
    "placed_at": "2026-01-31 12:00:00",
    "paid_at": "2026-01-31 12:01:00",
    "completed_at": "2026-02-03 18:00:00",
    "sku_code": "S1",
    "product_name": "唱片",
    "category": "音乐",
    "quantity": "2",
    "paid_amount": "29.33",
    "freight": "",
    "refunded_amount": "",
    "promoter_code": "",
}


def test_a_good_row_is_read_in_fen_and_beijing_time() -> None:
    values, faults = parse(2, GOOD, now=NOW)
    assert faults == []
    assert (values["paid_amount"], values["freight"], values["quantity"]) == (2933, 0, 2)
    assert values["paid_at"] == datetime(2026, 1, 31, 12, 1, tzinfo=BEIJING)


@pytest.mark.parametrize(
    ("field", "text"),
    [
        ("order_no", ""),
        ("order_no", "x" * 65),
        ("order_no", "=1+1"),
        ("line_no", "0"),
        ("line_no", "1.5"),
        ("line_no", "二"),
        ("buyer_no", ""),
        ("placed_at", "2026-01-31"),
        ("placed_at", "2026-02-30 12:00:00"),
        ("placed_at", "2026-02-01 12:00:00"),
        ("paid_at", ""),
        ("paid_at", "2027-01-31 12:01:00"),
        ("completed_at", "2026-01-31 12:00:59"),
        ("completed_at", "soon"),
        ("sku_code", ""),
        ("product_name", '=cmd|" /C calc"!A0'),
        ("product_name", "@SUM(1)"),
        ("product_name", "+86 138"),
        ("product_name", "-5"),
        ("product_name", "＝1"),
        ("product_name", "a\x07b"),
        ("category", ""),
        ("quantity", "0"),
        ("quantity", "-1"),
        ("quantity", "10001"),
        ("paid_amount", "-0.01"),
        ("paid_amount", "1,000.00"),
        ("paid_amount", "1.234"),
        ("paid_amount", "100000000.01"),
        ("paid_amount", "NaN"),
        ("freight", "x"),
        ("refunded_amount", "29.34"),
        ("promoter_code", "=P1"),
        ("order_no", "1.23457E+17"),
        ("buyer_no", "1E+20"),
        ("placed_at", "0001-01-01 00:00:00"),
        ("placed_at", "1969-12-31 23:59:59"),
    ],
)
def test_a_bad_cell_is_named_with_its_line_and_reason(field: str, text: str) -> None:
    _values, faults = parse(7, GOOD | {field: text}, now=NOW)
    assert faults
    assert {fault.line for fault in faults} == {7}
    names = {fault.field for fault in faults}
    assert field in names or names <= {"placed_at", "paid_at", "completed_at"}
    assert all(fault.reason for fault in faults)


def test_a_row_with_more_cells_than_columns_is_refused() -> None:
    """An amount like 1,234.00 without quotes would move everything behind it by one cell."""
    _values, faults = parse(2, GOOD | {SURPLUS: "P1"}, now=NOW)
    assert [fault.field for fault in faults] == [""]


@pytest.mark.parametrize("last", [("99999999.99", "0.01"), ("0.01", "0.01")])
def test_an_order_above_a_hundred_million_yuan_is_refused(last: tuple[str, str]) -> None:
    paid, freight = last
    first, _ = parse(
        2, GOOD | {"paid_amount": "100000000.00" if paid == "0.01" else "0.01"}, now=NOW
    )
    second, _ = parse(3, GOOD | {"line_no": "2", "paid_amount": paid, "freight": freight}, now=NOW)
    found = agree(StagedOrder("A-1", [(2, first), (3, second)]))
    assert [fault.field for fault in found] == ["paid_amount"]


def test_every_bad_cell_of_a_row_is_named() -> None:
    _values, faults = parse(2, GOOD | {"quantity": "x", "paid_amount": "y"}, now=NOW)
    assert [fault.field for fault in faults] == ["quantity", "paid_amount"]


@pytest.mark.parametrize(
    ("field", "text", "lines"),
    [
        ("buyer_no", "B2", {3}),
        ("promoter_code", "P1", {3}),
        ("paid_at", "2026-01-31 12:02:00", {3}),
        ("line_no", "1", {2, 3}),
    ],
)
def test_lines_of_one_order_that_contradict_each_other_are_named(
    field: str, text: str, lines: set[int]
) -> None:
    first, _ = parse(2, GOOD, now=NOW)
    second, faults = parse(3, GOOD | {"line_no": "2"} | {field: text}, now=NOW)
    assert faults == []
    found = agree(StagedOrder("A-1", [(2, first), (3, second)]))
    assert {fault.line for fault in found} == lines
    assert {fault.field for fault in found} == {field}
