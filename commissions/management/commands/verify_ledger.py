from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils.translation import gettext as _

from commissions.models import Seal, Transfer
from commissions.selectors_periods import ledger_faults


class Command(BaseCommand):
    """Prove that no sealed transfer was altered, removed or slipped in; exit 1 otherwise."""

    help = "Compare the ledger with its seals and name the first altered row of each."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--head", default="", help="a digest kept elsewhere; must be known")

    def handle(self, *args: Any, **options: Any) -> None:
        """Check seal by seal, then print what was covered."""
        faults = list(ledger_faults())
        head = options["head"]
        if head and not Seal.objects.filter(digest=head).exists():
            faults.append(f"no seal has the digest {head}")
        for line in faults:
            self.stdout.write(line)
        newest = Seal.objects.defer("marks").order_by("-pk").first()
        last, digest = (newest.last_id, newest.digest) if newest else (0, "-")
        rows = Transfer.objects.filter(pk__lte=last).count()
        left = Transfer.objects.filter(pk__gt=last).count()
        self.stdout.write(
            f"ledger: {Seal.objects.count()} seals, {rows} transfers sealed, {left} not yet,"
            f" head {digest}, {len(faults)} faults"
        )
        if faults:
            raise CommandError(_("The ledger is not what was sealed."), returncode=1)
