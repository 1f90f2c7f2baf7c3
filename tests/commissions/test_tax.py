"""Tax vectors of labour by the month, the gross-up and VAT, fen by fen."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from commissions.tax import gross_up, next_tax, tax_of, vat_of

fen = st.integers(min_value=0, max_value=20_000_000)

VECTORS = [
    ("T01", 0, 0),
    ("T02", 500_00, 0),
    ("T03", 800_00, 0),
    ("T04", 800_02, 0),
    ("T05", 800_03, 1),
    ("T06", 1_000_00, 40_00),
    ("T07", 2_000_00, 240_00),
    ("T08", 4_000_00, 640_00),
    ("T09", 4_000_01, 640_00),
    ("T10", 5_000_00, 800_00),
    ("T11", 6_000_00, 960_00),
    ("T12", 10_000_00, 1_600_00),
    ("T13", 25_000_00, 4_000_00),
    ("T14", 25_000_05, 4_000_01),
    ("T15", 26_000_00, 4_240_00),
    ("T16", 30_000_00, 5_200_00),
    ("T17", 50_000_00, 10_000_00),
    ("T18", 62_500_00, 13_000_00),
    ("T19", 62_500_05, 13_000_02),
    ("T20", 70_000_00, 15_400_00),
    ("T21", 100_000_00, 25_000_00),
]
SERIES = [
    ("T22", [500, 500], [0, 40]),
    ("T23", [500, 200, 100, 300], [0, 0, 0, 60]),
    ("T24", [800, 800], [0, 160]),
    ("T25", [300, 300, 300], [0, 0, 20]),
    ("T26", [3000, 3000], [440, 520]),
    ("T27", [4000, 1000], [640, 160]),
    ("T28", [20000, 10000, 40000], [3200, 2000, 10200]),
]


@pytest.mark.parametrize(("name", "gross", "tax"), VECTORS)
def test_the_tax_of_a_month_is_that_of_the_table(name: str, gross: int, tax: int) -> None:
    assert tax_of(gross) == tax


@pytest.mark.parametrize(("name", "payouts", "taxes"), SERIES)
def test_each_payout_bears_the_tax_of_the_month_less_what_was_withheld(
    name: str, payouts: list[int], taxes: list[int]
) -> None:
    paid = withheld = 0
    found = []
    for yuan in payouts:
        tax = next_tax(paid_fen=paid, withheld_fen=withheld, gross_fen=yuan * 100)
        paid, withheld = paid + yuan * 100, withheld + tax
        found.append(tax)
    assert found == [yuan * 100 for yuan in taxes]
    assert withheld == tax_of(paid)


@pytest.mark.parametrize(
    ("net", "gross"),
    [
        (960_00, 1_000_00),
        (3_360_00, 4_000_00),
        (4_200_00, 5_000_00),
        (10_000_00, 11_904_76),
        (21_000_00, 25_000_00),
        (49_500_00, 62_500_00),
        (75_000_00, 100_000_00),
        (0, 0),
        (800_00, 800_00),
    ],
)
def test_the_gross_up_is_that_of_the_table(net: int, gross: int) -> None:
    assert gross_up(net) == gross


@pytest.mark.parametrize(
    ("name", "inclusive", "threshold", "vat"),
    [
        ("V01", 100_999_00, 100_000_00, 0),
        ("V02", 101_000_00, 100_000_00, 1_000_00),
        ("V03", 1_009_99, 1_000_00, 0),
        ("V04", 1_010_00, 1_000_00, 10_00),
        ("V05", 2_020_00, 1_000_00, 20_00),
    ],
)
def test_vat_is_that_of_the_table(name: str, inclusive: int, threshold: int, vat: int) -> None:
    assert vat_of(inclusive, threshold_fen=threshold, rate_bps=100) == vat


def test_v05_leaves_income_tax_on_the_sum_without_vat() -> None:
    vat = vat_of(2_020_00, threshold_fen=1_000_00, rate_bps=100)
    income_tax = tax_of(2_020_00 - vat)
    assert (income_tax, 2_020_00 - vat - income_tax) == (240_00, 1_760_00)


@pytest.mark.parametrize("call", [
    lambda: tax_of(-1),
    lambda: next_tax(paid_fen=0, withheld_fen=0, gross_fen=-1),
    lambda: next_tax(paid_fen=-1, withheld_fen=0, gross_fen=1),
    lambda: next_tax(paid_fen=0, withheld_fen=-1, gross_fen=1),
    lambda: gross_up(-1),
    lambda: vat_of(-1, threshold_fen=0, rate_bps=100),
])  # fmt: skip
def test_negative_sums_are_our_bug(call) -> None:
    with pytest.raises(AssertionError):
        call()


@given(st.lists(fen, max_size=12))
def test_the_taxes_of_the_parts_are_the_tax_of_the_sum(payouts: list[int]) -> None:
    paid = withheld = 0
    for gross in payouts:
        tax = next_tax(paid_fen=paid, withheld_fen=withheld, gross_fen=gross)
        assert 0 <= tax <= gross
        paid, withheld = paid + gross, withheld + tax
    assert withheld == tax_of(paid)


@given(fen, fen, fen)
def test_no_payout_gives_tax_back(paid: int, withheld: int, gross: int) -> None:
    assert next_tax(paid_fen=paid, withheld_fen=withheld, gross_fen=gross) >= 0


@given(fen, fen)
def test_more_gross_is_never_less_tax_or_less_net(one: int, other: int) -> None:
    low, high = sorted((one, other))
    assert tax_of(low) <= tax_of(high)
    assert low - tax_of(low) <= high - tax_of(high)


@given(fen)
def test_the_gross_up_leaves_exactly_the_net(net: int) -> None:
    gross = gross_up(net)
    assert gross - tax_of(gross) == net
    assert gross == 0 or gross - 1 - tax_of(gross - 1) < net


@given(fen)
def test_the_tax_is_the_formula_of_the_law_rounded_half_up(gross: int) -> None:
    deduction = 500 * 80_000 if gross <= 400_000 else 100 * gross  # in 1/500 fen
    income = max(0, 500 * gross - deduction)
    rate, quick = (20, 0) if income <= 500 * 2_000_000 else (30, 200_000)
    if income > 500 * 5_000_000:
        rate, quick = 40, 700_000
    exact = income * rate - 500 * 100 * quick  # in 1/50000 fen
    assert tax_of(gross) == (exact + 25_000) // 50_000
