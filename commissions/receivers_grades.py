"""What grades do when they hear a fact: who has earned a higher one gets it right after."""

from __future__ import annotations

from commissions.services.grading import raise_settled
from commissions.signals import commission_settled
from distro import clock
from distro.facts import hear_later


def raise_on_settlement(*, settlement_id: int, **ids: object) -> None:
    raise_settled(settlement_id=settlement_id, at=clock.now())


def connect() -> None:
    """Nobody waits for a grade: it is looked at after the commit."""
    hear_later(commission_settled, raise_on_settlement, "commissions.raise_grades")
