"""What a load balancer hears."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import OperationalError, connection
from django.db.migrations.executor import MigrationExecutor
from django.test import Client
from kombu import Connection

from distro import probes


def test_healthz_touches_no_database(client: Client) -> None:
    answer = client.get("/healthz")
    assert (answer.status_code, answer.content) == (200, b"ok")


@pytest.mark.django_db
def test_readyz_answers_ok(client: Client) -> None:
    answer = client.get("/readyz")
    assert (answer.status_code, answer.content) == (200, b"ok")


def test_readyz_names_what_fails(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: Any) -> None:
        raise OperationalError

    monkeypatch.setattr(connection, "cursor", refuse)
    answer = client.get("/readyz")
    assert (answer.status_code, answer.content) == (503, b"failed: database")


@pytest.mark.redis
@pytest.mark.django_db
def test_readyz_with_a_real_redis(client: Client, settings: Any, redis_url: str) -> None:
    backend = "django.core.cache.backends.redis.RedisCache"
    settings.CACHES = {"default": {"BACKEND": backend, "LOCATION": redis_url}}
    assert client.get("/readyz").content == b"ok"
    settings.CACHES = {"default": {"BACKEND": backend, "LOCATION": "redis://127.0.0.1:1/0"}}
    assert client.get("/readyz").content == b"failed: cache"


@pytest.mark.django_db
def test_readyz_waits_for_the_migrations(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probes, "_migrated", [])
    plan = {"waiting": [("distro.0002", False)]}
    monkeypatch.setattr(MigrationExecutor, "migration_plan", lambda *args: plan["waiting"])
    assert client.get("/readyz").content == b"failed: migrations"
    plan["waiting"] = []
    assert client.get("/readyz").content == b"ok"
    plan["waiting"] = [("distro.0003", False)]
    assert client.get("/readyz").content == b"ok"


@pytest.mark.django_db
def test_readyz_names_a_broker_that_is_down(
    client: Client, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.CELERY_BROKER_URL = "redis://127.0.0.1:1/0"
    monkeypatch.setattr(
        probes.current_app, "connection_for_write", lambda: Connection(settings.CELERY_BROKER_URL)
    )
    answer = client.get("/readyz")
    assert (answer.status_code, answer.content) == (503, b"failed: broker")
