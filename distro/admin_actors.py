"""Who did it, by name: "staff:3" is for machines."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from functools import cache
from typing import Any

from django.db.models import Model
from django.http import HttpRequest
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from unfold.views import ChangeList

from distro.actors import Actor
from distro.admin_columns import EMPTY, Column, named, replacing
from distro.models import StaffUser

Namer = Callable[[set[int]], dict[int, str]]


def actor(request: HttpRequest) -> Actor:
    """Return who works in the admin."""
    assert isinstance(request.user, StaffUser)
    return request.user.actor


def staff_names(ids: set[int]) -> dict[int, str]:
    """Return the names of staff users by their ids."""
    return {user.pk: user.get_full_name() or user.username for user in staff(ids)}


def staff(ids: set[int]) -> Iterable[StaffUser]:
    """Return staff users, also those who left."""
    return StaffUser.objects.filter(pk__in=ids)


# Kind of actor -> names by id; a package further right adds the kinds it knows.
NAMERS: dict[str, Namer] = {"staff": staff_names}
KINDS = {
    "system": gettext_lazy("System"),
    "wechat": gettext_lazy("WeChat"),
    "staff": gettext_lazy("Staff"),
    "member": gettext_lazy("Member"),
}


def names_of(actors: Iterable[str]) -> dict[str, str]:
    """Return names of "kind:id" texts, with one query for each kind."""
    ids: dict[str, set[int]] = defaultdict(set)
    for actor in actors:
        kind, _colon, number = actor.partition(":")
        if number.isdigit():
            ids[kind].add(int(number))
    known = {kind: NAMERS[kind](some) for kind, some in ids.items() if kind in NAMERS}
    return {
        f"{kind}:{number}": known.get(kind, {}).get(number) or _nameless(kind, number)
        for kind, some in ids.items()
        for number in some
    }


def _nameless(kind: str, number: int) -> str:
    name = str(KINDS.get(kind, kind))
    return (
        name
        if kind in {"system", "wechat"}
        else _("%(kind)s %(number)s")
        % {
            "kind": name,
            "number": number,
        }
    )


def actor_of(row: Any, field: str) -> str:
    """Return the "kind:id" that a row keeps, in one column or in two."""
    if field == "actor_id":
        return f"{row.actor_kind}:{row.actor_id}"
    return getattr(row, field) or ""


def name_actors(rows: Iterable[Any], fields: Iterable[str]) -> None:
    """Give each row the names it needs, all read at once."""
    rows, fields = list(rows), list(fields)
    names = names_of(actor_of(row, field) for row in rows for field in fields)
    for row in rows:
        row.actor_names = names


@cache
def who_column(model: type[Model], field: str) -> Column:
    """Return the column that names an actor."""

    def column(row: Any) -> str:
        actor = actor_of(row, field)
        names = getattr(row, "actor_names", None) or names_of([actor])
        return names.get(actor) or actor or EMPTY

    label = getattr(model._meta.get_field(field), "verbose_name", field)
    title = gettext_lazy("who") if field == "actor_id" else label
    return replacing(field, named(column, field, title))


class NamedActors(ChangeList):
    """A list that reads the names of its actors at once."""

    def get_results(self, request: Any) -> None:
        """Read the rows, then the names."""
        super().get_results(request)
        fields = getattr(self.model_admin, "who", ())
        if fields:
            rows: list[Any] = list(self.result_list)  # type: ignore[has-type]
            name_actors(rows, fields)
            self.result_list = rows
