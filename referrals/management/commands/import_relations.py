from __future__ import annotations

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from tqdm import tqdm

from distro import clock
from distro.actors import SYSTEM
from distro.errors import DomainError
from referrals.importing.columns import COLUMNS
from referrals.services.importing import import_relations


class Command(BaseCommand):
    """Take over who invited whom from CSV or XLSX; see docs/import.md."""

    help = "Import members, their inviters and promoters. Columns: " + ", ".join(
        f"{column.title} ({column.field})" for column in COLUMNS
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("file", type=Path, help="CSV (UTF-8 or GB18030) or XLSX")
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
                totals = import_relations(
                    path=path, rejects=rejects, by=SYSTEM, at=clock.now(), progress=bars.move
                )
        except DomainError as refusal:
            raise CommandError(f"{refusal.code}: {refusal}") from None
        self.stdout.write(f"encoding: {totals.encoding}")
        if totals.rejected:
            self.stdout.write(f"rejected rows are listed in {rejects}")
        self.stdout.write(str(totals))


class Bars:
    """Shows how far the reading and the writing are."""

    def __init__(self) -> None:
        self.bar = tqdm(desc="reading", unit=" rows", mininterval=0.5)

    def __enter__(self) -> Bars:
        return self

    def __exit__(self, *error: object) -> None:
        self.bar.close()

    def move(self, what: str, count: int) -> None:
        """Take one step of the import."""
        if what == "total":
            self.bar.close()
            self.bar = tqdm(desc="writing", unit=" rows", total=count, mininterval=0.5)
        else:
            self.bar.update(count)
