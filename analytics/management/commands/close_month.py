from __future__ import annotations

from argparse import ArgumentParser, ArgumentTypeError
from datetime import date, datetime, timedelta
from typing import Any

from django.contrib.auth import get_user_model
from django.core.management.base import BaseCommand, CommandError

from analytics.books import faults
from commissions.services.periods import close_month
from distro import clock
from distro.actors import Actor
from distro.errors import DomainError
from distro.money import yuan


class Command(BaseCommand):
    """Close months of the books for ever, after the books have been proved."""

    help = "Close a month, YYYY-MM; refuses while check_books finds a fault."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("month", type=month, help="YYYY-MM")
        parser.add_argument("--through", type=month, help="YYYY-MM; close all months up to it")
        parser.add_argument("--by", required=True, help="staff user who closes it")

    def handle(self, *args: Any, **options: Any) -> None:
        """Prove the books, then close."""
        user = get_user_model().objects.filter(username=options["by"], is_staff=True).first()
        if user is None:
            raise CommandError(f"no staff user {options['by']!r}")
        if not user.has_perm("commissions.add_period"):
            raise CommandError(f"{options['by']!r} may not close months")
        if options["through"] and options["through"] < options["month"]:
            raise CommandError("--through lies before the month")
        now = clock.now()
        for fault in faults(at=now):
            raise CommandError(f"the books have faults, see check_books: {fault}")
        next_month, last = options["month"], options["through"] or options["month"]
        while next_month <= last:
            next_month = self._close(next_month, user.actor, now)

    def _close(self, first_day: date, by: Actor, at: datetime) -> date:
        """Close a month; return the first day of the next one."""
        try:
            period = close_month(month=first_day, by=by, at=at)
        except DomainError as error:
            raise CommandError(str(error)) from None
        self.stdout.write(
            f"closed {period}: {period.transfers} transfers, {yuan(period.amount_fen)} yuan"
        )
        return period.last_day + timedelta(days=1)


def month(text: str) -> date:
    """Read YYYY-MM."""
    try:
        return date.fromisoformat(f"{text}-01")
    except ValueError:
        raise ArgumentTypeError(f"not a month, YYYY-MM: {text!r}") from None
