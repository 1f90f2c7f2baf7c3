"""Joining: one INSERT that changes no other row, however large the tree is."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

from django.db import connection

from distro.locks import require_transaction
from distro.prepared import keeping_plans
from referrals.models import Promoter
from referrals.rules.labels import ROOT_LEFT, ROOT_RIGHT


class Root(NamedTuple):
    """A member who becomes a promoter without an upline."""

    member_id: int
    code: str


ATTACH = """
    INSERT INTO referrals_promoter (
        member_id, code, parent_id, upline_1_id, upline_2_id, upline_3_id,
        tree_id, lft, rght, level, pending, status, approved_at
    )
    SELECT %s, %s, p.id, p.id, p.upline_1_id, p.upline_2_id, p.tree_id,
        CASE WHEN p.pending THEN p.lft ELSE p.rght - 2 END,
        CASE WHEN p.pending THEN p.rght ELSE p.rght - 1 END,
        p.level + 1, TRUE, 'active', %s
    FROM referrals_promoter p WHERE p.id = %s
"""
UNLESS_LEAVING = f"{ATTACH} AND p.status NOT IN ('closing', 'closed')"
ROOT_COLUMNS = """
    INSERT INTO referrals_promoter
        (id, member_id, code, tree_id, lft, rght, level, pending, status, approved_at)
"""
# A tree is named by its root's id: the sequence of the ids numbers the trees too.
ROOTS_POSTGRES = f"""
    WITH roots AS (
        SELECT nextval(pg_get_serial_sequence('referrals_promoter', 'id')) AS id, member_id, code
        FROM unnest(%s::bigint[], %s::text[]) AS given(member_id, code)
    )
    {ROOT_COLUMNS}
    SELECT id, member_id, code, id, {ROOT_LEFT}, {ROOT_RIGHT}, 0, FALSE, 'active', %s FROM roots
    RETURNING member_id, id
"""  # noqa: S608 - numbers of ours
ROOTS_SQLITE = f"""
    {ROOT_COLUMNS}
    SELECT %s, %s, %s, %s, {ROOT_LEFT}, {ROOT_RIGHT}, 0, FALSE, 'active', %s
"""
LAST_ID_SQLITE = """
    SELECT COALESCE(MAX(seq), 0) FROM sqlite_sequence WHERE name = 'referrals_promoter'
"""


def attach(
    *, member_id: int, parent_id: int | None, code: str, at: datetime, unless_leaving: bool = False
) -> int:
    """Make a member a promoter below another one, or a root; return the promoter's id.

    One statement, whole by itself; no other row is written, however large the tree is.
    Raises Promoter.DoesNotExist, and writes nothing, if there is no such parent; also, where
    unless_leaving asks for it, if he is being closed or is closed.
    """
    if parent_id is None:
        return attach_roots([Root(member_id, code)], at=at)[member_id]
    params = [member_id, code, _time(at), parent_id]
    statement = UNLESS_LEAVING if unless_leaving else ATTACH
    with keeping_plans() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute(f"{statement} FOR SHARE RETURNING id", params)
            row = cursor.fetchone()
        else:
            cursor.execute(statement, params)
            row = (cursor.lastrowid,) if cursor.rowcount == 1 else None
    if row is None:
        raise Promoter.DoesNotExist(f"no promoter {parent_id} to attach to")
    return int(row[0])


def attach_roots(roots: Sequence[Root], *, at: datetime) -> dict[int, int]:
    """Make members promoters without an upline; return their promoter ids by member id."""
    require_transaction("attach_roots()")
    if not roots:
        return {}
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            columns = [list(column) for column in zip(*roots)]
            cursor.execute(ROOTS_POSTGRES, [*columns, at])
            return dict(cursor.fetchall())
        # The only writer: nobody else takes these numbers.
        cursor.execute(LAST_ID_SQLITE)
        first = cursor.fetchone()[0] + 1
        numbered = list(enumerate(roots, start=first))
        rows = [(pk, root.member_id, root.code, pk, _time(at)) for pk, root in numbered]
        cursor.executemany(ROOTS_SQLITE, rows)
    return {root.member_id: pk for pk, root in numbered}


def _time(at: datetime) -> Any:
    return connection.ops.adapt_datetimefield_value(at)
