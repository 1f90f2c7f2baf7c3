"""The outbox: what has to leave the database is written with the work and sent after it.

Every message is sent at least once; its handler must bear a repeat.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from celery import current_app
from django.db import connection, transaction
from django.db.models import F, Q, QuerySet

from distro import clock
from distro.errors import brief
from distro.locks import require_transaction
from distro.models import OutboxMessage
from distro.prepared import keeping_plans

logger = logging.getLogger(__name__)

Handler = Callable[[dict[str, Any]], None]

LEASE = timedelta(seconds=60)  # a handler's HTTP has to time out earlier
ATTEMPTS_MAX = 20  # more than a day
PAUSE_MIN, PAUSE_MAX = timedelta(seconds=10), timedelta(hours=3)
KEPT = timedelta(days=30)

handlers: dict[str, Handler] = {}

# Written with every fact that is heard later: shorter than the ORM's way to the same row.
PUT = """
    INSERT INTO distro_outboxmessage (topic, key, payload, attempts, error, created_at, next_at)
    VALUES (%s, %s, %s, 0, '', %s, %s) ON CONFLICT DO NOTHING
"""


def put(topic: str, key: str, payload: dict[str, Any]) -> None:
    """Write a message with the work of this transaction; a key that is already there is ignored.

    key: names the cause, for instance "paid:17". payload: ids, no personal data.
    """
    require_transaction("put()")
    at = connection.ops.adapt_datetimefield_value(clock.now())
    with keeping_plans() as cursor:
        cursor.execute(PUT, [topic, key, json.dumps(payload), at, at])
    if not any(waiting[1] is kick for waiting in connection.run_on_commit):
        transaction.on_commit(kick, robust=True)


def kick() -> None:
    """Ask a worker to deliver now; without one the schedule does it in a few seconds."""
    task = current_app.signature("distro.tasks.deliver_outbox")
    task.apply_async(retry=False, ignore_result=True)


def handler(topic: str) -> Callable[[Handler], Handler]:
    """Register the function that sends the messages of a topic, outside any transaction."""

    def register(function: Handler) -> Handler:
        assert handlers.setdefault(topic, function) is function, f"two handlers of {topic}"
        return function

    return register


def deliver(*, at: datetime, limit: int = 100) -> int:
    """Send due messages, one at a time; return how many went out."""
    now = clock.ticking(at)
    due = _open().filter(next_at__lte=at).order_by("next_at", "id")
    return sum([_deliver(pk, now) for pk in list(due.values_list("pk", flat=True)[:limit])])


def prune(*, at: datetime) -> int:
    """Delete the messages delivered more than 30 days ago; return how many."""
    rows = OutboxMessage.objects.filter(delivered_at__lt=at - KEPT)
    return rows._raw_delete(rows.db)


def _open() -> QuerySet[OutboxMessage]:
    """Return the messages that nobody has delivered, given up or is sending."""
    free = Q(leased_until=None) | Q(leased_until__lte=clock.real_now())
    return OutboxMessage.objects.filter(free, delivered_at=None, dead_at=None)


def _deliver(pk: int, now: Callable[[], datetime]) -> bool:
    """Send one message, unless another worker has it."""
    lease = clock.real_now() + LEASE
    with transaction.atomic(durable=True):  # committed: a handler may take long
        if not _open().filter(pk=pk, next_at__lte=now()).update(leased_until=lease):
            return False
    message = OutboxMessage.objects.get(pk=pk)
    mine = OutboxMessage.objects.filter(pk=pk, leased_until=lease)
    try:
        handlers[message.topic](message.payload)
    except Exception as error:  # noqa: BLE001 - the next message must not suffer
        _postpone(mine, message, error, now())
        return False
    sent = OutboxMessage.objects.filter(pk=pk, delivered_at=None)
    sent.update(delivered_at=now(), leased_until=None, error="")
    return True


def _postpone(
    mine: QuerySet[OutboxMessage], message: OutboxMessage, error: Exception, at: datetime
) -> None:
    attempts = message.attempts + 1
    dead = attempts >= ATTEMPTS_MAX
    mine.update(
        attempts=F("attempts") + 1,
        error=brief(error),
        next_at=at + min(PAUSE_MIN * 2 ** (attempts - 1), PAUSE_MAX),
        leased_until=None,
        dead_at=at if dead else None,
    )
    level = logging.ERROR if dead else logging.WARNING
    text = "outbox %s %s, attempt %d: %s"
    logger.log(level, text, message.topic, message.pk, attempts, brief(error))
