"""Compute the labels of the promoter tree anew."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from referrals.bulk import rebuild_labels


class Command(BaseCommand):
    """Relabel the tree from the parents; joins wait while the labels are written."""

    help = "Compute all labels of the promoter tree anew from the parents."

    def add_arguments(self, parser: CommandParser) -> None:
        """Take the trees to relabel."""
        parser.add_argument(
            "--tree", type=int, action="append", metavar="ID", help="only this tree; repeatable"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        """Print how many rows were written."""
        written = rebuild_labels(trees=options["tree"])
        self.stdout.write(f"tree: {written} promoters relabelled")
