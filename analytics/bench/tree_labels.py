"""Labels: relabelling everything, and placing newcomers."""

from __future__ import annotations

from collections.abc import Iterator
from statistics import median

from django.db import connection, transaction

from analytics.bench.child import relabel_apart
from analytics.bench.figures import Figure, Side, at_least, at_most, ratio, seconds
from analytics.bench.sizes import Sizes
from analytics.bench.stock import StockNode
from analytics.bench.tree_joining import writes
from analytics.bench.world import AT, World
from referrals.bulk import place_pending, rebuild_labels
from referrals.models import Promoter
from referrals.proofs import tree_faults

OTHER_LABELS = "UPDATE referrals_promoter SET lft = lft + 1, rght = rght + 1 WHERE level > 0"
TIMES = 4  # as many newcomers in a large placement as in a small one


def figures(large: World, ten: World, small: World, sizes: Sizes) -> Iterator[Figure]:
    """Measure placing, then relabelling; the stock tree to rebuild stands beside the small one."""
    with large.here():
        place_pending(at=AT)
    few, many = placing(large, sizes.placed), placing(large, TIMES * sizes.placed)
    value = ratio(many, few, what="placing, many / few")
    name = f"placing a newcomer among {TIMES * sizes.placed:,} / among {sizes.placed:,}"
    yield at_most("tree", name, value, 1.5)
    yield at_most("tree", "rows written by placing a newcomer", written(large, sizes.placed), 1)
    stock: list[float] = []
    value = ratio(rebuilding(small, stock), relabelling(ten), what="stock rebuild() / relabel")
    name = f"stock rebuild() of {sizes.rebuilt:,} / relabel of a tree of 10,000, a node"
    yield at_least("tree", name, value, 30)
    done = relabel_apart(large.database.settings_dict)
    value = median(stock) / (done.seconds / done.rows)
    yield at_least("tree", f"stock rebuild() / relabel of all {done.rows:,}, a node", value, 30)
    yield at_most("tree", "memory of that relabel, MB", done.megabytes, 500)
    with large.here():
        yield at_most("tree", "faults of the tree afterwards", len(list(tree_faults())), 0)


def placing(world: World, count: int) -> Side:
    """Return a placement of so many newcomers; seconds a newcomer."""

    def batch() -> float:
        with world.here():
            for _ in range(count):
                world.join()
            return seconds(lambda: place_pending(at=AT)) / count

    return batch


def written(world: World, count: int) -> float:
    """Return how many rows a placement writes for each newcomer."""
    with world.here():
        for _ in range(count):
            world.join()
        with transaction.atomic():
            before = writes()
            placed = place_pending(at=AT)
            return (writes().updated - before.updated) / placed


def rebuilding(world: World, took: list[float]) -> Side:
    """Return a rebuild of the stock tree; seconds a node, noted in `took` too."""

    def batch() -> float:
        with world.here():
            nodes = StockNode.objects.count()
            with transaction.atomic():
                took.append(seconds(StockNode.objects.rebuild) / nodes)
        return took[-1]

    return batch


def relabelling(world: World) -> Side:
    """Return a relabel of a whole tree in which every label is another one; seconds a node."""

    def batch() -> float:
        with world.here():
            with connection.cursor() as cursor:
                cursor.execute(OTHER_LABELS)
                cursor.execute("VACUUM referrals_promoter")
            rows = 0

            def work() -> None:
                nonlocal rows
                rows = rebuild_labels()

            took = seconds(work)
            assert rows == Promoter.objects.count() - 1, rows  # the root has the whole interval
            return took / rows

    return batch
