"""`manage.py journey`: one story against a running demo, over HTTP."""

from __future__ import annotations

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from distro.journey.client import Api, Failed
from distro.journey.story import Story, tell
from distro.wechat.sandbox.control import ControlRefused, SandboxControl


class Command(BaseCommand):
    """Play a promoter, a friend and the staff; check every balance; exit 1 when one differs."""

    help = "Play one story, from a shared code to a paid-out commission, against a running demo."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Take the addresses and the language."""
        parser.add_argument("--base", default="http://127.0.0.1:8000", help="the server")
        parser.add_argument("--sandbox", default=settings.WECHAT_SANDBOX_URL, help="the sandbox")
        parser.add_argument("--lang", choices=["zh", "en"], default="zh", help="of the answers")

    def handle(self, *args: Any, base: str, sandbox: str, lang: str, **options: Any) -> None:
        """Tell the story."""
        language = "en" if lang == "en" else "zh-hans"
        self.steps = 0

        def say(chinese: str, english: str) -> None:
            self.steps += 1
            self._print(f"\n{self.steps}. {english if lang == 'en' else chinese}")

        api = Api(base.rstrip("/"), language, self._print)
        control = SandboxControl.of_folder(sandbox.rstrip("/"), Path(settings.SANDBOX_DIR))
        try:
            tell(Story(api, control, say))
        except Failed as error:
            raise CommandError(f"journey: {error}") from None
        except ControlRefused as error:
            raise CommandError(f"journey: the sandbox refused: {error}") from None
        except OSError as error:
            raise CommandError(f"journey: no sandbox answers at {sandbox} ({error})") from None
        self._print(f"journey: {self.steps} steps, all balances right")

    def _print(self, line: str) -> None:
        self.stdout.write(line)
        self.stdout.flush()
