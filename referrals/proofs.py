"""The proof that labels, depth, root and upline columns of the tree agree with the parents.

One statement looks at every promoter beside his parent and grandparent, one at every promoter
beside his elder sibling, both in the database's memory alone. Level 0 at the roots and one more at
each step down exclude a circle; children inside their parent, beside one another, make every
interval right by induction. Only if a level is wrong all lines are walked, to name the circles.
"""

# ruff: noqa: S608 - all SQL here is constant

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from django.db import connection

FAULTS_MAX = 100  # of one kind
ROWS_MAX = 10_000

ROOT, CHILD = "c.parent_id IS NULL", "p.id IS NOT NULL"
LEVEL_OF_ROOT, LEVEL = "a root is not at level 0", "the level is not one below the parent's"

# What a fault is, of c whose parent is p and grandparent is g.
FAULTS = {
    LEVEL_OF_ROOT: f"{ROOT} AND c.level <> 0",
    "a root does not own its tree": f"{ROOT} AND (c.tree_id <> c.id OR c.pending)",
    "a root has an upline": f"{ROOT} AND (c.upline_1_id IS NOT NULL OR c.upline_2_id IS NOT NULL "
    "OR c.upline_3_id IS NOT NULL)",
    LEVEL: f"{CHILD} AND c.level <> p.level + 1",
    "it is in another tree than its parent": f"{CHILD} AND c.tree_id <> p.tree_id",
    "upline_1 is not the parent": "COALESCE(c.upline_1_id, 0) <> COALESCE(c.parent_id, 0)",
    "upline_2 is not the parent's parent": f"{CHILD} AND "
    "COALESCE(c.upline_2_id, 0) <> COALESCE(p.parent_id, 0)",
    "upline_3 is not two above the parent": f"{CHILD} AND "
    "COALESCE(c.upline_3_id, 0) <> COALESCE(g.parent_id, 0)",
    "the interval is empty": "c.lft >= c.rght",
    "it has a place below a parent that has none": f"{CHILD} AND p.pending AND NOT c.pending",
    "a newcomer is not at its parent's point": f"{CHILD} AND c.pending AND NOT p.pending "
    "AND (c.lft <> p.rght - 2 OR c.rght <> p.rght - 1)",
    "a newcomer is not where its waiting parent is": f"{CHILD} AND c.pending AND p.pending "
    "AND (c.lft <> p.lft OR c.rght <> p.rght)",
    "the interval is not inside the parent's": f"{CHILD} AND NOT c.pending AND NOT p.pending "
    "AND (c.lft <= p.lft OR c.rght > p.rght - 3)",
}
BESIDE_PARENTS = f"""
    SELECT c.id, {", ".join(f"({fault})" for fault in FAULTS.values())}
    FROM referrals_promoter c
    LEFT JOIN referrals_promoter p ON p.id = c.parent_id
    LEFT JOIN referrals_promoter g ON g.id = p.parent_id
    WHERE {" OR ".join(f"({fault})" for fault in FAULTS.values())}
    ORDER BY 1 LIMIT {ROWS_MAX}
"""
OVERLAP = "the interval overlaps a sibling's"
BESIDE_SIBLINGS = f"""
    SELECT s.id FROM (
        SELECT id, lft, LAG(rght) OVER (PARTITION BY parent_id ORDER BY lft, id) AS before
        FROM referrals_promoter WHERE parent_id IS NOT NULL AND NOT pending
    ) s WHERE s.before >= s.lft ORDER BY 1 LIMIT {FAULTS_MAX}
"""
CIRCLE = "it is in a circle of uplines, or below one"
UNREACHED = f"""
    WITH RECURSIVE reached(id) AS (
        SELECT id FROM referrals_promoter WHERE parent_id IS NULL
        UNION ALL
        SELECT p.id FROM referrals_promoter p JOIN reached r ON p.parent_id = r.id
    )
    SELECT p.id FROM referrals_promoter p
    WHERE NOT EXISTS (SELECT 1 FROM reached r WHERE r.id = p.id) ORDER BY 1 LIMIT {FAULTS_MAX}
"""
GATE = "SELECT 1 FROM referrals_treegate"


def tree_faults() -> Iterator[str]:
    """Yield one line per fault, at most a hundred of a kind; nothing when the tree is right."""
    found: Counter[str] = Counter()
    with connection.cursor() as cursor:
        cursor.execute(BESIDE_PARENTS)
        for pk, *faulty in cursor.fetchall():
            for text, is_fault in zip(FAULTS, faulty, strict=True):
                found[text] += bool(is_fault)
                if is_fault and found[text] <= FAULTS_MAX:
                    yield f"promoter {pk}: {text}"
        others = {OVERLAP: BESIDE_SIBLINGS}
        if found[LEVEL] or found[LEVEL_OF_ROOT]:
            others[CIRCLE] = UNREACHED
        for text, statement in others.items():
            cursor.execute(statement)
            yield from [f"promoter {pk}: {text}" for (pk,) in cursor.fetchall()]
        cursor.execute(GATE)
        if cursor.fetchone():
            yield "the gate of moves stands open: uplines can be changed by anybody"
