"""Writing very many rows of a table at once: COPY, and indexes made afterwards."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import cache
from itertools import islice, product
from typing import Any

from django.db import connection
from django.db.models import Model
from django.db.models.expressions import RawSQL

SORTED_IN = "256MB"  # memory while an index is made
CHUNK = 5_000  # rows sent at once
DAY = 86_400  # seconds
MANY = 100_000  # rows from which on putting indexes back is faster than keeping them up


LAST_ID_SQLITE = "SELECT COALESCE(MAX(seq), 0) FROM sqlite_sequence WHERE name = %s"
IDS_POSTGRES = "SELECT nextval(pg_get_serial_sequence(%s, 'id')) FROM generate_series(1, %s)"
IDS_IN_A_ROW = """
    SELECT setval(sequence, nextval(sequence) + %(count)s - 1)
    FROM pg_get_serial_sequence(%(table)s, 'id') AS sequence
"""


def listed(values: Sequence[str]) -> RawSQL:
    """Return many texts as one parameter, for `column__in`."""
    if connection.vendor == "postgresql":
        return RawSQL("SELECT unnest(%s::text[])", [list(values)])
    return RawSQL("SELECT value FROM json_each(%s)", [json.dumps(list(values))])


def new_ids(model: type[Model], count: int, *, alone: bool) -> Sequence[int]:
    """Take so many ids that nobody else will get.

    alone: nobody else can insert until the transaction ends, as always on SQLite.
    """
    table = model._meta.db_table
    with connection.cursor() as cursor:
        if connection.vendor != "postgresql":
            cursor.execute(LAST_ID_SQLITE, [table])
            first = cursor.fetchone()[0] + 1
            return range(first, first + count)
        if alone and count:
            cursor.execute(IDS_IN_A_ROW, {"table": table, "count": count})
            last = cursor.fetchone()[0]
            return range(last - count + 1, last + 1)
        cursor.execute(IDS_POSTGRES, [table, count])
        return [pk for (pk,) in cursor.fetchall()]


@cache
def times_of_day() -> list[str]:
    """Return "23:59:59" and all others, by their second of the day."""
    parts = range(24), range(60), range(60)
    return [f"{hour:02}:{minute:02}:{second:02}" for hour, minute, second in product(*parts)]


class Writer:
    """Inserts rows as fast as this database can: by COPY on PostgreSQL.

    In the rows numbers stand as they are; null, texts and times as they are written here.
    """

    def __init__(self) -> None:
        self.copies = connection.vendor == "postgresql"
        self.null = r"\N" if self.copies else None
        self._zone = "+00" if self.copies else ""
        self._times = times_of_day()
        self._days: dict[int, str] = {}

    def text(self, value: str) -> str:
        """Write a text without control characters."""
        return value.replace("\\", r"\\") if self.copies else value

    def time(self, seconds: int) -> str:
        """Write a moment given in seconds since 1970."""
        day, second = divmod(seconds, DAY)
        date = self._days.get(day)
        if date is None:
            date = self._days[day] = f"{datetime.fromtimestamp(day * DAY, UTC):%Y-%m-%d}"
        return f"{date} {self._times[second]}{self._zone}"

    def insert(
        self, model: type[Model], columns: Sequence[str], rows: Iterable[tuple[Any, ...]]
    ) -> Iterator[int]:
        """Insert rows of some columns; the others hold what the model's fields begin with.

        Yields how many rows went in, now and then. Making the rows must not use the database.
        """
        rest = [f for f in model._meta.concrete_fields if f.column not in columns]
        ends = tuple(f.get_db_prep_save(f.get_default(), connection) for f in rest)
        names = [*columns, *(str(f.column) for f in rest)]
        table = f"{model._meta.db_table} ({', '.join(names)})"
        left = iter(rows)
        chunks = iter(lambda: list(islice(left, CHUNK)), [])
        if self.copies:
            return _copy(f"COPY {table} FROM STDIN", len(columns), ends, chunks)
        marks = ", ".join(["%s"] * len(names))
        return _insert(f"INSERT INTO {table} VALUES ({marks})", ends, chunks)  # noqa: S608


def _copy(
    sql: str, columns: int, ends: tuple[Any, ...], chunks: Iterator[list[tuple[Any, ...]]]
) -> Iterator[int]:
    fixed = tuple(r"\N" if value is None else value for value in ends)
    line = "\t".join(["%s"] * (columns + len(fixed))) + "\n"
    with connection.cursor() as cursor, cursor.copy(sql) as stream:
        for rows in chunks:
            stream.write("".join([line % (row + fixed) for row in rows]))
            yield len(rows)


def _insert(
    sql: str, ends: tuple[Any, ...], chunks: Iterator[list[tuple[Any, ...]]]
) -> Iterator[int]:
    with connection.cursor() as cursor:
        for rows in chunks:
            cursor.executemany(sql, [row + ends for row in rows])
            yield len(rows)


# --- Indexes --------------------------------------------------------------------------------

INDEXES = """
    SELECT indexrelid::regclass::text, pg_get_indexdef(indexrelid) FROM pg_index
    WHERE indrelid = %s::regclass
    AND NOT EXISTS (SELECT FROM pg_constraint WHERE conindid = indexrelid AND contype <> 'f')
"""
CONSTRAINTS = """
    SELECT quote_ident(conname), pg_get_constraintdef(oid) FROM pg_constraint
    WHERE conrelid = %s::regclass AND contype IN ('u', 'f') ORDER BY contype DESC, conname
"""
OWNED = """
    SELECT bool_and(pg_has_role(relowner, 'USAGE')) FROM pg_class WHERE oid = ANY(%s::regclass[])
"""


@contextmanager
def without_indexes(*models: type[Model]) -> Iterator[None]:
    """Take the indexes and foreign keys of tables away, and put them back, proved anew.

    Everybody else waits for the end of the transaction, readers too.
    """
    tables = [model._meta.db_table for model in models]
    with connection.cursor() as cursor:
        cursor.execute(f"LOCK TABLE {', '.join(tables)} IN ACCESS EXCLUSIVE MODE")
        back = [_drop(cursor, table) for table in tables]
        yield
        cursor.execute(f"SET LOCAL maintenance_work_mem = '{SORTED_IN}'")
        for statements in back:
            for statement in statements:
                cursor.execute(statement)
        cursor.execute(f"ANALYZE {', '.join(tables)}")


def _drop(cursor: Any, table: str) -> list[str]:
    """Drop what a table has beside its primary key; return the statements that bring it back."""
    cursor.execute(CONSTRAINTS, [table])
    constraints = cursor.fetchall()
    cursor.execute(INDEXES, [table])
    indexes = cursor.fetchall()
    for name, _definition in constraints:
        cursor.execute(f"ALTER TABLE {table} DROP CONSTRAINT {name}")
    for name, _definition in indexes:
        cursor.execute(f"DROP INDEX {name}")
    return [
        *(definition for _name, definition in indexes),
        *(f"ALTER TABLE {table} ADD CONSTRAINT {name} {text}" for name, text in constraints),
    ]


def may_drop_indexes(*models: type[Model]) -> bool:
    """Say whether this is PostgreSQL and the tables are our own."""
    if connection.vendor != "postgresql":
        return False
    with connection.cursor() as cursor:
        cursor.execute(OWNED, [[model._meta.db_table for model in models]])
        return bool(cursor.fetchone()[0])
