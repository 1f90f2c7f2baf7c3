"""Reading: how many there are in a team, and who earns from an order."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import timedelta
from statistics import median

from django.db import connection
from django.test.utils import CaptureQueriesContext

from analytics.bench.figures import PAIRS, Figure, at_least, at_most, each, ratio, seconds
from analytics.bench.sizes import Sizes
from analytics.bench.world import AT, START, World
from referrals.models import Binding, Promoter
from referrals.selectors import attribution_of
from referrals.selectors_teams import team_count

CUSTOMERS = 50
COUNTS = 5  # in a batch
LABELS = re.compile(r"\b(lft|rght|tree_id)\b")
RECURSIVE = """
    WITH RECURSIVE team(id) AS (
        SELECT id FROM referrals_promoter WHERE parent_id = %s
        UNION ALL
        SELECT p.id FROM referrals_promoter p JOIN team ON p.parent_id = team.id
    ) SELECT count(*) FROM team
"""


def figures(world: World, sizes: Sizes) -> Iterator[Figure]:
    """Count teams that newcomers are in, against a walk along the parents; read an upline."""
    world.tidy()
    with world.here():
        for size, bar in zip(sizes.teams, sizes.team_bars):
            head = world.head(size)
            walked, counted = walk(head), team_count(head)
            assert walked == counted, f"{walked} are below, {counted} were counted"
            pending = Promoter.objects.get(pk=head).get_descendants().filter(pending=True).count()
            value = ratio(
                lambda: seconds(lambda: walk(head)),  # noqa: B023 - called in this turn only
                lambda: each(team_count, [head] * COUNTS),  # noqa: B023
                what=f"team of {counted:,}",
            )
            name = f"recursive query / count of a team of {counted:,}, {pending:,} of them pending"
            yield at_least("tree", name, value, bar)
        yield from upline(world)


def walk(head: int) -> int:
    """Count a team along the parents."""
    with connection.cursor() as cursor:
        cursor.execute(RECURSIVE, [head])
        return int(cursor.fetchone()[0])


def upline(world: World) -> Iterator[Figure]:
    """Read who earns from an order, against a query that reads nothing."""
    customers = [world.member() for _ in range(CUSTOMERS)]
    Binding.objects.bulk_create(
        Binding(
            member_id=member,
            promoter_id=world.parent(),
            mode=Binding.Mode.IMPORT,
            started_at=START,
            made_by="bench",
        )
        for member in customers
    )
    moment = AT + timedelta(hours=1)
    with CaptureQueriesContext(connection) as queries:
        found = attribution_of(customers[0], at=moment)
    assert found.promoter_1
    yield at_most("tree", "queries for the upline of an order", len(queries), 1)
    read = LABELS.findall(queries.captured_queries[0]["sql"])
    yield at_most("tree", "labels read for the upline of an order", len(read), 0)

    def empty(_: int) -> None:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
            cursor.fetchall()

    def over() -> float:
        chain = each(lambda member: attribution_of(member, at=moment), customers)
        return chain - each(empty, customers)

    value = median(over() for _ in range(PAIRS)) * 1000
    yield at_most("tree", "upline of an order, ms over an empty query", value, 0.5)
