"""Arithmetic of coupons and of the invite campaign, in whole fen and basis points."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Sequence
from datetime import datetime

from distro.money import BPS, split

REWARD_BPS_MAX = 3_000  # a reward of one sale, of what was paid for its goods
COMMISSION_BPS_MAX = 3_000  # what commissions can take of a sale at most
INVITEES_MAX = 100  # rewarded invitations a member: no endless ladder
FORMULA_STARTS = ("=", "+", "-", "@")
PICTURES = {"So", "Cc", "Cf", "Cs", "Co", "Cn"}  # Unicode: emoji, control, unassigned


def spread(value_fen: int, goods_fen: Sequence[int], eligible: Sequence[bool]) -> list[int]:
    """Spread a coupon over the eligible lines by their totals, never above a line.

    Returns the discount of each line in fen; they sum to the coupon, or to all eligible goods if
    these are worth less. Source: docs/rules.md, "Coupons".
    """
    assert value_fen >= 0
    weights = [fen if ok else 0 for fen, ok in zip(goods_fen, eligible)]
    if not sum(weights):
        return [0] * len(weights)
    return split(min(value_fen, sum(weights)), weights)


def declining_reward(
    position: int, *, first_fen: int, decline_bps: int, floor_fen: int, positions_max: int
) -> int:
    """Return the reward of the n-th invited buyer: max(floor, round half up(first × d^(n-1))).

    Exact: one rounding at the end, none on the way. 0 beyond `positions_max`.
    Source: docs/rules.md, "Invite campaign".
    """
    assert position >= 1
    assert 0 < decline_bps <= BPS
    if position > positions_max:
        return 0
    whole = BPS ** (position - 1)
    declined = (2 * first_fen * decline_bps ** (position - 1) + whole) // (2 * whole)
    return max(floor_fen, declined)


def capped_reward(reward_fen: int, *, kept_fen: int) -> int:
    """Limit a reward to 30 % of what the buyer paid for goods and did not get back."""
    return min(reward_fen, kept_fen * REWARD_BPS_MAX // BPS)


def tiers_reached(counted: int, tiers: Iterable[int], *, positions_max: int) -> set[int]:
    """Return the tiers that so many invited buyers reach."""
    return {tier for tier in tiers if tier <= min(counted, positions_max)}


def is_rising(tiers: Sequence[int]) -> bool:
    """Say whether tiers rise strictly, from at least 1."""
    return all(low < high for low, high in zip([0, *tiers], tiers))


def eats_sale(*, buyers: int, price_fen: int, rewards_fen: int) -> bool:
    """Say whether rewards and the highest commission can reach what so many buyers paid.

    price_fen: of the cheapest goods. rewards_fen: all rewards up to that number of buyers.
    """
    paid_fen = buyers * price_fen
    return rewards_fen + paid_fen * COMMISSION_BPS_MAX // BPS >= paid_fen


def is_plain(title: str) -> bool:
    """Say whether a title holds neither emoji nor control characters and is no formula."""
    text = title.strip()
    plain = all(unicodedata.category(char) not in PICTURES for char in text)
    return plain and bool(text) and not text.startswith(FORMULA_STARTS)


def is_within(at: datetime, *, start: datetime, end: datetime) -> bool:
    """Say whether a moment is in [start, end): the end itself is too late."""
    return start <= at < end
