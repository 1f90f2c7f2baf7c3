from __future__ import annotations

import json
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import connection

from analytics.bench import BENCHES, as_row


class Command(BaseCommand):
    """Measure in a scratch database of its own; one JSON line a figure, exit 1 below a bar."""

    help = "Measure ratios: " + ", ".join(BENCHES)

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("name", nargs="?", default="all", choices=["all", *BENCHES])
        parser.add_argument("--quick", action="store_true", help="small sizes")

    def handle(self, *args: Any, **options: Any) -> None:
        names = list(BENCHES) if options["name"] == "all" else [options["name"]]
        live = connection.settings_dict["NAME"]
        connection.creation.create_test_db(verbosity=0, autoclobber=True)
        try:
            figures = [f for name in names for f in BENCHES[name](quick=options["quick"])]
        finally:
            connection.creation.destroy_test_db(live, verbosity=0)
        for figure in figures:
            self.stdout.write(json.dumps(as_row(figure)))
        if not all(figure.ok for figure in figures):
            raise CommandError("A figure is below its bar.", returncode=1)
