"""Prove the promoter tree."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db.models import Count, Max, Q

from referrals.models import Promoter
from referrals.proofs import tree_faults


class Command(BaseCommand):
    """Compare labels, depth, root and upline columns with the parents; exit 1 on a fault."""

    help = "Prove that labels, depth, root and upline columns of the promoter tree are right."

    def handle(self, *args: Any, **options: Any) -> None:
        """Print one line per fault and the totals."""
        faults = 0
        for fault in tree_faults():
            faults += 1
            self.stdout.write(fault)
        counts = Promoter.objects.order_by().aggregate(
            promoters=Count("pk"),
            roots=Count("pk", filter=Q(parent=None)),
            pending=Count("pk", filter=Q(pending=True)),
            deepest=Max("level"),
        )
        self.stdout.write(
            "tree: {promoters} promoters, {roots} roots, {pending} pending, {levels} levels, "
            "{faults} faults".format(
                **counts,
                levels=0 if counts["deepest"] is None else counts["deepest"] + 1,
                faults=faults,
            )
        )
        if faults:
            raise CommandError(f"{faults} faults")
