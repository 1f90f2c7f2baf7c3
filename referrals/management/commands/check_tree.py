"""Prove the promoter tree."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError

from referrals.models import Promoter
from referrals.proofs import tree_faults


class Command(BaseCommand):
    """Compare labels, depth, root and upline columns with the parents; exit 1 on a fault."""

    help = "Prove that labels, depth, root and upline columns of the promoter tree are right."

    def handle(self, *args: Any, **options: Any) -> None:
        """Print one line per fault and the totals."""
        faults = list(tree_faults())
        for fault in faults:
            self.stdout.write(fault)
        promoters = Promoter.objects.count()
        trees = Promoter.objects.filter(parent=None).count()
        pending = Promoter.objects.filter(pending=True).count()
        self.stdout.write(
            f"tree: {promoters} promoters, {trees} roots, {pending} pending, {len(faults)} faults"
        )
        if faults:
            raise CommandError(f"{len(faults)} faults")
