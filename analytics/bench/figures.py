"""What a bench prints, and how two ways to do the same are compared.

Absolute times say more about the machine than about the code, so a ratio is the median of at
least nine pairs, the two sides alternating in short batches within one run.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from statistics import median
from typing import TypeVar

from tqdm import tqdm

PAIRS = 9

T = TypeVar("T")

Work = Callable[[], object]
Side = Callable[[], float]  # does a batch; returns seconds for one of it


@dataclass(frozen=True)
class Figure:
    """One number and the bar it has to reach, or must not pass."""

    bench: str
    figure: str
    value: float
    bar: float
    ok: bool


def as_row(figure: Figure) -> dict[str, object]:
    """Return a figure as the JSON line has it."""
    return asdict(figure)


def at_least(bench: str, figure: str, value: float, bar: float) -> Figure:
    """Return a figure that is ok from the bar on."""
    return Figure(bench, figure, round(value, 2), bar, value >= bar)


def at_most(bench: str, figure: str, value: float, bar: float) -> Figure:
    """Return a figure that is ok up to the bar."""
    return Figure(bench, figure, round(value, 3), bar, value <= bar)


def seconds(work: Work) -> float:
    """Return how long something takes."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def each(work: Callable[[T], object], things: Iterable[T]) -> float:
    """Return how long something takes for one of some things."""
    given = list(things)
    started = time.perf_counter()
    for thing in given:
        work(thing)
    return (time.perf_counter() - started) / len(given)


def compare(slow: Work, fast: Work, pairs: int) -> float:
    """Return how many times longer the slow way takes: the median over the pairs."""
    return ratio(lambda: seconds(slow), lambda: seconds(fast), pairs=pairs)


def ratio(slow: Side, fast: Side, *, pairs: int = PAIRS, what: str = "") -> float:
    """Return how many times longer one of the slow side takes: the median over the pairs."""
    shown = tqdm(range(pairs), desc=what, leave=False, disable=None if what else True)
    return median(slow() / fast() for _ in shown)
