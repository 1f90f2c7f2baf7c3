"""Which account of a person stays, and what an account that is being closed waits for."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True)
class Waiting:
    """One thing that keeps an account open; kind is one of Closure.Wait, amount_fen 0 if no sum."""

    kind: str
    amount_fen: int = 0


@dataclass(frozen=True)
class Side:
    """One of two accounts of a person; promoter is None, "open" or "closed"."""

    member_id: int
    joined_at: datetime
    promoter: str | None


def survivor_of(one: Side, other: Side) -> Side:
    """Return the account that stays: an open promoter, else any promoter, else the older one."""
    return min(one, other, key=_rank)


def may_give_way(merged: Side, survivor: Side) -> bool:
    """Say whether the survivor can take over: an open promoter gives way to an open one only."""
    return merged.promoter != "open" or survivor.promoter == "open"


def _rank(side: Side) -> tuple[int, datetime, int]:
    return ("open", "closed", None).index(side.promoter), side.joined_at, side.member_id
