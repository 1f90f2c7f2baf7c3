"""Each gate asks for exactly one thing, and none of them for money without an override."""

from __future__ import annotations

import pytest

from distro.errors import DomainError
from referrals.errors_joining import IdentityNeeded, InviteMissing, PurchaseNeeded
from referrals.rules.gates import Candidate, Gate, gate_in_force, refuse_candidate

NOTHING = Candidate()


@pytest.mark.parametrize(
    ("gate", "candidate", "error"),
    [
        (Gate("invite"), NOTHING, InviteMissing),
        (Gate("invite"), Candidate(identity_verified=True, bought_fen=10**9), InviteMissing),
        (Gate("identity"), NOTHING, IdentityNeeded),
        (Gate("identity"), Candidate(has_invite=True, bought_fen=10**9), IdentityNeeded),
        (Gate("purchase", 9_900), NOTHING, PurchaseNeeded),
        (Gate("purchase", 9_900), Candidate(bought_fen=9_899), PurchaseNeeded),
        (Gate("purchase", 9_900), Candidate(has_invite=True), PurchaseNeeded),
    ],
)
def test_a_gate_refuses_who_lacks_what_it_asks(
    gate: Gate, candidate: Candidate, error: type[DomainError]
) -> None:
    with pytest.raises(error):
        refuse_candidate(gate, candidate)


@pytest.mark.parametrize(
    ("gate", "candidate"),
    [
        (Gate("everyone"), NOTHING),
        (Gate("review"), NOTHING),
        (Gate("invite"), Candidate(has_invite=True)),
        (Gate("identity"), Candidate(identity_verified=True)),
        (Gate("purchase", 9_900), Candidate(bought_fen=9_900)),
    ],
)
def test_a_gate_lets_through_who_has_it(gate: Gate, candidate: Candidate) -> None:
    refuse_candidate(gate, candidate)


def test_the_refusal_of_the_purchase_gate_names_the_sum() -> None:
    with pytest.raises(PurchaseNeeded, match=r"99\.00"):
        refuse_candidate(Gate("purchase", 9_900), NOTHING)


@pytest.mark.parametrize(
    ("kind", "runs", "gate", "at_once"),
    [
        ("everyone", False, Gate("everyone"), True),
        ("review", False, Gate("review"), False),
        ("invite", False, Gate("invite"), True),
        ("identity", False, Gate("identity"), True),
        ("purchase", True, Gate("purchase", 500), True),
        ("purchase", False, Gate("review"), False),
    ],
)
def test_a_purchase_gate_without_its_override_is_one_of_review(
    kind: str, runs: bool, gate: Gate, at_once: bool
) -> None:
    found = gate_in_force(kind=kind, min_purchase_fen=500, override_runs=runs)
    assert (found, found.opens_at_once) == (gate, at_once)
