"""Waiting until another thread waits: the way to an interleaving that a test wants."""

from __future__ import annotations

import time

from django.db import connection

SECONDS = 10
WAITERS = """
    SELECT count(*) FROM pg_stat_activity
    WHERE datname = current_database() AND wait_event_type = 'Lock'
"""


def somebody_waits() -> None:
    """Return when another transaction of this database waits for a lock."""
    until = time.monotonic() + SECONDS
    with connection.cursor() as cursor:
        while time.monotonic() < until:
            cursor.execute("SELECT pg_stat_clear_snapshot()")  # a transaction keeps what it saw
            cursor.execute(WAITERS)
            if cursor.fetchone()[0]:
                return
            time.sleep(0.01)
    raise AssertionError("nobody waited")
