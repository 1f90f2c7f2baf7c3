"""The bench measures both sides, and a figure on the wrong side of its bar is not ok."""

from __future__ import annotations

import time

import pytest
from django.db import connection

from analytics.bench.child import relabel_apart
from analytics.bench.figures import at_least, at_most, compare
from analytics.bench.ledger import bench_ledger
from commissions.models import Transfer
from tests.factories import make_promoter


def test_the_ratio_is_the_median_of_the_pairs(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter([0, 4, 4, 6, 6, 15, 15, 18, 18, 23, 23, 28])  # 4 / 2, 9 / 3, 5 / 5 seconds
    monkeypatch.setattr(time, "perf_counter", lambda: next(clock))
    assert compare(lambda: None, lambda: None, pairs=3) == 2


@pytest.mark.parametrize(("value", "ok"), [(4.99, False), (5.0, True)])
def test_a_figure_below_its_bar_is_not_ok(value: float, ok: bool) -> None:
    assert at_least("b", "f", value, 5.0).ok is ok


@pytest.mark.parametrize(("value", "ok"), [(5.001, False), (5.0, True)])
def test_a_figure_that_passes_its_bar_is_not_ok(value: float, ok: bool) -> None:
    assert at_most("b", "f", value, 5.0).ok is ok


@pytest.mark.django_db
def test_both_ways_book_the_same_transfers() -> None:
    [figure] = bench_ledger(quick=True)
    assert figure.value > 1
    assert Transfer.objects.count() == 2 * 9 * 50


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
def test_a_relabel_in_a_process_of_its_own_reads_this_database() -> None:
    root = make_promoter()
    waiting = [make_promoter(root), make_promoter(root)]
    done = relabel_apart(connection.settings_dict)
    assert (done.rows, 0 < done.megabytes < 500) == (len(waiting), True)
