"""The compliance monitor: how near a promoter tree is to what the law prosecutes.

公通字〔2013〕37号: 30 or more people and 3 or more levels, the organiser's own level counted, his
groups added up. Below that the administrative law still applies, so nothing here ever calls a
tree lawful. Source: docs/rules.md, "Compliance monitor".
"""

from __future__ import annotations

import enum
from collections import defaultdict
from collections.abc import Hashable, Iterable
from dataclasses import dataclass

from distro.money import BPS

PEOPLE_FROM = 30
DEPTH_FROM = 3


class Flag(enum.StrEnum):
    """How much a thing wants to be looked at."""

    NONE = "none"
    AMBER = "amber"
    RED = "red"


@dataclass(frozen=True)
class Size:
    """How many promoters a tree has and how many its longest chain has, the root counted.

    Buyers who are not promoters are not counted; promoters who were suspended or left are.
    """

    people: int
    depth: int


def tree_flag(size: Size, *, people_from: int = PEOPLE_FROM, depth_from: int = DEPTH_FROM) -> Flag:
    """Return amber for many people or for many levels, red for both."""
    many, deep = size.people >= people_from, size.depth >= depth_from
    if many and deep:
        return Flag.RED
    return Flag.AMBER if many or deep else Flag.NONE


def together(sizes: Iterable[Size]) -> Size:
    """Add up the trees of one organiser: all their people, the deepest chain.

    His own accounts count each for one: a warning too many is better than one too few.
    """
    rows = list(sizes)
    return Size(sum(row.people for row in rows), max(row.depth for row in rows))


def groups_of(marks: Iterable[tuple[Hashable, int]]) -> list[list[int]]:
    """Return the sets of roots that one person is behind, each with at least two of them.

    marks: (what tells the person, a root's id). One mark in common makes two roots one person's,
    also over a third root: A has B's phone, B has C's ID number.
    """
    by_mark: dict[Hashable, list[int]] = defaultdict(list)
    leader: dict[int, int] = {}
    for mark, root in marks:
        leader.setdefault(root, root)
        by_mark[mark].append(root)

    def find(root: int) -> int:
        while leader[root] != root:
            leader[root] = leader[leader[root]]
            root = leader[root]
        return root

    for roots in by_mark.values():
        for root in roots[1:]:
            leader[find(root)] = find(roots[0])
    groups: dict[int, list[int]] = defaultdict(list)
    for root in sorted(leader):
        groups[find(root)].append(root)
    return [roots for roots in groups.values() if len(roots) > 1]


# --- Pay by headcount -----------------------------------------------------------------------


def share_bps(part: int, whole: int) -> int | None:
    """Return a share in basis points, rounded half up; None of nothing."""
    if whole <= 0:
        return None
    return (2 * part * BPS + whole) // (2 * whole)


def headcount_flag(*, cash_fen: int, coupons_fen: int, all_fen: int, limit_bps: int) -> Flag:
    """Judge rewards whose cause is no paid order: no cash at all, coupons up to the limit.

    cash_fen, coupons_fen: the cost of such rewards. all_fen: the cost of all rewards.
    """
    if cash_fen > 0:
        return Flag.RED
    return Flag.AMBER if coupons_fen * BPS > limit_bps * all_fen else Flag.NONE


def ghost_flag(*, ghosts: int, promoters: int, limit_bps: int) -> Flag:
    """Judge how many promoters have customers that bought no more than opens a reward."""
    return Flag.AMBER if ghosts * BPS > limit_bps * promoters else Flag.NONE
