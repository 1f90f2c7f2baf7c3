"""Compile the message catalogues."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand

from distro.catalogue import compile_all


class Command(BaseCommand):
    """Turn the .po files into the .mo files that Django reads, without msgfmt."""

    help = "Compile the message catalogues (.po to .mo); needs no gettext programs."
    requires_system_checks: list[str] = []

    def handle(self, *args: Any, **options: Any) -> None:
        """Compile what is below LOCALE_PATHS."""
        number = compile_all([Path(path) for path in settings.LOCALE_PATHS])
        self.stdout.write(f"catalogues: {number} compiled")
