from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from analytics.books import faults
from commissions.models import Account, Commission, Transfer
from distro import clock


class Command(BaseCommand):
    """Prove the books on the whole database; exit 1 and name each fault otherwise."""

    help = "Prove accounts, commissions, settlements, withdrawals, refunds and tree."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--most", type=int, default=100, help="faults printed at most")

    def handle(self, *args: Any, **options: Any) -> None:
        found = list(faults(at=clock.now()))
        for line in found[: options["most"]]:
            self.stdout.write(line)
        accounts, transfers = Account.objects.count(), Transfer.objects.count()
        line = (
            f"books: {accounts} accounts, {transfers} transfers,"
            f" {Commission.objects.count()} commissions, {len(found)} faults"
        )
        self.stdout.write(line)
        if found:
            raise CommandError("The books do not balance.", returncode=1)
