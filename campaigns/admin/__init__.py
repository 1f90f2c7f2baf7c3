"""Pages for invite campaigns, coupons and what they brought."""

from __future__ import annotations

from campaigns.admin import campaigns, coupons, participations

__all__ = ["campaigns", "coupons", "participations"]
