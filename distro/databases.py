"""Which database the settings name: a URL, a SQLite file, or one made for a test run."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import dj_database_url

from distro.embedded import start_postgres
from distro.env import env_bool, env_choice, env_int, env_str

# Without these, eight threads that add to a counter lose half of their writes to
# "database is locked".
SQLITE_OPTIONS = {
    "transaction_mode": "IMMEDIATE",  # a writer waits at BEGIN, not in the middle of its work
    "timeout": 20,  # seconds
    "init_command": "PRAGMA journal_mode=WAL;PRAGMA synchronous=NORMAL;",
}

POSTGRES = "django.db.backends.postgresql"
KEPT_AFTER = 2  # runs of a statement of `distro.prepared` before its plan is kept


def database_of_site(default: Path) -> dict[str, Any]:
    """Describe the database of DATABASE_URL, else the SQLite file `default`."""
    url = env_str("DATABASE_URL", "")
    if not url:
        return _sqlite(default)
    database = dj_database_url.parse(url, conn_health_checks=True)
    pooled = env_bool("PGBOUNCER", default=False)
    if not pooled and database["ENGINE"] == POSTGRES:
        database.setdefault("OPTIONS", {}).setdefault("prepare_threshold", KEPT_AFTER)
    return {
        **database,
        "CONN_MAX_AGE": env_int("CONN_MAX_AGE", 60),  # seconds
        "DISABLE_SERVER_SIDE_CURSORS": pooled,
    }


def database_of_tests(folder: Path) -> dict[str, Any]:
    """Describe the database of a test run; its name begins with test_ and names the run.

    folder: where a SQLite file goes.

    The settings call this, not conftest.py: pytest-django and its parallel workers read the
    settings before any hook runs, so a server started later would be missed by some of them.
    """
    # Two runs at once must not share a database; parallel workers inherit the name.
    run = os.environ.setdefault("DISTRO_TEST_RUN", str(os.getpid()))
    if env_choice("DISTRO_TEST_DB", {"sqlite", "postgres"}, "sqlite") == "sqlite":
        path = folder / f"test_distro_{run}.sqlite3"
        return _sqlite(path, NAME=path)
    if not env_str("TEST_DATABASE_URL", ""):
        os.environ["TEST_DATABASE_URL"] = start_postgres()
    database = dj_database_url.parse(env_str("TEST_DATABASE_URL"))
    # A test base need not outlive a power cut; locks and isolation are what they always are.
    options = {"options": "-c synchronous_commit=off", "prepare_threshold": KEPT_AFTER}
    return {**database, "OPTIONS": options, "TEST": {"NAME": f"test_distro_{run}"}}


def _sqlite(path: Path, **test: object) -> dict[str, Any]:
    """Describe a SQLite file that stands many writers."""
    path.parent.mkdir(parents=True, exist_ok=True)
    engine = "django.db.backends.sqlite3"
    return {"ENGINE": engine, "NAME": path, "OPTIONS": SQLITE_OPTIONS, "TEST": test}
