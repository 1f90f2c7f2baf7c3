"""Run the due jobs: once, for cron, or for ever, where no Celery is."""

from __future__ import annotations

import signal
import threading
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from distro import clock, jobs


class Command(BaseCommand):
    """Run each due job once and name those that ran."""

    help = "Run the due jobs of the schedule."

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare --forever and --every."""
        parser.add_argument("--forever", action="store_true", help="until SIGTERM or SIGINT")
        parser.add_argument("--every", type=float, default=1.0, help="seconds between two looks")

    def handle(self, *args: Any, forever: bool, every: float, **options: Any) -> None:
        """Look once, or again and again; a signal lets the running job finish."""
        if not forever:
            for name in jobs.run_due(clock.now()):
                self.stdout.write(name)
            return
        stop = threading.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: stop.set())
        jobs.run_until(stop, every_s=every, tell=self._name)

    def _name(self, job: str) -> None:
        self.stdout.write(job)
        self.stdout.flush()
