"""The bench measures both sides, and a figure below its bar is not ok."""

from __future__ import annotations

import time

import pytest

from analytics.bench import _figure, bench_ledger, compare
from commissions.models import Transfer


def test_the_ratio_is_the_median_of_the_pairs() -> None:
    ratio = compare(lambda: time.sleep(0.02), lambda: time.sleep(0.002), pairs=3)
    assert 3 < ratio < 12


@pytest.mark.parametrize(("value", "ok"), [(4.99, False), (5.0, True)])
def test_a_figure_below_its_bar_is_not_ok(value: float, ok: bool) -> None:
    assert _figure("b", "f", value, 5.0).ok is ok


@pytest.mark.django_db
def test_both_ways_book_the_same_transfers() -> None:
    [figure] = bench_ledger(quick=True)
    assert figure.value > 1
    assert Transfer.objects.count() == 2 * 9 * 50
