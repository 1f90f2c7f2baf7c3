"""Reading the parents that labels are computed from, and writing the labels.

Nobody is locked while they are computed. Who joins meanwhile below a row that is then written
copied the labels it had before; the write waits for him, and `repoint()` finds him afterwards.
Labels, parents and the order of the two are safe because every writer holds the tree's lock.
"""

from __future__ import annotations

import sys
from array import array
from collections.abc import Collection, Iterable

from django.db import connection
from django.db.backends.utils import CursorWrapper

from referrals.models.tree import BELOW
from referrals.rules.labels import Place

PARENTS = "SELECT id, COALESCE(parent_id, 0) AS parent FROM referrals_promoter {where} ORDER BY id"
# Two long texts of eight bytes a number: a million rows are read in a second.
PACKED = """
    SELECT COALESCE(string_agg(int8send(id), ''), ''),
        COALESCE(string_agg(int8send(parent), ''), '')
    FROM ({rows}) AS rows
"""


def read_parents(tops: Collection[int] | None = None) -> tuple[array[int], array[int]]:
    """Return the ids and the parents (0: none) of all promoters, or of some with their teams.

    Ordered by age. Call it under the tree's lock.
    """
    where, params = "", list(tops or ())
    if tops is not None:
        marks = ", ".join(["%s"] * len(params)) or "0"
        where = f"WHERE id IN ({BELOW.format(nodes=marks, only='')})"
    rows = PARENTS.format(where=where)
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute(PACKED.format(rows=rows), params)
            ids, parents = map(_unpacked, cursor.fetchone())
            return ids, parents
        ids, parents = array("q"), array("q")
        cursor.execute(rows, params)
        for pk, parent in cursor:
            ids.append(pk)
            parents.append(parent)
        return ids, parents


def _unpacked(column: bytes) -> array[int]:
    numbers = array("q")
    numbers.frombytes(column)
    if sys.byteorder == "little":
        numbers.byteswap()
    return numbers


# --- Writing --------------------------------------------------------------------------------

TABLE = """
    CREATE TEMPORARY TABLE tree_places
        (node bigint, tree bigint, lft bigint, rght bigint, level integer)
"""
WRITE = """
    UPDATE referrals_promoter AS p
    SET tree_id = v.tree, lft = v.lft, rght = v.rght, level = v.level, pending = FALSE
    FROM tree_places AS v
    WHERE p.id = v.node AND (p.pending OR p.lft <> v.lft OR p.rght <> v.rght
        OR p.level <> v.level OR p.tree_id <> v.tree)
"""
# Many rows are written in the order they lie in; in tree order every index is hit at random, which
# takes half as long again. A few are looked up one by one.
BY_ID = "SET LOCAL enable_hashjoin = off"
# Who joined below a written row before it was, and whoever joined below him. Only they are still
# pending there; a second look finds those who joined below them while they were waited for.
REPOINT = """
    UPDATE referrals_promoter AS p SET lft = l.lft, rght = l.rght
    FROM (
        WITH RECURSIVE late(id, lft, rght) AS (
            SELECT c.id, p.rght - 2, p.rght - 1
            FROM tree_places v
            JOIN referrals_promoter p ON p.id = v.node
            JOIN referrals_promoter c ON c.parent_id = p.id
            WHERE c.pending
            UNION ALL
            SELECT c.id, l.lft, l.rght FROM referrals_promoter c JOIN late l ON c.parent_id = l.id
        )
        SELECT id, lft, rght FROM late
    ) AS l
    WHERE p.id = l.id AND (p.lft <> l.lft OR p.rght <> l.rght)
"""


def write_places(places: Iterable[Place]) -> int:
    """Write labels, the rows that change only; return how many there were."""
    with connection.cursor() as cursor:
        cursor.execute(TABLE)
        _load(cursor, places)
        if connection.vendor == "postgresql":
            cursor.execute(BY_ID)
        cursor.execute(WRITE)
        written = cursor.rowcount
        late = True
        while late:
            cursor.execute(REPOINT)
            late = cursor.rowcount > 0
        cursor.execute("DROP TABLE tree_places")
    return written


def _load(cursor: CursorWrapper, places: Iterable[Place]) -> None:
    if connection.vendor != "postgresql":
        cursor.executemany("INSERT INTO tree_places VALUES (%s, %s, %s, %s, %s)", list(places))
        return
    with cursor.copy("COPY tree_places FROM STDIN (FORMAT BINARY)") as copy:
        copy.set_types(["int8", "int8", "int8", "int8", "int4"])
        for place in places:
            copy.write_row(place)
    cursor.execute("ANALYZE tree_places")
