"""Pages for members, promoters, their tree, bindings, agreements and identities."""

from __future__ import annotations

from referrals.admin import (
    accounts,
    agreements,
    applications,
    bindings,
    compliance,
    employees,
    exposure,
    gates,
    identities,
    members,
    moves,
    policies,
    promoters,
)

__all__ = [
    "accounts",
    "agreements",
    "applications",
    "bindings",
    "compliance",
    "employees",
    "exposure",
    "gates",
    "identities",
    "members",
    "moves",
    "policies",
    "promoters",
]
