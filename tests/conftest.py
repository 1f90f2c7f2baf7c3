"""What every test may use: a fixed time, threads, a database that survives a flush.

Which database a run has is decided in `distro.databases`: SQLite in a file, or PostgreSQL with
DISTRO_TEST_DB=postgres. Tests marked `postgres` run only there.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.core.management import call_command
from django.db import connection, connections, transaction
from django.test import TransactionTestCase
from rest_framework.throttling import SimpleRateThrottle

from distro.triggers import drop_triggers, install_triggers
from tests.sandbox_fixture import sandbox, wechat  # noqa: F401 - fixtures of all tests

BEIJING = ZoneInfo("Asia/Shanghai")
THREAD_SECONDS = 60  # longer means a deadlock


def on_postgres() -> bool:
    return connection.vendor == "postgresql"


def pytest_report_header(config: pytest.Config) -> str:
    if on_postgres():
        return "database: PostgreSQL"
    return (
        "database: SQLite in a file; tests marked postgres are left out (DISTRO_TEST_DB=postgres)"
    )


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    left_out = [item for item in items if (_says_the_same if on_postgres() else _needs_it)(item)]
    config.hook.pytest_deselected(items=left_out)
    known = set(left_out)
    items[:] = [item for item in items if item not in known]


def _needs_it(item: pytest.Item) -> bool:
    return item.get_closest_marker("postgres") is not None


def _says_the_same(item: pytest.Item) -> bool:
    """Say whether a test tells nothing on PostgreSQL that it has not told on SQLite."""
    fixtures = {"db", "transactional_db"} & set(getattr(item, "fixturenames", ()))
    marked = item.get_closest_marker("django_db") or _needs_it(item)
    return item.get_closest_marker("once") is not None or not (fixtures or marked)


def pytest_runtest_setup(item: pytest.Item) -> None:
    if item.get_closest_marker("redis") and not os.environ.get("TEST_REDIS_URL"):
        if os.environ.get("DISTRO_REQUIRE_REDIS") == "1":
            pytest.fail("no Redis: set TEST_REDIS_URL to its address")
        pytest.skip(
            "no Redis to test against: set TEST_REDIS_URL"
        )  # a service; make test needs none


# --- Database -------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def django_db_setup(django_db_setup: None, django_db_blocker: Any) -> Iterator[None]:
    """Let tests with real transactions leave the database as the migrations made it.

    Django empties the tables after such a test. The append-only triggers would refuse that, and
    the rows of data migrations (roles, the first agreement) would be gone for the next test.
    """
    with django_db_blocker.unblock():
        restore = _restore_by_copy() if _may_pass_triggers() else _restore_by_flush()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(TransactionTestCase, "_fixture_teardown", lambda test: restore())
        yield


def _may_pass_triggers() -> bool:
    if not on_postgres():
        return False
    with connection.cursor() as cursor:
        cursor.execute("SELECT rolsuper FROM pg_roles WHERE rolname = current_user")
        return bool(cursor.fetchone()[0])


def _restore_by_copy() -> Callable[[], None]:
    """Keep a copy of the rows; return what puts them back, quicker than TRUNCATE of all tables."""
    with connection.cursor() as cursor:
        cursor.execute("CREATE SCHEMA kept")
        for table in _filled(cursor, connection.introspection.table_names()):
            cursor.execute(f'CREATE TABLE kept."{table}" AS TABLE public."{table}"')
        cursor.execute(
            "SELECT table_name, string_agg(quote_ident(column_name), ', ')"
            " FROM information_schema.columns WHERE table_schema = 'kept' GROUP BY 1"
        )
        kept = dict(cursor.fetchall())

    def restore() -> None:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("SET LOCAL session_replication_role = replica")  # no trigger, no key
            for table in _filled(cursor, connection.introspection.table_names(cursor)):
                cursor.execute(f'DELETE FROM "{table}"')
            for table, columns in kept.items():
                cursor.execute(
                    f'INSERT INTO "{table}" ({columns}) OVERRIDING SYSTEM VALUE'
                    f' SELECT {columns} FROM kept."{table}"'
                )
        install_triggers(connection)  # a test may have taken them down

    return restore


def _filled(cursor: Any, tables: list[str]) -> list[str]:
    """Return the tables that hold rows."""
    asked = [f"SELECT '{name}' WHERE EXISTS (SELECT FROM public.\"{name}\")" for name in tables]
    cursor.execute(" UNION ALL ".join(asked))
    return [name for (name,) in cursor.fetchall()]


def _restore_by_flush() -> Callable[[], None]:
    rows = connection.creation.serialize_db_to_string()

    def restore() -> None:
        drop_triggers(connection)
        call_command(
            "flush",
            verbosity=0,
            interactive=False,
            inhibit_post_migrate=True,
            reset_sequences=False,  # new rows are numbered after those of the migrations
        )
        connection.creation.deserialize_db_from_string(rows)
        install_triggers(connection)

    return restore


@pytest.fixture
def redis_url() -> str:
    """Return the address of the Redis for tests; use it in tests marked `redis`."""
    return os.environ["TEST_REDIS_URL"]


# --- Time -----------------------------------------------------------------------------------


@pytest.fixture
def at() -> datetime:
    """Return the moment most tests play at: Monday 2026-11-02, ten in the morning, Beijing."""
    return datetime(2026, 11, 2, 10, 0, tzinfo=BEIJING)


# --- Throttles ------------------------------------------------------------------------------


@pytest.fixture
def throttle(monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str], None]:
    """Return `throttle(scope, rate)`; without it tests meet no limit."""

    def set_rate(scope: str, rate: str) -> None:
        rates = {**SimpleRateThrottle.THROTTLE_RATES, scope: rate}
        monkeypatch.setattr(SimpleRateThrottle, "THROTTLE_RATES", rates)

    return set_rate


# --- Threads --------------------------------------------------------------------------------


@dataclass
class Outcome:
    """What the threads of one run returned or raised, by their number."""

    results: dict[int, Any] = field(default_factory=dict)
    errors: dict[int, BaseException] = field(default_factory=dict)

    def __iter__(self) -> Iterator[Any]:
        """Yield the results in the order of the threads; raise the first error if any."""
        if self.errors:
            raise self.errors[min(self.errors)]
        return iter(self.results[number] for number in sorted(self.results))


@pytest.fixture
def run_threads(transactional_db: None) -> Callable[..., Outcome]:
    """Return `run_threads(n, fn)`: fn(0) to fn(n-1) at the same moment, each in a thread.

    Every thread closes its database connections. The outcome holds `.results` and `.errors` by
    thread number; iterating over it gives the results and raises the first error.
    """

    def run(number: int, work: Callable[[int], Any]) -> Outcome:
        outcome = Outcome()
        barrier = threading.Barrier(number)

        def one(index: int) -> None:
            try:
                barrier.wait(THREAD_SECONDS)
                outcome.results[index] = work(index)
            except BaseException as error:  # noqa: BLE001 - the test judges it
                outcome.errors[index] = error
            finally:
                connections.close_all()

        threads = [threading.Thread(target=one, args=(i,), daemon=True) for i in range(number)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(THREAD_SECONDS)
        stuck = [thread for thread in threads if thread.is_alive()]
        assert not stuck, f"{len(stuck)} of {number} threads are stuck"
        return outcome

    return run
