"""Rows that the database itself refuses to change, whoever asks.

A model says so with class attributes:

append_only = True                  no UPDATE, no DELETE, no TRUNCATE
frozen_when = "status = 'live'"     SQL over the row's own columns, as they are before the change;
frozen_columns = ("rates", ...)     once it holds these fields stay, and the row cannot be deleted
frozen_unless = "EXISTS (...)"      SQL; while it holds the fields may change all the same
closed_when = "EXISTS (... NEW.plan_id ...)"   SQL over NEW; while it holds no row may enter,
                                               and those that are there do not change
closed_asks = "NEW.plan_id IS NOT NULL"        SQL over NEW alone: closed_when is asked of these
                                               rows only, all others pass at no cost

The triggers are put up after every migrate from the models: SQLite loses them whenever a
migration makes a table anew. Their names carry a digest of what they do, so that unchanged ones
are left alone and take no lock. A violation is an IntegrityError.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from django.apps import apps
from django.db import connections, models, transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.utils import CursorWrapper

PREFIX = "distro_guard_"
VERSION = 1  # of the SQL below; a new one makes all triggers anew


@dataclass(frozen=True)
class Guard:
    """One refusal: on which events of a table, under which SQL condition, with which words.

    changed: a cheap condition asked first, over OLD and NEW alone; most updates end there.
    """

    table: str
    events: tuple[str, ...]
    when: str
    message: str
    changed: str = "1 = 1"

    @property
    def name(self) -> str:
        """Return a name that changes whenever the guard does."""
        digest = hashlib.sha256(f"{VERSION} {self}".encode()).hexdigest()[:12]
        return f"{PREFIX}{self.table[:30]}_{digest}"


def append_only_tables() -> list[str]:
    """Return the tables whose rows never change."""
    return [model._meta.db_table for model in _tables() if getattr(model, "append_only", False)]


def install_triggers(connection: BaseDatabaseWrapper) -> None:
    """Make the triggers those that the models ask for."""
    tables = set(connection.introspection.table_names())
    wanted = {guard.name: guard for guard in _guards(connection) if guard.table in tables}
    found = _found(connection)
    with transaction.atomic(using=connection.alias), connection.cursor() as cursor:
        for name in found - wanted.keys():
            _execute(cursor, _drop_sql(connection, name))
        for name in wanted.keys() - found:
            _execute(cursor, _create_sql(connection, wanted[name]))


def drop_triggers(connection: BaseDatabaseWrapper) -> None:
    """Take all of them down: only to empty a test database."""
    with transaction.atomic(using=connection.alias), connection.cursor() as cursor:
        for name in _found(connection):
            _execute(cursor, _drop_sql(connection, name))


def install_after_migrate(*, using: str, **kwargs: Any) -> None:
    """Put the triggers up when all migrations have run."""
    install_triggers(connections[using])


def drop_before_migrate(*, using: str, **kwargs: Any) -> None:
    """Take them down on SQLite, which makes no table anew that a trigger elsewhere names."""
    if connections[using].vendor == "sqlite":
        drop_triggers(connections[using])


def _tables() -> Iterator[type[models.Model]]:
    return (m for m in apps.get_models() if m._meta.managed and not m._meta.proxy)


def _guards(connection: BaseDatabaseWrapper) -> Iterator[Guard]:
    for model in _tables():
        table = model._meta.db_table
        if getattr(model, "append_only", False):
            yield Guard(table, ("UPDATE", "DELETE"), "1 = 1", f"{table} is append-only")
        if when := getattr(model, "frozen_when", ""):
            yield from _frozen(model, when, connection)
        if when := getattr(model, "closed_when", ""):
            asks = getattr(model, "closed_asks", Guard.changed)
            yield Guard(table, ("INSERT", "UPDATE"), when, f"{table} is closed", asks)


def _frozen(
    model: type[models.Model], when: str, connection: BaseDatabaseWrapper
) -> Iterator[Guard]:
    """Yield the two guards of rows that are fixed once a condition over them holds."""
    quote, table = connection.ops.quote_name, model._meta.db_table
    own, key = quote(table), quote(_column(model, "pk"))
    # The condition is asked of the stored row, so that it may name columns without OLD.
    stored = f"SELECT 1 FROM {own} WHERE {own}.{key} = OLD.{key}"  # noqa: S608 - names of ours
    holds = f"EXISTS ({stored} AND ({when}))"
    fields: tuple[str, ...] = model.frozen_columns  # type: ignore[attr-defined]
    columns = [quote(_column(model, name)) for name in fields]
    differs = "IS DISTINCT FROM" if connection.vendor == "postgresql" else "IS NOT"
    changed = " OR ".join(f"OLD.{column} {differs} NEW.{column}" for column in columns)
    if changed:
        unless = getattr(model, "frozen_unless", "")
        fixed = f"{holds} AND NOT ({unless})" if unless else holds
        yield Guard(table, ("UPDATE",), fixed, f"{table} row is frozen", changed)
    yield Guard(table, ("DELETE",), holds, f"{table} row is frozen")


def _column(model: type[models.Model], name: str) -> str:
    field = model._meta.pk if name == "pk" else model._meta.get_field(name)
    assert isinstance(field, models.Field)
    assert field.column is not None
    return field.column


def _execute(cursor: CursorWrapper, statements: Iterator[str]) -> None:
    for statement in statements:
        cursor.execute(statement)


# --- SQL ------------------------------------------------------------------------------------

FOUND_POSTGRES = """
    SELECT tgname FROM pg_trigger JOIN pg_class ON pg_class.oid = tgrelid
    WHERE relnamespace = current_schema()::regnamespace AND tgname LIKE %s
"""
FOUND_SQLITE = "SELECT name FROM sqlite_master WHERE type = 'trigger' AND name LIKE %s"

FUNCTION = """
    CREATE OR REPLACE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS $guard$
    BEGIN
        IF TG_OP = 'TRUNCATE' THEN
            RAISE EXCEPTION '{message}' USING ERRCODE = 'restrict_violation';
        END IF;
        IF {when} THEN
            RAISE EXCEPTION '{message}' USING ERRCODE = 'restrict_violation';
        END IF;
        IF TG_OP = 'DELETE' THEN
            RETURN OLD;
        END IF;
        RETURN NEW;
    END $guard$
"""


def _found(connection: BaseDatabaseWrapper) -> set[str]:
    """Return the names of the guards that are up; their triggers add a word to it."""
    with connection.cursor() as cursor:
        found = FOUND_POSTGRES if connection.vendor == "postgresql" else FOUND_SQLITE
        cursor.execute(found, [f"{PREFIX}%"])
        return {name.rpartition("_")[0] for (name,) in cursor.fetchall()}


def _create_sql(connection: BaseDatabaseWrapper, guard: Guard) -> Iterator[str]:
    table = connection.ops.quote_name(guard.table)
    if connection.vendor != "postgresql":
        refuse = f"BEGIN SELECT RAISE(ABORT, '{guard.message}'); END"
        body = f"WHEN ({guard.changed}) AND ({guard.when}) {refuse}"
        for event in guard.events:
            yield f"CREATE TRIGGER {guard.name}_{event.lower()} BEFORE {event} ON {table} {body}"
        return
    yield FUNCTION.format(name=guard.name, message=guard.message, when=guard.when)
    row = f"CREATE TRIGGER {guard.name}_row BEFORE {' OR '.join(guard.events)} ON {table}"
    yield f"{row} FOR EACH ROW WHEN ({guard.changed}) EXECUTE FUNCTION {guard.name}()"
    if "DELETE" in guard.events:
        yield (
            f"CREATE TRIGGER {guard.name}_all BEFORE TRUNCATE ON {table}"
            f" FOR EACH STATEMENT EXECUTE FUNCTION {guard.name}()"
        )


def _drop_sql(connection: BaseDatabaseWrapper, name: str) -> Iterator[str]:
    if connection.vendor == "postgresql":
        yield f"DROP FUNCTION IF EXISTS {name}() CASCADE"
        return
    for event in ("insert", "update", "delete"):
        yield f"DROP TRIGGER IF EXISTS {name}_{event}"
