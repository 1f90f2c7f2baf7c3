"""Reads of the promoter tree for who browses it: one level at a time, or what a search names."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from django.db.models import Count, QuerySet

from distro.crypto import blind_index
from referrals.errors import BadPhone
from referrals.models import Promoter
from referrals.models.tree import above
from referrals.rules.people import normal_phone

NODES_A_PAGE = 50
FOUND_MAX = 20


@dataclass
class TreeNode:
    """A promoter as the tree shows him.

    direct: those directly below. team: everybody below. line: everybody above, the root first.
    """

    promoter: Promoter
    direct: int
    team: int
    line: list[Promoter]


@dataclass(frozen=True)
class TreeLevel:
    """One page of a node's children, or of the roots; after: where the next page begins."""

    nodes: list[TreeNode]
    after: int | None


def promoters_shown() -> QuerySet[Promoter]:
    """Return promoters with what their names and grades need."""
    return Promoter.objects.select_related("member", "grade")


def tree_level(parent: Promoter | None, *, after: int) -> TreeLevel:
    """Return those directly below a promoter, or the roots, by age; after: the last one seen."""
    rows = promoters_shown().filter(parent=parent, pk__gt=after).order_by("pk")
    found = list(rows[: NODES_A_PAGE + 1])
    page = found[:NODES_A_PAGE]
    return TreeLevel(_with_teams(page, {}), page[-1].pk if len(found) > len(page) else None)


def line_above(promoter: Promoter) -> list[Promoter]:
    """Return everybody above a promoter, the root first."""
    return _line(promoter, _known_above([promoter]))


def find_nodes(term: str, *, personal: bool) -> list[TreeNode]:
    """Return the promoters that a term names, each with the line above him.

    personal: by phone number too, and by a part of the nickname where no number fits.
    """
    rows = promoters_shown().order_by("pk")
    ids = _numbered(term) + (_phoned(term) if personal else [])
    found = list(rows.filter(pk__in=ids)[:FOUND_MAX]) if ids else []
    if personal and not found:
        found = list(rows.filter(member__nickname__icontains=term)[:FOUND_MAX])
    return _with_teams(found, _known_above(found))


def promoter_named(term: str) -> Promoter | None:
    """Return the promoter whose number, or whose member's number, this is.

    As it was typed goes before in capitals: imported numbers keep their case.
    """
    for typed in _spellings(term):
        ids = _with_number([typed])
        if ids:
            return promoters_shown().filter(pk__in=ids).order_by("pk").first()
    return None


def _numbered(term: str) -> list[int]:
    return _with_number(_spellings(term))


def _spellings(term: str) -> list[str]:
    """Return it as it was typed and in capitals; without regard to case no index would help."""
    return list(dict.fromkeys([term.strip(), term.strip().upper()]))


def _with_number(typed: list[str]) -> list[int]:
    """Look for promoters and members, a statement each: both in one could use no index."""
    rows = Promoter.objects.order_by().values_list("pk", flat=True)
    return [*rows.filter(code__in=typed), *rows.filter(member__no__in=typed)]


def _phoned(term: str) -> list[int]:
    try:
        index = blind_index("phone", normal_phone(term))
    except BadPhone:
        return []
    rows = Promoter.objects.order_by().values_list("pk", flat=True)
    return list(rows.filter(member__phone_index=index)[:FOUND_MAX])


def _with_teams(promoters: list[Promoter], known: Mapping[int, Promoter]) -> list[TreeNode]:
    """Count the teams of promoters, in two queries."""
    ids = [promoter.pk for promoter in promoters]
    children = Promoter.objects.filter(parent__in=ids).order_by().values_list("parent")
    direct = dict(children.annotate(Count("pk")))
    team = Promoter.objects.team_sizes(ids)
    return [
        TreeNode(row, direct.get(row.pk, 0), team.get(row.pk, 0), _line(row, known))
        for row in promoters
    ]


def _known_above(promoters: Iterable[Promoter]) -> dict[int, Promoter]:
    ids = [promoter.pk for promoter in promoters]
    return {row.pk: row for row in promoters_shown().filter(pk__in=above(ids))}


def _line(promoter: Promoter, known: Mapping[int, Promoter]) -> list[Promoter]:
    line: list[Promoter] = []
    up = known.get(promoter.parent_id or 0)
    while up is not None:
        line.insert(0, up)
        up = known.get(up.parent_id or 0)
    return line
