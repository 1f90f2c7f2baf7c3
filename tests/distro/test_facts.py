from __future__ import annotations

import logging
import time
from datetime import timedelta

import pytest
import time_machine
from django.contrib.admin.models import LogEntry
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext

from distro import facts
from distro.errors import NotAllowed
from distro.facts import Fact, hear, missed_order_ids, repeat_missed, tell, unhear
from distro.models import Job, MissedFact

lamp_lit = Fact("lamp_lit")
room_bright = Fact("room_bright")


@pytest.fixture(autouse=True)
def silence():
    """Forget after each test who listened."""
    known = set(facts.receivers)
    yield
    for uid in set(facts.receivers) - known:
        for fact in (lamp_lit, room_bright):
            unhear(fact, uid)


@pytest.fixture(autouse=True)
def now(at):
    with time_machine.travel(at, tick=False):
        yield at


def note(name):
    """Leave a row behind, as a receiver's work."""
    Job.objects.create(name=name, created_at="2026-01-01T00:00Z", next_at="2026-01-01T00:00Z")


def noted():
    return set(Job.objects.values_list("name", flat=True))


def fail(**ids):
    note("half done")
    raise ValueError("buyer 13812345678")


def test_every_receiver_hears_the_ids_in_order(db):
    heard = []
    hear(lamp_lit, lambda **ids: heard.append(("a", ids)), uid="a")
    hear(lamp_lit, lambda **ids: heard.append(("b", ids)), uid="b")
    tell(lamp_lit, order_id=3, code="x")
    assert heard == [("a", {"order_id": 3, "code": "x"}), ("b", {"order_id": 3, "code": "x"})]
    assert not MissedFact.objects.exists()


def test_a_receiver_that_registers_twice_hears_once(db):
    heard = []

    def receiver(**ids):
        heard.append(ids)

    hear(lamp_lit, receiver, uid="a")
    hear(lamp_lit, receiver, uid="a")
    tell(lamp_lit, order_id=3)
    assert len(heard) == 1


def test_two_receivers_of_one_name_are_our_bug():
    hear(lamp_lit, note, uid="a")
    with pytest.raises(AssertionError):
        hear(lamp_lit, fail, uid="a")


def test_telling_needs_a_transaction(transactional_db):
    hear(lamp_lit, lambda **ids: note("a"), uid="a")
    with pytest.raises(RuntimeError):
        tell(lamp_lit, order_id=3)
    assert noted() == set()


@pytest.mark.parametrize("value", [1.5, None, True, object(), [1]])
def test_a_fact_carries_ids_only(db, value):
    hear(lamp_lit, lambda **ids: note("a"), uid="a")
    with pytest.raises(AssertionError):
        tell(lamp_lit, order_id=value)
    assert noted() == set()


def test_a_fact_that_nobody_hears_costs_nothing(db, django_assert_num_queries):
    with django_assert_num_queries(0):
        tell(lamp_lit, order_id=3)


def test_one_query_sets_the_limits_and_one_restores_them(db):
    hear(lamp_lit, lambda **ids: None, uid="a")
    hear(lamp_lit, lambda **ids: tell(room_bright, order_id=3), uid="b")
    hear(room_bright, lambda **ids: None, uid="c")
    with CaptureQueriesContext(connection) as queries:
        tell(lamp_lit, order_id=3)
    limits = [query for query in queries if "set_config" in query["sql"]]
    assert len(limits) == (2 if connection.vendor == "postgresql" else 0)


def test_a_failure_takes_only_its_own_work_with_it(db, now):
    hear(lamp_lit, lambda **ids: note("before"), uid="before")
    hear(lamp_lit, fail, uid="broken")
    hear(lamp_lit, lambda **ids: note("after"), uid="after")
    note("caller")
    tell(lamp_lit, order_id=3, refund_id=4)
    assert noted() == {"caller", "before", "after"}
    missed = MissedFact.objects.get()
    assert (missed.fact, missed.uid) == ("lamp_lit", "broken")
    assert (missed.ids, missed.order_id) == ({"order_id": 3, "refund_id": 4}, 3)
    assert (missed.attempts, missed.created_at, missed.done_at) == (1, now, None)
    assert missed.next_at == now + timedelta(minutes=1)


def test_a_database_error_takes_only_its_own_work_with_it(db):
    hear(lamp_lit, lambda **ids: connection.cursor().execute("SELECT no_such"), uid="broken")
    note("caller")
    tell(lamp_lit, order_id=3)
    assert noted() == {"caller"}
    assert MissedFact.objects.get().error.startswith(("OperationalError", "ProgrammingError"))


def test_a_refusal_is_a_failure_too(db):
    def refuse(**ids):
        raise NotAllowed

    hear(lamp_lit, refuse, uid="broken")
    tell(lamp_lit, member_id=3)
    missed = MissedFact.objects.get()
    assert (missed.error, missed.order_id) == ("NotAllowed: not_allowed", None)


def test_nobody_is_named_in_the_log_or_the_row(db, caplog):
    hear(lamp_lit, fail, uid="broken")
    tell(lamp_lit, order_id=3)
    (line,) = caplog.records
    assert line.levelno == logging.WARNING
    assert "broken missed lamp_lit {'order_id': 3}: ValueError: buyer # at fail:" in caplog.text
    assert "138" not in caplog.text + MissedFact.objects.get().error


def test_what_is_rolled_back_was_never_missed(transactional_db):
    hear(lamp_lit, fail, uid="broken")
    with transaction.atomic():
        tell(lamp_lit, order_id=3)
        transaction.set_rollback(True)
    assert not MissedFact.objects.exists()


# --- The time of all receivers together -----------------------------------------------------


def test_who_comes_too_late_goes_to_the_sweep(db, now, monkeypatch):
    monkeypatch.setattr(facts, "BUDGET_S", 0.0)
    hear(lamp_lit, lambda **ids: note("late"), uid="late")
    tell(lamp_lit, order_id=3)
    assert noted() == set()
    missed = MissedFact.objects.get()
    assert (missed.attempts, missed.next_at) == (0, now)
    monkeypatch.undo()
    assert repeat_missed(at=now) == 1
    assert noted() == {"late"}


def test_no_statement_starts_past_the_end_of_the_time(db, monkeypatch):
    def slow(**ids):
        note("slow")
        monkeypatch.setattr(time, "monotonic", lambda: float("inf"))
        with transaction.atomic():
            note("slower")

    hear(lamp_lit, slow, uid="slow")
    note("caller")
    tell(lamp_lit, order_id=3)
    assert noted() == {"caller"}
    missed = MissedFact.objects.get()
    assert (missed.uid, missed.attempts) == ("slow", 1)
    assert missed.error.startswith("TooLate")


def test_a_slow_step_inside_is_undone_cleanly(db, monkeypatch):
    def slow(**ids):
        with transaction.atomic():
            note("slow")
            monkeypatch.setattr(time, "monotonic", lambda: float("inf"))

    hear(lamp_lit, slow, uid="slow")
    tell(lamp_lit, order_id=3)
    note("caller")
    assert noted() == {"caller"}


def test_a_fact_told_by_a_receiver_shares_its_time(db, monkeypatch):
    def outer(**ids):
        first = facts.deadline.get()
        tell(room_bright, order_id=3)
        assert facts.deadline.get() == first

    ends = []
    hear(lamp_lit, outer, uid="outer")
    hear(room_bright, lambda **ids: ends.append(facts.deadline.get()), uid="inner")
    tell(lamp_lit, order_id=3)
    assert len(ends) == 1
    assert not MissedFact.objects.exists()
    with pytest.raises(LookupError):
        facts.deadline.get()


def test_a_failure_inside_is_missed_by_the_inner_receiver_alone(db):
    def outer(**ids):
        note("outer")
        tell(room_bright, order_id=3)

    hear(lamp_lit, outer, uid="outer")
    hear(room_bright, fail, uid="inner")
    tell(lamp_lit, order_id=3)
    assert noted() == {"outer"}
    assert MissedFact.objects.get().uid == "inner"


@pytest.mark.postgres
def test_the_limits_hold_only_inside(db):
    def limits():
        with connection.cursor() as cursor:
            cursor.execute("SELECT current_setting('lock_timeout'),"
                           " current_setting('statement_timeout')")  # fmt: skip
            return cursor.fetchone()

    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL lock_timeout = '7s'")
    inside = []
    hear(lamp_lit, lambda **ids: inside.append(limits()), uid="a")
    hear(lamp_lit, fail, uid="b")
    tell(lamp_lit, order_id=3)
    assert inside == [("800ms", "2s")]
    assert limits() == ("7s", "0")


@pytest.mark.postgres
def test_an_endless_statement_is_stopped(db):
    hear(lamp_lit, lambda **ids: connection.cursor().execute("SELECT pg_sleep(9)"), uid="a")
    started = time.perf_counter()
    with time_machine.travel(0, tick=True):
        tell(lamp_lit, order_id=3)
    assert time.perf_counter() - started < 4
    assert "statement timeout" in MissedFact.objects.get().error


@pytest.mark.postgres
def test_a_locked_row_costs_less_than_a_second(run_threads):
    note("hot")
    hear(lamp_lit, lambda **ids: Job.objects.select_for_update().get(name="hot"), uid="a")

    def work(number):
        if number == 0:
            with transaction.atomic():
                Job.objects.select_for_update().get(name="hot")
                time.sleep(2)
            return 0.0
        time.sleep(0.3)
        started = time.perf_counter()
        with transaction.atomic():
            note("caller")
            tell(lamp_lit, order_id=3)
        return time.perf_counter() - started

    assert max(run_threads(2, work)) < 1.5
    assert noted() == {"hot", "caller"}
    assert "lock timeout" in MissedFact.objects.get().error


@pytest.mark.postgres
def test_a_broken_foreign_key_is_the_receivers_fault_not_the_callers(transactional_db):
    hear(
        lamp_lit,
        lambda **ids: LogEntry.objects.create(user_id=404, action_flag=1, object_repr=""),
        uid="broken",
    )
    with transaction.atomic():
        note("caller")
        tell(lamp_lit, order_id=3)
    assert noted() == {"caller"}
    assert MissedFact.objects.get().error.startswith("IntegrityError")


# --- The sweep ------------------------------------------------------------------------------


def missed(now, **values):
    row = {
        "fact": "lamp_lit", "uid": "a", "ids": {"order_id": 3}, "order_id": 3, "error": "",
        "attempts": 1, "created_at": now, "next_at": now, **values,
    }  # fmt: skip
    return MissedFact.objects.create(**row)


def test_the_sweep_repeats_with_the_same_ids(db, now):
    heard = []
    hear(lamp_lit, lambda **ids: heard.append(ids), uid="a")
    row = missed(now, ids={"order_id": 3, "refund_id": 4})
    assert repeat_missed(at=now) == 1
    assert heard == [{"order_id": 3, "refund_id": 4}]
    row.refresh_from_db()
    assert row.done_at == now
    assert repeat_missed(at=now) == 0


@pytest.mark.parametrize(
    "values", [{"next_at": timedelta(seconds=1)}, {"done_at": timedelta()}], ids=["early", "done"]
)
def test_the_sweep_leaves_the_others_alone(db, now, values):
    hear(lamp_lit, lambda **ids: note("a"), uid="a")
    missed(now, **{name: now + delta for name, delta in values.items()})
    assert repeat_missed(at=now) == 0
    assert noted() == set()


def test_waiting_doubles_up_to_an_hour_and_the_fifth_failure_alarms(db, now, caplog):
    hear(lamp_lit, fail, uid="a")
    row, pauses, levels, at = missed(now), [], [], now
    for _ in range(8):
        caplog.clear()
        assert repeat_missed(at=at) == 0
        row.refresh_from_db()
        pauses.append(int((row.next_at - at).total_seconds()) // 60)
        levels.append(caplog.records[0].levelname)
        at = row.next_at
    assert pauses == [2, 4, 8, 16, 32, 60, 60, 60]
    assert levels == ["WARNING"] * 3 + ["ERROR"] * 5
    assert (row.attempts, row.done_at) == (9, None)
    assert noted() == set()


def test_one_that_fails_does_not_stop_the_next(db, now):
    hear(lamp_lit, fail, uid="bad")
    hear(lamp_lit, lambda **ids: note("good"), uid="good")
    missed(now, uid="bad")
    missed(now, uid="good")
    assert repeat_missed(at=now) == 1
    assert noted() == {"good"}


def test_a_receiver_that_is_gone_stays_open(db, now):
    row = missed(now, uid="renamed away")
    assert repeat_missed(at=now) == 0
    row.refresh_from_db()
    assert (row.attempts, row.done_at) == (2, None)


def test_the_sweep_minds_its_limit_oldest_first(db, now):
    heard = []
    hear(lamp_lit, lambda **ids: heard.append(ids["order_id"]), uid="a")
    for number in (1, 2, 3):
        missed(now, ids={"order_id": number}, next_at=now - timedelta(minutes=number))
    assert repeat_missed(at=now, limit=2) == 2
    assert heard == [3, 2]


def test_orders_with_something_missed_are_known(db, now):
    missed(now, order_id=3)
    missed(now, order_id=4, done_at=now)
    missed(now, order_id=None)
    assert list(missed_order_ids()) == [3]


@pytest.mark.postgres
def test_of_two_sweeps_one_repeats(run_threads, now):
    heard = []

    def slow(**ids):
        heard.append(ids)
        time.sleep(0.3)

    hear(lamp_lit, slow, uid="a")
    missed(now)
    assert sum(run_threads(4, lambda number: repeat_missed(at=now))) == 1
    assert len(heard) == 1
