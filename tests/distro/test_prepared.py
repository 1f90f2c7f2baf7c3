"""Statements whose plans PostgreSQL keeps behave as all others do."""

from __future__ import annotations

from pathlib import Path

import pytest
from django.db import IntegrityError, connection, transaction
from django.test.utils import CaptureQueriesContext

from distro.databases import database_of_site
from distro.models import OutboxMessage
from distro.prepared import keeping_plans
from tests.factories import AT

pytestmark = pytest.mark.django_db

PUT = """
    INSERT INTO distro_outboxmessage (topic, key, payload, attempts, error, created_at, next_at)
    VALUES (%s, %s, '{}', 0, '', %s, %s)
"""


def put(key: str) -> None:
    moment = connection.ops.adapt_datetimefield_value(AT)
    with keeping_plans() as cursor:
        cursor.execute(PUT, ["t", key, moment, moment])


def kept() -> int:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM pg_prepared_statements WHERE statement LIKE %s",
            ["%INSERT INTO distro_outboxmessage%"],
        )
        return int(cursor.fetchone()[0])


@pytest.mark.postgres
def test_a_plan_is_kept_from_the_third_run_on() -> None:
    before = kept()
    for number in range(3):
        put(f"k{number}")
    assert kept() == before + 1
    put("k3")
    assert (kept(), OutboxMessage.objects.count()) == (before + 1, 4)


@pytest.mark.postgres
def test_without_kept_plans_it_works_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    connection.ensure_connection()
    monkeypatch.setattr(connection.connection, "prepare_threshold", None)
    before = kept()
    for number in range(4):
        put(f"k{number}")
    assert (kept(), OutboxMessage.objects.count()) == (before, 4)


def test_an_error_is_one_of_djangos_and_its_savepoint_is_undone() -> None:
    for number in range(3):
        put(f"k{number}")
    with pytest.raises(IntegrityError):
        put_both("new", "k1")
    assert set(OutboxMessage.objects.values_list("key", flat=True)) == {"k0", "k1", "k2"}


@transaction.atomic
def put_both(one: str, other: str) -> None:
    put(one)
    put(other)


def test_every_run_is_in_the_log_of_statements() -> None:
    with CaptureQueriesContext(connection) as queries:
        for number in range(4):
            put(f"k{number}")
    assert ["distro_outboxmessage" in query["sql"] for query in queries] == [True] * 4


@pytest.mark.parametrize(("pooled", "expected"), [("0", 2), ("1", None)])
def test_nothing_is_kept_behind_a_pooler(
    pooled: str, expected: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgres://postgres@127.0.0.1:5432/shop")
    monkeypatch.setenv("PGBOUNCER", pooled)
    options = database_of_site(Path("unused")).get("OPTIONS", {})
    assert options.get("prepare_threshold") == expected
