"""The proof that customer bindings are as the hard rules made them.

Each fault is looked for by one statement. What the database refuses by itself is not looked for.
"""

from __future__ import annotations

from collections.abc import Iterator

from django.db.models import Exists, F, OuterRef, Q, QuerySet

from referrals.models import Binding

FAULTS_MAX = 100  # of one kind


def binding_faults() -> Iterator[str]:
    """Yield one line per fault, at most a hundred of a kind; nothing when all is right."""
    for text, rows in _faults().items():
        for pk in rows.order_by("pk").values_list("pk", flat=True)[:FAULTS_MAX]:
            yield f"binding {pk}: {text}"


def _faults() -> dict[str, QuerySet[Binding]]:
    rows = Binding.objects.all()
    by_link = rows.filter(link__isnull=False)
    over = Q(started_at__gt=F("link__revoked_at")) | Q(started_at__gte=F("link__expires_at"))
    return {
        "its customer is the promoter himself": rows.filter(member=F("promoter__member")),
        "its link is not the promoter's": by_link.exclude(link__member=F("promoter__member")),
        "an employee's code made it": by_link.filter(link__employee_only=True),
        "it began before its link was made": by_link.filter(started_at__lt=F("link__created_at")),
        "it began when its link was over": by_link.filter(over),
        "its promoter joined after the customer": by_link.filter(
            promoter__member__joined_at__gt=F("member__joined_at")
        ),
        "another one of its customer began before it ended": _overlapping(),
    }


def _overlapping() -> QuerySet[Binding]:
    """Return bindings beside which another began; imports keep what the other system recorded."""
    here = Binding.objects.exclude(mode=Binding.Mode.IMPORT)
    lasting = here.filter(Q(ended_at=None) | Q(ended_at__gt=F("started_at")))
    beside = lasting.filter(member=OuterRef("member"), started_at__gte=OuterRef("started_at"))
    others = beside.exclude(pk=OuterRef("pk"))
    ended = lasting.filter(Exists(others.filter(started_at__lt=OuterRef("ended_at"))))
    return ended | lasting.filter(Exists(others), ended_at=None)
