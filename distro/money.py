"""Money: whole fen and basis points; yuan is only a way to write them."""

from __future__ import annotations

import re
from collections.abc import Sequence

from distro.errors import AmountOutOfRange, BadAmount

BPS = 10_000  # basis points in a whole: 10_000 = 100 %
FEN_MAX = 10_000_000_000  # fen; 100 million yuan, more than any one amount can be
YUAN = re.compile(r"([+-]?)([0-9]{1,13})(?:\.([0-9]{1,2}))?")


def yuan(fen: int) -> str:
    """Write fen as yuan with two decimals, as in "-0.05"."""
    whole, rest = divmod(abs(fen), 100)
    return f"{'-' if fen < 0 else ''}{whole}.{rest:02d}"


def parse_yuan(text: str) -> int:
    """Read yuan as fen: an optional sign, at most two decimals, no thousands marks.

    Raises BadAmount.
    """
    match = YUAN.fullmatch(text)
    if match is None:
        raise BadAmount
    sign, whole, decimals = match.groups()
    fen = int(whole) * 100 + int((decimals or "").ljust(2, "0"))
    return -fen if sign == "-" else fen


def percent(bps: int) -> str:
    """Write basis points as percent with two decimals: 1000 as "10.00"."""
    return yuan(bps)


def split(total: int, weights: Sequence[int]) -> list[int]:
    """Divide a total by weights so that the parts sum to it exactly.

    total: >= 0, in any unit. weights: >= 0, not all 0. Each part is floored; the units left
    over go to the largest remainders, of equal ones to the earlier part.
    """
    whole = sum(weights)
    assert total >= 0
    assert whole > 0
    assert min(weights) >= 0
    parts = [total * weight // whole for weight in weights]
    left = total - sum(parts)
    by_remainder = sorted(range(len(weights)), key=lambda i: -(total * weights[i] % whole))
    for index in by_remainder[:left]:
        parts[index] += 1
    return parts


def check_amount(fen: object, *, field: str = "amount_fen", minimum: int = 1) -> None:
    """Refuse what is not a whole number of fen from `minimum` to FEN_MAX.

    Raises AmountOutOfRange.
    """
    if type(fen) is not int or not minimum <= fen <= FEN_MAX:  # True is an int too
        raise AmountOutOfRange(field=field, minimum=minimum, maximum=FEN_MAX)
