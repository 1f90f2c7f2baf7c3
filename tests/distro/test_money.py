from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from distro.errors import AmountOutOfRange, BadAmount
from distro.money import FEN_MAX, check_amount, parse_yuan, percent, split, yuan

WEIGHTS = st.lists(st.integers(0, 10**9), min_size=1, max_size=20).filter(any)


@pytest.mark.parametrize(
    ("fen", "text"),
    [(1234, "12.34"), (-5, "-0.05"), (0, "0.00"), (100, "1.00"), (-12345, "-123.45"), (7, "0.07")],
)
def test_yuan_has_two_decimals_and_one_sign(fen, text):
    assert yuan(fen) == text


@pytest.mark.parametrize(
    ("text", "fen"),
    [("12.34", 1234), ("-0.05", -5), ("+3", 300), ("3.5", 350), ("0012.30", 1230), ("-0.00", 0)],
)
def test_parse_yuan_reads_what_people_write(text, fen):
    assert parse_yuan(text) == fen


@pytest.mark.parametrize(
    "text",
    ["", " ", "1,000.00", "1.234", "1.", ".5", "1e3", "--1", "+-1", " 1", "1 ", "1\n", "￥1",
     "12元", "１２", "nan", "inf", "1_000", "0x10", "1.2.3", "9" * 14],
)  # fmt: skip
def test_parse_yuan_refuses_what_is_not_plain(text):
    with pytest.raises(BadAmount):
        parse_yuan(text)


@given(st.integers(-(10**15) + 1, 10**15 - 1))
def test_reading_what_was_written_gives_the_same_fen(fen):
    assert parse_yuan(yuan(fen)) == fen


@pytest.mark.parametrize(("bps", "text"), [(1000, "10.00"), (1, "0.01"), (10_000, "100.00")])
def test_percent_has_two_decimals(bps, text):
    assert percent(bps) == text


@pytest.mark.parametrize(
    ("total", "weights", "parts"),
    [
        (1000, [3333, 3333, 3334], [333, 333, 334]),
        (100, [1, 1, 1], [34, 33, 33]),
        (2000, [9900, 4900, 200], [1320, 653, 27]),
        (10_000, [2999, 1599, 599], [5771, 3077, 1152]),
        (0, [1, 2], [0, 0]),
        (1, [0, 1, 1], [0, 1, 0]),
        (5, [0, 7, 0], [0, 5, 0]),
        (FEN_MAX, [1], [FEN_MAX]),
    ],
)
def test_split_gives_the_rest_to_the_largest_remainders(total, weights, parts):
    assert split(total, weights) == parts


@given(st.integers(0, FEN_MAX), WEIGHTS)
def test_split_is_exact_and_off_by_less_than_one_unit(total, weights):
    parts = split(total, weights)
    assert sum(parts) == total
    for part, weight in zip(parts, weights, strict=True):
        assert abs(part * sum(weights) - total * weight) < sum(weights)


@given(st.integers(0, FEN_MAX), WEIGHTS)
def test_split_gives_nothing_where_the_weight_is_nothing(total, weights):
    assert all(p == 0 for p, w in zip(split(total, weights), weights, strict=True) if w == 0)


@given(st.integers(0, FEN_MAX), WEIGHTS)
def test_split_never_gives_a_heavier_weight_less(total, weights):
    pairs = sorted(zip(weights, split(total, weights), strict=True))
    assert [part for _, part in pairs] == sorted(part for _, part in pairs)


@pytest.mark.parametrize(("total", "weights"), [(10, [0, 0]), (10, []), (-1, [1]), (10, [2, -1])])
def test_split_refuses_what_cannot_be_divided(total, weights):
    with pytest.raises(AssertionError):
        split(total, weights)


@pytest.mark.parametrize("fen", [0, -1, FEN_MAX + 1, True, False, 1.0, "1", None])
def test_check_amount_refuses_what_is_no_amount(fen):
    with pytest.raises(AmountOutOfRange) as caught:
        check_amount(fen, field="price_fen")
    assert caught.value.field == "price_fen"
    assert str(FEN_MAX) in str(caught.value)


@pytest.mark.parametrize("fen", [1, 100, FEN_MAX])
def test_check_amount_lets_amounts_pass(fen):
    check_amount(fen)


def test_check_amount_minds_its_minimum():
    check_amount(0, minimum=0)
    with pytest.raises(AmountOutOfRange):
        check_amount(29, minimum=30)
