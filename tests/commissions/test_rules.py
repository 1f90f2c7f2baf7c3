"""The arithmetic of commission, from the text of the rules."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from commissions.rules import Beneficiary, Line, Rate, Terms, compute, goods_base, kept, pick_rate
from commissions.rules import remaining_base as left

CHAIN = [Beneficiary(level, promoter_id=100 + level, grade_id=None) for level in (1, 2, 3)]


def line(base_fen: int, key: int = 1, quantity: int = 1) -> Line:
    return Line(key, base_fen, quantity, sku_id=key, product_id=10 + key, category_id=20)


def terms(*bps: int, cap_bps: int = 3000) -> Terms:
    rates = (Rate(n, "default", None, None, n, rate_bps=share) for n, share in enumerate(bps, 1))
    return Terms(cap_bps, 3, tuple(rates))


def amounts(lines: list[Line], of: Terms, chain: list[Beneficiary] = CHAIN) -> list[int]:
    return [row.amount_fen for row in compute(lines, chain, of)]


@pytest.mark.parametrize(
    ("base_fen", "expected"),
    [
        (19_999, [2999, 1599, 599]),
        (9_999, [1499, 799, 299]),
        (100, [15, 8, 3]),
        (33_333, [4999, 2666, 999]),
        (1, []),
        (0, []),
    ],
)
def test_each_level_is_floored(base_fen: int, expected: list[int]) -> None:
    assert amounts([line(base_fen)], terms(1500, 800, 300)) == expected


def test_rates_above_the_cap_are_scaled_to_exactly_the_cap() -> None:
    # 2000 of 10000 over weights 1500, 800, 300: 1153.8, 615.4, 230.8
    assert amounts([line(10_000)], terms(1500, 800, 300, cap_bps=2000)) == [1154, 615, 231]


def test_ties_of_the_cap_go_to_the_earlier_line_and_level() -> None:
    rows = compute([line(10, 2), line(10, 1)], CHAIN[:2], terms(1500, 1500, cap_bps=1500))
    assert [(row.line.key, row.level, row.amount_fen) for row in rows] == [
        (1, 1, 1),
        (1, 2, 1),
        (2, 1, 1),
    ]


def test_a_level_never_earns_more_than_the_one_before_it() -> None:
    assert amounts([line(10_000)], terms(500, 1000)) == [500, 500]


def test_a_level_earns_nothing_where_the_one_before_it_has_no_rate() -> None:
    rates = (Rate(1, "default", None, None, 2, fixed_fen=200),)
    assert amounts([line(10_000)], Terms(3000, 2, rates)) == []


def test_the_share_of_a_suspended_level_goes_to_nobody() -> None:
    chain = [Beneficiary(1, 101, None, entitled=False), *CHAIN[1:]]
    assert amounts([line(10_000)], terms(1000, 500, 300), chain) == [500, 300]


def test_a_level_deeper_than_the_plan_pays_nothing() -> None:
    shallow = Terms(3000, 1, terms(1000, 500).rates)
    assert amounts([line(10_000)], shallow) == [1000]


def test_a_fixed_amount_is_paid_a_unit_but_never_above_the_cap_of_its_line() -> None:
    rates = (Rate(1, "default", None, None, 1, fixed_fen=200),)
    rows = compute([line(10_000, quantity=3)], CHAIN[:1], Terms(3000, 1, rates))
    assert [(row.uncapped_fen, row.amount_fen, row.capped) for row in rows] == [(600, 600, False)]
    rows = compute([line(1_000, quantity=3)], CHAIN[:1], Terms(3000, 1, rates))
    assert [(row.uncapped_fen, row.amount_fen, row.capped) for row in rows] == [(600, 300, True)]


def test_a_line_that_was_a_gift_earns_nothing_even_at_a_fixed_amount() -> None:
    rates = (Rate(1, "default", None, None, 1, fixed_fen=200),)
    assert amounts([line(0), line(10_000, 2)], Terms(3000, 1, rates)) == [200]


@pytest.mark.parametrize(
    ("grade", "expected"),
    [(None, 4), (7, 3), (8, 4)],
)
def test_the_narrower_scope_wins_then_the_exact_grade(grade: int | None, expected: int) -> None:
    rates = [
        Rate(1, "default", None, 7, 1, rate_bps=1),
        Rate(2, "category", 20, 7, 1, rate_bps=2),
        Rate(3, "product", 11, 7, 1, rate_bps=3),
        Rate(4, "product", 11, None, 1, rate_bps=4),
        Rate(5, "sku", 99, None, 1, rate_bps=5),
    ]
    picked = pick_rate(rates, line(100), grade, 1)
    assert picked is not None
    assert picked.key == expected


@pytest.mark.parametrize(
    ("refunds", "expected"),
    [
        ([5_000], [750]),
        ([3_333, 3_333, 3_333], [500, 500, 499]),
        ([19_999], [2_999]),
        ([1], [0]),
        ([7], [1]),
        ([19_998, 1], [2_999, 0]),
    ],
)
def test_a_clawback_is_computed_from_what_remains(refunds: list[int], expected: list[int]) -> None:
    back, refunded = [], 0
    for refund in refunds:
        refunded += refund
        rest = left(19_999, 19_999, refunded, margin=False)
        keeps = kept(amount_fen=2_999, base_fen=19_999, left_fen=rest, rate_bps=1500)
        back.append(2_999 - sum(back) - keeps)
    assert back == expected


def test_a_capped_amount_shrinks_in_proportion() -> None:
    assert kept(amount_fen=1154, base_fen=10_000, left_fen=5_000, rate_bps=None) == 577


def test_a_margin_base_shrinks_with_what_was_paid_and_is_never_negative() -> None:
    assert goods_base(10_000, 4_000, margin=True) == 6_000
    assert goods_base(10_000, 12_000, margin=True) == 0
    assert left(6_000, 10_000, 2_500, margin=True) == 4_500
    assert left(0, 0, 0, margin=True) == 0


fen = st.integers(0, 10**7)
bps = st.integers(0, 3000)


@given(st.lists(fen, min_size=1, max_size=6), st.lists(bps, min_size=1, max_size=3), bps)
def test_no_order_pays_more_than_its_cap(bases: list[int], shares: list[int], cap: int) -> None:
    lines = [line(base, key) for key, base in enumerate(bases)]
    rows = compute(lines, CHAIN, terms(*shares, cap_bps=cap))
    assert sum(row.amount_fen for row in rows) <= Fraction(sum(bases) * cap, 10_000)
    assert all(0 < row.amount_fen <= row.uncapped_fen for row in rows)
    by_line: dict[int, list[int]] = {}
    for row in rows:
        by_line.setdefault(row.line.key, []).append(row.amount_fen)
    assert all(parts == sorted(parts, reverse=True) for parts in by_line.values())


@given(st.integers(1, 10**7), bps, st.lists(st.integers(1, 10**6), max_size=8), st.booleans())
def test_reversals_never_pass_the_amount_and_end_at_zero(
    base: int, rate: int, parts: list[int], capped: bool
) -> None:
    amount, back, refunded = base * rate // 10_000, 0, 0
    for part in [*parts, base]:
        refunded = min(base, refunded + part)
        rate_bps = None if capped else rate
        keeps = kept(amount_fen=amount, base_fen=base, left_fen=base - refunded, rate_bps=rate_bps)
        step = max(0, amount - back - keeps)
        back += step
        assert 0 <= back <= amount
    assert back == amount
