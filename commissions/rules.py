"""The arithmetic of commission: pure functions on whole fen and basis points.

Source: docs/architecture.md, "How a commission is computed".
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from distro.money import BPS, split

LEVEL_MAX = 3
SCOPES = ("sku", "product", "category", "default")  # the most specific first


@dataclass(frozen=True)
class Rate:
    """One rate of a plan: `rate_bps` of the base, or `fixed_fen` a unit; ref None = everything."""

    key: int
    scope: str
    ref: int | None
    grade_id: int | None
    level: int
    rate_bps: int | None = None
    fixed_fen: int | None = None


@dataclass(frozen=True)
class Terms:
    """What a plan says: cap over all levels of an order, how many levels are paid, the rates."""

    cap_bps: int
    level_max: int
    rates: tuple[Rate, ...]


@dataclass(frozen=True)
class Line:
    """One order line: base_fen is what commission is computed on, >= 0."""

    key: int
    base_fen: int
    quantity: int
    sku_id: int
    product_id: int
    category_id: int

    def ref(self, scope: str) -> int | None:
        return None if scope == "default" else int(getattr(self, f"{scope}_id"))


@dataclass(frozen=True)
class Beneficiary:
    """Who stands at a level of the snapshot; what one not entitled would earn, nobody earns."""

    level: int
    promoter_id: int
    grade_id: int | None
    entitled: bool = True


@dataclass(frozen=True)
class Row:
    """One commission: uncapped_fen by its own rate, amount_fen after the caps."""

    line: Line
    level: int
    promoter_id: int
    grade_id: int | None
    rate: Rate
    uncapped_fen: int
    amount_fen: int

    @property
    def capped(self) -> bool:
        return self.amount_fen < self.uncapped_fen


def compute(lines: Iterable[Line], chain: Sequence[Beneficiary], terms: Terms) -> list[Row]:
    """Return the commissions of one order, by line and level, without those of 0 fen.

    Each level is floored. When all together pass the order's cap they are scaled down to exactly
    the cap by largest remainder, ties by (line, level).
    """
    ordered = sorted(lines, key=lambda line: line.key)
    rows = [row for line in ordered for row in line_rows(line, chain, terms)]
    cap_fen = sum(line.base_fen for line in ordered) * terms.cap_bps // BPS
    return [row for row in scale(rows, cap_fen) if row.amount_fen > 0]


def line_rows(line: Line, chain: Sequence[Beneficiary], terms: Terms) -> list[Row]:
    """Return what each entitled level earns from one line before the order's cap.

    A level never earns more than the one before it, and a fixed amount never more than the
    plan's cap leaves of this line, whatever the plan says.
    """
    rows = []
    bound = line.base_fen * terms.cap_bps // BPS
    for who in sorted(chain, key=lambda who: who.level):
        rate = pick_rate(terms.rates, line, who.grade_id, who.level)
        if rate is None or who.level > terms.level_max:
            break
        uncapped = rated(line.base_fen, line.quantity, rate)
        bound = min(uncapped, bound)
        if who.entitled:
            rows.append(Row(line, who.level, who.promoter_id, who.grade_id, rate, uncapped, bound))
    return rows


def rated(base_fen: int, quantity: int, rate: Rate) -> int:
    """Return what a rate gives for a base or a number of units; floored."""
    if rate.rate_bps is not None:
        return base_fen * rate.rate_bps // BPS
    assert rate.fixed_fen is not None
    return rate.fixed_fen * quantity


def pick_rate(rates: Iterable[Rate], line: Line, grade_id: int | None, level: int) -> Rate | None:
    """Return the most specific rate: the narrower scope first, then the exact grade."""
    fits = [
        rate
        for rate in rates
        if rate.level == level
        and rate.ref == line.ref(rate.scope)
        and rate.grade_id in (None, grade_id)
    ]
    return min(fits, key=lambda r: (SCOPES.index(r.scope), r.grade_id is None), default=None)


def scale(rows: list[Row], cap_fen: int) -> list[Row]:
    """Scale rows down to exactly the cap when they pass it together."""
    amounts = [row.amount_fen for row in rows]
    if sum(amounts) <= cap_fen:
        return rows
    parts = split(cap_fen, amounts)
    return [replace(row, amount_fen=part) for row, part in zip(rows, parts, strict=True)]


def goods_base(paid_fen: int, cost_fen: int, *, margin: bool) -> int:
    """Return what commission is computed on: the goods paid, or what is left of it after cost."""
    return max(0, paid_fen - cost_fen) if margin else paid_fen


def remaining_base(base_fen: int, paid_fen: int, refunded_fen: int, *, margin: bool) -> int:
    """Return what is left of a line's base after its refunds."""
    left = max(0, paid_fen - refunded_fen)
    if not margin:
        return left
    return base_fen * left // paid_fen if paid_fen else 0


def kept(*, amount_fen: int, base_fen: int, left_fen: int, rate_bps: int | None) -> int:
    """Return what a promoter keeps of a commission when `left_fen` of its base is left.

    rate_bps: the rate that made the amount; None when a cap cut it or it was fixed a unit, then
    the amount shrinks in proportion.
    """
    if rate_bps is None:
        return amount_fen * left_fen // base_fen
    return min(amount_fen, left_fen * rate_bps // BPS)
