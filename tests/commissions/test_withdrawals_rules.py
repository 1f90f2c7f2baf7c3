"""Splitting a sum, planning its days, who is adult, what is just below a limit."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from commissions.rules_withdrawals import (
    Limits,
    TaxSoFar,
    days_for,
    is_adult,
    is_just_below,
    nearest_sums,
    pieces_of,
)

WECHAT = Limits(single_min_fen=10, single_max_fen=20_000, day_max_fen=200_000)
NOTHING = TaxSoFar()
TODAY = date(2026, 11, 2)

limits = st.builds(
    lambda low, high, day: Limits(low, low + high, low + high + day),
    st.integers(1, 500), st.integers(0, 50_000), st.integers(0, 500_000),
)  # fmt: skip
months = st.integers(0, 8_000_000).map(lambda fen: TaxSoFar().plus(fen))


def test_a_small_sum_is_one_transfer() -> None:
    assert [p.amount_fen for p in pieces_of(20_000, limits=WECHAT, month=NOTHING)] == [20_000]


def test_one_fen_above_the_limit_makes_two_nearly_equal_transfers() -> None:
    pieces = pieces_of(20_001, limits=WECHAT, month=NOTHING)
    assert [piece.amount_fen for piece in pieces] == [10_001, 10_000]


def test_the_tax_of_the_pieces_grows_as_the_month_fills() -> None:
    pieces = pieces_of(100_000, limits=WECHAT, month=NOTHING)
    assert [piece.tax_fen for piece in pieces] == [0, 0, 0, 0, 4_000]
    assert [piece.net_fen for piece in pieces] == [20_000, 20_000, 20_000, 20_000, 16_000]


def test_what_was_paid_before_counts() -> None:
    pieces = pieces_of(10_000, limits=WECHAT, month=TaxSoFar(80_000, 0))
    assert [piece.tax_fen for piece in pieces] == [2_000]


def test_a_net_below_the_smallest_transfer_cannot_be_paid() -> None:
    assert pieces_of(11, limits=WECHAT, month=TaxSoFar(100_000, 4_000)) == []  # net 9
    assert pieces_of(9, limits=WECHAT, month=NOTHING) == []


def test_the_nearest_sums_that_work_are_named() -> None:
    assert nearest_sums(5, limits=WECHAT, month=NOTHING) == [10]
    narrow = Limits(single_min_fen=150, single_max_fen=200, day_max_fen=1_000)
    assert pieces_of(210, limits=narrow, month=NOTHING) == []
    assert nearest_sums(210, limits=narrow, month=NOTHING) == [200, 300]


def test_five_hundred_transfers_are_the_most() -> None:
    assert len(pieces_of(500 * 20_000, limits=WECHAT, month=NOTHING)) == 500
    assert pieces_of(500 * 20_000 + 1, limits=WECHAT, month=NOTHING) == []
    assert nearest_sums(500 * 20_000 + 1, limits=WECHAT, month=NOTHING) == [500 * 20_000]


@settings(deadline=None)
@given(st.integers(1, 3_000_000), limits, months)
def test_pieces_sum_to_the_request_and_fit_the_channel(
    amount: int, limits: Limits, month: TaxSoFar
) -> None:
    pieces = pieces_of(amount, limits=limits, month=month)
    if not pieces:
        return
    gross = [piece.amount_fen for piece in pieces]
    assert sum(gross) == amount
    assert max(gross) - min(gross) <= 1
    assert max(gross) <= limits.single_max_fen
    assert all(piece.net_fen >= limits.single_min_fen for piece in pieces)
    assert len(pieces) == -(-amount // limits.single_max_fen)
    assert sum(piece.tax_fen for piece in pieces) == month.tax_on(amount)


@settings(deadline=None)
@given(st.integers(1, 300_000), limits, months)
def test_every_named_sum_works(amount: int, limits: Limits, month: TaxSoFar) -> None:
    for fen in nearest_sums(amount, limits=limits, month=month):
        assert pieces_of(fen, limits=limits, month=month)


@settings(deadline=None)
@given(st.integers(1, 30_000), limits)
def test_no_sum_nearer_than_the_named_ones_works(amount: int, limits: Limits) -> None:
    if pieces_of(amount, limits=limits, month=NOTHING):
        return
    for fen in nearest_sums(amount, limits=limits, month=NOTHING):
        step = 1 if fen < amount else -1
        for nearer in range(fen + step, amount, step)[:20]:
            assert not pieces_of(nearer, limits=limits, month=NOTHING)


# --- Days -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("amounts", "used", "days"),
    [
        ([20_000], {}, [0]),
        ([20_000] * 10, {}, [0] * 10),
        ([20_000] * 11, {}, [0] * 10 + [1]),
        ([20_000] * 21, {}, [0] * 10 + [1] * 10 + [2]),
        ([20_000, 20_000], {0: 180_000}, [0, 1]),
        ([20_000], {0: 200_000, 1: 190_000}, [2]),
        ([20_000], {0: 180_001}, [1]),
    ],
)
def test_what_passes_the_day_limit_goes_out_later(
    amounts: list[int], used: dict[int, int], days: list[int]
) -> None:
    found = days_for(
        amounts,
        first_day=TODAY,
        used_fen={TODAY + timedelta(days=n): fen for n, fen in used.items()},
        day_max_fen=200_000,
    )
    assert [(day - TODAY).days for day in found] == days


@settings(deadline=None)
@given(st.lists(st.integers(1, 1_000), max_size=40), st.integers(1_000, 3_000))
def test_no_day_passes_its_sum_and_the_order_stays(amounts: list[int], day_max: int) -> None:
    days = days_for(amounts, first_day=TODAY, used_fen={TODAY: 900}, day_max_fen=day_max)
    assert days == sorted(days)
    for day in set(days):
        used = sum(fen for fen, d in zip(amounts, days) if d == day)
        assert used + (900 if day == TODAY else 0) <= day_max


# --- Persons, patterns ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("born", "today", "adult"),
    [
        (date(2008, 11, 2), TODAY, True),
        (date(2008, 11, 3), TODAY, False),
        (date(2008, 2, 29), date(2026, 2, 28), False),
        (date(2008, 2, 29), date(2026, 3, 1), True),
        (date(1950, 1, 1), TODAY, True),
    ],
)
def test_a_person_is_adult_from_the_eighteenth_birthday_on(
    born: date, today: date, adult: bool
) -> None:
    assert is_adult(born, today) is adult


@pytest.mark.parametrize(
    ("amount", "found"),
    [(189_999, False), (190_000, True), (199_999, True), (200_000, False), (480_000, True)],
)
def test_within_five_per_cent_under_a_limit_is_just_below(amount: int, found: bool) -> None:
    assert is_just_below(amount, [200_000, 500_000]) is found
