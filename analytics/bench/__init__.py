"""Benches: ratios of two ways to do the same, measured in scratch databases of their own."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from analytics.bench.figures import Figure
from analytics.bench.ledger import bench_ledger
from analytics.bench.tree import bench_tree

BENCHES: dict[str, Callable[..., Iterator[Figure]]] = {
    "ledger": bench_ledger,
    "tree": bench_tree,
}
