"""Databases that a bench makes for itself and drops again; the shop's own is never touched."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

from django.db import connection, connections
from django.db.backends.base.base import BaseDatabaseWrapper


@contextmanager
def scratch_database() -> Iterator[None]:
    """Make an empty database named bench_* the one that everything uses."""
    live, test = connection.settings_dict["NAME"], connection.settings_dict["TEST"]
    before = test["NAME"]
    if connection.vendor == "postgresql":
        test["NAME"] = f"bench_distro_{os.getpid()}"
    connection.creation.create_test_db(verbosity=0, autoclobber=True, serialize=False)
    try:
        yield
    finally:
        connection.creation.destroy_test_db(live, verbosity=0)
        test["NAME"] = before


class Copies:
    """More databases beside the scratch one, each begun as a copy of another."""

    def __init__(self) -> None:
        self.empty = str(connection.settings_dict["NAME"])
        self._made: list[BaseDatabaseWrapper] = []

    def __enter__(self) -> Copies:
        return self

    def __exit__(self, *error: object) -> None:
        for copy in list(self._made):
            self.drop(copy)

    def make(self, suffix: str) -> BaseDatabaseWrapper:
        """Copy the empty database; only inside using() the copy is the one in use."""
        name = f"{self.empty}_{suffix}"
        connection.close()  # whoever is connected to it keeps it from being copied
        with connection._nodb_cursor() as cursor:
            cursor.execute(f"CREATE DATABASE {name} TEMPLATE {self.empty}")
        copy = connections.create_connection("default")
        copy.settings_dict = {**connection.settings_dict, "NAME": name}
        self._made.append(copy)
        return copy

    def drop(self, copy: BaseDatabaseWrapper) -> None:
        """Drop a copy."""
        copy.close()
        with connection._nodb_cursor() as cursor:
            cursor.execute(f"DROP DATABASE {copy.settings_dict['NAME']} WITH (FORCE)")
        self._made.remove(copy)


@contextmanager
def using(copy: BaseDatabaseWrapper) -> Iterator[None]:
    """Let everything use another database for a while."""
    before = connections["default"]
    connections["default"] = copy
    try:
        yield
    finally:
        connections["default"] = before
