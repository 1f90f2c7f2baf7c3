"""What this package does when accounts of one person are merged."""

from __future__ import annotations

from commissions.services.closing_accounts import return_for_merge
from distro import clock
from distro.facts import hear
from referrals.signals import members_merged


def return_unsent_on_merge(*, member_id: int, **ids: object) -> None:
    return_for_merge(member_id=member_id, at=clock.now())


def connect() -> None:
    hear(members_merged, return_unsent_on_merge, "commissions.return_unsent_on_merge")
