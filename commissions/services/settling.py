"""Settlement: what is due moves from frozen to available, in committed chunks."""

from __future__ import annotations

import secrets
from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime

from django.db import transaction
from django.db.models import F

from commissions.models import Commission, Settlement
from commissions.selectors import due
from commissions.services.ledger import Entry, Kind, Ref, lock_accounts, post
from commissions.signals import commission_settled
from distro.facts import tell

CHUNK = 1000  # rows claimed in one transaction


def settle_due(*, at: datetime, chunk: int = CHUNK) -> int:
    """Settle everything that is due; return how many commissions were settled.

    Any number of runs may work at once: each claims rows that no other has.
    """
    settled = 0
    while count := settle_chunk(at=at, limit=chunk):
        settled += count
    return settled


def settle_chunk(*, at: datetime, limit: int = CHUNK) -> int:
    """Settle at most `limit` due commissions in one transaction; return how many."""
    with transaction.atomic():
        rows = _claim(at, limit)
        if not rows:
            return 0
        settlement = Settlement.objects.create(
            number=f"S{at:%Y%m%d}{secrets.token_hex(6)}", settled_at=at
        )
        Commission.objects.filter(pk__in=[row.pk for row in rows]).update(
            status=Commission.Status.SETTLED,
            settlement=settlement,
            settled_fen=F("amount_fen") - F("reversed_fen"),
        )
        entries = _entries(settlement, rows)
        lock_accounts(row.promoter_id for row in rows)
        post(entries, at=at)
        tell(commission_settled, settlement_id=settlement.pk)
    return len(rows)


def _claim(at: datetime, limit: int) -> Sequence[Commission]:
    """Lock due rows that nobody else works on."""
    rows = due(at).order_by("pk").select_for_update(of=("self",), skip_locked=True)
    return list(rows.only("pk", "promoter_id", "amount_fen", "reversed_fen")[:limit])


def _entries(settlement: Settlement, rows: Sequence[Commission]) -> list[Entry]:
    """One transfer a promoter: the sum of what his rows still hold."""
    sums: dict[int, int] = defaultdict(int)
    for row in rows:
        sums[row.promoter_id] += row.amount_fen - row.reversed_fen
    return [
        Entry(
            debit=Ref(Kind.FROZEN, promoter_id),
            credit=Ref(Kind.AVAILABLE, promoter_id),
            amount_fen=amount,
            code="settle",
            key=f"settle:{settlement.pk}:{promoter_id}",
            source=f"settlement:{settlement.pk}",
        )
        for promoter_id, amount in sorted(sums.items())
    ]
