"""Reads about share links: what they brought, and whether their targets can be opened."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import datetime

from django.conf import settings
from django.db.models import Count, OuterRef, Q, QuerySet, Subquery
from django.db.models.functions import Coalesce
from django.utils.module_loading import import_string

from referrals import selectors
from referrals.errors import NoAgreement
from referrals.models import Binding, Member, ShareLink, Visit

# (codes of a target's objects, at) -> ShareLink.Fault of each that cannot be opened.
Faults = dict[str, str]
Checker = Callable[[Collection[str], datetime], Faults]

BY_LOGIN = "login/"  # how the key of a first log-in's visit begins


def active_links(at: datetime) -> QuerySet[ShareLink]:
    """Return the links that may be used now."""
    unexpired = Q(expires_at=None) | Q(expires_at__gt=at)
    return ShareLink.objects.filter(unexpired, revoked_at=None, member__status=Member.Status.ACTIVE)


def checkers() -> dict[str, Checker]:
    """Return who can say of which target what is broken."""
    return {target: import_string(path) for target, path in settings.LINK_TARGETS.items()}


def home_faults(refs: Collection[str], at: datetime) -> Faults:
    """Return nothing: the home page is always there."""
    return {}


def recruit_faults(refs: Collection[str], at: datetime) -> Faults:
    """Say that nobody can become a promoter while there is no agreement to sign."""
    try:
        selectors.current_agreement(at)
    except NoAgreement:
        return dict.fromkeys(refs, ShareLink.Fault.NOT_OPEN.value)
    return {}


@dataclass(frozen=True)
class Checked:
    """How the active links of one target are; broken None: nobody can say."""

    target: str
    links: int
    broken: int | None


def links_by_target(at: datetime) -> list[Checked]:
    """Count the active and the broken links of each target, as the last check found them."""
    rows = active_links(at).order_by("target").values("target")
    counted = rows.annotate(
        links=Count("pk"), broken=Count("pk", filter=Q(broken_since__isnull=False))
    )
    known = settings.LINK_TARGETS
    return [
        Checked(target, links, broken if target in known else None)
        for target, links, broken in counted.values_list("target", "links", "broken")
    ]


def broken_links(at: datetime) -> QuerySet[ShareLink]:
    """Return the active links whose target cannot be opened, the oldest fault first."""
    return active_links(at).filter(broken_since__isnull=False).order_by("broken_since", "pk")


def with_statistics(links: QuerySet[ShareLink]) -> QuerySet[ShareLink]:
    """Give each link its openings, the members who first came by it, and the bindings it made."""
    visits = Visit.objects.filter(link=OuterRef("pk"))
    by_login = Q(visit_key__startswith=BY_LOGIN)
    return links.annotate(
        visit_count=_count(visits.exclude(by_login)),
        joined_count=_count(visits.filter(by_login)),
        bound_count=_count(Binding.objects.filter(link=OuterRef("pk"))),
    )


def _count(rows: QuerySet[Visit] | QuerySet[Binding]) -> Coalesce:
    counted = rows.order_by().values("link").annotate(count=Count("pk")).values("count")
    return Coalesce(Subquery(counted), 0)
