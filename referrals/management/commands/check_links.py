"""Check that what share links lead to still opens."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError

from distro import clock
from referrals.selectors_links import broken_links, links_by_target
from referrals.services.checking_links import check_links

SHOWN_MAX = 200


class Command(BaseCommand):
    """Check every active share link now; exit 1 if one is broken."""

    help = "Open the target of every active share link, list the broken ones."

    def handle(self, *args: Any, **options: Any) -> None:
        """Print a line for each target, then one for each broken link."""
        now = clock.now()
        broken = check_links(at=now)
        for row in links_by_target(now):
            state = "not checkable" if row.broken is None else f"{row.broken} broken"
            self.stdout.write(f"{row.target}: {row.links} links, {state}")
        for link in broken_links(now)[:SHOWN_MAX]:
            since = f"{link.broken_since:%Y-%m-%d}"
            self.stdout.write(
                f"{link.code} {link.target} {link.target_ref or '-'}: {link.broken_reason}, {since}"
            )
        if broken:
            raise CommandError(f"{broken} broken links")
