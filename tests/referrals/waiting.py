"""What the settings name in tests about accounts that are not empty."""

from __future__ import annotations

from referrals.rules.accounts import Waiting


def always(member_id: int) -> list[Waiting]:
    return [Waiting("frozen", 100)]
