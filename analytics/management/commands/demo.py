"""`manage.py demo`: a shop with a past, served on this machine."""

from __future__ import annotations

import time
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError
from django.db import connection
from django.db.migrations.executor import MigrationExecutor

from analytics.demo.loading import HalfLoaded, NotEmpty, clear_half_loaded, is_loaded, load
from analytics.demo.scale import FULL, SMALL
from analytics.demo.serving import PortInUse, interruptible, refuse_taken, sandbox, serve
from distro import clock
from distro.checks import real_hosts
from distro.demo_staff import DEMO_STAFF
from distro.wechat.sandbox.control import SandboxControl

PORT = 8000


class Command(BaseCommand):
    """Load the demo shop where there is none, then serve it with the sandbox beside it."""

    help = "Load a demo shop into an empty database and serve it on 127.0.0.1."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Take the switches."""
        parser.add_argument("--noserve", action="store_true", help="load and stop")
        parser.add_argument("--small", action="store_true", help="a tenth of the shop")
        parser.add_argument("--port", type=int, default=PORT, help=f"of the server ({PORT})")
        parser.add_argument("--quiet", action="store_true", help="no progress bar")

    def handle(self, *args: Any, **options: Any) -> None:
        """Refuse what is no place for a demo; load; serve."""
        self._refuse()
        settings.DEMO_CLOCK = settings.DEMO_LOGINS = True
        try:
            with interruptible():
                self._run(options)
        except PortInUse as error:
            raise CommandError(
                f"Port {error.port} of 127.0.0.1 is in use. End what listens there, or choose"
                f" another: --port for the server, WECHAT_SANDBOX_URL for the sandbox."
            ) from None
        except KeyboardInterrupt:
            self.stdout.write("\nstopped")

    def _run(self, options: dict[str, Any]) -> None:
        if not options["noserve"]:
            refuse_taken(options["port"])
        with sandbox(settings.WECHAT_SANDBOX_URL, Path(settings.SANDBOX_DIR)) as control:
            self._load(control, options)
            if not options["noserve"]:
                self._invite(options["port"])
                serve(options["port"])

    def _refuse(self) -> None:
        if settings.PRODUCTION or not settings.WECHAT_SANDBOX or real_hosts():
            raise CommandError(
                "A demo has known log-ins and a clock that anybody moves: it does not run in"
                " production or against WeChat itself. Unset DISTRO_ENV and the WeChat hosts."
            )

    def _load(self, control: SandboxControl, options: dict[str, Any]) -> None:
        """Bring the database to the demo shop, unless it is there."""
        self._migrate()
        try:
            loaded = is_loaded()
        except NotEmpty:
            raise CommandError(
                "The database holds something that is no demo. Name another one in DATABASE_URL,"
                " for instance sqlite:///var/demo.sqlite3."
            ) from None
        except HalfLoaded:
            self._start_over()
            loaded = False
        if loaded:
            return
        started = time.monotonic()
        control.reset()
        scale = SMALL if options["small"] else FULL
        load(scale, control=control, end=clock.now(), quiet=options["quiet"])
        call_command("check_books", stdout=self.stdout)
        self.stdout.write(f"demo shop loaded in {time.monotonic() - started:.0f} s")

    def _migrate(self) -> None:
        executor = MigrationExecutor(connection)
        if executor.migration_plan(executor.loader.graph.leaf_nodes()):
            self.stdout.write("migrating ...")
            call_command("migrate", interactive=False, verbosity=0)

    def _start_over(self) -> None:
        """Remove what an interrupted load left."""
        if not clear_half_loaded():
            raise CommandError(
                "An earlier load of the demo was interrupted. Drop this database, create it"
                " again, and start once more."
            )
        self.stdout.write("an earlier load was interrupted: starting over")
        self._migrate()

    def _invite(self, port: int) -> None:
        """Say where everything is and who may log in."""
        base = f"http://127.0.0.1:{port}"
        lines = [
            "",
            f"admin      {base}/admin/",
            f"API        {base}/api/v1/docs",
            f"the phone  {settings.WECHAT_SANDBOX_URL}/  (the sandbox: pay, confirm, log in)",
            "",
            "log-ins, for this demo only:",
            *(f"  {one.role:<9} {one.username:<9} {one.password}" for one in DEMO_STAFF),
            "",
            "one whole story over HTTP: .venv/bin/python manage.py journey",
            "Ctrl-C ends everything.",
            "",
        ]
        self.stdout.write("\n".join(lines))
        self.stdout.flush()
