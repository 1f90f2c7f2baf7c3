"""The other side: a tree of stock django-mptt, as its manual says."""

from __future__ import annotations

import random
from array import array
from collections.abc import Iterator, Sequence

from django.apps.registry import Apps
from django.db import connection, models, transaction
from mptt.models import MPTTModel, TreeForeignKey

LOCK = "SELECT pg_advisory_xact_lock(7301)"


class StockNode(MPTTModel):
    """A node with a unique name; the table exists in scratch databases only."""

    name = models.CharField(max_length=32, unique=True)
    parent = TreeForeignKey("self", models.CASCADE, null=True, related_name="children")

    class Meta:
        app_label = "bench"
        apps = Apps()
        db_table = "bench_stock"


def random_parents(count: int, seed: int = 1) -> array[int]:
    """Return, by node, a parent drawn from all older ones; -1 for the first."""
    chance = random.Random(seed)  # noqa: S311 - a tree, not a secret
    return array("q", [-1, *(chance.randrange(node) for node in range(1, count))])


def load_stock(count: int) -> None:
    """Make the table and fill it with one random tree with right labels."""
    with connection.schema_editor() as editor:
        editor.create_model(StockNode)
    parents = random_parents(count)
    with connection.cursor() as cursor:
        columns = "id, name, parent_id, tree_id, lft, rght, level"
        with cursor.copy(f"COPY bench_stock ({columns}) FROM STDIN") as stream:
            for node, lft, rght, level in _labels(parents):
                parent = parents[node] + 1 or None
                stream.write_row([node + 1, f"stock {node}", parent, 1, lft, rght, level])
        cursor.execute("SELECT setval(pg_get_serial_sequence('bench_stock', 'id'), %s)", [count])
        cursor.execute("VACUUM ANALYZE bench_stock")


def _labels(parents: Sequence[int]) -> Iterator[tuple[int, int, int, int]]:
    """Yield (node, lft, rght, level), dense; children come after their parents."""
    count = len(parents)
    size, level = array("q", [1]) * count, array("q", [0]) * count
    for node in range(count - 1, 0, -1):
        size[parents[node]] += size[node]
    lft, free = array("q", [1]) * count, array("q", [2]) * count
    for node in range(count):
        if node:
            parent = parents[node]
            lft[node], level[node] = free[parent], level[parent] + 1
            free[parent] += 2 * size[node]
            free[node] = lft[node] + 1
        yield node, lft[node], lft[node] + 2 * size[node] - 1, level[node]


def save_stock(name: str, parent_id: int, *, locked: bool = False) -> None:
    """Insert a leaf the way the manual says; locked: one writer at a time, else labels break."""
    with transaction.atomic():
        if locked:
            with connection.cursor() as cursor:
                cursor.execute(LOCK)
        parent = StockNode.objects.get(pk=parent_id)
        StockNode(name=name, parent=parent).save()
