"""Write the accrual file for finance."""

from __future__ import annotations

import json
import sys
from argparse import ArgumentParser
from datetime import date
from pathlib import Path
from typing import Any

from django.contrib.auth import get_user_model
from django.core.management.base import BaseCommand, CommandError

from commissions.exports import Made, commissions_between, write_accruals
from distro import clock
from distro.actors import SYSTEM


class Command(BaseCommand):
    """Stream commissions into a CSV, in constant memory."""

    help = "Write the accrual file (CSV) and its manifest; '-' writes to the standard output."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Take the file, the days and the maker."""
        parser.add_argument("file", help="path of the CSV, or - for the standard output")
        parser.add_argument("--from", dest="first", type=day, help="first day paid, YYYY-MM-DD")
        parser.add_argument("--to", dest="last", type=day, help="last day paid, YYYY-MM-DD")
        parser.add_argument("--by", default="", help="staff user the export is recorded for")

    def handle(self, *args: Any, **options: Any) -> None:
        """Write the file, then its manifest."""
        first, last = options["first"], options["last"]
        if first and last and last < first:
            raise CommandError("--to is before --from")
        made = self._made(options["by"], first, last)
        rows = commissions_between(first, last)
        if options["file"] == "-":
            out = sys.stdout.buffer
            manifest = write_accruals(rows, made=made, write=out.write)
            out.flush()
        else:
            path = Path(options["file"])
            part = path.with_name(f"{path.name}.part")
            with part.open("wb") as file:
                manifest = write_accruals(rows, made=made, write=file.write)
            part.replace(path)
            text = json.dumps(manifest, ensure_ascii=False, indent=2)
            path.with_name(f"{path.name}.manifest.json").write_text(f"{text}\n", "utf-8")
        self.stderr.write(json.dumps(manifest, ensure_ascii=False))

    def _made(self, username: str, first: date | None, last: date | None) -> Made:
        span = f"支付日 {first or '…'} 至 {last or '…'}" if first or last else ""
        if not username:
            return Made(SYSTEM, "export_accruals", span, clock.now())
        user = get_user_model().objects.filter(username=username, is_staff=True).first()
        if user is None:
            raise CommandError(f"no staff user {username!r}")
        return Made(user.actor, user.get_username(), span, clock.now())


def day(text: str) -> date:
    """Read YYYY-MM-DD."""
    return date.fromisoformat(text)
