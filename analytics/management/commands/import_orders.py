from __future__ import annotations

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from tqdm import tqdm

from analytics.importing import import_history
from commissions.models import Plan
from commissions.selectors import plan_by_code
from distro import clock
from distro.errors import DomainError
from orders.importing.columns import COLUMNS


class Command(BaseCommand):
    """Take an order history over from CSV or XLSX; see docs/import.md."""

    help = "Import an order history. Columns: " + ", ".join(
        f"{column.title} ({column.field})" for column in COLUMNS
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("file", type=Path, help="CSV (UTF-8 or GB18030) or XLSX")
        parser.add_argument(
            "--create-missing",
            action="store_true",
            help="make the products, members and promoters that the file names",
        )
        parser.add_argument("--accrue", action="store_true", help="accrue the orders under --plan")
        parser.add_argument("--plan", help="code of a published plan, with --accrue")
        parser.add_argument(
            "--rejects", type=Path, help="where rejected rows go; default: FILE.rejects.csv"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        path: Path = options["file"]
        rejects = options["rejects"] or path.with_name(f"{path.name}.rejects.csv")
        if rejects.resolve() == path.resolve():
            raise CommandError("--rejects would overwrite the file that is imported.")
        try:
            with Bars() as bars:
                totals = import_history(
                    path=path,
                    rejects=rejects,
                    create_missing=options["create_missing"],
                    plan=self._plan(options),
                    at=clock.now(),
                    progress=bars.move,
                )
        except DomainError as refusal:
            raise CommandError(f"{refusal.code}: {refusal}") from None
        self.stdout.write(f"encoding: {totals.encoding}")
        if totals.rejected:
            self.stdout.write(f"rejected rows are listed in {rejects}")
        self.stdout.write(str(totals))

    def _plan(self, options: dict[str, Any]) -> Plan | None:
        if options["accrue"] != bool(options["plan"]):
            raise CommandError("--accrue and --plan CODE go together.")
        try:
            return plan_by_code(options["plan"]) if options["accrue"] else None
        except DomainError:
            raise CommandError(f"No published plan has the code {options['plan']}.") from None


class Bars:
    """Shows how far the reading and the writing are."""

    def __init__(self) -> None:
        self.reading = tqdm(desc="reading", unit=" rows", mininterval=0.5)
        self.writing: tqdm[None] | None = None

    def __enter__(self) -> Bars:
        return self

    def __exit__(self, *error: object) -> None:
        self.reading.close()
        if self.writing is not None:
            self.writing.close()

    def move(self, what: str, count: int) -> None:
        """Take one step of the import."""
        if what == "rows":
            self.reading.update(count)
        elif what == "total":
            self.reading.close()
            self.writing = tqdm(desc="writing", unit=" orders", total=count, mininterval=0.5)
        elif what == "orders" and self.writing is not None:
            self.writing.update(count)
        else:
            tqdm.write(f"{what}: {count}")
