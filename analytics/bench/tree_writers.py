"""Many at once: eight processes that join one tree, against stock saves that take turns."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from analytics.bench.figures import Figure, at_least, at_most, ratio
from analytics.bench.sizes import Sizes
from analytics.bench.stock import save_stock
from analytics.bench.tree_joining import CLIENTS, calls, stock_names
from analytics.bench.world import World, join
from analytics.bench.writers import Writers
from referrals.proofs import tree_faults

save_in_turn = partial(save_stock, locked=True)


def figures(ten: World, sizes: Sizes) -> Iterator[Figure]:
    """Measure both sides in trees of ten thousand."""
    with Writers(ten, CLIENTS) as writers:

        def stock() -> float:
            saves = [
                [(f"leaf {next(stock_names)}", ten.parent() - ten.promoters[0] + 1)]
                for _ in range(CLIENTS)
            ]
            return writers.run(save_in_turn, saves)

        def ours() -> float:
            return writers.run(join, calls(ten, CLIENTS, sizes.sent // 4))

        ours()
        value = ratio(stock, ours, what="8 writers")
        name = "8 writers in trees of 10,000: stock save() under a lock / attach"
        yield at_least("tree", name, value, 300)
        yield at_most("tree", "errors of the 8 writers", writers.errors, 0)
    with ten.here():
        yield at_most("tree", "faults of the tree after them", len(list(tree_faults())), 0)
