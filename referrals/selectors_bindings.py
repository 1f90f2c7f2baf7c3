"""Reads about bindings that the hard rules ask."""

from __future__ import annotations

from django.db import connection

from distro.actors import Actor
from referrals import selectors
from referrals.models import Employee
from referrals.rules.people import Person

# Two ways up from a promoter: his upline, and the promoter whose customer he is himself.
LEADS_UP = """
    WITH RECURSIVE up (id) AS (
        SELECT CAST(%s AS bigint)
        UNION
        SELECT CASE way.no WHEN 1 THEN p.parent_id ELSE b.promoter_id END
        FROM up
        JOIN referrals_promoter p ON p.id = up.id
        LEFT JOIN referrals_binding b ON b.member_id = p.member_id AND b.ended_at IS NULL
        CROSS JOIN (SELECT 1 AS no UNION ALL SELECT 2) way
        WHERE CASE way.no WHEN 1 THEN p.parent_id ELSE b.promoter_id END IS NOT NULL
    )
    SELECT 1 FROM up WHERE id = %s LIMIT 1
"""


def leads_up_to(promoter_id: int, other_id: int) -> bool:
    """Say whether a promoter was brought by another, by uplines and open bindings; or is he."""
    with connection.cursor() as cursor:
        cursor.execute(LEADS_UP, [promoter_id, other_id])
        return cursor.fetchone() is not None


def is_own_promoter(by: Actor, person: Person) -> bool:
    """Say whether a staff user decides for the promoter that he is himself, by any account."""
    if by.kind != "staff":
        return False
    rows = Employee.objects.filter(staff=by.id, left_at=None).values_list("member", flat=True)
    own = rows.first()
    return own is not None and selectors.people([own])[own].is_same_as(person)
