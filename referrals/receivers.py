"""What this package does about its own facts that may come a moment later: telling the member."""

from __future__ import annotations

from distro.facts import hear_later
from referrals.services.promoters import welcome_promoter
from referrals.signals import promoter_approved


def welcome_on_approval(*, promoter_id: int, **ids: object) -> None:
    welcome_promoter(promoter_id=promoter_id)


def connect() -> None:
    hear_later(promoter_approved, welcome_on_approval, "referrals.welcome_promoter")
