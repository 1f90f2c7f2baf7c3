"""The proof of the books: what must always hold, asked of the whole database.

Each check yields one line per fault; a sound database yields none. Sums are made by the
database, so a check costs one or two statements whatever the number of rows. All of them look
at one moment, so that a shop that goes on selling shows no fault that is none.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime

from django.db import connection

from analytics.books import accounts, commissions, ledger, orders, withdrawals
from referrals.proofs import tree_faults
from referrals.proofs_bindings import binding_faults

logger = logging.getLogger(__name__)

CHECKS: list[Callable[[], Iterator[str]]] = [
    *ledger.CHECKS,
    *commissions.CHECKS,
    *withdrawals.CHECKS,
    *orders.CHECKS,
    *accounts.CHECKS,
]


def faults(*, at: datetime) -> Iterator[str]:
    """Yield every fault of the books as one line of text."""
    with one_moment():
        for check in CHECKS:
            yield from check()
        yield from commissions.accrual_of_every_order(at)
        yield from tree_faults()
        yield from binding_faults()


def prove(*, at: datetime) -> int:
    """Prove the books once a day: an alarm for each fault, and a failed run if there is one."""
    found = list(faults(at=at))
    for line in found:
        logger.error("ALARM books: %s", line)
    if found:
        raise BooksFaulty(len(found))
    return 0


class BooksFaulty(Exception):
    """The books have faults; the number of them."""


@contextmanager
def one_moment() -> Iterator[None]:
    """Let all reads see the database as it is now; keep nobody from writing meanwhile.

    A caller with a transaction of its own, as a test has, reads in that.
    """
    if connection.in_atomic_block:
        yield
        return
    postgres = connection.vendor == "postgresql"
    begin = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY" if postgres else "BEGIN DEFERRED"
    with connection.cursor() as cursor:
        cursor.execute(begin)
        try:
            yield
        finally:
            cursor.execute("ROLLBACK")
