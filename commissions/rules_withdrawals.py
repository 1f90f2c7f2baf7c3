"""How a sum is divided into transfers, when they go out, and who has to look: pure rules."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from commissions.tax import next_tax
from distro.money import split
from referrals.rules.people import ADULT_YEARS

JUST_BELOW_BPS = 500  # within 5 % under a limit
JUST_BELOW_TIMES = 3  # so often in a week
PIECES_MAX = 500  # transfers of one request


@dataclass(frozen=True)
class Limits:
    """What the channel takes: the smallest and largest transfer and a day's sum, in fen."""

    single_min_fen: int
    single_max_fen: int
    day_max_fen: int


@dataclass(frozen=True)
class TaxSoFar:
    """Gross and tax of one person's month, in fen."""

    gross_fen: int = 0
    tax_fen: int = 0

    def plus(self, gross_fen: int) -> TaxSoFar:
        """Return the month with one more payout in it."""
        return TaxSoFar(self.gross_fen + gross_fen, self.tax_fen + self.tax_on(gross_fen))

    def tax_on(self, gross_fen: int) -> int:
        """Return the tax on the next payout."""
        return next_tax(paid_fen=self.gross_fen, withheld_fen=self.tax_fen, gross_fen=gross_fen)


@dataclass(frozen=True)
class Piece:
    """One transfer to be: its gross and the tax expected on it, in fen."""

    amount_fen: int
    tax_fen: int

    @property
    def net_fen(self) -> int:
        """Return what arrives."""
        return self.amount_fen - self.tax_fen


def pieces_of(amount_fen: int, *, limits: Limits, month: TaxSoFar) -> list[Piece]:
    """Divide a sum equally into as few transfers as the channel takes; [] when it takes none.

    Each piece's net is at least the channel's smallest transfer.
    """
    assert amount_fen >= 1
    count = -(-amount_fen // limits.single_max_fen)
    if count > min(PIECES_MAX, amount_fen):
        return []
    pieces = []
    for gross in split(amount_fen, [1] * count):
        pieces.append(Piece(gross, month.tax_on(gross)))
        month = month.plus(gross)
    return pieces if min(p.net_fen for p in pieces) >= limits.single_min_fen else []


def nearest_sums(amount_fen: int, *, limits: Limits, month: TaxSoFar) -> list[int]:
    """Return the largest sum below and the smallest above that can be paid, where there is one."""

    def works(fen: int) -> bool:
        return bool(fen) and bool(pieces_of(fen, limits=limits, month=month))

    count = -(-amount_fen // limits.single_max_fen)
    full = [n * limits.single_max_fen for n in range(min(count - 1, PIECES_MAX), 0, -1)]
    below = next((fen for fen in full if works(fen)), None)
    above = None
    for n in range(count, min(count + 2, PIECES_MAX) + 1):
        low, high = max(amount_fen, (n - 1) * limits.single_max_fen + 1), n * limits.single_max_fen
        if works(high):
            above = _first_that_works(low, high, works)
            break
    return [fen for fen in (below, above) if fen is not None]


def _first_that_works(low: int, high: int, works: Callable[[int], bool]) -> int:
    """Bisect: within one number of pieces a larger sum leaves no piece less."""
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if works(middle) else (middle + 1, high)
    return low


def days_for(
    amounts: Sequence[int], *, first_day: date, used_fen: Mapping[date, int], day_max_fen: int
) -> list[date]:
    """Return the day each transfer may go out, so that no day passes the channel's sum.

    used_fen: what is sent or planned by day already. Each amount fits into an empty day.
    """
    used, day, days = dict(used_fen), first_day, []
    for amount in amounts:
        assert amount <= day_max_fen
        while used.get(day, 0) + amount > day_max_fen:
            day += timedelta(days=1)
        used[day] = used.get(day, 0) + amount
        days.append(day)
    return days


def is_adult(born: date, today: date) -> bool:
    """Tell whether the 18th birthday has come; one born on 29 February is adult on 1 March."""
    birthday = (born.year + ADULT_YEARS, born.month, born.day)
    return (today.year, today.month, today.day) >= birthday


def is_just_below(amount_fen: int, limits_fen: Sequence[int]) -> bool:
    """Tell whether a sum lies within 5 % under one of the limits."""
    return any(
        limit * (10_000 - JUST_BELOW_BPS) <= amount_fen * 10_000 < limit * 10_000
        for limit in limits_fen
    )
