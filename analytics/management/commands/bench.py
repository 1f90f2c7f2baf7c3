from __future__ import annotations

import json
from argparse import ArgumentParser
from collections.abc import Callable, Iterator
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from analytics.bench.figures import Figure, as_row
from analytics.bench.ledger import bench_ledger
from analytics.bench.scratch import scratch_database
from analytics.bench.tree import bench_tree

BENCHES: dict[str, Callable[..., Iterator[Figure]]] = {
    "ledger": bench_ledger,
    "tree": bench_tree,
}


class Command(BaseCommand):
    """Measure in a scratch database of its own; one JSON line a figure, exit 1 below a bar."""

    help = "Measure ratios: " + ", ".join(BENCHES)

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("name", nargs="?", default="all", choices=["all", *BENCHES])
        parser.add_argument("--quick", action="store_true", help="small sizes")

    def handle(self, *args: Any, **options: Any) -> None:
        names = list(BENCHES) if options["name"] == "all" else [options["name"]]
        ok = True
        for name in names:
            with scratch_database():
                for figure in BENCHES[name](quick=options["quick"]):
                    self.stdout.write(json.dumps(as_row(figure), ensure_ascii=False))
                    self.stdout.flush()
                    ok = ok and figure.ok
        if not ok:
            raise CommandError("A figure is below its bar.", returncode=1)
