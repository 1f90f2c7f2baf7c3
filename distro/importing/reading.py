"""Opening a file of another system: CSV in three encodings, or XLSX, row by row."""

from __future__ import annotations

import csv
import math
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import ParseError
from zipfile import BadZipFile

from django_stubs_ext import StrOrPromise
from openpyxl import load_workbook
from openpyxl.utils.exceptions import InvalidFileException

from distro.importing.errors import ColumnMissing, ColumnTwice, FileEmpty, FileNotReadable

ENCODINGS = ("utf-8-sig", "gb18030")
SAMPLE_BYTES = 1 << 20
CELL_CHARS = 1000  # longer cells are cut when read: no column holds so much
EXACT_MAX = 10**15  # a spreadsheet keeps fifteen digits of a number
ALMOST = 1e-6  # yuan; what a sum of a spreadsheet may be off
BLANKS = " \u3000"  # at the ends of a cell
SURPLUS = "+"  # the key of what stands beyond the last column

UNREADABLE = (InvalidFileException, BadZipFile, zlib.error, ParseError, KeyError, EOFError)

Cells = Sequence[str]
Line = tuple[int, Cells]
Row = tuple[int, dict[str, str]]


@dataclass(frozen=True)
class Column:
    """One column: its field, both titles, whether a row may leave it empty, what it holds."""

    field: str
    title: str
    optional: bool
    holds: StrOrPromise


@contextmanager
def open_table(path: Path, columns: Sequence[Column]) -> Iterator[tuple[str, Iterator[Row]]]:
    """Give the encoding found ("utf-8", "utf-8-sig", "gb18030", "xlsx") and the rows.

    Each row comes with its line number in the file (the header is line 1) and its cells by
    field; blank ones are left out. Raises FileNotReadable, FileEmpty, ColumnMissing, ColumnTwice.
    """
    with open_lines(path, columns) as (encoding, fields, lines):
        yield encoding, _rows(fields, lines)


@contextmanager
def open_lines(
    path: Path, columns: Sequence[Column]
) -> Iterator[tuple[str, list[str], Iterator[Line]]]:
    """Give the encoding, the field of each column, and the lines below the header as they are."""
    if path.suffix.lower() == ".xlsx":
        with _open_xlsx(path) as lines:
            yield "xlsx", _header(lines, columns), lines
        return
    encoding = sniff(path)
    with path.open(encoding=encoding, newline="") as file:
        lines = _csv_lines(file)
        yield encoding, _header(lines, columns), lines


def sniff(path: Path) -> str:
    """Return the encoding that the whole file can be read with. Raises FileNotReadable."""
    try:
        with path.open("rb") as file:
            bom = file.read(3) == b"\xef\xbb\xbf"
    except OSError as error:
        raise FileNotReadable(reason=error.strerror) from None
    for encoding in ENCODINGS:
        if _decodes(path, encoding):
            return "utf-8" if encoding == "utf-8-sig" and not bom else encoding
    raise FileNotReadable(reason="UTF-8, GB18030: no")


def _decodes(path: Path, encoding: str) -> bool:
    try:
        with path.open(encoding=encoding, newline="") as file:
            while file.read(SAMPLE_BYTES):
                pass
    except UnicodeDecodeError:
        return False
    return True


def _csv_lines(file: Any) -> Iterator[Line]:
    reader = csv.reader(file, strict=True)
    try:
        for cells in reader:
            yield reader.line_num, cells
    except csv.Error as error:
        raise FileNotReadable(reason=f"{reader.line_num}: {error}") from None


@contextmanager
def _open_xlsx(path: Path) -> Iterator[Iterator[Line]]:
    try:
        book = load_workbook(path, read_only=True, data_only=True)
    except (*UNREADABLE, OSError) as error:
        raise FileNotReadable(reason=type(error).__name__) from None
    try:
        yield _xlsx_lines(book)
    finally:
        book.close()


def _xlsx_lines(book: Any) -> Iterator[Line]:
    """Give the rows that are there, not those that the file says it has: many writers err."""
    try:
        sheet = book.worksheets[0]
        sheet.reset_dimensions()
        for number, cells in enumerate(sheet.iter_rows(values_only=True), start=1):
            yield number, [_cell(value) for value in cells]
    except UNREADABLE as error:
        raise FileNotReadable(reason=type(error).__name__) from None


def _cell(value: object) -> str:
    """Write a cell of XLSX the way CSV would have it."""
    if value is None:
        return ""
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%d %H:%M:%S}"
    if type(value) in (int, float):
        return _number(value)  # type: ignore[arg-type]
    return str(value)


def _number(value: float) -> str:
    """Write a number in full; one that lost digits as spreadsheets show it, to be refused."""
    if not math.isfinite(value):
        return str(value)
    if abs(value) >= EXACT_MAX:
        return f"{value:.14E}"
    if value == int(value):
        return str(int(value))
    return f"{value:.2f}" if abs(value - round(value, 2)) < ALMOST else repr(value)


def _rows(fields: Sequence[str], lines: Iterator[Line]) -> Iterator[Row]:
    """Give each row that is not blank."""
    width = len(fields)
    for number, cells in lines:
        values = [cell.strip(BLANKS)[:CELL_CHARS] for cell in cells]
        if any(values):
            row = dict(zip(fields, [*values, *[""] * width], strict=False))
            yield number, row | {SURPLUS: "".join(values[width:])}


def _header(lines: Iterator[Line], columns: Sequence[Column]) -> list[str]:
    """Return the field of each column, "" for columns that are not asked for.

    Raises FileEmpty, ColumnMissing naming every needed column that is not there, ColumnTwice.
    """
    _number, cells = next(lines, (0, ()))
    if not any(cells):
        raise FileEmpty
    by_title = {title: c.field for c in columns for title in (c.title, c.field)}
    fields = [by_title.get(cell.strip(BLANKS).removeprefix("\ufeff"), "") for cell in cells]
    missing = [c for c in columns if not c.optional and c.field not in fields]
    if missing:
        titles = ", ".join(f"{c.title} ({c.field})" for c in missing)
        raise ColumnMissing(field=missing[0].field, columns=titles)
    twice = [field for field in fields if field and fields.count(field) > 1]
    if twice:
        raise ColumnTwice(field=twice[0], column=twice[0])
    return fields
