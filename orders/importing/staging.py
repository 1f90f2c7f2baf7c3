"""Gathering the rows of each order on disk, so that memory does not grow with the file."""

from __future__ import annotations

import json
import sqlite3
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Any

from distro.importing.cells import Fault

SCHEMA = """
CREATE TABLE line (order_no TEXT, line INTEGER, good INTEGER, buyer TEXT, placed TEXT, row TEXT);
CREATE TABLE fault (order_no TEXT, line INTEGER, field TEXT, reason TEXT);
CREATE TABLE done (buyer TEXT PRIMARY KEY) WITHOUT ROWID;
"""
INDEXES = """
CREATE INDEX line_order ON line (order_no, line);
CREATE INDEX line_buyer ON line (buyer, placed);
CREATE INDEX fault_order ON fault (order_no);
CREATE TABLE todo AS
    SELECT order_no FROM line WHERE order_no NOT IN (SELECT order_no FROM fault)
    GROUP BY order_no ORDER BY min(placed), min(line);
"""


@dataclass(frozen=True)
class StagedOrder:
    """The good rows of one order: what each says, with its line in the file."""

    number: str
    rows: list[tuple[int, dict[str, Any]]]


class Staging:
    """A scratch database of one import; use it as a context manager."""

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory()
        self._db = sqlite3.connect(Path(self._folder.name) / "rows.sqlite3")
        self._db.executescript("PRAGMA journal_mode=OFF; PRAGMA synchronous=OFF;" + SCHEMA)

    def __enter__(self) -> Staging:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        self._db.close()
        self._folder.cleanup()

    def add(self, line: int, values: dict[str, Any], faults: Sequence[Fault]) -> None:
        """Keep one row; rows without a readable order number stand for themselves."""
        number = values.get("order_no") or f"\x00{line}"
        placed = values.get("placed_at")
        self._db.execute(
            "INSERT INTO line VALUES (?, ?, ?, ?, ?, ?)",
            (
                number,
                line,
                not faults,
                values.get("buyer_no", ""),
                placed.isoformat() if placed else "",
                json.dumps(values, default=datetime.isoformat),
            ),
        )
        self.reject(number, faults)

    def reject(self, number: str, faults: Sequence[Fault]) -> None:
        """Note faults of an order; one of them rejects it whole."""
        self._db.executemany(
            "INSERT INTO fault VALUES (?, ?, ?, ?)",
            [(number, fault.line, fault.field, fault.reason) for fault in faults],
        )

    def index(self) -> None:
        """Make reading by order fast; call it once all rows are in."""
        self._db.executescript(INDEXES)

    def count(self) -> int:
        """Return how many orders were read without a fault."""
        return int(self._db.execute("SELECT count(*) FROM todo").fetchone()[0])

    def rejected_rows(self) -> int:
        """Return how many rows belong to orders with a fault."""
        query = "SELECT count(*) FROM line WHERE order_no IN (SELECT order_no FROM fault)"
        return int(self._db.execute(query).fetchone()[0])

    def orders(self) -> Iterator[StagedOrder]:
        """Give the orders without a fault, with all their rows, by the time they were placed."""
        for (number,) in self._db.execute("SELECT order_no FROM todo ORDER BY rowid"):
            rows = self._db.execute(
                "SELECT line, row FROM line WHERE order_no = ? ORDER BY line", (number,)
            )
            yield StagedOrder(number, [(line, _load(text)) for line, text in rows])

    def note_buyers(self, buyers: Sequence[str]) -> None:
        """Note whose orders were written, to count them once at the end."""
        rows = [(buyer,) for buyer in buyers]
        self._db.executemany("INSERT OR IGNORE INTO done VALUES (?)", rows)

    def buyers(self) -> int:
        """Return how many buyers' orders were written."""
        return int(self._db.execute("SELECT count(*) FROM done").fetchone()[0])

    def first_placed(self, buyers: Sequence[str]) -> dict[str, datetime]:
        """Return when each of these buyers placed his first order of the file."""
        marks = ",".join("?" * len(buyers))
        query = (
            f"SELECT buyer, min(placed) FROM line WHERE buyer IN ({marks})"  # noqa: S608
            " AND good GROUP BY buyer"
        )
        rows = self._db.execute(query, list(buyers))
        return {buyer: datetime.fromisoformat(placed) for buyer, placed in rows}

    def rejects(self) -> Iterator[tuple[int, str, str, str]]:
        """Give (line, order number, field, reason) of every rejected row, by line."""
        query = (
            "SELECT l.line, l.order_no, f.field, f.reason FROM line l"
            " LEFT JOIN fault f ON f.order_no = l.order_no AND f.line = l.line"
            " WHERE l.order_no IN (SELECT order_no FROM fault) ORDER BY l.line"
        )
        for line, number, field, reason in self._db.execute(query):
            yield line, "" if number.startswith("\x00") else number, field or "", reason or ""


TIMES = ("placed_at", "paid_at", "completed_at")


def _load(text: str) -> dict[str, Any]:
    values: dict[str, Any] = json.loads(text)
    for field in TIMES:
        if values[field]:
            values[field] = datetime.fromisoformat(values[field])
    return values
