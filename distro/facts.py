"""Facts: how one package tells those further right that something became true.

A fact is told inside the transaction that makes it true. Each receiver runs in a savepoint of
its own: one that fails takes nothing with it, leaves a `MissedFact` and is repeated by a sweep.
A receiver that may come a moment later runs after the commit, in a transaction of its own; all
of those together cost the teller one row of the outbox.
"""

from __future__ import annotations

import logging
import time
import uuid
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import datetime, timedelta
from typing import Any

from django.db import OperationalError, connection, transaction
from django.db.models import QuerySet
from django.dispatch import Signal

from distro import clock, outbox
from distro.errors import brief
from distro.locks import require_transaction
from distro.models import MissedFact

logger = logging.getLogger(__name__)

Receiver = Callable[..., object]

BUDGET_S = 3.0  # for all receivers of one fact, and of the facts these tell
LOCK_TIMEOUT = "800ms"
STATEMENT_TIMEOUT = "2s"
ALARM_ATTEMPTS = 5
BACKOFF_MAX_MIN = 60

TOPIC = "fact"

receivers: dict[str, Receiver] = {}  # uid -> receiver, so that the sweep can run it again
later: dict[str, list[str]] = defaultdict(list)  # fact -> uids of those that run after the commit
deadline: ContextVar[float] = ContextVar("deadline")  # of the outermost tell(), monotonic


class TooLate(OperationalError):
    """The time of all receivers together is used up."""


class Fact(Signal):
    """Something that became true; told once."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.name = name

    def __repr__(self) -> str:
        return f"Fact({self.name!r})"


def hear(fact: Fact, receiver: Receiver, uid: str) -> None:
    """Let a receiver hear a fact, with its ids as keywords, after those already connected.

    uid: names the receiver in the database; never reuse one for something else.
    """
    assert receivers.setdefault(uid, receiver) is receiver, f"two receivers named {uid}"

    def wrapper(*, sender: object, signal: Fact, **ids: int | str) -> None:
        _run(fact=signal.name, uid=uid, ids=ids)

    fact.connect(wrapper, weak=False, dispatch_uid=uid)


def hear_later(fact: Fact, receiver: Receiver, uid: str) -> None:
    """Let a receiver hear a fact right after the commit, at least once.

    For what nobody who reads the new state at once would miss.
    """
    assert receivers.setdefault(uid, receiver) is receiver, f"two receivers named {uid}"
    if uid not in later[fact.name]:
        later[fact.name].append(uid)


def unhear(fact: Fact, uid: str) -> None:
    """Forget a receiver; its open missed facts wait for it to come back."""
    fact.disconnect(dispatch_uid=uid)
    if uid in later[fact.name]:
        later[fact.name].remove(uid)
    receivers.pop(uid, None)


def tell(fact: Fact, **ids: int | str) -> None:
    """Tell all receivers, in the transaction of the caller, who never hears of their failures."""
    require_transaction(f"tell({fact.name})")
    assert all(type(value) in (int, str) for value in ids.values())
    if later[fact.name]:
        key = f"{TOPIC}:{fact.name}:{uuid.uuid4().hex}"  # each telling is one of its own
        outbox.put(TOPIC, key, {"fact": fact.name, "ids": ids})
    if fact.receivers:
        with _limits():
            fact.send(sender=fact, **ids)


@outbox.handler(TOPIC)
def run_later(payload: dict[str, Any]) -> None:
    """Run the receivers that wait for the commit; one that fails is repeated like any other."""
    fact, ids = payload["fact"], payload["ids"]
    for uid in list(later[fact]):
        try:
            with transaction.atomic():
                receivers[uid](**ids)
        except Exception as error:  # noqa: BLE001 - the next receiver must not suffer
            _miss(fact, uid, ids, error, attempts=1)


def repeat_missed(*, at: datetime, limit: int = 200) -> int:
    """Run the receivers of due missed facts again, each in its own transaction.

    Returns how many succeeded; each of the others waits twice as long as before.
    """
    due = MissedFact.objects.filter(done_at=None, next_at__lte=at).order_by("next_at", "id")
    return sum([_repeat(pk, at) for pk in list(due.values_list("pk", flat=True)[:limit])])


def missed_order_ids() -> QuerySet[MissedFact, int | None]:
    """Return the orders of which some receiver has not heard everything yet; never NULL."""
    rows = MissedFact.objects.filter(done_at=None, order_id__isnull=False)
    return rows.values_list("order_id", flat=True)


def _run(*, fact: str, uid: str, ids: dict[str, int | str]) -> None:
    """Run one receiver in a savepoint; keep a note when it fails or comes too late."""
    if time.monotonic() >= deadline.get():
        _miss(fact, uid, ids, TooLate("not started"), attempts=0)
        return
    try:
        with transaction.atomic():
            with connection.execute_wrapper(_in_time):
                receivers[uid](**ids)
            _check_deferred()
    except Exception as error:  # noqa: BLE001 - whatever it was, the caller's work stands
        _miss(fact, uid, ids, error, attempts=1)


def _miss(
    fact: str, uid: str, ids: dict[str, int | str], error: Exception, *, attempts: int
) -> None:
    at = clock.now()
    logger.warning("%s missed %s %s: %s", uid, fact, ids, _describe(error))
    MissedFact.objects.create(
        fact=fact,
        uid=uid,
        ids=ids,
        order_id=ids.get("order_id"),
        error=brief(error),
        attempts=attempts,
        created_at=at,
        next_at=at + _pause(attempts),
    )


def _repeat(pk: int, at: datetime) -> bool:
    """Run one receiver again, unless another sweep has the row."""
    with transaction.atomic():
        rows = MissedFact.objects.select_for_update(skip_locked=True)
        row = rows.filter(pk=pk, done_at=None, next_at__lte=at).first()
        if row is None:
            return False
        try:
            with transaction.atomic():
                receivers[row.uid](**row.ids)
                _check_deferred()
        except Exception as error:  # noqa: BLE001 - the next row must not suffer
            _postpone(row, error, at)
            return False
        row.done_at = at
        row.save(update_fields=["done_at"])
        return True


def _postpone(row: MissedFact, error: Exception, at: datetime) -> None:
    row.attempts += 1
    row.error = brief(error)
    row.next_at = at + _pause(row.attempts)
    row.save(update_fields=["attempts", "error", "next_at"])
    level = logging.ERROR if row.attempts >= ALARM_ATTEMPTS else logging.WARNING
    text = "%s missed %s %s, attempt %d: %s"
    logger.log(level, text, row.uid, row.fact, row.ids, row.attempts, _describe(error))


def _pause(attempts: int) -> timedelta:
    """Return how long to wait after so many failures: 1, 2, 4, 8 ... 60 minutes."""
    if attempts == 0:
        return timedelta()
    return timedelta(minutes=min(2 ** min(attempts - 1, 10), BACKOFF_MAX_MIN))


def _describe(error: Exception) -> str:
    """Return what went wrong and where, without the values that a traceback may carry."""
    frame = error.__traceback__
    while frame and frame.tb_next:
        frame = frame.tb_next
    place = f" at {frame.tb_frame.f_code.co_qualname}:{frame.tb_lineno}" if frame else ""
    return brief(error) + place


# --- Limits ---------------------------------------------------------------------------------


@contextmanager
def _limits() -> Iterator[None]:
    """Bound the receivers' time; a fact told by a receiver shares what is left."""
    if deadline.get(0.0):
        yield
        return
    token = deadline.set(time.monotonic() + BUDGET_S)
    before = _set_timeouts(LOCK_TIMEOUT, STATEMENT_TIMEOUT)
    try:
        yield
    finally:
        deadline.reset(token)
    _set_timeouts(*before)


def _set_timeouts(lock: str, statement: str) -> tuple[str, str]:
    """Set PostgreSQL's limits until the transaction ends; return those before, in one query."""
    if connection.vendor != "postgresql":
        return lock, statement
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT current_setting('lock_timeout'), current_setting('statement_timeout'),"
            " set_config('lock_timeout', %s, true), set_config('statement_timeout', %s, true)",
            [lock, statement],
        )
        old_lock, old_statement, *_ = cursor.fetchone()
    return old_lock, old_statement


def _in_time(execute: Callable[..., Any], sql: str, params: Any, many: bool, context: Any) -> Any:
    """Let no statement of a receiver start past the deadline."""
    if time.monotonic() >= deadline.get():
        raise TooLate("stopped")
    return execute(sql, params, many, context)


def _check_deferred() -> None:
    """Find a broken foreign key now, in the receiver's savepoint, not at the caller's commit.

    SQLite could only look through every table for one.
    """
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("SET CONSTRAINTS ALL IMMEDIATE; SET CONSTRAINTS ALL DEFERRED")
