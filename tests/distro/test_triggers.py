from __future__ import annotations

import pytest
from django.db import IntegrityError, connection, transaction
from django.test.utils import CaptureQueriesContext

from distro import triggers
from distro.models import AuditEntry, DemoClock

from .lamps import FrozenLamp, Lamp, lamp_table


def run(sql, *params):
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(sql, params)


@pytest.fixture
def entry(db, at):
    return AuditEntry.objects.create(
        actor_kind="staff", actor_id=1, action="a", target="t", reason="why", at=at
    )


@pytest.fixture
def lamps(db, monkeypatch):
    monkeypatch.setattr(triggers, "_tables", lambda: [FrozenLamp])
    with lamp_table():
        triggers.install_triggers(connection)
        Lamp.objects.create(pk=1, watts=40, status="off")
        Lamp.objects.create(pk=2, watts=60, status="on")
        yield Lamp.objects
        triggers.drop_triggers(connection)


def test_the_tables_are_found_on_the_models():
    assert {"distro_auditentry", "distro_statechange"} <= set(triggers.append_only_tables())
    assert "distro_job" not in triggers.append_only_tables()


def test_every_rule_of_every_model_has_its_trigger(db):
    wanted = {guard.name for guard in triggers._guards(connection)}
    assert wanted == triggers._found(connection)


@pytest.mark.parametrize(
    "change",
    [
        lambda entry: AuditEntry.objects.update(reason="other"),
        lambda entry: AuditEntry.objects.update(reason="why"),
        lambda entry: AuditEntry.objects.all().delete(),
        lambda entry: AuditEntry.objects.all()._raw_delete("default"),
        lambda entry: entry.delete(),
        lambda entry: entry.save(),
        lambda entry: AuditEntry.objects.bulk_update([entry], ["reason"]),
        lambda entry: run("UPDATE distro_auditentry SET reason = 'x'"),
        lambda entry: run("DELETE FROM distro_auditentry"),
    ],
)
def test_an_append_only_row_stays_whoever_asks(entry, change):
    with pytest.raises(IntegrityError, match="append-only"), transaction.atomic():
        change(entry)
    assert AuditEntry.objects.get().reason == "why"


@pytest.mark.postgres
def test_an_append_only_table_is_not_emptied(entry):
    with pytest.raises(IntegrityError, match="append-only"):
        run("TRUNCATE distro_auditentry CASCADE")
    assert AuditEntry.objects.count() == 1


def test_more_rows_may_always_come(entry, at):
    AuditEntry.objects.create(actor_kind="staff", actor_id=1, action="b", target="t", at=at)
    assert AuditEntry.objects.count() == 2


def test_a_frozen_row_keeps_its_columns(lamps):
    with pytest.raises(IntegrityError, match="frozen"), transaction.atomic():
        lamps.filter(pk=2).update(status="off")
    with pytest.raises(IntegrityError, match="frozen"):
        run("UPDATE distro_lamp SET watts = 40, lit_at = CURRENT_TIMESTAMP WHERE id = 2")
    lamp = lamps.get(pk=2)
    assert (lamp.status, lamp.lit_at, lamp.watts) == ("on", None, 60)


def test_a_frozen_row_cannot_be_deleted(lamps):
    with pytest.raises(IntegrityError, match="frozen"), transaction.atomic():
        lamps.all().delete()
    with pytest.raises(IntegrityError, match="frozen"):
        run("DELETE FROM distro_lamp WHERE id = 2")
    assert lamps.count() == 2


@pytest.mark.postgres
def test_a_table_with_frozen_rows_is_not_emptied(lamps):
    with pytest.raises(IntegrityError, match="frozen"):
        run("TRUNCATE distro_lamp")
    assert lamps.count() == 2


def test_a_frozen_row_may_change_elsewhere_and_others_anywhere(lamps):
    lamps.filter(pk=2).update(watts=61, status="on")
    lamps.filter(pk=1).update(watts=70, status="on")
    assert sorted(lamps.values_list("pk", "watts", "status")) == [(1, 70, "on"), (2, 61, "on")]
    with pytest.raises(IntegrityError, match="frozen"), transaction.atomic():
        lamps.filter(pk=1).update(status="off")


def test_a_row_that_is_not_frozen_may_go(lamps):
    lamps.filter(pk=1).delete()
    assert lamps.count() == 1


def test_nothing_enters_where_it_is_closed(lamps):
    with pytest.raises(IntegrityError, match="closed"), transaction.atomic():
        lamps.create(pk=3, watts=13)
    with pytest.raises(IntegrityError, match="closed"), transaction.atomic():
        lamps.filter(pk=1).update(watts=13)
    assert sorted(lamps.values_list("watts", flat=True)) == [40, 60]


def test_triggers_that_are_up_are_left_alone(lamps):
    with CaptureQueriesContext(connection) as queries:
        triggers.install_triggers(connection)
    assert not [q for q in queries if "TRIGGER" in q["sql"] or "FUNCTION" in q["sql"]]


def test_a_changed_rule_replaces_its_trigger(lamps, monkeypatch):
    monkeypatch.setattr(FrozenLamp, "frozen_when", "watts > 100")
    triggers.install_triggers(connection)
    lamps.filter(pk=2).update(status="off")
    assert lamps.get(pk=2).status == "off"


def test_a_dropped_rule_leaves_nothing(lamps, monkeypatch):
    monkeypatch.setattr(triggers, "_tables", list)
    triggers.install_triggers(connection)
    assert triggers._found(connection) == set()
    lamps.all().delete()
    assert not lamps.exists()


def test_a_table_made_anew_gets_its_triggers_back(lamps):
    run("DROP TABLE distro_lamp")
    with connection.cursor() as cursor:
        cursor.execute("CREATE TABLE distro_lamp AS SELECT 1 AS id, 60 AS watts, 'on' AS status,"
                       " NULL AS lit_at")  # fmt: skip
    triggers.install_triggers(connection)
    with pytest.raises(IntegrityError, match="frozen"):
        run("DELETE FROM distro_lamp")


def test_the_demo_clock_is_one_row(db):
    with pytest.raises(IntegrityError), transaction.atomic():
        DemoClock.objects.create(pk=2)
    assert not DemoClock.objects.exists()
