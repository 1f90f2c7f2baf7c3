"""The referral tree: joining, relabelling, reading and taking over, against stock django-mptt.

Needs PostgreSQL. `--quick` measures the same in a smaller tree; bars that only a large one can
reach are lower there, and say so.
"""

from __future__ import annotations

from collections.abc import Iterator

from django.core.management.base import CommandError
from django.db import connection

from analytics.bench import tree_import, tree_joining, tree_labels, tree_reading, tree_writers
from analytics.bench.figures import Figure
from analytics.bench.scratch import Copies
from analytics.bench.sizes import FULL, QUICK
from analytics.bench.stock import load_stock
from analytics.bench.world import World


def bench_tree(*, quick: bool) -> Iterator[Figure]:
    """Measure the tree in four scratch databases."""
    if connection.vendor != "postgresql":
        raise CommandError(
            "bench tree measures locks and plans of PostgreSQL: set DATABASE_URL to a PostgreSQL"
            " server on which databases named bench_* may be made."
        )
    sizes = QUICK if quick else FULL
    with Copies() as copies:
        large = World(copies.make("large"), sizes.promoters, sizes.members)
        ten = World(copies.make("ten"), 10_000, sizes.writing)
        small = World(copies.make("small"), 1_000, 1_000)
        for world, stock in ((ten, 10_000), (small, sizes.rebuilt)):
            with world.here():
                load_stock(stock)
        yield from tree_joining.figures(large, ten, small, sizes)
        yield from tree_reading.figures(large, sizes)
        yield from tree_labels.figures(large, ten, small, sizes)
        yield from tree_writers.figures(ten, sizes)
        yield from tree_import.figures(copies, sizes)
