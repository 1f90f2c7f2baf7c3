"""What the journey expects of every balance, computed by itself."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from distro.journey.client import Api, Failed, Person

LEVEL_1_BPS, LEVEL_2_BPS = 1_000, 500  # of the demo plan's default
BPS = 10_000


@dataclass(frozen=True)
class Stand:
    """What should stand on a promoter's accounts, in fen."""

    frozen_fen: int = 0
    available_fen: int = 0
    withdrawing_fen: int = 0
    owed_fen: int = 0

    def but(self, **changes: int) -> Stand:
        """Return it with some numbers changed by so much."""
        return replace(self, **{name: getattr(self, name) + fen for name, fen in changes.items()})


def commission(base_fen: int, bps: int) -> int:
    """Return what a share of a base is; floored."""
    return base_fen * bps // BPS


def yuan(fen: int) -> str:
    """Return fen as yuan."""
    return f"{fen // 100}.{fen % 100:02d}"


def written(stand: dict[str, Any]) -> str:
    """Return a balance as one line."""
    return ", ".join(f"{name.removesuffix('_fen')} {yuan(fen)}" for name, fen in stand.items())


def check_balance(api: Api, who: Person, expected: Stand, *, seconds: float = 0) -> None:
    """Compare a promoter's balance with what it should be, as soon as it is; raise Failed."""
    wanted = vars(expected)
    try:
        api.until("promoter/balance", who, lambda found: found == wanted, seconds)
    except Failed:
        found = api.get("promoter/balance", who, quiet=True)
        raise Failed(
            f"balance of {who.name}: {written(found)}; expected {written(wanted)}"
        ) from None
    api.tell(f"  = {who.name}: {written(wanted)}")
