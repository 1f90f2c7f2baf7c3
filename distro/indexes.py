"""Indexes that one database has and the other does without."""

from __future__ import annotations

from typing import Any

from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.backends.ddl_references import Statement
from django.db.models import Index, Model


class GrowingIndex(Index):
    """An index of a time that grows with the rows: on PostgreSQL one entry per range of blocks.

    It costs next to nothing to keep, also where an update writes the whole row anew.
    """

    def create_sql(
        self,
        model: type[Model],
        schema_editor: BaseDatabaseSchemaEditor,
        using: str = "",
        **kw: Any,
    ) -> Statement:
        """Return the statement that makes it."""
        if schema_editor.connection.vendor == "postgresql":
            using = " USING brin"
        return super().create_sql(model, schema_editor, using=using, **kw)
