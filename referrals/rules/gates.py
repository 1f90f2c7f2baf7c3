"""Who may become a promoter: what each gate asks for, decided on plain values.

Joining is free (禁止传销条例 art. 7(2)): no gate asks for money. The purchase gate stands only on a
recorded legal override; the moment that ends, applications are reviewed instead.
"""

from __future__ import annotations

from dataclasses import dataclass

from distro.money import yuan
from referrals.errors_joining import IdentityNeeded, InviteMissing, PurchaseNeeded

EVERYONE, REVIEW, INVITE = "everyone", "review", "invite"
IDENTITY, PURCHASE = "identity", "purchase"


@dataclass(frozen=True)
class Gate:
    """The gate in force, and the purchase it asks for; 0 for every gate but one."""

    kind: str
    min_purchase_fen: int = 0

    @property
    def opens_at_once(self) -> bool:
        """Say whether nobody has to decide."""
        return self.kind != REVIEW


@dataclass(frozen=True)
class Candidate:
    """What a member brings with him."""

    has_invite: bool = False
    identity_verified: bool = False
    bought_fen: int = 0  # paid for goods, less what was refunded


def gate_in_force(*, kind: str, min_purchase_fen: int, override_runs: bool) -> Gate:
    """Return the gate; a purchase gate whose override ended is one of review."""
    if kind == PURCHASE:
        return Gate(PURCHASE, min_purchase_fen) if override_runs else Gate(REVIEW)
    return Gate(kind)


def refuse_candidate(gate: Gate, candidate: Candidate) -> None:
    """Raise InviteMissing, IdentityNeeded or PurchaseNeeded where a gate does not open."""
    if gate.kind == INVITE and not candidate.has_invite:
        raise InviteMissing(field="invite_code")
    if gate.kind == IDENTITY and not candidate.identity_verified:
        raise IdentityNeeded
    if gate.kind == PURCHASE and candidate.bought_fen < gate.min_purchase_fen:
        raise PurchaseNeeded(yuan=yuan(gate.min_purchase_fen))
