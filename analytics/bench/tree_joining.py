"""Joining: against a stock leaf, in a tree of any size, and against the database's own limit."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from statistics import median
from typing import Any, NamedTuple

from celery import current_app
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext

from analytics.bench.figures import Figure, Side, at_least, at_most, each, ratio
from analytics.bench.pgbench import find_pgbench, run_pgbench
from analytics.bench.sizes import Sizes
from analytics.bench.stock import save_stock
from analytics.bench.world import AT, World, join
from analytics.bench.writers import Writers
from distro.actors import SYSTEM
from referrals.models import Agreement, AgreementAcceptance, Application
from referrals.rules.evidence import text_hash
from referrals.services.promoters import approve_application

SAVES, JOINS, APPROVALS = 4, 200, 40  # in a batch, which takes about as long on either side
FEW_JOINS = 40  # a tree of a thousand must not grow much
EXPLAINED = 25
CLIENTS = 8
WRITES = """
    SELECT n_tup_upd, n_tup_ins FROM pg_stat_xact_user_tables WHERE relname = 'referrals_promoter'
"""

stock_names = itertools.count()


class Writes(NamedTuple):
    """Rows of the promoters."""

    updated: int
    inserted: int


def figures(large: World, ten: World, small: World, sizes: Sizes) -> Iterator[Figure]:
    """Measure joining; the stock tree stands beside the tree of ten thousand."""
    size = f"{large.size:,}"
    stock, joins = stock_saves(ten), joining(large, JOINS)
    value = ratio(stock, joins, what="attach / stock save()")
    yield at_least("tree", f"stock save() at 10,000 / attach at {size}", value, 100)
    yield at_most("tree", f"other rows updated by an attach at {size}", updated(large), 0)
    approvals, statements = approving(large)
    value = ratio(stock, approvals, what="approval / stock save()")
    yield at_least("tree", f"stock save() at 10,000 / whole approval at {size}", value, 15)
    yield at_most("tree", "statements of an approval, BEGIN and COMMIT too", statements(), 8)
    few, small_joins = joining(large, FEW_JOINS), joining(small, FEW_JOINS)
    value = ratio(few, small_joins, what="attach, large / small tree")
    yield at_most("tree", f"attach at {size} / at 1,000", value, 1.5)
    value = buffers(large) / buffers(small)
    yield at_most("tree", f"buffers touched by an attach at {size} / at 1,000", value, 1.2)
    yield from limits(large, sizes)


def joining(world: World, count: int) -> Side:
    """Return a batch of so many joins."""

    def batch() -> float:
        with world.here():
            return each(lambda _: world.join(), range(count))

    batch()  # a connection, a plan, warm pages
    return batch


def stock_saves(world: World) -> Side:
    """Return a batch of leaves in the stock tree."""

    def save(_: int) -> None:
        save_stock(f"leaf {next(stock_names)}", world.parent() - world.promoters[0] + 1)

    def batch() -> float:
        with world.here():
            with connection.cursor() as cursor:
                cursor.execute("VACUUM bench_stock")  # half of the table is dead rows by now
            return each(save, range(SAVES))

    batch()
    return batch


def updated(world: World) -> int:
    """Return how many promoters an attach has updated."""
    with world.here(), transaction.atomic():
        before = writes()
        world.join()
        after = writes()
    assert after.inserted - before.inserted == 1
    return after.updated - before.updated


def writes() -> Writes:
    """Return what this session has written to the promoters and not yet reported."""
    with connection.cursor() as cursor:
        cursor.execute(WRITES)
        return Writes(*cursor.fetchone())


# --- Approval -------------------------------------------------------------------------------


def approving(world: World) -> tuple[Side, Callable[[], int]]:
    """Return a batch of approvals, and what counts the statements of one."""
    with world.here():
        body = "Share honestly."
        agreement = Agreement.objects.create(
            version=1_000_000,
            title="Bench",
            body=body,
            body_sha256=text_hash(body),
            effective_from=AT,
            published_at=AT,
            worsening=False,
        )

    def batch() -> float:
        with world.here(), worker_elsewhere():
            return each(_approve, [_application(world, agreement) for _ in range(APPROVALS)])

    def statements() -> int:
        with world.here():
            application = _application(world, agreement)
            with worker_elsewhere(), CaptureQueriesContext(connection) as queries:
                _approve(application)
            return len(queries)

    batch()
    return batch, statements


@contextmanager
def worker_elsewhere() -> Iterator[None]:
    """Queue the tasks, as where a broker is; without one they run where they are queued."""
    conf = current_app.conf
    before = {name: conf[name] for name in ("task_always_eager", "broker_url")}
    conf.update(task_always_eager=False, broker_url="memory://")
    yield
    conf.update(before)


def _application(world: World, agreement: Agreement) -> int:
    member = world.member()
    acceptance = AgreementAcceptance.objects.create(
        agreement=agreement,
        member_id=member,
        body_sha256=agreement.body_sha256,
        accepted_at=AT,
        row_hash=f"bench {member}",
    )
    row = {"member_id": member, "parent_id": world.parent(), "requested_at": AT}
    return Application.objects.create(acceptance=acceptance, **row).pk


def _approve(application: int) -> None:
    approve_application(application_id=application, by=SYSTEM, at=AT)


# --- Plans and limits -----------------------------------------------------------------------


class Statement:
    """The one statement of an attach in a world, with what stands for whom in its parameters."""

    def __init__(self, world: World) -> None:
        self.world = world
        member, parent = world.member(), world.parent()
        assert member != parent  # told apart below
        sent: list[tuple[str, Sequence[Any]]] = []

        def note(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
            sent.append((sql, params))
            return execute(sql, params, many, context)

        with world.here(), connection.execute_wrapper(note):
            join(member, parent)
        [(self.sql, self.params)] = [one for one in sent if "INTO referrals_promoter" in one[0]]
        self.names = {member: "member", f"B{member}": "code", parent: "parent"}

    def filled(self, **values: object) -> list[Any]:
        """Return its parameters with others in their place."""
        return [values[self.names[p]] if p in self.names else p for p in self.params]

    def script(self) -> str:
        """Return it as pgbench sends it: a member of its own and any parent each time."""
        first, last = self.world.promoters[0], self.world.promoters[-1]
        values = self.filled(member=":member", code=":member", parent=":parent")
        texts = [f"'{v}'" if isinstance(v, datetime) else str(v) for v in values]
        return (
            "\\set member :first + :client_id * :each + :n\n"
            f"\\set parent random({first}, {last})\n\\set n :n + 1\n"
            f"{' '.join((self.sql % tuple(texts)).split())};\n"
        )


def buffers(world: World) -> float:
    """Return how many pages an attach touches."""
    statement, touched = Statement(world), []
    with world.here(), connection.cursor() as cursor:
        for _ in range(EXPLAINED):
            member, parent = world.member(), world.parent()
            params = statement.filled(member=member, code=f"B{member}", parent=parent)
            cursor.execute(f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {statement.sql}", params)
            plan = cursor.fetchone()[0]
            top = (json.loads(plan) if isinstance(plan, str) else plan)[0]["Plan"]
            touched.append(top["Shared Hit Blocks"] + top["Shared Read Blocks"])
    return median(touched)


def limits(world: World, sizes: Sizes) -> Iterator[Figure]:
    """Compare with pgbench, which sends the same statement prepared and does nothing else."""
    bars = {1: 0.5, CLIENTS: 0.4}
    if find_pgbench() is None:
        for clients, bar in bars.items():
            name = f"rate of attach / pgbench, {clients} at once: pgbench is not installed"
            yield at_least("tree", name, 0.0, bar)
        return
    script = Statement(world).script()
    for clients, bar in bars.items():
        each = sizes.sent if clients == 1 else sizes.sent // 2

        def limit() -> float:
            first = world.members(clients * each)[0]  # noqa: B023 - called in this turn only
            with world.here():
                return run_pgbench(script, clients=clients, each=each, first=first)  # noqa: B023

        with Writers(world, clients) as writers:

            def ours() -> float:
                return writers.run(join, calls(world, clients, each))  # noqa: B023

            name = f"rate of attach / pgbench, {clients} at once"
            yield at_least("tree", name, ratio(limit, ours, what=name), bar)
            yield at_most("tree", f"errors of {clients} at once", writers.errors, 0)


def calls(world: World, clients: int, each: int) -> list[list[tuple[int, int]]]:
    """Return joins for so many clients: (member, parent) of each."""
    return [[(world.member(), world.parent()) for _ in range(each)] for _ in range(clients)]
