"""Benches: ratios of two ways to do the same, alternating in short batches in one run.

Absolute times say more about the machine than about the code, so every figure is the median of
the ratios of at least nine pairs.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import datetime
from statistics import median

from django.db import transaction

from commissions.services.ledger import EXPENSE, Entry, Kind, Ref, post
from distro.clock import BEIJING
from referrals.bulk import attach
from referrals.models import Member

PAIRS = 9
AT = datetime(2026, 1, 31, 12, 0, tzinfo=BEIJING)


@dataclass(frozen=True)
class Figure:
    """One ratio and the bar it has to reach."""

    bench: str
    figure: str
    value: float
    bar: float
    ok: bool


def compare(slow: Callable[[], object], fast: Callable[[], object], pairs: int) -> float:
    """Return how many times longer the slow way takes: the median over the pairs."""
    return median(_seconds(slow) / _seconds(fast) for _ in range(pairs))


def _seconds(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def bench_ledger(*, quick: bool) -> list[Figure]:
    """Book many transfers at once against one by one."""
    count = 50 if quick else 200
    promoters = [_promoter(number) for number in range(10)]
    batch = 0

    def entries() -> list[Entry]:
        nonlocal batch
        batch += 1
        return [
            Entry(
                EXPENSE, Ref(Kind.FROZEN, promoters[n % 10]), 1, "accrue", f"{batch}:{n}", "bench"
            )
            for n in range(count)
        ]

    def one_by_one() -> None:
        for entry in entries():
            post([entry], at=AT)

    ratio = compare(one_by_one, lambda: post(entries(), at=AT), PAIRS)
    return [_figure("ledger", f"{count} transfers: one by one / at once", ratio, 5.0)]


def _promoter(number: int) -> int:
    member = Member.objects.create(no=f"bench{number}", joined_at=AT)
    with transaction.atomic():
        return attach(member_id=member.pk, parent_id=None, code=f"BENCH{number:03d}", at=AT)


def _figure(bench: str, figure: str, value: float, bar: float) -> Figure:
    return Figure(bench, figure, round(value, 2), bar, value >= bar)


BENCHES: dict[str, Callable[..., list[Figure]]] = {"ledger": bench_ledger}


def as_row(figure: Figure) -> dict[str, object]:
    """Return a figure as the JSON line has it."""
    return asdict(figure)
