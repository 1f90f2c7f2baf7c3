"""Where nodes of the promoter tree stand in its nested set, computed on plain numbers.

A labelled node owns the interval lft..rght. Its last three labels stay free: a newcomer gets the
point (rght - 2, rght - 1), which lies inside every ancestor and no sibling, until it is placed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

ROOT_LEFT, ROOT_RIGHT = 1, 2**62
STRIDE = 2**40  # between two labels of a relabelled tree, if it is small enough
STRIDE_MIN = 8  # a leaf of this width still has a point, and room for one child's
FREE = 3  # labels at the end of an interval that placed children never take
SHARE = 8  # one placement takes at most an eighth of the free tail


@dataclass(frozen=True)
class Label:
    """The place of one node."""

    node: int
    lft: int
    rght: int
    level: int


def lay_out(
    roots: Sequence[int],
    children: Mapping[int, Sequence[int]],
    *,
    first: int,
    step: int,
    level: int,
) -> Iterator[Label]:
    """Yield labels for whole subtrees, side by side from `first` on, `step` between two labels.

    roots: their top nodes, all of one level. Not recursive: a chain may be a million deep.
    """
    label = first
    opened: dict[int, int] = {}
    stack = [(root, level) for root in reversed(roots)]
    while stack:
        node, depth = stack.pop()
        if node in opened:
            yield Label(node, opened[node], label, depth)
        else:
            opened[node] = label
            stack.append((node, depth))
            stack.extend((child, depth + 1) for child in reversed(children.get(node, ())))
        label += step


def step_of_relabel(nodes: int) -> int:
    """Return the distance of two labels when a tree of so many nodes is laid out anew.

    Half of the root's interval stays free for those who join later.
    """
    return min(STRIDE, (ROOT_RIGHT - ROOT_LEFT) // 2 // (2 * nodes + 2))


def step_of_placement(*, used_to: int, rght: int, nodes: int) -> int | None:
    """Return the distance of two labels for nodes placed under a parent; None without room.

    used_to: the last label taken inside the parent. rght: the parent's own end.
    """
    room = (rght - FREE - used_to) // SHARE
    step = min(STRIDE, room // (2 * nodes + 1))
    return step if step >= STRIDE_MIN else None
