"""Who earns from an order placed now: one statement, however deep the tree and many the members."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from operator import itemgetter
from typing import Any, NamedTuple

from django.db import connection

from distro.prepared import keeping_plans
from referrals.models import Promoter
from referrals.rules.people import Person, person_of

LEVELS = 3

# Level 0 is the buyer with his open binding, levels 1 to 3 its promoter and that one's uplines; a
# row for each account of theirs. Labels are not read.
CHAIN = f"""
    WITH RECURSIVE chain(level, binding_id, promoter_id, upline_id, member_id, status) AS (
        SELECT 0, b.id, CAST(NULL AS bigint), b.promoter_id, b.member_id,
            CAST('' AS varchar(16))
        FROM referrals_binding b
        WHERE b.member_id = %s AND b.ended_at IS NULL AND b.started_at <= %s
            AND (b.expires_at IS NULL OR b.expires_at > %s)
        UNION ALL
        SELECT c.level + 1, c.binding_id, p.id, p.upline_1_id, p.member_id, p.status
        FROM chain c JOIN referrals_promoter p ON p.id = c.upline_id
        WHERE c.level < {LEVELS}
    )
    SELECT c.level, c.binding_id, c.promoter_id, c.status,
        COALESCE(m.merged_into_id, m.id), own.unionid, own.phone_index, i.id_index
    FROM chain c
    JOIN referrals_member m ON m.id = c.member_id
    JOIN referrals_member own
        ON own.id = COALESCE(m.merged_into_id, m.id)
        OR own.merged_into_id = COALESCE(m.merged_into_id, m.id)
    LEFT JOIN referrals_identity i ON i.member_id = own.id
"""  # noqa: S608 - a number of ours


@dataclass(frozen=True)
class Attribution:
    """Whose customer somebody is, and that promoter's two uplines; promoter ids."""

    promoter_1: int | None = None
    promoter_2: int | None = None
    promoter_3: int | None = None
    binding_id: int | None = None


NOBODY = Attribution()


def attribution_of(member_id: int, *, at: datetime) -> Attribution:
    """Return who earns from an order placed now; one query.

    A level whose promoter is the buyer himself, by whatever account, stays empty: nobody moves
    up. When that is the first level nobody earns. The binding of a closed promoter is over, also
    a moment before it is ended.
    """
    moment = connection.ops.adapt_datetimefield_value(at)
    with keeping_plans() as cursor:
        cursor.execute(CHAIN, [member_id, moment, moment])
        rows = sorted(cursor.fetchall(), key=itemgetter(0))  # by level
    if not rows:
        return NOBODY
    chain = [_link(list(own)) for _level, own in groupby(rows, key=itemgetter(0))]
    buyer, promoters = chain[0], chain[1:]
    earning = [None if one.person.is_same_as(buyer.person) else one.pk for one in promoters]
    if earning[0] is None or promoters[0].status == Promoter.Status.CLOSED:
        return NOBODY
    first, second, third = (earning + [None] * LEVELS)[:LEVELS]
    return Attribution(first, second, third, buyer.binding_id)


class _Link(NamedTuple):
    binding_id: int
    pk: int | None  # promoter; None for the buyer
    status: str
    person: Person


def _link(rows: list[Any]) -> _Link:
    """Read one level of the chain: the same promoter in each row, an account in each."""
    _level, binding_id, pk, status = rows[0][:4]
    return _Link(binding_id, pk, status, person_of([row[4:] for row in rows]))
