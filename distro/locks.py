"""Named advisory locks, and the rule that some work happens only inside a transaction."""

from __future__ import annotations

import enum

from django.db import connection, transaction
from django.db.models import Max, Model

WRITERS_WAITED_FOR_S = 2


class Lock(enum.IntEnum):
    """What an advisory lock guards; never reuse or renumber, old and new code run together."""

    TREE_MOVE = 1
    SEAL = 2
    PERIOD = 3
    DEMO_LOAD = 4
    ROOT_COUNTER = 5
    BINDING_CYCLE = 6
    APPROVAL = 7
    PERSON = 20


def advisory(lock: Lock, key: int = 0) -> None:
    """Take a lock until the transaction ends; SQLite has one writer and needs none.

    key: tells apart the things one lock guards; fits 32 bits with its sign.
    """
    _take("pg_advisory_xact_lock", lock, key)


def advisory_shared(lock: Lock, key: int = 0) -> None:
    """Take a lock together with others who take it so; `advisory()` waits for all of them."""
    _take("pg_advisory_xact_lock_shared", lock, key)


def wait_briefly() -> None:
    """Give up on any lock of this transaction after some seconds, with an OperationalError.

    For who waits for all writers: those who come after him wait behind him.
    """
    require_transaction("wait_briefly()")
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute(f"SET LOCAL lock_timeout = '{WRITERS_WAITED_FOR_S}s'")


def _take(function: str, lock: Lock, key: int) -> None:
    require_transaction("an advisory lock")
    assert -(2**31) <= key < 2**31
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute(f"SELECT {function}(CAST(%s AS int), CAST(%s AS int))", [int(lock), key])


def complete_up_to(model: type[Model]) -> int:
    """Return the highest id below which no row can appear any more; 0 in an empty table.

    Ids do not commit in order: the highest one seen may have older ones still to come. All
    writers are waited for, and held back for the moment of the reading.
    """
    with transaction.atomic():
        wait_briefly()
        if connection.vendor == "postgresql":
            table = connection.ops.quote_name(model._meta.db_table)
            with connection.cursor() as cursor:
                cursor.execute(f"LOCK TABLE {table} IN SHARE MODE")
        return model._default_manager.aggregate(last=Max("pk"))["last"] or 0


def require_transaction(what: str) -> None:
    """Raise RuntimeError outside a transaction: our bug, what follows could be half done."""
    if not connection.in_atomic_block:
        raise RuntimeError(f"{what} needs a transaction.")
