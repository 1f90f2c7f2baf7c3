"""The promoter tree: mptt's reading API made exact, its writing API closed.

Truth is `parent`. Labels are a read index that is right for every labelled node: its interval
holds all its descendants, also those that joined a moment ago. The subtree of a `pending` node is
read along `parent`. Every read is one statement that takes the labels it uses from the tables, so
that a relabel beside it cannot make it wrong.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, NoReturn

from django.db.models import Manager, Model, QuerySet
from django.db.models.expressions import RawSQL
from django.db.models.query_utils import DeferredAttribute
from mptt.managers import TreeManager
from mptt.models import MPTTModel
from mptt.querysets import TreeQuerySet

from referrals.errors import UnsafeTreeWrite

JOIN = "referrals.services.promoters.approve_application"
RELABEL = "referrals.bulk.rebuild_labels"
NEVER = "no other way: promoters are suspended, their place in the tree is never changed"
DERIVED = frozenset({"tree_id", "lft", "rght", "level", "pending"})
UPLINES = frozenset({"parent", "upline_1", "upline_2", "upline_3"})
GUARDED = DERIVED | UPLINES | {f"{name}_id" for name in UPLINES}
MOVED_ELSEWHERE = GUARDED | {"status"}  # what save() never writes

BELOW = """
    WITH RECURSIVE below(id) AS (
        SELECT id FROM referrals_promoter WHERE id IN ({nodes})
        UNION ALL SELECT p.id FROM referrals_promoter p JOIN below ON p.parent_id = below.id
    ) SELECT id FROM below
"""
ABOVE = """
    WITH RECURSIVE above(id, parent_id) AS (
        SELECT id, parent_id FROM referrals_promoter WHERE id IN ({nodes})
        UNION SELECT p.id, p.parent_id
        FROM referrals_promoter p JOIN above ON p.id = above.parent_id
    ) SELECT id FROM above
"""


def below(nodes: Iterable[int]) -> RawSQL:
    """Return the ids of nodes and all their descendants, for `pk__in`."""
    return _walk(BELOW, nodes)


def above(nodes: Iterable[int]) -> RawSQL:
    """Return the ids of nodes and all their ancestors, for `pk__in`."""
    return _walk(ABOVE, nodes)


def _walk(sql: str, nodes: Iterable[int]) -> RawSQL:
    ids = list(nodes) or [0]
    return RawSQL(sql.format(nodes=", ".join(["%s"] * len(ids))), ids)  # noqa: S611 - ids


def _refuse_update(door: str, names: Iterable[str]) -> None:
    if touched := set(names) & GUARDED:
        instead = RELABEL if touched <= DERIVED else NEVER
        raise UnsafeTreeWrite(f"{door} of {', '.join(sorted(touched))}", instead)


class PromoterQuerySet(TreeQuerySet):
    """Rows of the tree; whatever would write its shape is refused."""

    def update(self, **changes: Any) -> int:
        """Change columns that are not part of the tree."""
        _refuse_update("update()", changes)
        return super().update(**changes)

    def bulk_update(self, objs: Any, fields: Any, batch_size: int | None = None) -> int:
        """Change columns that are not part of the tree."""
        _refuse_update("bulk_update()", fields)
        return super().bulk_update(objs, fields, batch_size=batch_size)

    def bulk_create(self, *args: Any, **kwargs: Any) -> NoReturn:
        """Refuse."""
        raise UnsafeTreeWrite("bulk_create()", "referrals.bulk.attach_roots")

    def delete(self) -> NoReturn:
        """Refuse."""
        raise UnsafeTreeWrite("delete()", NEVER)


if TYPE_CHECKING:  # mptt carries no types

    class ManagerBase(Manager[Any]):
        """Any manager."""

else:
    ManagerBase = TreeManager.from_queryset(PromoterQuerySet)


class PromoterManager(ManagerBase):
    """Nodes in tree order; the writing half of mptt's manager is closed."""

    def get_queryset_descendants(
        self, queryset: QuerySet[Any], include_self: bool = False
    ) -> QuerySet[Any]:
        """Return everybody below the nodes of a queryset."""
        nodes = list(queryset.values_list("pk", flat=True))
        rows = self.filter(pk__in=below(nodes))
        return rows if include_self else rows.exclude(pk__in=nodes)

    def get_queryset_ancestors(
        self, queryset: QuerySet[Any], include_self: bool = False
    ) -> QuerySet[Any]:
        """Return everybody above the nodes of a queryset."""
        nodes = list(queryset.values_list("pk", flat=True))
        rows = self.filter(pk__in=above(nodes))
        return rows if include_self else rows.exclude(pk__in=nodes)

    def insert_node(self, *args: Any, **kwargs: Any) -> NoReturn:
        """Refuse."""
        raise UnsafeTreeWrite("insert_node()", JOIN)

    def move_node(self, *args: Any, **kwargs: Any) -> NoReturn:
        """Refuse."""
        raise UnsafeTreeWrite("move_node()", NEVER)

    def build_tree_nodes(self, *args: Any, **kwargs: Any) -> NoReturn:
        """Refuse."""
        raise UnsafeTreeWrite("build_tree_nodes()", JOIN)

    def rebuild(self, *args: Any, **kwargs: Any) -> NoReturn:
        """Refuse."""
        raise UnsafeTreeWrite("rebuild()", RELABEL)

    def partial_rebuild(self, *args: Any, **kwargs: Any) -> NoReturn:
        """Refuse."""
        raise UnsafeTreeWrite("partial_rebuild()", RELABEL)

    def disable_mptt_updates(self) -> NoReturn:
        """Refuse."""
        raise UnsafeTreeWrite("disable_mptt_updates()", JOIN)

    def delay_mptt_updates(self) -> NoReturn:
        """Refuse."""
        raise UnsafeTreeWrite("delay_mptt_updates()", JOIN)


class PromoterTree(MPTTModel):
    """What a node of the promoter tree can answer, and what it refuses."""

    objects = PromoterManager()

    class Meta:
        abstract = True

    # --- Reading ----------------------------------------------------------------------------

    def get_descendants(self, include_self: bool = False) -> QuerySet[Any]:
        """Return everybody below, in tree order."""
        rows = type(self).objects.all()
        if self.pending:
            rows = rows.filter(pk__in=below([self.pk]))
        else:
            own = type(self)._base_manager.filter(pk=self.pk).order_by()
            rows = rows.filter(
                tree_id=own.values("tree_id")[:1],
                lft__gte=own.values("lft")[:1],
                lft__lte=own.values("rght")[:1],
            )
        rows = rows.order_by("tree_id", "lft", "pk")
        return rows if include_self else rows.exclude(pk=self.pk)

    def get_descendant_count(self) -> int:
        """Return how many there are below."""
        return self.get_descendants().count() if self.pk else 0

    def is_leaf_node(self) -> bool:
        """Say whether nobody is below."""
        return not type(self).objects.filter(parent=self.pk).exists()

    def get_ancestors(self, ascending: bool = False, include_self: bool = False) -> QuerySet[Any]:
        """Return everybody above, the root first unless ascending."""
        rows = type(self).objects.filter(pk__in=above([self.pk]))
        rows = rows.order_by("-level" if ascending else "level")
        return rows if include_self else rows.exclude(pk=self.pk)

    def get_children(self) -> QuerySet[Any]:
        """Return those directly below, in tree order."""
        return type(self).objects.filter(parent=self.pk).order_by("lft", "pk")

    def get_family(self) -> QuerySet[Any]:
        """Return ancestors, this node and descendants, in tree order."""
        line = self.get_ancestors(include_self=True) | self.get_descendants()
        return line.order_by("tree_id", "lft", "pk")

    def get_leafnodes(self, include_self: bool = False) -> QuerySet[Any]:
        """Return those below who have nobody below."""
        return self.get_descendants(include_self=include_self).filter(children__isnull=True)

    def get_next_sibling(self, *args: Any, **kwargs: Any) -> Any:
        """Return the sibling who joined next."""
        return self._siblings(*args, pk__gt=self.pk, **kwargs).order_by("pk").first()

    def get_previous_sibling(self, *args: Any, **kwargs: Any) -> Any:
        """Return the sibling who joined before."""
        return self._siblings(*args, pk__lt=self.pk, **kwargs).order_by("-pk").first()

    def is_descendant_of(self, other: Model, include_self: bool = False) -> bool:
        """Say whether the other is above."""
        return self.get_ancestors(include_self=include_self).filter(pk=other.pk).exists()

    def _siblings(self, *args: Any, **kwargs: Any) -> QuerySet[Any]:
        return type(self).objects.filter(*args, parent_id=self.parent_id, **kwargs)

    # --- Writing ----------------------------------------------------------------------------

    def save(self, *args: Any, **kwargs: Any) -> None:
        """Store what is not part of the tree; refuse a new row and another upline."""
        if self._state.adding or kwargs.get("force_insert"):
            raise UnsafeTreeWrite("save() of a new promoter", JOIN)
        before = self._mptt_cached_fields["parent"]
        if "parent_id" in self.__dict__ and before not in (self.parent_id, DeferredAttribute):
            raise UnsafeTreeWrite("save() with another upline", NEVER)
        asked = args[3] if len(args) > 3 else kwargs.get("update_fields")
        _refuse_update("save()", asked or ())
        own = [f.name for f in self._meta.concrete_fields if f.name not in MOVED_ELSEWHERE]
        names = own if asked is None else asked
        loaded = set(names) - {"id"} - self.get_deferred_fields()
        using = args[2] if len(args) > 2 else kwargs.get("using")
        super(MPTTModel, self).save(force_update=True, using=using, update_fields=loaded)

    def delete(self, *args: Any, **kwargs: Any) -> NoReturn:
        """Refuse."""
        raise UnsafeTreeWrite("delete()", NEVER)

    def insert_at(self, *args: Any, **kwargs: Any) -> NoReturn:
        """Refuse."""
        raise UnsafeTreeWrite("insert_at()", JOIN)

    def move_to(self, *args: Any, **kwargs: Any) -> NoReturn:
        """Refuse."""
        raise UnsafeTreeWrite("move_to()", NEVER)
