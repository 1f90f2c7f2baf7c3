"""PS-7 and the detection of pay by headcount, with the vectors of the rules."""

from __future__ import annotations

from collections import defaultdict

import pytest

from referrals.rules.compliance import (
    Flag,
    Size,
    ghost_flag,
    groups_of,
    headcount_flag,
    share_bps,
    together,
    tree_flag,
)


def size_of(edges: dict[str, str]) -> Size:
    """Measure a tree of child -> parent below A."""
    children = defaultdict(list)
    for child, parent in edges.items():
        children[parent].append(child)

    def depth(node: str) -> int:
        return 1 + max((depth(child) for child in children[node]), default=0)

    return Size(len(edges) + 1, depth("A"))


VECTORS = [
    ({}, 1, 1, "none"),
    ({"B": "A"}, 2, 2, "none"),
    ({"B": "A", "C": "B"}, 3, 3, "amber"),
    ({f"c{n}": "A" for n in range(29)}, 30, 2, "amber"),
    ({"B": "A"} | {f"c{n}": "B" for n in range(28)}, 30, 3, "red"),
    ({"B": "A"} | {f"c{n}": "B" for n in range(27)}, 29, 3, "amber"),
]


@pytest.mark.parametrize(("edges", "people", "depth", "flag"), VECTORS)
def test_a_tree_is_flagged_as_the_vectors_say(
    edges: dict[str, str], people: int, depth: int, flag: str
) -> None:
    assert size_of(edges) == Size(people, depth)
    assert tree_flag(Size(people, depth)) == Flag(flag)


def test_a_merchant_may_be_warned_earlier() -> None:
    assert tree_flag(Size(10, 2), people_from=10, depth_from=2) == Flag.RED
    assert tree_flag(Size(9, 2), people_from=10, depth_from=2) == Flag.AMBER


def test_trees_of_one_organiser_are_added_up() -> None:
    sum_of_two = together([Size(15, 2), Size(15, 3)])
    assert sum_of_two == Size(30, 3)
    assert tree_flag(sum_of_two) == Flag.RED


@pytest.mark.parametrize(
    ("marks", "groups"),
    [
        ([], []),
        ([("phone 1", 1)], []),
        ([("phone 1", 1), ("phone 2", 2)], []),
        ([("phone 1", 1), ("phone 1", 2)], [[1, 2]]),
        ([("phone 1", 1), ("phone 1", 2), ("id 7", 2), ("id 7", 3)], [[1, 2, 3]]),
        ([("id 7", 3), ("id 7", 2), ("u", 9), ("u", 5), ("phone", 2), ("phone", 1)],
         [[1, 2, 3], [5, 9]]),
        ([("a", 1), ("a", 2), ("b", 3), ("b", 4), ("c", 4), ("c", 1)], [[1, 2, 3, 4]]),
    ],
)  # fmt: skip
def test_one_mark_in_common_makes_one_organiser(
    marks: list[tuple[str, int]], groups: list[list[int]]
) -> None:
    assert sorted(groups_of(marks)) == groups


@pytest.mark.parametrize(
    ("part", "whole", "bps"),
    [(0, 0, None), (0, 10, 0), (1, 3, 3333), (2, 3, 6667), (10, 10, 10_000)],
)
def test_a_share_of_nothing_is_no_share(part: int, whole: int, bps: int | None) -> None:
    assert share_bps(part, whole) == bps


@pytest.mark.parametrize(
    ("cash", "coupons", "whole", "flag"),
    [
        (0, 0, 0, "none"),
        (0, 0, 100_00, "none"),
        (0, 30_00, 100_00, "none"),  # exactly 30 %
        (0, 30_01, 100_00, "amber"),
        (0, 100_00, 100_00, "amber"),
        (1, 0, 100_00, "red"),
        (1, 100_00, 200_00, "red"),
    ],
)
def test_cash_for_heads_is_red_and_many_coupons_are_amber(
    cash: int, coupons: int, whole: int, flag: str
) -> None:
    found = headcount_flag(cash_fen=cash, coupons_fen=coupons, all_fen=whole, limit_bps=3_000)
    assert found == Flag(flag)


@pytest.mark.parametrize(
    ("ghosts", "promoters", "flag"),
    [(0, 0, "none"), (0, 9, "none"), (5, 10, "none"), (51, 100, "amber"), (1, 1, "amber")],
)
def test_more_than_half_ghosts_are_amber(ghosts: int, promoters: int, flag: str) -> None:
    assert ghost_flag(ghosts=ghosts, promoters=promoters, limit_bps=5_000) == Flag(flag)
