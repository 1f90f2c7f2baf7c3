"""Statements that PostgreSQL plans once a connection, for the few that run at every order or join.

Planning such a statement takes longer than running it. Behind a pooler that hands out another
connection for each transaction nothing is kept (`PGBOUNCER=1`), and SQLite keeps its own plans.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

from django.db import DEFAULT_DB_ALIAS, connections
from django.db.backends.utils import CursorWrapper


@contextmanager
def keeping_plans() -> Iterator[CursorWrapper]:
    """Yield a cursor of the usual connection, in its transaction, that keeps its plans.

    Parameters reach PostgreSQL apart from the text: where it cannot tell a parameter's type, the
    statement has to cast it.
    """
    database: Any = connections[DEFAULT_DB_ALIAS]  # found once: the proxy looks for each attribute
    if database.vendor != "postgresql":
        with database.cursor() as cursor:
            yield cursor
        return
    with _prepared(database) as cursor:
        yield cursor


def _prepared(database: Any) -> CursorWrapper:
    """Open a cursor as BaseDatabaseWrapper._cursor() does; raise Django's database errors."""
    database.close_if_health_check_failed()
    database.ensure_connection()
    with database.wrap_database_errors:
        cursor: CursorWrapper = database._prepare_cursor(_cursor_class()(database.connection))
        return cursor


@cache
def _cursor_class() -> Any:
    # Only where PostgreSQL is used: this needs psycopg.
    from django.db.backends.postgresql.base import ServerBindingCursor

    class Cursor(ServerBindingCursor):
        def _send_query_prepared(self, name: bytes, pgq: Any, **options: Any) -> None:
            self._query = pgq  # Django's log of statements looks here
            super()._send_query_prepared(name, pgq, **options)  # type: ignore[misc]

    return Cursor
