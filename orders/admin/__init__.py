"""Pages for the catalogue, orders, payments, refunds and shipments."""

from __future__ import annotations

from orders.admin import catalogue, orders, payments, teams

__all__ = ["catalogue", "orders", "payments", "teams"]
