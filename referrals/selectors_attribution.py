"""Who earns from an order placed now: one statement, however deep the tree and many the members."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from django.db import connection

from distro.prepared import keeping_plans
from referrals.models import Promoter
from referrals.rules.people import Person

LEVELS = 3

# Row 0 is the buyer with his open binding, rows 1 to 3 its promoter and that one's uplines. The
# planner looks at each table once: with a join for each of the four persons planning alone takes
# ten times as long as this. Labels are not read.
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
        COALESCE(m.merged_into_id, m.id), COALESCE(m.unionid, ''), m.phone_index,
        COALESCE(i.id_index, '')
    FROM chain c
    JOIN referrals_member m ON m.id = c.member_id
    LEFT JOIN referrals_identity i ON i.member_id = m.id
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
        rows = sorted(cursor.fetchall())  # by level, which is unique
    if not rows:
        return NOBODY
    (_level, binding_id, _nobody, _status, *buyer), *chain = rows
    earning = [pk if not _same(buyer, person) else None for _n, _b, pk, _s, *person in chain]
    if earning[0] is None or chain[0][3] == Promoter.Status.CLOSED:
        return NOBODY
    first, second, third = (earning + [None] * LEVELS)[:LEVELS]
    return Attribution(first, second, third, binding_id)


def _same(buyer: list[object], other: list[object]) -> bool:
    return Person(*buyer).is_same_as(Person(*other))  # type: ignore[arg-type]
