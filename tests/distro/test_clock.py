from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest
import time_machine

from distro import clock
from distro.models import DemoClock

NOON = datetime(2026, 11, 2, 12, 0, tzinfo=UTC)


def test_without_the_demo_the_time_is_true_and_costs_no_query(db, django_assert_num_queries):
    DemoClock.objects.create(pk=1, seconds=3600)
    with time_machine.travel(NOON, tick=False), django_assert_num_queries(0):
        assert clock.now() == NOON


def test_without_the_demo_the_clock_does_not_move(db):
    with pytest.raises(RuntimeError):
        clock.move(60)
    assert not DemoClock.objects.exists()


def test_the_demo_clock_moves_forward_and_keeps_running(db, settings):
    settings.DEMO_CLOCK = True
    with time_machine.travel(NOON, tick=False) as world:
        clock.move(60)
        clock.move(3600)
        assert clock.now() == NOON + timedelta(seconds=3660)
        world.shift(5)
        assert clock.now() == NOON + timedelta(seconds=3665)


def test_the_true_time_never_moves(db, settings):
    settings.DEMO_CLOCK = True
    with time_machine.travel(NOON, tick=False):
        clock.move(60)
        assert clock.real_now() == NOON


def test_the_demo_clock_never_runs_backwards(db, settings):
    settings.DEMO_CLOCK = True
    with pytest.raises(AssertionError):
        clock.move(-1)
    assert not DemoClock.objects.exists()


def test_now_is_utc():
    assert clock.now().utcoffset() == timedelta(0)


@pytest.mark.parametrize(
    ("at", "day", "month"),
    [
        (datetime(2026, 10, 31, 15, 59, 59, tzinfo=UTC), date(2026, 10, 31), date(2026, 10, 1)),
        (datetime(2026, 10, 31, 16, 0, tzinfo=UTC), date(2026, 11, 1), date(2026, 11, 1)),
        (datetime(2026, 12, 31, 16, 0, tzinfo=UTC), date(2027, 1, 1), date(2027, 1, 1)),
    ],
)
def test_days_and_months_turn_at_midnight_in_beijing(at, day, month):
    assert clock.beijing_day(at) == day
    assert clock.beijing_month(at) == month


def test_a_naive_time_has_no_day():
    with pytest.raises(AssertionError):
        clock.beijing_day(datetime(2026, 11, 2))


def test_a_day_starts_at_midnight_in_beijing():
    assert clock.day_start(date(2026, 11, 2)) == datetime(2026, 11, 1, 16, 0, tzinfo=UTC)


def test_a_ticking_clock_adds_the_time_that_passed():
    tick = clock.ticking(NOON)
    first = tick()
    assert NOON <= first <= tick() < NOON + timedelta(seconds=5)


def test_a_traveller_s_now_is_where_he_is_and_costs_no_query(db, django_assert_num_queries):
    with clock.travel(NOON), django_assert_num_queries(0):
        assert clock.now() == NOON
        with clock.travel(NOON + timedelta(days=1)):
            assert clock.now() == NOON + timedelta(days=1)
        assert clock.now() == NOON
        assert clock.real_now() != NOON
    assert clock.now() != NOON


def test_nobody_travels_outside_a_demo(settings):
    settings.TESTING = settings.DEMO_CLOCK = False
    with pytest.raises(RuntimeError), clock.travel(NOON):
        pass
    settings.DEMO_CLOCK = True
    with clock.travel(NOON):
        assert clock.now() == NOON
