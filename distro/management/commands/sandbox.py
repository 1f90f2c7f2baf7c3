"""`manage.py sandbox`: the local imitation of WeChat's servers."""

from __future__ import annotations

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from distro.wechat.sandbox.server import PortTaken, Sandbox


class Command(BaseCommand):
    """Serve the WeChat sandbox on this machine until interrupted."""

    help = "Serve the WeChat sandbox on 127.0.0.1 until interrupted."
    requires_system_checks = ()

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Take the port."""
        parser.add_argument("--port", type=int, default=8001, help="port on 127.0.0.1 (8001)")

    def handle(self, *args: Any, port: int, **options: Any) -> None:
        """Start the server."""
        try:
            sandbox = Sandbox(Path(settings.SANDBOX_DIR), port)
        except PortTaken as error:
            raise CommandError(f"{error} Choose another with --port.") from None
        self.stdout.write(f"WeChat sandbox: {sandbox.url} (stop with Ctrl-C)")
        sandbox.serve_forever()
