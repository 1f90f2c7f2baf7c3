from __future__ import annotations

import time
from datetime import timedelta

import pytest
from django.db import IntegrityError, connection, transaction

from distro import clock, outbox
from distro.models import OutboxMessage
from distro.outbox import deliver, put

SENT = []


@pytest.fixture(autouse=True)
def topics(monkeypatch):
    """Know two topics: one sends, one fails."""
    SENT.clear()

    def send(payload):
        assert not connection.in_atomic_block or connection.atomic_blocks[-1]._from_testcase
        SENT.append(payload)

    def fail(payload):
        raise ConnectionError("buyer 13812345678")

    monkeypatch.setattr(outbox, "handlers", {"good": send, "bad": fail})


@pytest.fixture(autouse=True)
def kicks(monkeypatch):
    """Count the calls for a worker instead of making them."""
    calls = []
    monkeypatch.setattr(outbox, "kick", lambda: calls.append(1))
    return calls


def message(at, **values):
    row = {"topic": "good", "key": "k", "payload": {"id": 1}, "created_at": at, "next_at": at}
    return OutboxMessage.objects.create(**{**row, **values})


def test_a_message_waits_with_the_work(db, at):
    put("good", "paid:1", {"order_id": 1})
    row = OutboxMessage.objects.get()
    assert (row.topic, row.key, row.payload) == ("good", "paid:1", {"order_id": 1})
    assert (row.attempts, row.delivered_at, row.dead_at) == (0, None, None)
    assert SENT == []


def test_a_message_needs_a_transaction(transactional_db):
    with pytest.raises(RuntimeError):
        put("good", "paid:1", {})
    assert not OutboxMessage.objects.exists()


def test_a_message_is_undone_with_its_work(transactional_db, kicks):
    with transaction.atomic():
        put("good", "paid:1", {})
        transaction.set_rollback(True)
    assert not OutboxMessage.objects.exists()
    assert kicks == []


def test_a_key_goes_out_once(db):
    put("good", "paid:1", {"order_id": 1})
    put("good", "paid:1", {"order_id": 2})
    assert OutboxMessage.objects.get().payload == {"order_id": 1}


def test_a_worker_is_called_once_after_the_commit(transactional_db, kicks):
    with transaction.atomic():
        put("good", "a", {})
        put("good", "b", {})
        assert kicks == []
    assert kicks == [1]
    with transaction.atomic():
        put("good", "c", {})
    assert kicks == [1, 1]


def test_a_broker_that_is_down_harms_nobody(transactional_db, monkeypatch):
    def broken():
        raise ConnectionError

    monkeypatch.setattr(outbox, "kick", broken)
    with transaction.atomic():
        put("good", "a", {})
    assert OutboxMessage.objects.count() == 1


def test_the_kick_reaches_the_task(transactional_db, monkeypatch):
    monkeypatch.undo()
    monkeypatch.setattr(outbox, "handlers", {"good": SENT.append})
    with transaction.atomic():
        put("good", "a", {"id": 1})
    assert SENT == [{"id": 1}]
    assert OutboxMessage.objects.get().delivered_at is not None


def test_a_due_message_is_sent_once(db, at):
    row = message(at)
    assert deliver(at=at) == 1
    assert deliver(at=at) == 0
    assert SENT == [{"id": 1}]
    row.refresh_from_db()
    assert row.delivered_at >= at
    assert row.leased_until is None


def test_messages_go_out_in_order_and_within_the_limit(db, at):
    for number in (1, 2, 3):
        message(at, key=str(number), payload={"id": number}, next_at=at - timedelta(days=number))
    assert deliver(at=at, limit=2) == 2
    assert SENT == [{"id": 3}, {"id": 2}]


@pytest.mark.parametrize(
    "values",
    [
        lambda at: {"next_at": at + timedelta(seconds=1)},
        lambda at: {"delivered_at": at},
        lambda at: {"dead_at": at},
        lambda at: {"leased_until": clock.real_now() + timedelta(seconds=30)},
    ],
    ids=["early", "delivered", "dead", "being sent"],
)
def test_the_others_stay(db, at, values):
    row = message(at, **values(at))
    assert deliver(at=at) == 0
    assert SENT == []
    assert OutboxMessage.objects.get().attempts == row.attempts


def test_a_message_of_a_killed_worker_is_sent_by_the_next(db, at):
    message(at, leased_until=clock.real_now() - timedelta(seconds=1))
    assert deliver(at=at) == 1


def test_the_demo_clock_does_not_end_a_lease(db, at):
    message(at, leased_until=clock.real_now() + timedelta(seconds=30))
    assert deliver(at=at + timedelta(days=400)) == 0
    assert SENT == []


@pytest.mark.parametrize(
    ("topic", "error"), [("bad", "ConnectionError: buyer #"), ("unknown", "KeyError: '…'")]
)
def test_a_failure_waits_and_names_nobody(db, at, topic, error):
    row = message(at, topic=topic)
    assert deliver(at=at) == 0
    row.refresh_from_db()
    assert (row.attempts, row.delivered_at, row.leased_until) == (1, None, None)
    assert row.error == error
    assert timedelta(seconds=9) < row.next_at - at < timedelta(seconds=12)


def test_one_that_fails_does_not_stop_the_next(db, at):
    message(at, key="1", topic="bad")
    message(at, key="2")
    assert deliver(at=at) == 1
    assert SENT == [{"id": 1}]


def test_twenty_failures_are_the_end(db, at):
    row, pauses = message(at, topic="bad"), []
    for _ in range(20):
        row.refresh_from_db()
        assert row.dead_at is None
        start = row.next_at
        deliver(at=start)
        row.refresh_from_db()
        pauses.append(round((row.next_at - start).total_seconds()))
    assert pauses[:5] == [10, 20, 40, 80, 160]
    assert max(pauses) == 3 * 3600
    assert sum(pauses[:-1]) > 24 * 3600
    assert row.attempts == 20
    assert row.dead_at is not None
    assert deliver(at=at + timedelta(days=365)) == 0


def test_a_handler_that_lost_its_lease_does_not_postpone_the_others_work(db, at, monkeypatch):
    row = message(at)
    taken_over = clock.real_now() + timedelta(seconds=99)

    def late(payload):
        OutboxMessage.objects.update(leased_until=taken_over)
        raise ConnectionError

    monkeypatch.setattr(outbox, "handlers", {"good": late})
    deliver(at=at)
    row.refresh_from_db()
    assert (row.attempts, row.leased_until) == (0, taken_over)


def test_delivery_inside_a_transaction_is_our_bug(transactional_db, at):
    message(at)
    with pytest.raises(RuntimeError), transaction.atomic():
        deliver(at=at)
    assert SENT == []


def test_two_handlers_of_a_topic_are_our_bug():
    @outbox.handler("new")
    def one(payload):
        pass

    with pytest.raises(AssertionError):
        outbox.handler("new")(lambda payload: None)
    assert outbox.handlers["new"] is one


def test_a_key_is_unique_in_the_database(db, at):
    message(at)
    with pytest.raises(IntegrityError), transaction.atomic():
        message(at)


def test_old_deliveries_are_forgotten_and_nothing_else(db, at):
    message(at, key="old", delivered_at=at - timedelta(days=31))
    message(at, key="new", delivered_at=at - timedelta(days=29))
    message(at, key="dead", dead_at=at - timedelta(days=99))
    message(at, key="open", next_at=at - timedelta(days=99))
    assert outbox.prune(at=at) == 1
    assert set(OutboxMessage.objects.values_list("key", flat=True)) == {"new", "dead", "open"}


@pytest.mark.postgres
def test_of_many_workers_each_message_has_one(run_threads, at, monkeypatch):
    def slow(payload):
        time.sleep(0.01)
        SENT.append(payload["id"])

    monkeypatch.setattr(outbox, "handlers", {"good": slow})
    for number in range(20):
        message(at, key=str(number), payload={"id": number})
    assert sum(run_threads(4, lambda number: deliver(at=at))) == 20
    assert sorted(SENT) == list(range(20))
