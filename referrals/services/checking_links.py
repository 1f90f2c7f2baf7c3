"""The self-check of share links: does what they lead to still open?"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from datetime import datetime

from django.db import transaction
from django.db.models import Q, QuerySet, Value
from django.db.models.functions import Coalesce

from referrals.models import ShareLink
from referrals.selectors_links import Faults, active_links, broken_links, checkers

ASKED_AT_ONCE = 1_000  # objects


def check_links(*, at: datetime) -> int:
    """Note on every active link whether its target opens; return how many do not.

    Objects are asked about in bulk. What nobody can check is not noted as broken, nor as fine.
    """
    known = checkers()
    for target, faults_of in known.items():
        for refs in _refs(target, at):
            _note(target, refs, faults_of(refs, at), at)
    active = active_links(at).filter(target__in=known).values("pk")
    _mend(ShareLink.objects.exclude(pk__in=active))
    return broken_links(at).count()


def _refs(target: str, at: datetime) -> Iterator[list[str]]:
    """Yield the objects that active links lead to, each once."""
    links = active_links(at).filter(target=target).order_by("target_ref")
    rows = links.values_list("target_ref", flat=True).distinct()
    later = Q()
    while refs := list(rows.filter(later)[:ASKED_AT_ONCE]):
        yield refs
        later = Q(target_ref__gt=refs[-1])


@transaction.atomic
def _note(target: str, refs: list[str], faults: Faults, at: datetime) -> None:
    """Write what changed: the moment a fault was first seen stays."""
    links = active_links(at).filter(target=target)
    by_reason: dict[str, list[str]] = defaultdict(list)
    for ref in refs:
        by_reason[faults.get(ref, "")].append(ref)
    _mend(links.filter(target_ref__in=by_reason.pop("", [])))
    for reason, some in by_reason.items():
        changed = links.filter(target_ref__in=some).exclude(broken_reason=reason)
        since = Coalesce("broken_since", Value(at))
        changed.update(broken_reason=reason, broken_since=since)


def _mend(links: QuerySet[ShareLink]) -> None:
    links.filter(broken_since__isnull=False).update(broken_since=None, broken_reason="")
