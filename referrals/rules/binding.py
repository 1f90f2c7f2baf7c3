"""Who a customer is bound to when he opens a share link, decided on plain values.

H1: nobody is his own customer, whatever account he uses. H2: nobody is brought by an account
younger than his first visit, nor by somebody whom he himself brought, however many steps away.
H3: who has paid an order, or is protected, keeps what he has. H7: a binding begins now and never
reaches back. H9: the code that an employee shows at work binds nobody, so it earns nothing.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from datetime import datetime, timedelta

FIRST_TOUCH, LAST_TOUCH, REGISTER_ONLY = "first_touch", "last_touch", "register_only"


class Touched(enum.StrEnum):
    """What one opening of a share link did."""

    BOUND = "bound"
    REBOUND = "rebound"
    KEPT = "kept"
    PROTECTED = "protected"
    HAS_ORDERED = "has_ordered"
    NOT_PROMOTER = "not_promoter"
    NOT_REGISTERING = "not_registering"
    EMPLOYEE_CODE = "employee_code"


@dataclass(frozen=True)
class Terms:
    """What the policy in force says about bindings; days None means for ever."""

    mode: str
    days: int | None
    protection_days: int

    def expires_at(self, at: datetime) -> datetime | None:
        """Return when a binding made now ends by itself."""
        return at + timedelta(days=self.days) if self.days else None

    def protected_until(self, at: datetime) -> datetime | None:
        """Return until when nobody may take the customer over; never past the end."""
        if not self.protection_days:
            return None
        days = min(self.protection_days, self.days or self.protection_days)
        return at + timedelta(days=days)


@dataclass(frozen=True)
class Current:
    """The customer's open binding."""

    promoter_id: int
    protected_until: datetime | None


def use_of(*, promoter_id: int | None, employee_code: bool) -> Touched | None:
    """Return why a link can bind nobody, whoever opens it; None if it can."""
    if employee_code:
        return Touched.EMPLOYEE_CODE
    return Touched.NOT_PROMOTER if promoter_id is None else None


def decide(
    *,
    mode: str,
    promoter_id: int | None,
    current: Current | None,
    has_ordered: bool,
    registering: bool,
    employee_code: bool,
    at: datetime,
) -> Touched:
    """Decide what a touch does.

    promoter_id: the active promoter who owns the link, if there is one. current: the binding
    that is open and not expired. has_ordered: the customer has paid an order before.
    registering: this touch is the customer's first log-in. employee_code: the link is one that
    an employee shows at work.
    """
    if useless := use_of(promoter_id=promoter_id, employee_code=employee_code):
        return useless
    if has_ordered:
        return Touched.HAS_ORDERED
    if mode == REGISTER_ONLY and not registering:
        return Touched.NOT_REGISTERING if current is None else Touched.KEPT
    if current is None:
        return Touched.BOUND
    if current.promoter_id == promoter_id or mode != LAST_TOUCH:
        return Touched.KEPT
    if current.protected_until and at < current.protected_until:
        return Touched.PROTECTED
    return Touched.REBOUND
