"""Every way in which mptt or Django would write the tree is closed, one test each."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.core import serializers
from django.db import IntegrityError, connection, transaction
from django.db.models import ProtectedError

from distro.triggers import drop_triggers
from referrals.errors import UnsafeTreeWrite
from referrals.models import Member, Promoter
from tests.factories import AT, make_member, make_promoter

pytestmark = pytest.mark.django_db

Door = Callable[[Promoter, Promoter], Any]


def new(other: Promoter) -> Promoter:
    return Promoter(member=make_member(), code="NEW", parent=other, approved_at=AT)


def reparent(one: Promoter, other: Promoter, **kw: Any) -> None:
    one.parent = other
    one.save(**kw)


def set_and_save(one: Promoter, name: str, value: object) -> None:
    setattr(one, name, value)
    one.save(update_fields=[name])


DOORS: dict[str, Door] = {
    "save of a new row": lambda one, other: new(other).save(),
    "create": lambda one, other: Promoter.objects.create(
        member=make_member(), code="NEW", approved_at=AT
    ),
    "get_or_create": lambda one, other: Promoter.objects.get_or_create(
        code="NEW", defaults={"member": make_member(), "approved_at": AT}
    ),
    "save with force_insert": lambda one, other: one.save(force_insert=True),
    "save with another parent": reparent,
    "save of the field parent": lambda one, other: reparent(one, other, update_fields=["parent"]),
    "save of a label": lambda one, other: set_and_save(one, "lft", 5),
    "save of an upline": lambda one, other: set_and_save(one, "upline_2_id", other.pk),
    "save of pending": lambda one, other: set_and_save(one, "pending", False),
    "insert_at": lambda one, other: new(other).insert_at(other, save=True),
    "move_to": lambda one, other: one.move_to(other),
    "insert_node": lambda one, other: Promoter.objects.insert_node(new(other), other, save=True),
    "move_node": lambda one, other: Promoter.objects.move_node(one, other),
    "move_node of the tree manager": lambda one, other: Promoter._tree_manager.move_node(
        one, other
    ),
    "build_tree_nodes": lambda one, other: Promoter.objects.build_tree_nodes({"code": "NEW"}),
    "rebuild": lambda one, other: Promoter.objects.rebuild(),
    "partial_rebuild": lambda one, other: Promoter.objects.partial_rebuild(one.tree_id),
    "disable_mptt_updates": lambda one, other: Promoter.objects.disable_mptt_updates().__enter__(),
    "delay_mptt_updates": lambda one, other: Promoter.objects.delay_mptt_updates().__enter__(),
    "delete": lambda one, other: one.delete(),
    "delete of a set": lambda one, other: Promoter.objects.filter(pk=one.pk).delete(),
    "bulk_create": lambda one, other: Promoter.objects.bulk_create([new(other)]),
    "update of the parent": lambda one, other: Promoter.objects.update(parent=other),
    "update of the parent's id": lambda one, other: Promoter.objects.update(parent_id=other.pk),
    "update of an upline": lambda one, other: Promoter.objects.update(upline_1=other),
    "update of a label": lambda one, other: Promoter.objects.filter(pk=one.pk).update(lft=5),
    "update of the tree": lambda one, other: one.children.update(tree_id=5),
    "update of pending": lambda one, other: Promoter.objects.update(pending=False),
    "update by the base manager": lambda one, other: Promoter._base_manager.update(rght=5),
    "update_or_create": lambda one, other: Promoter.objects.update_or_create(
        pk=one.pk, defaults={"parent": other}
    ),
    "bulk_update": lambda one, other: Promoter.objects.bulk_update([one], ["parent"]),
    "adding to children": lambda one, other: other.children.add(one, bulk=False),
    "adding to children at once": lambda one, other: other.children.add(one),
}


@pytest.mark.parametrize("door", DOORS.values(), ids=list(DOORS))
def test_an_unsafe_door_is_closed(door: Door) -> None:
    root = make_promoter()
    one, other = make_promoter(root), make_promoter()
    before = list(Promoter.objects.order_by("pk").values())
    with pytest.raises(UnsafeTreeWrite, match="use "), transaction.atomic():
        door(Promoter.objects.get(pk=one.pk), other)
    assert list(Promoter.objects.order_by("pk").values()) == before


BY_HAND = {
    "another upline": "SET parent_id = {other}, upline_1_id = {other} WHERE id = {one}",
    "another second upline": "SET upline_2_id = {other} WHERE id = {one}",
}


def run_sql(sql: str) -> None:
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(sql)


@pytest.mark.parametrize("change", BY_HAND.values(), ids=list(BY_HAND))
def test_the_database_itself_refuses_another_upline(change: str) -> None:
    one, other = make_promoter(make_promoter()), make_promoter()
    before = list(Promoter.objects.order_by("pk").values())
    sql = f"UPDATE referrals_promoter {change.format(one=one.pk, other=other.pk)}"
    with pytest.raises(IntegrityError):
        run_sql(sql)
    assert list(Promoter.objects.order_by("pk").values()) == before


def test_the_database_itself_refuses_to_delete_a_promoter() -> None:
    one = make_promoter()
    with pytest.raises(IntegrityError):
        run_sql(f"DELETE FROM referrals_promoter WHERE id = {one.pk}")
    assert Promoter.objects.filter(pk=one.pk).exists()


def test_nobody_is_his_own_upline_even_without_the_guards() -> None:
    one = make_promoter()
    drop_triggers(connection)
    with pytest.raises(IntegrityError, match="promoter_not_own_parent"):
        run_sql(
            f"UPDATE referrals_promoter SET parent_id = id, upline_1_id = id WHERE id = {one.pk}"
        )


def test_a_member_who_is_a_promoter_cannot_be_deleted() -> None:
    one = make_promoter()
    with pytest.raises(ProtectedError), transaction.atomic():
        one.member.delete()
    assert Member.objects.filter(pk=one.member_id).exists()


def test_other_columns_are_saved_and_a_stale_row_writes_nothing_of_the_tree() -> None:
    root = make_promoter()
    stale = make_promoter(root)
    from referrals.bulk import place_pending
    from referrals.models import Grade

    place_pending(at=AT)
    stale.grade = Grade.objects.create(code="gold", name="Gold")
    stale.save()
    row = Promoter.objects.get(pk=stale.pk)
    assert (row.grade_id, row.pending) == (stale.grade_id, False)
    row.code = "OTHER"
    row.save(update_fields=["code"])
    assert Promoter.objects.only("code").get(pk=row.pk).code == "OTHER"


def test_a_partly_loaded_row_saves_what_it_has() -> None:
    one = make_promoter(make_promoter())
    row = Promoter.objects.only("code").get(pk=one.pk)
    row.code = "OTHER"
    row.save()
    assert Promoter.objects.get(pk=one.pk).code == "OTHER"


def test_relations_lead_to_the_closed_manager() -> None:
    root = make_promoter()
    make_promoter(root)
    with pytest.raises(UnsafeTreeWrite):
        root.children.all().delete()
    assert Promoter.objects.count() == 2


def test_queryset_relatives_are_read_along_the_parents() -> None:
    root = make_promoter()
    child = make_promoter(root)
    grandchild = make_promoter(child)
    make_promoter()
    some = Promoter.objects.filter(pk=child.pk)
    assert list(some.get_descendants()) == [grandchild]
    assert set(some.get_descendants(include_self=True)) == {child, grandchild}
    assert list(some.get_ancestors()) == [root]
    assert set(some.get_ancestors(include_self=True)) == {root, child}
    assert not Promoter.objects.none().get_descendants()


def test_family_siblings_and_leaves_are_right_for_newcomers() -> None:
    root = make_promoter()
    a, b = make_promoter(root), make_promoter(root)
    below_a = make_promoter(a)
    assert set(a.get_family()) == {root, a, below_a}
    assert set(root.get_leafnodes()) == {b, below_a}
    assert (a.get_next_sibling(), b.get_previous_sibling()) == (b, a)
    assert (b.get_next_sibling(), a.get_previous_sibling()) == (None, None)
    assert below_a.is_descendant_of(root)
    assert not b.is_descendant_of(a)
    assert root.is_ancestor_of(below_a)
    assert set(a.get_siblings()) == {b}


def test_the_tree_can_be_written_out() -> None:
    make_promoter()
    assert '"parent": null' in serializers.serialize("json", Promoter.objects.all())
