"""Named advisory locks, and the rule that some work happens only inside a transaction."""

from __future__ import annotations

import enum

from django.db import connection


class Lock(enum.IntEnum):
    """What an advisory lock guards; never reuse or renumber, old and new code run together."""

    TREE_MOVE = 1
    SEAL = 2
    PERIOD = 3
    DEMO_LOAD = 4
    ROOT_COUNTER = 5


def advisory(lock: Lock, key: int = 0) -> None:
    """Take a lock until the transaction ends; SQLite has one writer and needs none.

    key: tells apart the things one lock guards; fits 32 bits with its sign.
    """
    require_transaction("advisory()")
    assert -(2**31) <= key < 2**31
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT pg_advisory_xact_lock(CAST(%s AS int), CAST(%s AS int))", [int(lock), key]
            )


def require_transaction(what: str) -> None:
    """Raise RuntimeError outside a transaction: our bug, what follows could be half done."""
    if not connection.in_atomic_block:
        raise RuntimeError(f"{what} needs a transaction.")
