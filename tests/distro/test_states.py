from __future__ import annotations

from itertools import product

import pytest
from django.db import transaction

from distro.actors import SYSTEM, Actor
from distro.errors import IllegalTransition
from distro.models import StateChange
from distro.states import advance, history

from .lamps import Lamp, lamp_table

PAIRS = list(product(Lamp.Status, Lamp.Status))
ALLOWED = [(a, b) for a, b in PAIRS if b in Lamp.TRANSITIONS[a]]
FORBIDDEN = [pair for pair in PAIRS if pair not in ALLOWED]


@pytest.fixture
def lamps(db):
    with lamp_table():
        yield Lamp.objects


@pytest.mark.parametrize(("start", "end"), ALLOWED)
def test_an_allowed_step_is_taken_and_written_down(lamps, at, start, end):
    lamp = lamps.create(pk=7, status=start)
    advance(lamp, end, by=Actor("staff", 3), at=at, why="test", lit_at=at)
    assert (lamp.status, lamp.lit_at) == (end, at)
    assert lamps.get() == lamp
    (step,) = history(lamp)
    assert (step.model, step.object_id) == ("distro.lamp", 7)
    assert (step.from_status, step.to_status) == (start.value, end.value)
    assert (step.actor_kind, step.actor_id, step.why, step.at) == ("staff", 3, "test", at)


@pytest.mark.parametrize(("start", "end"), FORBIDDEN)
def test_a_forbidden_step_is_refused_and_nothing_is_written(lamps, at, start, end):
    lamp = lamps.create(pk=7, status=start)
    with pytest.raises(IllegalTransition) as caught:
        advance(lamp, end, by=SYSTEM, at=at, lit_at=at)
    assert caught.value.params["row"] == "lamp 7"
    assert lamps.filter(status=start, lit_at=None).count() == 1
    assert not StateChange.objects.exists()


def test_an_unknown_state_is_refused(lamps, at):
    lamp = lamps.create(pk=7)
    with pytest.raises(IllegalTransition):
        advance(lamp, "exploded", by=SYSTEM, at=at)
    assert lamps.get().status == "off"


def test_a_row_that_moved_meanwhile_is_refused(lamps, at):
    lamp = lamps.create(pk=7, status="on")
    lamps.update(status="broken")
    with pytest.raises(IllegalTransition):
        advance(lamp, "off", by=SYSTEM, at=at)
    assert lamps.get().status == "broken"
    assert not StateChange.objects.exists()


def test_a_row_that_is_gone_is_refused(lamps, at):
    lamp = lamps.create(pk=7)
    lamps.all().delete()
    with pytest.raises(IllegalTransition):
        advance(lamp, "on", by=SYSTEM, at=at)
    assert not StateChange.objects.exists()


def test_other_rows_stay_as_they_are(lamps, at):
    lamp = lamps.create(pk=7)
    lamps.create(pk=8)
    advance(lamp, "on", by=SYSTEM, at=at)
    assert lamps.get(pk=8).status == "off"


def test_the_history_is_in_order_and_of_one_row(lamps, at):
    lamp, other = lamps.create(pk=7), lamps.create(pk=8)
    advance(lamp, "on", by=SYSTEM, at=at)
    advance(other, "on", by=SYSTEM, at=at)
    advance(lamp, "off", by=SYSTEM, at=at)
    assert [step.to_status for step in history(lamp)] == ["on", "off"]


def test_a_step_outside_a_transaction_is_our_bug(transactional_db, at):
    with lamp_table():
        lamp = Lamp.objects.create(pk=7)
        with pytest.raises(RuntimeError):
            advance(lamp, "on", by=SYSTEM, at=at)
        assert Lamp.objects.get().status == "off"


def test_the_history_goes_with_the_step(transactional_db, at):
    with lamp_table():
        lamp = Lamp.objects.create(pk=7)
        with transaction.atomic():
            advance(lamp, "on", by=SYSTEM, at=at)
            transaction.set_rollback(True)
        assert Lamp.objects.get().status == "off"
        assert not StateChange.objects.exists()


@pytest.mark.postgres
def test_of_eight_movers_one_wins(run_threads, at):
    with lamp_table():
        Lamp.objects.create(pk=7)

        def move(number):
            lamp = Lamp.objects.get(pk=7)
            with transaction.atomic():
                advance(lamp, "on", by=Actor("staff", number), at=at)

        outcome = run_threads(8, move)
        assert len(outcome.results) == 1
        assert all(isinstance(error, IllegalTransition) for error in outcome.errors.values())
        assert StateChange.objects.count() == 1
