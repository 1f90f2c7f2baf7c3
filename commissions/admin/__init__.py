"""Pages for plans, commissions, the ledger and withdrawals; money only moves through services."""

from __future__ import annotations

from commissions.admin import commissions, ledger, panels, plans, policies, withdrawals

__all__ = ["commissions", "ledger", "panels", "plans", "policies", "withdrawals"]
