"""check_tree finds every planted fault; rebuild_tree repairs what labels can be."""

from __future__ import annotations

from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.db import connection

from distro.triggers import drop_triggers
from referrals.bulk import place_pending
from referrals.models import Promoter, TreeGate
from referrals.proofs import FAULTS_MAX, tree_faults
from tests.factories import AT, make_promoter

pytestmark = pytest.mark.django_db


def check() -> str:
    out = StringIO()
    call_command("check_tree", stdout=out)
    return out.getvalue()


@pytest.fixture
def tree() -> dict[str, int]:
    """Return a root with two placed children, a grandchild, and two newcomers below each other."""
    root = make_promoter()
    one, two = make_promoter(root), make_promoter(root)
    deep = make_promoter(one)
    place_pending(at=AT)
    new = make_promoter(two)
    newer = make_promoter(new)
    other = make_promoter()
    nodes = {"root": root, "one": one, "two": two, "deep": deep, "new": new, "newer": newer}
    return {name: node.pk for name, node in {**nodes, "other": other}.items()}


FAULTS = {
    "a root is not at level 0": "level = 1 WHERE id = {root}",
    "a root does not own its tree": "tree_id = 10000 WHERE id = {other}",
    "a root has an upline": "upline_2_id = {other} WHERE id = {root}",
    "the level is not one below": "level = 7 WHERE id = {deep}",
    "it is in another tree": "tree_id = {other} WHERE id = {deep}",
    "upline_2 is not": "upline_2_id = {two} WHERE id = {deep}",
    "upline_3 is not": "upline_3_id = {two} WHERE id = {newer}",
    "it is in a circle": "upline_1_id = {deep}, parent_id = {deep} WHERE id = {one}",
    "the interval is empty": "rght = lft WHERE id = {deep}",
    "it has a place below a parent that has none": "pending = FALSE WHERE id = {newer}",
    "a newcomer is not at its parent's point": "lft = lft - 9 WHERE id = {new}",
    "a newcomer is not where its waiting parent is": "lft = lft - 1 WHERE id = {newer}",
    "the interval is not inside": "rght = 4611686018427387904 WHERE id = {two}",
    "the interval overlaps a sibling's": "lft = lft - 4294967296 * 512 WHERE id = {two}",
}


@pytest.mark.parametrize(("fault", "change"), FAULTS.items(), ids=list(FAULTS))
def test_a_planted_fault_is_found(tree: dict[str, int], fault: str, change: str) -> None:
    drop_triggers(connection)
    with connection.cursor() as cursor:
        cursor.execute(f"UPDATE referrals_promoter SET {change.format(**tree)}")
    out = StringIO()
    with pytest.raises(CommandError):
        call_command("check_tree", stdout=out)
    assert fault in out.getvalue()


def test_a_gate_that_was_left_open_is_found(tree: dict[str, int]) -> None:
    TreeGate.objects.create(pk=1)
    with pytest.raises(CommandError):
        check()


def test_at_most_a_hundred_faults_of_a_kind_are_named(tree: dict[str, int]) -> None:
    root = Promoter.objects.get(pk=tree["root"])
    for _ in range(110):
        make_promoter(root)
    with connection.cursor() as cursor:
        cursor.execute("UPDATE referrals_promoter SET lft = lft - 1 WHERE pending")
    assert len(list(tree_faults())) == FAULTS_MAX


def test_a_right_tree_is_clean(tree: dict[str, int]) -> None:
    assert check() == "tree: 7 promoters, 2 roots, 2 pending, 4 levels, 0 faults\n"


def test_an_empty_tree_is_clean() -> None:
    assert check() == "tree: 0 promoters, 0 roots, 0 pending, 0 levels, 0 faults\n"


def test_relabelling_repairs_labels_depth_and_tree(tree: dict[str, int]) -> None:
    with connection.cursor() as cursor:
        cursor.execute("UPDATE referrals_promoter SET lft = 1, rght = 2, level = 3, tree_id = -id")
    out = StringIO()
    call_command("rebuild_tree", stdout=out)
    assert out.getvalue() == "tree: 7 promoters relabelled\n"
    assert check() == "tree: 7 promoters, 2 roots, 0 pending, 4 levels, 0 faults\n"


def test_one_tree_is_relabelled_alone(tree: dict[str, int]) -> None:
    out = StringIO()
    late = make_promoter(Promoter.objects.get(pk=tree["other"]))
    call_command("rebuild_tree", "--tree", str(tree["other"]), stdout=out)
    assert out.getvalue() == "tree: 1 promoters relabelled\n"
    assert not Promoter.objects.get(pk=late.pk).pending
    assert Promoter.objects.filter(pending=True).count() == 2
