"""Moving: promoters, with everybody below them, under another upline.

The whole subtree is locked before anything is computed, and what is computed is read in a new
statement: whoever joined below it before is moved along, and who joins after waits and copies his
uplines from rows that were moved. So a join can neither keep an old upline nor be left behind.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from django.db import connection, transaction
from django.db.backends.utils import CursorWrapper

from distro.locks import Lock, advisory, require_transaction
from referrals.errors_tree import MoveMakesCycle
from referrals.models import Promoter, TreeGate
from referrals.models.tree import above
from referrals.rules.labels import ROOT_LEFT, ROOT_RIGHT

MOVED = """
    WITH RECURSIVE moved(id, top, depth) AS (
        SELECT id, id, 0 FROM referrals_promoter WHERE id IN ({nodes})
        UNION ALL
        SELECT p.id, m.top, m.depth + 1 FROM referrals_promoter p JOIN moved m ON p.parent_id = m.id
    )
"""
LOCK = f"""
    {MOVED}, locked AS (
        SELECT p.id FROM referrals_promoter p JOIN moved m ON m.id = p.id
        ORDER BY p.id FOR NO KEY UPDATE OF p
    )
    SELECT COUNT(*) FROM locked
"""  # noqa: S608 - constant
MOVE = f"""
    UPDATE referrals_promoter AS p SET
        parent_id = CASE m.depth WHEN 0 THEN t.up_1 ELSE p.parent_id END,
        upline_1_id = CASE m.depth WHEN 0 THEN t.up_1 ELSE p.upline_1_id END,
        upline_2_id = CASE m.depth WHEN 0 THEN t.up_2 WHEN 1 THEN t.up_1 ELSE p.upline_2_id END,
        upline_3_id = CASE m.depth WHEN 0 THEN t.up_3 WHEN 1 THEN t.up_2 WHEN 2 THEN t.up_1
            ELSE p.upline_3_id END,
        tree_id = COALESCE(t.tree, m.top),
        lft = CASE m.depth WHEN 0 THEN t.top_lft ELSE t.lft END,
        rght = CASE m.depth WHEN 0 THEN t.top_rght ELSE t.rght END,
        level = t.level + m.depth,
        pending = t.tree IS NOT NULL OR m.depth > 0
    FROM ({MOVED} SELECT id, top, depth FROM moved) AS m CROSS JOIN (
        SELECT CAST(%s AS bigint) AS up_1, CAST(%s AS bigint) AS up_2, CAST(%s AS bigint) AS up_3,
            CAST(%s AS bigint) AS tree, CAST(%s AS bigint) AS level,
            CAST(%s AS bigint) AS lft, CAST(%s AS bigint) AS rght,
            CAST(%s AS bigint) AS top_lft, CAST(%s AS bigint) AS top_rght
    ) AS t
    WHERE p.id = m.id
"""  # noqa: S608 - constant


def move(*, nodes: Collection[int], to: int | None) -> int:
    """Put promoters, none below another, under an upline or at the top; return how many moved.

    A few statements, however large the teams are. All of them are pending afterwards, but for a
    new root. Raises MoveMakesCycle.
    """
    require_transaction("move()")
    if not nodes:
        return 0
    advisory(Lock.TREE_MOVE)
    marks = ", ".join(["%s"] * len(nodes))
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            _lock_teams(cursor, LOCK.format(nodes=marks), list(nodes))
        target = _target(nodes, to)
        with transaction.atomic():  # an open gate is never left behind
            TreeGate.objects.create(pk=1)
            cursor.execute(MOVE.format(nodes=marks), [*nodes, *target])
            moved = cursor.rowcount
            TreeGate.objects.filter(pk=1).delete()
    return moved


def _lock_teams(cursor: CursorWrapper, statement: str, nodes: list[int]) -> None:
    """Lock everybody below, again and again until nobody new is there.

    Who joined while a lock was waited for is seen by the next statement only.
    """
    before, count = -1, 0
    while count != before:
        cursor.execute(statement, nodes)
        before, count = count, cursor.fetchone()[0]


def _target(nodes: Collection[int], to: int | None) -> list[Any]:
    """Return the columns that the moved take from their new upline, which stays as it is."""
    if to is None:
        point = [ROOT_RIGHT - 2, ROOT_RIGHT - 1]
        return [None, None, None, None, 0, *point, ROOT_LEFT, ROOT_RIGHT]
    rows = Promoter.objects.order_by()
    if connection.vendor == "postgresql":
        list(rows.select_for_update(no_key=True).filter(pk=to).values_list("pk"))
    if rows.filter(pk__in=above([to])).filter(pk__in=nodes).exists():
        raise MoveMakesCycle(field="to_parent")
    upline = rows.get(pk=to)
    point = [upline.lft, upline.rght]
    if not upline.pending:
        point = [upline.rght - 2, upline.rght - 1]
    above_it = [upline.pk, upline.upline_1_id, upline.upline_2_id]
    return [*above_it, upline.tree_id, upline.level + 1, *point, *point]
