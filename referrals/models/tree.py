"""The promoter tree: mptt's reading API made exact, its writing API closed.

Truth is `parent`. Labels are a read index that is right for every labelled node: its interval
holds all its descendants, also those that joined a moment ago. The subtree of a `pending` node is
read along `parent`. Every read is one statement that takes from the tables whether a node has
labels, and which, so that neither a relabel nor a move beside it can make it wrong, however old
the row in hand is. Newcomers stand behind their labelled siblings, the upper ones first.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import TYPE_CHECKING, Any, NoReturn

from django.db import connection
from django.db.models import Exists, ForeignKey, Manager, Model, Q, QuerySet
from django.db.models.expressions import RawSQL
from django.db.models.query_utils import DeferredAttribute
from mptt.managers import TreeManager
from mptt.models import MPTTModel
from mptt.querysets import TreeQuerySet

from referrals.errors import UnsafeTreeWrite

JOIN = "referrals.services.promoters.approve_application"
RELABEL = "referrals.bulk.rebuild_labels"
MOVE = "referrals.services.moving.request_move"
NEVER = "no other way: promoters are closed, never deleted"
RESTORE = "the database's own backup"
DERIVED = frozenset({"tree_id", "lft", "rght", "level", "pending"})
UPLINES = frozenset({"parent", "upline_1", "upline_2", "upline_3"})
GUARDED = DERIVED | UPLINES | {f"{name}_id" for name in UPLINES}
MOVED_ELSEWHERE = GUARDED | {"status"}  # what save() never writes

BELOW = """
    WITH RECURSIVE below(id) AS (
        SELECT id FROM referrals_promoter WHERE id IN ({nodes}) {only}
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


TEAM = """
    WITH RECURSIVE team(id) AS (
        SELECT {node} UNION ALL
        SELECT p.id FROM referrals_promoter p JOIN team ON p.parent_id = team.id
    )
"""
SIZES = f"""
    SELECT n.id, CASE WHEN n.pending THEN
        ({TEAM.format(node="n.id")} SELECT COUNT(*) - 1 FROM team)
    ELSE (
        SELECT COUNT(*) FROM referrals_promoter d
        WHERE d.tree_id = n.tree_id AND d.lft > n.lft AND d.lft < n.rght
    ) END
    FROM referrals_promoter n WHERE n.id IN ({{nodes}})
"""  # noqa: S608 - constant

COUNTED = "SELECT COUNT(*) FROM {table} r WHERE r.{column} IN ({team} SELECT id FROM team)"


def below(nodes: Iterable[int]) -> RawSQL:
    """Return the ids of nodes and all their descendants, for `pk__in`."""
    return _walk(BELOW, nodes, only="")


def below_pending(nodes: Iterable[int]) -> RawSQL:
    """Return the same for those of the nodes that are pending."""
    return _walk(BELOW, nodes, only="AND pending")


def above(nodes: Iterable[int]) -> RawSQL:
    """Return the ids of nodes and all their ancestors, for `pk__in`."""
    return _walk(ABOVE, nodes)


def _walk(sql: str, nodes: Iterable[int], **parts: str) -> RawSQL:
    ids = list(nodes) or [0]
    marks = ", ".join(["%s"] * len(ids))
    return RawSQL(sql.format(nodes=marks, **parts), ids)  # noqa: S611 - ids


def _refuse_update(door: str, names: Iterable[str]) -> None:
    if touched := set(names) & GUARDED:
        instead = RELABEL if touched <= DERIVED else MOVE
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

    def get_cached_trees(self) -> list[Any]:
        """Return the topmost nodes; each knows its children, so that no more is asked for."""
        rows = list(self)
        known = {row.pk: row for row in rows}
        for row in rows:
            row._cached_children = []
        tops = []
        for row in rows:
            upline = known.get(row.parent_id)
            if upline is None:
                tops.append(row)
            else:
                row.parent = upline
                upline._cached_children.append(row)
        return tops


if TYPE_CHECKING:  # mptt carries no types

    class ManagerBase(Manager[Any]):
        """Any manager."""

else:
    ManagerBase = TreeManager.from_queryset(PromoterQuerySet)


class PromoterManager(ManagerBase):
    """Nodes in tree order; the writing half of mptt's manager is closed."""

    def team_sizes(self, nodes: Collection[int]) -> dict[int, int]:
        """Return how many there are below each node, in one statement."""
        marks = ", ".join(["%s"] * len(nodes)) or "0"
        with connection.cursor() as cursor:
            cursor.execute(SIZES.format(nodes=marks), list(nodes))
            return dict(cursor.fetchall())

    def add_related_count(
        self,
        queryset: QuerySet[Any],
        rel_model: type[Model],
        rel_field: str,
        count_attr: str,
        cumulative: bool = False,
        extra_filters: Any = None,
    ) -> QuerySet[Any]:
        """Annotate nodes with how many rows name them, or them and everybody below."""
        if not cumulative:
            facts = (queryset, rel_model, rel_field, count_attr, False, extra_filters or {})
            return super().add_related_count(*facts)  # type: ignore[misc]
        assert not extra_filters, "not with a whole team"
        field = rel_model._meta.get_field(rel_field)
        assert isinstance(field, ForeignKey)
        team = TEAM.format(node=f"{queryset.query.get_initial_alias()}.id")
        counted = COUNTED.format(table=rel_model._meta.db_table, column=field.column, team=team)
        return queryset.annotate(**{count_attr: RawSQL(counted, [])})  # noqa: S611 - names of ours

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
        raise UnsafeTreeWrite("move_node()", MOVE)

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
        """Return everybody below, in tree order.

        The interval of a pending node holds its whole team, and others: there the team is walked.
        """
        own = type(self)._base_manager.filter(pk=self.pk).order_by()
        rows = type(self).objects.filter(
            Exists(own.filter(pending=False)) | Q(pk__in=below_pending([self.pk])),
            tree_id=own.values("tree_id")[:1],
            lft__gte=own.values("lft")[:1],
            lft__lte=own.values("rght")[:1],
        )
        rows = rows.order_by("tree_id", "lft", "level", "pk")
        return rows if include_self else rows.exclude(pk=self.pk)

    def get_descendant_count(self) -> int:
        """Return how many there are below."""
        return type(self).objects.team_sizes([self.pk])[self.pk] if self.pk else 0

    def is_leaf_node(self) -> bool:
        """Say whether nobody is below."""
        return not type(self).objects.filter(parent=self.pk).exists()

    def get_ancestors(self, ascending: bool = False, include_self: bool = False) -> QuerySet[Any]:
        """Return everybody above, the root first unless ascending."""
        rows = type(self).objects.filter(pk__in=above([self.pk]))
        rows = rows.order_by("-level" if ascending else "level")
        return rows if include_self else rows.exclude(pk=self.pk)

    def get_root(self) -> Any:
        """Return the topmost of those above, or this node."""
        return type(self).objects.get(pk__in=above([self.pk]), parent=None)

    def get_children(self) -> QuerySet[Any]:
        """Return those directly below, in tree order."""
        if hasattr(self, "_cached_children"):
            rows = type(self).objects.filter(pk__in=[row.pk for row in self._cached_children])
            rows._result_cache = self._cached_children
            return rows
        return type(self).objects.filter(parent=self.pk).order_by("lft", "pk")

    def get_family(self) -> QuerySet[Any]:
        """Return ancestors, this node and descendants, in tree order."""
        line = self.get_ancestors(include_self=True) | self.get_descendants()
        return line.order_by("tree_id", "lft", "level", "pk")

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
            raise UnsafeTreeWrite("save() with another upline", MOVE)
        asked = args[3] if len(args) > 3 else kwargs.get("update_fields")
        _refuse_update("save()", asked or ())
        own = [f.name for f in self._meta.concrete_fields if f.name not in MOVED_ELSEWHERE]
        names = own if asked is None else asked
        loaded = set(names) - {"id"} - self.get_deferred_fields()
        using = args[2] if len(args) > 2 else kwargs.get("using")
        super(MPTTModel, self).save(force_update=True, using=using, update_fields=loaded)

    def save_base(self, raw: bool = False, *args: Any, **kwargs: Any) -> None:
        """Store what save() asks for; refuse what `loaddata` brings, labels and all."""
        if raw:
            raise UnsafeTreeWrite("loaddata", RESTORE)
        super().save_base(raw, *args, **kwargs)

    def delete(self, *args: Any, **kwargs: Any) -> NoReturn:
        """Refuse."""
        raise UnsafeTreeWrite("delete()", NEVER)

    def insert_at(self, *args: Any, **kwargs: Any) -> NoReturn:
        """Refuse."""
        raise UnsafeTreeWrite("insert_at()", JOIN)

    def move_to(self, *args: Any, **kwargs: Any) -> NoReturn:
        """Refuse."""
        raise UnsafeTreeWrite("move_to()", MOVE)
