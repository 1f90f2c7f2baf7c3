"""Judge the promoter trees and say which are amber or red."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from distro import clock
from referrals.models import ComplianceState
from referrals.selectors_compliance import FLAGGED, flagged_trees, newest_day, newest_rewards
from referrals.services.compliance import check_trees

Status = ComplianceState.Status


class Command(BaseCommand):
    """Judge every tree now; exit 1 while a red one waits for somebody to acknowledge it.

    Amber trees and acknowledged red ones are printed and leave the exit code at 0.
    """

    help = "Judge the promoter trees; exit 1 while a red one is not acknowledged."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Take how many trees to print."""
        parser.add_argument("--most", type=int, default=100, help="trees printed of each flag")

    def handle(self, *args: Any, **options: Any) -> None:
        """Print one line per flagged tree, the red ones first, and the totals."""
        check_trees(at=clock.now())
        for flag in reversed(FLAGGED):
            rows = flagged_trees().filter(status=flag).order_by("-organiser_people", "pk")
            for state in rows[: options["most"]]:
                self.stdout.write(line_of(state))
        day = newest_day()
        assert day is not None
        self.stdout.write(
            f"compliance: {day.trees} trees, {day.promoters} promoters,"
            f" {day.amber} amber, {day.red} red"
        )
        self._print_rewards()
        red = flagged_trees().filter(status=Status.RED, acknowledged_at=None).count()
        if red:
            raise CommandError(f"{red} red trees are not acknowledged", returncode=1)

    def _print_rewards(self) -> None:
        rewards = newest_rewards()
        if rewards is None:
            self.stdout.write("rewards: not looked at yet")
            return
        ghosts = (
            "no purchase opens a reward"
            if rewards.sellers is None
            else f"{rewards.ghosts} of {rewards.sellers} promoters sold only the minimum"
        )
        self.stdout.write(
            f"rewards: {rewards.rewards_fen} fen, without a paid order"
            f" {rewards.cash_fen} in cash, {rewards.coupons_fen} in coupons; {ghosts}"
        )


def line_of(state: ComplianceState) -> str:
    """Describe a flagged tree; the organiser by his number, for lines go into logs."""
    seen = f"acknowledged by {state.acknowledged_by}" if state.acknowledged_by else "open"
    several = f", {state.organiser_trees} trees" if state.organiser_trees > 1 else ""
    return (
        f"{state.status} tree {state.root_id}: {state.organiser_people} people,"
        f" {state.organiser_depth} levels{several}, since {state.since:%Y-%m-%d}, {seen}"
    )
