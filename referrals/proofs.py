"""The proof that labels, depth, root and upline columns of the tree agree with the parents.

Each fault is looked for by one statement over the whole table. Level 0 at the roots and one more
at each step down exclude a cycle; children inside their parent, beside one another, make every
interval right by induction.
"""

# ruff: noqa: S608 - all SQL here is constant

from __future__ import annotations

from collections.abc import Iterator

from django.db import connection

FAULTS_MAX = 100  # of one kind

CHILD_AND_PARENT = "referrals_promoter c JOIN referrals_promoter p ON p.id = c.parent_id"

FAULTS = {
    "a root is not at level 0": "SELECT c.id FROM referrals_promoter c "
    "WHERE c.parent_id IS NULL AND c.level <> 0",
    "a root does not own its tree": "SELECT c.id FROM referrals_promoter c "
    "WHERE c.parent_id IS NULL AND (c.tree_id <> c.id OR c.pending)",
    "a root has an upline": "SELECT c.id FROM referrals_promoter c WHERE c.parent_id IS NULL "
    "AND (c.upline_1_id IS NOT NULL OR c.upline_2_id IS NOT NULL OR c.upline_3_id IS NOT NULL)",
    "the level is not one below the parent's": f"SELECT c.id FROM {CHILD_AND_PARENT} "
    "WHERE c.level <> p.level + 1",
    "it is in another tree than its parent": f"SELECT c.id FROM {CHILD_AND_PARENT} "
    "WHERE c.tree_id <> p.tree_id",
    "upline_1 is not the parent": "SELECT c.id FROM referrals_promoter c "
    "WHERE COALESCE(c.upline_1_id, 0) <> COALESCE(c.parent_id, 0)",
    "upline_2 is not the parent's parent": f"SELECT c.id FROM {CHILD_AND_PARENT} "
    "WHERE COALESCE(c.upline_2_id, 0) <> COALESCE(p.parent_id, 0)",
    "upline_3 is not two above the parent": f"SELECT c.id FROM {CHILD_AND_PARENT} "
    "LEFT JOIN referrals_promoter g ON g.id = p.parent_id "
    "WHERE COALESCE(c.upline_3_id, 0) <> COALESCE(g.parent_id, 0)",
    "the interval is empty": "SELECT c.id FROM referrals_promoter c WHERE c.lft >= c.rght",
    "it has a place below a parent that has none": f"SELECT c.id FROM {CHILD_AND_PARENT} "
    "WHERE p.pending AND NOT c.pending",
    "a newcomer is not at its parent's point": f"SELECT c.id FROM {CHILD_AND_PARENT} "
    "WHERE c.pending AND NOT p.pending AND (c.lft <> p.rght - 2 OR c.rght <> p.rght - 1)",
    "a newcomer is not where its waiting parent is": f"SELECT c.id FROM {CHILD_AND_PARENT} "
    "WHERE c.pending AND p.pending AND (c.lft <> p.lft OR c.rght <> p.rght)",
    "the interval is not inside the parent's": f"SELECT c.id FROM {CHILD_AND_PARENT} "
    "WHERE NOT c.pending AND NOT p.pending AND (c.lft <= p.lft OR c.rght > p.rght - 3)",
    "the interval overlaps a sibling's": "SELECT s.id FROM (SELECT id, lft, LAG(rght) OVER "
    "(PARTITION BY parent_id ORDER BY lft, id) AS before FROM referrals_promoter "
    "WHERE parent_id IS NOT NULL AND NOT pending) s WHERE s.before >= s.lft",
}


def tree_faults() -> Iterator[str]:
    """Yield one line per fault, at most a hundred of a kind; nothing when the tree is right."""
    with connection.cursor() as cursor:
        for text, sql in FAULTS.items():
            cursor.execute(f"{sql} ORDER BY 1 LIMIT {FAULTS_MAX}")
            for (pk,) in cursor.fetchall():
                yield f"promoter {pk}: {text}"
