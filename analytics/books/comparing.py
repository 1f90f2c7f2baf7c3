"""How a check compares: sums made by the database, one line of text per fault."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from django.db.models import Model, QuerySet, Sum
from django.db.models.functions import Coalesce

Sums = dict[Any, int]


def sums(rows: QuerySet[Any], by: str, *what: str) -> Sums:
    """Return {value of `by`: sum of a column (or the difference of two)}, 0 for none."""
    totals = [Coalesce(Sum(column), 0) for column in what]
    annotated = rows.order_by().values(by).annotate(first=totals[0], second=totals[-1])
    minus = len(what) - 1  # with one column the second sum is the first again
    pairs = annotated.values_list(by, "first", "second")
    return {key: int(first) - minus * int(second) for key, first, second in pairs}


def differ(name: str, found: Sums, wanted: Sums) -> Iterator[str]:
    """Yield a fault for each key whose sums differ; a missing key is 0."""
    keys = found.keys() | wanted.keys()
    wrong = [key for key in keys if found.get(key, 0) != wanted.get(key, 0)]
    for key in sorted(wrong, key=str):
        yield f"{name} {key}: {found.get(key, 0)} instead of {wanted.get(key, 0)}"


def each(name: str, rows: Iterable[Model]) -> Iterator[str]:
    """Yield a fault for each row that should not be there."""
    for row in rows:
        yield f"{name}: {row._meta.model_name} {row.pk}"
