"""Where nodes of the promoter tree stand in its nested set, computed on plain numbers.

A labelled node owns the interval lft..rght. Its last three labels stay free: a newcomer gets the
point (rght - 2, rght - 1), which lies inside every ancestor and no sibling, until it is placed.
"""

from __future__ import annotations

from array import array
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import repeat
from typing import NamedTuple

ROOT_LEFT, ROOT_RIGHT = 1, 2**62
STRIDE = 2**40  # between two labels of a relabelled tree, if it is small enough
STRIDE_MIN = 8  # a leaf of this width still has a point, and room for one child's
STRIDE_ROOMY = 2**12  # what a relabel leaves at least; less, and it would soon be wanted again
FREE = 3  # labels at the end of an interval that placed children never take
SHARE = 8  # one placement takes at most an eighth of the free tail


class Place(NamedTuple):
    """Where a node stands in the tree."""

    node: int
    tree: int
    lft: int
    rght: int
    level: int


@dataclass(frozen=True)
class Forest:
    """Nodes in tree order, with how deep each is below its top and how many it is with its team."""

    nodes: Sequence[int]
    depths: Sequence[int]
    sizes: Sequence[int]

    def tops(self) -> Iterator[int]:
        """Yield the positions of the top nodes."""
        position = 0
        while position < len(self.nodes):
            yield position
            position += self.sizes[position]


def children_of(ids: Iterable[int], parents: Iterable[int]) -> dict[int, list[int]]:
    """Return who is directly below whom, in the order given; the roots are below 0."""
    children: dict[int, list[int]] = defaultdict(list)
    for node, parent in zip(ids, parents, strict=True):
        children[parent].append(node)
    return children


def in_tree_order(tops: Iterable[int], children: Mapping[int, Sequence[int]]) -> Forest:
    """Walk down from the tops, which lie side by side; not recursive, a chain may be long."""
    nodes, depths = array("q"), array("q")
    waiting = list(tops)[::-1]
    depth_of = [0] * len(waiting)
    while waiting:
        node, depth = waiting.pop(), depth_of.pop()
        nodes.append(node)
        depths.append(depth)
        if node in children:
            below = children[node]
            waiting.extend(reversed(below))
            depth_of.extend(repeat(depth + 1, len(below)))
    return Forest(nodes, depths, _sizes(depths))


def _sizes(depths: Sequence[int]) -> Sequence[int]:
    """Count each node with everybody below it: those that follow it and are deeper."""
    sizes = array("q", depths)
    counted = [0] * (max(depths, default=0) + 2)  # by depth: those whose parent is still to come
    for position in range(len(depths) - 1, -1, -1):
        depth = depths[position]
        size = counted[depth + 1] + 1
        counted[depth + 1] = 0
        counted[depth] += size
        sizes[position] = size
    return sizes


def lay_out(
    forest: Forest, start: int, stop: int, *, tree: int, first: int, step: int, level: int
) -> Iterator[Place]:
    """Yield the places of whole neighbouring subtrees, `step` between two labels.

    start, stop: their positions in the forest. first: the first label. level: of their tops, which
    are all as deep as the node at `start`.
    """
    # A node opens after `position` others opened, of which all but its ancestors are closed.
    top = forest.depths[start] if start < stop else 0
    nodes, depths, sizes = forest.nodes, forest.depths, forest.sizes
    for position in range(start, stop):
        depth = depths[position] - top
        lft = first + step * (2 * (position - start) - depth)
        rght = lft + step * (2 * sizes[position] - 1)
        yield Place(nodes[position], tree, lft, rght, level + depth)


def step_within(*, lft: int, rght: int, nodes: int) -> int:
    """Return the distance of two labels when so many nodes below one are laid out anew.

    lft, rght: the interval of the node above them. Half of it stays free for later ones.
    """
    return min(STRIDE, (rght - lft) // 2 // (2 * nodes + 2))


def step_of_relabel(nodes: int) -> int:
    """Return the distance of two labels when a tree of so many nodes is laid out anew."""
    return step_within(lft=ROOT_LEFT, rght=ROOT_RIGHT, nodes=nodes)


def step_of_placement(*, used_to: int, rght: int, nodes: int) -> int | None:
    """Return the distance of two labels for nodes placed under a parent; None without room.

    used_to: the last label taken inside the parent. rght: the parent's own end.
    """
    room = (rght - FREE - used_to) // SHARE
    step = min(STRIDE, room // (2 * nodes + 1))
    return step if step >= STRIDE_MIN else None
