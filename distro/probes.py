"""What a load balancer asks: does the process live, and can it serve?"""

from __future__ import annotations

from django.core.cache import cache
from django.db import DatabaseError, connection
from django.http import HttpRequest, HttpResponse
from redis.exceptions import RedisError


def healthz(request: HttpRequest) -> HttpResponse:
    """Answer that the process lives; touch nothing else."""
    return HttpResponse("ok", content_type="text/plain")


def readyz(request: HttpRequest) -> HttpResponse:
    """Answer 200 when the database and the cache answer, else 503 with their names."""
    failed = [name for name, works in (("database", _database), ("cache", _cache)) if not works()]
    text = "failed: " + ", ".join(failed) if failed else "ok"
    return HttpResponse(text, content_type="text/plain", status=503 if failed else 200)


def _database() -> bool:
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except DatabaseError:
        return False
    return True


def _cache() -> bool:
    try:
        cache.set("readyz", 1, timeout=5)
    except (OSError, RedisError):
        return False
    return True
