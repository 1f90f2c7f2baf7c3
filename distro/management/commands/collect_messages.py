"""Bring the Chinese catalogue up to date with the code."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand

from distro.catalogue import messages_of, update

CATALOGUE = "locale/zh_Hans/LC_MESSAGES/django.po"


class Command(BaseCommand):
    """Collect the messages of the code and the templates into the catalogue."""

    help = "Collect messages into the Chinese catalogue and list those without a translation."
    requires_system_checks: list[str] = []

    def handle(self, *args: Any, **options: Any) -> None:
        """Write the catalogue and print what is left to translate."""
        found = messages_of(settings.BASE_DIR, settings.MESSAGE_FOLDERS)
        missing = update(settings.BASE_DIR / CATALOGUE, found)
        for text in missing:
            self.stdout.write(f"untranslated: {text}")
        self.stdout.write(f"catalogue: {len(found)} messages, {len(missing)} untranslated")
