"""The statements that write the promoter tree, one set at a time.

Joining writes one row and takes one shared row lock. Placing and relabelling run one at a time
under the tree's advisory lock, and lock the rows that they move before they compute anything: a
join beside them waits and then copies the new labels of its parent.
"""

from __future__ import annotations

import json
import logging
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from django.db import connection, transaction
from django.db.models import Max, QuerySet

from distro.locks import Lock, advisory, require_transaction
from referrals.models import Promoter
from referrals.models.tree import below
from referrals.rules import labels
from referrals.rules.labels import ROOT_LEFT, ROOT_RIGHT

logger = logging.getLogger(__name__)

PLACED_AT_ONCE = 2_000  # newcomers per transaction, with everybody below them
WRITTEN_AT_ONCE = 10_000  # rows per statement
RELABELLED_AT_ONCE = 20_000  # a larger tree is relabelled only by `manage.py rebuild_tree`


class Root(NamedTuple):
    """A member who becomes a promoter without an upline."""

    member_id: int
    code: str


class Place(NamedTuple):
    """Where a node stands in the tree."""

    node: int
    tree: int
    lft: int
    rght: int
    level: int


# --- Joining --------------------------------------------------------------------------------

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


def attach(*, member_id: int, parent_id: int | None, code: str, at: datetime) -> int:
    """Make a member a promoter below another one, or a root; return the promoter's id.

    One statement; no other row is written, however large the tree is.
    """
    require_transaction("attach()")
    if parent_id is None:
        return attach_roots([Root(member_id, code)], at=at)[member_id]
    params = [member_id, code, _time(at), parent_id]
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute(f"{ATTACH} FOR SHARE RETURNING id", params)
            row = cursor.fetchone()
        else:
            cursor.execute(ATTACH, params)
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


# --- Placing newcomers ----------------------------------------------------------------------


def place_pending(*, at: datetime) -> int:
    """Give newcomers intervals of their own inside the gaps; return how many were placed.

    Only their rows are written. A tree that ran out of room is relabelled if it is small; in a
    large one they stay pending, and every read stays right, until `manage.py rebuild_tree`.
    """
    placed, after = 0, 0
    full: set[int] = set()
    while True:
        with transaction.atomic():
            advisory(Lock.TREE_MOVE)
            tops = _newcomers(after)
            placed += _place(tops, full)
        if len(tops) < PLACED_AT_ONCE:
            break
        after = tops[-1].pk
    return placed + sum([_make_room(tree) for tree in sorted(full)])


def _newcomers(after: int) -> list[Promoter]:
    """Return pending promoters whose upline has its place, by id."""
    rows = Promoter.objects.filter(pending=True, parent__pending=False, pk__gt=after)
    return list(rows.select_related("parent").order_by("pk")[:PLACED_AT_ONCE])


def _place(tops: Sequence[Promoter], full: set[int]) -> int:
    """Place newcomers with everybody below them; note the trees that have no room."""
    if not tops:
        return 0
    children = _children(_lock(Promoter.objects.filter(pk__in=below(top.pk for top in tops))))
    by_parent: dict[int, list[Promoter]] = defaultdict(list)
    for top in tops:
        by_parent[top.parent_id].append(top)
    used = Promoter.objects.filter(parent__in=list(by_parent), pending=False).order_by()
    used_to = dict(used.values("parent").annotate(end=Max("rght")).values_list("parent", "end"))
    places: list[Place] = []
    for nodes in by_parent.values():
        parent = nodes[0].parent
        found = _places_below(parent, used_to.get(parent.pk, parent.lft), nodes, children)
        places += found
        if not found:
            full.add(parent.tree_id)
    _write(places)
    return len(places)


def _places_below(
    parent: Promoter, used_to: int, nodes: Sequence[Promoter], children: Mapping[int, Sequence[int]]
) -> list[Place]:
    """Return places inside the parent's free tail; none without room."""
    tops = [node.pk for node in nodes]
    size = sum(1 for _ in labels.lay_out(tops, children, first=0, step=1, level=0))
    step = labels.step_of_placement(used_to=used_to, rght=parent.rght, nodes=size)
    if step is None:
        return []
    laid = labels.lay_out(tops, children, first=used_to + step, step=step, level=parent.level + 1)
    return [Place(x.node, parent.tree_id, x.lft, x.rght, x.level) for x in laid]


def _make_room(tree: int) -> int:
    """Relabel a small tree; return how many newcomers found their place by that."""
    rows = Promoter.objects.filter(tree_id=tree).order_by()
    waiting = rows.filter(pending=True).count()
    if rows[: RELABELLED_AT_ONCE + 1].count() > RELABELLED_AT_ONCE:
        logger.warning("tree %d: no room for %d newcomers, run rebuild_tree", tree, waiting)
        return 0
    rebuild_labels(trees=[tree])
    return waiting


# --- Relabelling ----------------------------------------------------------------------------


def rebuild_labels(*, trees: Collection[int] | None = None) -> int:
    """Compute all labels anew from the parents, of some trees or of all; return the rows written.

    Joins below the rows that are being written wait until the end.
    """
    with transaction.atomic():
        advisory(Lock.TREE_MOVE)
        rows = (
            Promoter.objects.all() if trees is None else Promoter.objects.filter(tree_id__in=trees)
        )
        children = _children(_lock(rows))
        written = 0
        for batch in _batches(_places_of_trees(children.pop(0, []), children)):
            written += _write(batch)
    return written


def _places_of_trees(
    roots: Iterable[int], children: Mapping[int, Sequence[int]]
) -> Iterator[Place]:
    """Yield the places of whole trees; each root takes the whole interval."""
    for root in roots:
        below_root = children.get(root, ())
        size = sum(1 for _ in labels.lay_out(below_root, children, first=0, step=1, level=0))
        step = labels.step_of_relabel(size)
        yield Place(root, root, ROOT_LEFT, ROOT_RIGHT, 0)
        first = ROOT_LEFT + step
        for x in labels.lay_out(below_root, children, first=first, step=step, level=1):
            yield Place(x.node, root, x.lft, x.rght, x.level)


def _lock(rows: QuerySet[Promoter]) -> list[tuple[int, int | None]]:
    """Lock rows against joins below them and return (id, parent), the parents' order being age.

    Repeated until no new row appears: who joined while we waited for a lock is seen only by the
    next statement.
    """
    rows = rows.order_by("pk")
    if connection.vendor == "postgresql":
        rows = rows.select_for_update(of=("self",), no_key=True)
    found: list[tuple[int, int | None]] = []
    while True:
        again = list(rows.values_list("pk", "parent_id"))
        if len(again) == len(found):
            return again
        found = again


def _children(rows: Iterable[tuple[int, int | None]]) -> dict[int, list[int]]:
    """Return who is directly below whom; the roots are below 0."""
    children: dict[int, list[int]] = defaultdict(list)
    for pk, parent_id in rows:
        children[parent_id or 0].append(pk)
    return children


# --- Writing labels -------------------------------------------------------------------------

WRITE = """
    UPDATE referrals_promoter AS p
    SET tree_id = v.tree, lft = v.lft, rght = v.rght, level = v.level, pending = FALSE
    FROM {source} WHERE p.id = v.node
"""
SOURCE_POSTGRES = """
    unnest(%s::bigint[], %s::bigint[], %s::bigint[], %s::bigint[], %s::int[])
        AS v(node, tree, lft, rght, level)
"""
SOURCE_SQLITE = """(
    SELECT json_extract(value, '$[0]') AS node, json_extract(value, '$[1]') AS tree,
        json_extract(value, '$[2]') AS lft, json_extract(value, '$[3]') AS rght,
        json_extract(value, '$[4]') AS level
    FROM json_each(%s)
) AS v"""


def _write(places: Sequence[Place]) -> int:
    """Write places in one statement; return how many rows there were."""
    if not places:
        return 0
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            columns = [list(column) for column in zip(*places)]
            cursor.execute(WRITE.format(source=SOURCE_POSTGRES), columns)
        else:
            cursor.execute(WRITE.format(source=SOURCE_SQLITE), [json.dumps(places)])
        return cursor.rowcount


def _batches(places: Iterator[Place]) -> Iterator[list[Place]]:
    batch: list[Place] = []
    for place in places:
        batch.append(place)
        if len(batch) == WRITTEN_AT_ONCE:
            yield batch
            batch = []
    yield batch
