"""Writing the members and promoters of another system, many at once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any

from django.db import connection

from distro.bulkload import MANY, Writer, may_drop_indexes, without_indexes
from referrals.models import Member, Promoter
from referrals.rules.planting import Node

ASKED_AT_ONCE = 10_000
MEMBER_COLUMNS = ("id", "no", "external_no", "inviter_id", "joined_at")
PROMOTER_COLUMNS = (
    "id", "member_id", "code", "parent_id", "upline_1_id", "upline_2_id", "upline_3_id",
    "tree_id", "lft", "rght", "level", "pending", "approved_at", "imported_at",
)  # fmt: skip

# Walks up from members to the nearest promoter, over those who are none; who was merged counts as
# the account that stays. Below a promoter who leaves or has left newcomers become roots. UNION, not
# UNION ALL: merges may close a circle of inviters.
NEAREST = """
    WITH RECURSIVE line(start, member_id, inviter_id) AS (
        SELECT given.id, m.id, m.inviter_id FROM referrals_member given
        JOIN referrals_member m ON m.id = COALESCE(given.merged_into_id, given.id)
        WHERE given.id IN ({marks})
        UNION
        SELECT line.start, m.id, m.inviter_id FROM line
        JOIN referrals_member given ON given.id = line.inviter_id
        JOIN referrals_member m ON m.id = COALESCE(given.merged_into_id, given.id)
        WHERE NOT EXISTS (SELECT 1 FROM referrals_promoter p WHERE p.member_id = line.member_id)
    )
    SELECT line.start, p.id, COALESCE(p.upline_1_id, 0), COALESCE(p.upline_2_id, 0),
        COALESCE(p.upline_3_id, 0), p.tree_id, p.lft, p.rght, p.level, p.pending
    FROM line JOIN referrals_promoter p
        ON p.member_id = line.member_id AND p.status NOT IN ('closing', 'closed')
"""


def nearest_promoters(member_ids: Sequence[int]) -> dict[int, Node]:
    """Return, by member, the promoter he is or who is next above him along the inviters.

    Call it under the tree's lock: the labels are read to be copied.
    """
    found: dict[int, Node] = {}
    with connection.cursor() as cursor:
        for start in range(0, len(member_ids), ASKED_AT_ONCE):
            some = member_ids[start : start + ASKED_AT_ONCE]
            cursor.execute(NEAREST.format(marks=", ".join(["%s"] * len(some))), list(some))
            found |= {row[0]: Node._make(row[1:]) for row in cursor.fetchall()}
    return found


@contextmanager
def fastest_way(members: int) -> Iterator[bool]:
    """Prepare for inserting so many members; say whether everybody else is kept out meanwhile.

    When they are most of what will be there the indexes are made afterwards, in one go.
    """
    few = members < MANY or Member.objects.order_by()[: members + 1].count() > members
    if few or not may_drop_indexes(Member, Promoter):
        yield False
        return
    with without_indexes(Member, Promoter):
        yield True


# id, no, external no, inviter, joined at in seconds since 1970
NewMember = tuple[int, str, str, int | None, int]
# node, member, code, approved at in seconds since 1970
NewPromoter = tuple[Node, int, str, int]


def insert_members(rows: Iterable[NewMember]) -> Iterator[int]:
    """Insert members; yield how many went in, now and then."""
    writer = Writer()
    null, text, time = writer.null, writer.text, writer.time
    values = (
        (pk, no, text(external_no), inviter_id or null, time(joined_at))
        for pk, no, external_no, inviter_id, joined_at in rows
    )
    return writer.insert(Member, MEMBER_COLUMNS, values)


def insert_promoters(rows: Iterable[NewPromoter], *, imported_at: datetime) -> Iterator[int]:
    """Insert promoters; yield how many went in, now and then."""
    writer = Writer()
    now = writer.time(int(imported_at.timestamp()))
    values = (_promoter(row, writer, now) for row in rows)
    return writer.insert(Promoter, PROMOTER_COLUMNS, values)


def _promoter(row: NewPromoter, writer: Writer, now: str) -> tuple[Any, ...]:
    (pk, *uplines, tree, lft, rght, level, pending), member_id, code, approved_at = row
    up_1, up_2, up_3 = (upline or writer.null for upline in uplines)
    place = up_1, up_1, up_2, up_3, tree, lft, rght, level, bool(pending)
    return (pk, member_id, writer.text(code), *place, writer.time(approved_at), now)
