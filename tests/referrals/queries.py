"""Counting the statements of this package, whatever others do when they hear a fact."""

from __future__ import annotations

from django.test.utils import CaptureQueriesContext

OTHERS = (
    "SAVEPOINT",
    "SET CONSTRAINTS",
    "orders_",
    "campaigns_",
    "commissions_",
    "analytics_",
    "current_setting",
)


def own(queries: CaptureQueriesContext) -> list[str]:
    """Return the statements without savepoints and without those of other packages."""
    statements = [query["sql"] for query in queries]
    return [sql for sql in statements if not any(mark in sql for mark in OTHERS)]
