"""What a load balancer asks: does the process live, and can it serve?"""

from __future__ import annotations

from collections.abc import Callable

from celery import current_app
from django.conf import settings
from django.core.cache import cache
from django.db import DatabaseError, connection
from django.db.migrations.executor import MigrationExecutor
from django.http import HttpRequest, HttpResponse
from kombu.exceptions import OperationalError
from redis.exceptions import RedisError

BROKER_TIMEOUT_S = 2

_migrated: list[bool] = []  # filled once all migrations have run


def healthz(request: HttpRequest) -> HttpResponse:
    """Answer that the process lives; touch nothing else."""
    return HttpResponse("ok", content_type="text/plain")


def readyz(request: HttpRequest) -> HttpResponse:
    """Answer 200 when all that a request needs is there, else 503 with the names of the rest."""
    failed = [name for name, works in CHECKS.items() if not works()]
    text = "failed: " + ", ".join(failed) if failed else "ok"
    return HttpResponse(text, content_type="text/plain", status=503 if failed else 200)


def _database() -> bool:
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except DatabaseError:
        return False
    return True


def _migrations() -> bool:
    """Say whether every migration has run; asked until it has."""
    if not _migrated:
        try:
            executor = MigrationExecutor(connection)
        except DatabaseError:
            return True  # the database is named already
        if executor.migration_plan(executor.loader.graph.leaf_nodes()):
            return False
        _migrated.append(True)
    return True


def _cache() -> bool:
    try:
        cache.set("readyz", 1, timeout=5)
    except (OSError, RedisError):
        return False
    return True


def _broker() -> bool:
    if not settings.CELERY_BROKER_URL:
        return True
    try:
        with current_app.connection_for_write() as broker:
            broker.ensure_connection(max_retries=1, timeout=BROKER_TIMEOUT_S)
    except (OSError, OperationalError):
        return False
    return True


CHECKS: dict[str, Callable[[], bool]] = {
    "database": _database,
    "migrations": _migrations,
    "cache": _cache,
    "broker": _broker,
}
