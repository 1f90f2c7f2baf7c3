"""Opening an order history: encodings, titles, and files that are none."""

from __future__ import annotations

import re
from datetime import datetime
from pathlib import Path
from zipfile import ZipFile

import pytest
from openpyxl import Workbook

from distro.errors import DomainError
from distro.importing.errors import ColumnMissing, ColumnTwice, FileEmpty, FileNotReadable
from distro.importing.reading import SURPLUS, _cell, open_table
from orders.importing.columns import COLUMNS

TITLES = [column.title for column in COLUMNS]
ROW = [
    "A-1", "1", "B1", "2026-01-31 12:00:00", "2026-01-31 12:01:00", "", "S1", "唱片", "音乐", "2",
    "29.33", "0.00", "0.00", "P1",
]  # fmt: skip


def write(folder: Path, text: str, encoding: str = "utf-8") -> Path:
    path = folder / "history.csv"
    path.write_bytes(text.encode(encoding))
    return path


def csv_of(*rows: list[str]) -> str:
    return "\r\n".join(",".join(row) for row in rows) + "\r\n"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030"])
def test_three_encodings_are_read_and_named(tmp_path: Path, encoding: str) -> None:
    with open_table(write(tmp_path, csv_of(TITLES, ROW), encoding), COLUMNS) as (found, rows):
        assert found == encoding
        [(line, cells)] = list(rows)
    assert (line, cells["product_name"], cells["quantity"]) == (2, "唱片", "2")


def test_english_titles_other_columns_and_blank_lines_are_fine(tmp_path: Path) -> None:
    titles = [column.field for column in COLUMNS]
    text = csv_of([*titles, "remark"], [*ROW, "x"], [""] * 15, [*ROW[:3]])
    with open_table(write(tmp_path, text), COLUMNS) as (_encoding, rows):
        read = list(rows)
    assert [line for line, _cells in read] == [2, 4]
    assert read[1][1]["sku_code"] == ""


def test_a_workbook_reads_like_csv(tmp_path: Path) -> None:
    book = Workbook(write_only=True)
    sheet = book.create_sheet()
    sheet.append(TITLES)
    sheet.append([*ROW[:3], datetime(2026, 1, 31, 12), datetime(2026, 1, 31, 12, 1), None,
                  *ROW[6:9], 2, 29.33, 0, 0.0, "P1"])  # fmt: skip
    path = tmp_path / "history.xlsx"
    book.save(path)
    with open_table(path, COLUMNS) as (found, rows):
        [(line, cells)] = list(rows)
    assert (found, line) == ("xlsx", 2)
    assert (cells["placed_at"], cells["completed_at"]) == ("2026-01-31 12:00:00", "")
    assert (cells["quantity"], cells["paid_amount"], cells["freight"]) == ("2", "29.33", "0")


def test_a_workbook_that_belies_its_size_is_read_whole(tmp_path: Path) -> None:
    """Some writers say that the sheet is one cell."""
    book = Workbook()
    assert book.active is not None
    for cells in (TITLES, ROW, ROW):
        book.active.append(cells)
    honest, path = tmp_path / "honest.xlsx", tmp_path / "history.xlsx"
    book.save(honest)
    with ZipFile(honest) as source, ZipFile(path, "w") as copy:
        for name in source.namelist():
            copy.writestr(
                name, re.sub(rb'<dimension ref="[^"]*"', b'<dimension ref="A1"', source.read(name))
            )
    with open_table(path, COLUMNS) as (_found, rows):
        assert [cells["order_no"] for _line, cells in rows] == ["A-1", "A-1"]


def test_a_workbook_cut_in_the_middle_is_refused(tmp_path: Path) -> None:
    book = Workbook()
    assert book.active is not None
    for cells in (TITLES, ROW):
        book.active.append(cells)
    honest, path = tmp_path / "honest.xlsx", tmp_path / "history.xlsx"
    book.save(honest)
    with ZipFile(honest) as source, ZipFile(path, "w") as copy:
        for name in source.namelist():
            text = source.read(name)
            copy.writestr(name, text[: len(text) * 2 // 3] if "sheet1" in name else text)
    with pytest.raises(FileNotReadable), open_table(path, COLUMNS) as (_found, rows):
        list(rows)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (29.33, "29.33"),
        (0.1 + 0.2, "0.30"),
        (3.0, "3"),
        (11.775, "11.775"),  # two decimals at most: to be refused, not rounded
        (123456789012345678, "1.23456789012346E+17"),  # Excel has lost the last three digits
        (1.2345678901234568e17, "1.23456789012346E+17"),
        (float("nan"), "nan"),
        (True, "True"),
    ],
)
def test_a_number_of_a_workbook_is_written_as_it_is_or_to_be_refused(
    value: object, text: str
) -> None:
    assert _cell(value) == text


def test_cells_beyond_the_last_column_are_kept_apart(tmp_path: Path) -> None:
    blank = [" ", *[""] * 13]
    text = csv_of(TITLES, [*ROW, "x"], [*ROW, " ", ""], blank)
    with open_table(write(tmp_path, text), COLUMNS) as (_encoding, rows):
        assert [cells[SURPLUS] for _line, cells in rows] == ["x", ""]


@pytest.mark.parametrize(
    ("text", "encoding", "refusal"),
    [
        ("", "utf-8", FileEmpty),
        ("\r\n\r\n", "utf-8", FileEmpty),
        (csv_of(TITLES[1:], ROW[1:]), "utf-8", ColumnMissing),
        (csv_of([*TITLES, "订单号"], [*ROW, "A-2"]), "utf-8", ColumnTwice),
        (csv_of([*TITLES, "order_no"], [*ROW, "A-2"]), "utf-8", ColumnTwice),
        ("a,b\r\n1,2\r\n", "utf-8", ColumnMissing),
        (csv_of(TITLES, ROW), "utf-16", FileNotReadable),
    ],
)
def test_what_is_no_history_is_refused(
    tmp_path: Path, text: str, encoding: str, refusal: type[DomainError]
) -> None:
    with (
        pytest.raises(refusal),
        open_table(write(tmp_path, text, encoding), COLUMNS) as (_found, rows),
    ):
        list(rows)


def test_every_missing_column_is_named(tmp_path: Path) -> None:
    path = write(tmp_path, csv_of(TITLES[3:], ROW[3:]))
    with pytest.raises(ColumnMissing) as refused, open_table(path, COLUMNS):
        pass
    assert refused.value.field == "order_no"
    for title in TITLES[:3]:
        assert title in str(refused.value)


def test_bytes_of_no_encoding_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "history.csv"
    path.write_bytes(csv_of(TITLES).encode() + b"\xff\xfe\x80\xff\r\n")
    with pytest.raises(FileNotReadable), open_table(path, COLUMNS):
        pass


@pytest.mark.parametrize("name", ["nothing.csv", "nothing.xlsx"])
def test_a_file_that_is_not_there_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(FileNotReadable), open_table(tmp_path / name, COLUMNS):
        pass


def test_a_workbook_that_is_none_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "history.xlsx"
    path.write_text("订单号", encoding="utf-8")
    with pytest.raises(FileNotReadable), open_table(path, COLUMNS):
        pass
