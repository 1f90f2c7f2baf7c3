"""Seals: once a day the ledger so far gets a fingerprint that no later change survives."""

from __future__ import annotations

from datetime import datetime

from django.db import transaction

from commissions.models import Seal, Transfer
from commissions.rules_seals import chain, mark
from commissions.selectors_periods import contents
from distro import audit
from distro.actors import SYSTEM
from distro.locks import Lock, advisory, complete_up_to

ROWS = 50_000  # transfers in one seal


def seal_ledger(*, at: datetime) -> int:
    """Seal every transfer that is booked for good; return how many.

    The audit trail keeps the newest digest: whoever writes it down elsewhere can prove the whole
    ledger up to it.
    """
    last = complete_up_to(Transfer)
    sealed = 0
    while count := _seal_some(last, at):
        sealed += count
    return sealed


def _seal_some(last: int, at: datetime) -> int:
    """Seal the next transfers up to an id; return how many."""
    with transaction.atomic():
        advisory(Lock.SEAL)
        newest = Seal.objects.defer("marks").order_by("-pk").first()
        before = newest.digest if newest else ""
        rows = Transfer.objects.filter(pk__gt=newest.last_id if newest else 0, pk__lte=last)
        ids = list(rows.order_by("pk").values_list("pk", flat=True)[:ROWS])
        if not ids:
            return 0
        links = list(chain(before, contents(rows.filter(pk__lte=ids[-1]))))
        seal = Seal.objects.create(
            first_id=ids[0],
            last_id=ids[-1],
            rows=len(links),
            marks=b"".join(mark(row_id, digest) for row_id, digest in links),
            before=before,
            digest=links[-1][1].hex(),
            sealed_at=at,
        )
        audit.record(
            by=SYSTEM,
            action="ledger.seal",
            target=seal,
            detail={"transfers": seal.rows, "digest": seal.digest},
            at=at,
        )
    return len(links)
