"""The arithmetic of coupons and invitations: vectors, edges, properties."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from campaigns import rules

FEN = st.integers(0, 10_000_000_000)


def reward(position: int, **kw: int) -> int:
    terms = {"first_fen": 500, "decline_bps": 8000, "floor_fen": 200, "positions_max": 6} | kw
    return rules.declining_reward(position, **terms)


# --- Spreading a coupon ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "goods", "parts"),
    [
        (1000, [3333, 3333, 3334], [333, 333, 334]),
        (1000, [3000, 3000, 3000], [334, 333, 333]),
        (1, [1, 1, 1], [1, 0, 0]),
        (2000, [9900, 4900, 200], [1320, 653, 27]),
        (0, [100], [0]),
        (500, [300, 100], [300, 100]),
        (500, [0, 700], [0, 500]),
        (500, [], []),
    ],
)
def test_a_coupon_is_spread_by_largest_remainder(
    value: int, goods: list[int], parts: list[int]
) -> None:
    assert rules.spread(value, goods, [True] * len(goods)) == parts


def test_lines_out_of_scope_get_nothing() -> None:
    assert rules.spread(500, [1000, 9000, 1000], [True, False, True]) == [250, 0, 250]


def test_a_coupon_for_no_line_takes_nothing() -> None:
    assert rules.spread(500, [1000, 9000], [False, False]) == [0, 0]


@given(FEN, st.lists(st.tuples(FEN, st.booleans()), max_size=100))
def test_spreading_is_exact_and_never_above_a_line(
    value: int, lines: list[tuple[int, bool]]
) -> None:
    goods, eligible = [fen for fen, _ in lines], [ok for _, ok in lines]
    parts = rules.spread(value, goods, eligible)
    assert sum(parts) == min(value, sum(fen for fen, ok in lines if ok))
    assert all(0 <= part <= fen for part, fen in zip(parts, goods))
    assert not any(part for part, ok in zip(parts, eligible) if not ok)


# --- Declining rewards ----------------------------------------------------------------------


def test_the_declining_rule_follows_its_vector() -> None:
    assert [reward(n) for n in range(1, 9)] == [500, 400, 320, 256, 205, 200, 0, 0]


def test_rounding_happens_once_and_half_goes_up() -> None:
    assert reward(2, first_fen=5, decline_bps=5000, floor_fen=0) == 3  # 2.5
    # Step by step 5 -> 3 -> 2 -> 1; exactly 5/8 = 0.625 -> 1, 5/16 -> 0.
    assert [reward(n, first_fen=5, decline_bps=5000, floor_fen=0) for n in (4, 5)] == [1, 0]
    assert reward(3, first_fen=149, decline_bps=9000, floor_fen=0) == 121  # 120.69, not 134 × 0.9


def test_without_decline_every_reward_is_the_same() -> None:
    assert {reward(n, decline_bps=10_000) for n in range(1, 7)} == {500}


@pytest.mark.parametrize("decline", [0, 10_001, -1])
def test_a_decline_out_of_range_is_our_bug(decline: int) -> None:
    with pytest.raises(AssertionError):
        reward(1, decline_bps=decline)


@given(FEN, st.integers(1, 10_000), FEN, st.integers(1, 100))
def test_rewards_never_rise_and_never_fall_below_the_floor(
    first: int, decline: int, floor: int, most: int
) -> None:
    terms = {"first_fen": first, "decline_bps": decline, "floor_fen": floor}
    values = [reward(n, **terms, positions_max=most) for n in range(1, most + 1)]
    assert values == sorted(values, reverse=True)
    assert values[0] == max(first, floor)
    assert min(values) >= floor
    assert reward(most + 1, **terms, positions_max=most) == 0


@pytest.mark.parametrize(
    ("value", "kept", "capped"),
    [(500, 10_000, 500), (500, 1000, 300), (500, 3, 0), (500, 4, 1), (500, 0, 0), (300, 1000, 300)],
)
def test_a_reward_is_at_most_30_percent_of_its_sale(value: int, kept: int, capped: int) -> None:
    assert rules.capped_reward(value, kept_fen=kept) == capped


# --- Ladders --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("counted", "reached"), [(0, set()), (1, {1}), (2, {1}), (3, {1, 3}), (9, {1, 3})]
)
def test_tiers_are_reached_by_number(counted: int, reached: set[int]) -> None:
    assert rules.tiers_reached(counted, [1, 3, 10], positions_max=9) == reached


@pytest.mark.parametrize(
    ("tiers", "rising"),
    [([], True), ([1], True), ([1, 3], True), ([0, 3], False), ([3, 3], False), ([3, 1], False)],
)
def test_tiers_rise_strictly_from_one(tiers: list[int], rising: bool) -> None:
    assert rules.is_rising(tiers) is rising


@pytest.mark.parametrize(
    ("buyers", "price", "rewards", "eats"),
    [
        (1, 1000, 699, False),
        (1, 1000, 700, True),  # with 30 % commission nothing is left
        (3, 1000, 2099, False),
        (3, 1000, 2100, True),
    ],
)
def test_rewards_and_the_highest_commission_leave_something(
    buyers: int, price: int, rewards: int, eats: bool
) -> None:
    assert rules.eats_sale(buyers=buyers, price_fen=price, rewards_fen=rewards) is eats


# --- Titles, times --------------------------------------------------------------------------


@pytest.mark.parametrize("title", ["邀请有礼", "Bring a friend (2026)", "满100减5", "A+B"])
def test_ordinary_titles_are_plain(title: str) -> None:
    assert rules.is_plain(title)


@pytest.mark.parametrize(
    "title", ["", "  ", "=1+1", " +86", "-x", "@SUM", "礼物🎁", "a\x00b", "a\u200bb", "x\ny"]
)
def test_formulas_emoji_and_hidden_characters_are_not(title: str) -> None:
    assert not rules.is_plain(title)


def test_the_end_itself_is_too_late(at: datetime) -> None:
    end = at + timedelta(days=1)
    moments = [at - timedelta(microseconds=1), at, end - timedelta(microseconds=1), end]
    within = [rules.is_within(moment, start=at, end=end) for moment in moments]
    assert within == [False, True, True, False]
