"""Whatever happens to the tree, in any order: it reads like a plain dict of parents."""

from __future__ import annotations

import random

import pytest
from django.db import transaction
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.referrals.tree_world import OPERATIONS, World

pytestmark = pytest.mark.django_db

# Joins come more often than the rest, so that there is something to move.
KINDS = st.sampled_from([*["join"] * 5, *["move"] * 3, *OPERATIONS])
NUMBERS = st.integers(0, 60)


@settings(
    max_examples=30,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(st.lists(st.tuples(KINDS, NUMBERS, NUMBERS), max_size=25))
def test_any_order_of_operations_reads_like_a_dict_of_parents(
    steps: list[tuple[str, int, int]],
) -> None:
    with transaction.atomic():
        world = World()
        for kind, one, other in steps:
            OPERATIONS[kind](world, one, other)
            world.check()
        transaction.set_rollback(True)


def test_a_long_life_of_one_forest_reads_like_a_dict_of_parents() -> None:
    chooser = random.Random(11)
    world = World()
    for _ in range(25):
        world.join(world.pick(chooser.randrange(100)))
    for step in range(120):
        kind = chooser.choice([*OPERATIONS])
        OPERATIONS[kind](world, chooser.randrange(100), chooser.randrange(100))
        if step % 6 == 0:
            world.check()
    world.check()
