"""Pages for plans, commissions, the ledger and withdrawals; money only moves through services."""

from __future__ import annotations

from commissions.admin import (
    books,
    commissions,
    grades,
    ledger,
    panels,
    plans,
    policies,
    withdrawals,
)

__all__ = ["books", "commissions", "grades", "ledger", "panels", "plans", "policies", "withdrawals"]
