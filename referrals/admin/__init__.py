"""Pages for members, promoters, their tree, bindings, agreements and identities."""

from __future__ import annotations

from referrals.admin import bindings, members, policies, promoters

__all__ = ["bindings", "members", "policies", "promoters"]
