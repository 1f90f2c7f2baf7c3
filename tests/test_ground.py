"""What the other tests stand on works itself."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

import pytest
from django.conf import settings
from django.contrib.auth.models import Group
from django.contrib.contenttypes.models import ContentType
from django.core.management import call_command
from django.db import IntegrityError, connection, transaction

from distro.models import StateChange

Threads = Callable[..., Any]


def test_a_run_only_ever_touches_a_test_database() -> None:
    name = str(settings.DATABASES["default"]["TEST"]["NAME"]).rpartition("/")[2]
    assert name.startswith("test_distro_")


def test_sqlite_is_a_file() -> None:
    if connection.vendor == "sqlite":
        assert "memory" not in str(connection.settings_dict["NAME"])


def test_the_moment_of_the_tests_is_aware(at: datetime) -> None:
    assert at.isoformat() == "2026-11-02T10:00:00+08:00"


def test_threads_write_and_see_each_other(run_threads: Threads) -> None:
    def add(index: int) -> int:
        with transaction.atomic():
            return Group.objects.create(name=f"group {index}").pk

    made = list(run_threads(8, add))
    assert set(made) <= set(Group.objects.values_list("pk", flat=True))
    assert len(set(made)) == 8


def test_errors_of_threads_come_back(run_threads: Threads) -> None:
    outcome = run_threads(3, lambda index: 1 // (index - 1))
    assert (outcome.results, set(outcome.errors)) == ({0: -1, 2: 1}, {1})
    with pytest.raises(ZeroDivisionError):
        list(outcome)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("turn", [1, 2])
def test_the_rows_of_migrations_survive_a_flush(turn: int) -> None:
    assert ContentType.objects.filter(app_label="distro", model="staffuser").exists()
    ContentType.objects.get(app_label="distro", model="staffuser").delete()


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("turn", [1, 2])
def test_append_only_rows_can_be_flushed_but_not_changed(turn: int, at: datetime) -> None:
    StateChange.objects.create(model="x", object_id=turn, actor_kind="system", actor_id=0, at=at)
    with pytest.raises(IntegrityError), transaction.atomic():
        StateChange.objects.update(why="changed")
    with pytest.raises(IntegrityError), transaction.atomic():
        StateChange.objects.all().delete()
    assert StateChange.objects.values_list("object_id", "why").get() == (turn, "")


@pytest.mark.django_db
def test_no_model_change_lacks_a_migration() -> None:
    call_command("makemigrations", check=True, dry_run=True, verbosity=0)


@pytest.mark.django_db
def test_the_project_has_no_system_check_messages() -> None:
    call_command("check", fail_level="WARNING")


@pytest.mark.postgres
@pytest.mark.django_db
def test_postgres_keeps_utc() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SHOW timezone")
        assert cursor.fetchone() == ("UTC",)
