"""Settlement: what is due moves from frozen to available, in committed chunks."""

from __future__ import annotations

import logging
import secrets
from collections import defaultdict
from collections.abc import Collection, Sequence
from datetime import datetime

from django.db import transaction
from django.db.models import F

from commissions.models import Commission, Settlement
from commissions.selectors import due
from commissions.services.ledger import Entry, Kind, Ref, lock_accounts, post
from commissions.signals import commission_settled
from distro.facts import tell

logger = logging.getLogger(__name__)

CHUNK = 1000  # rows claimed in one transaction


def settle_due(*, at: datetime, chunk: int = CHUNK) -> int:
    """Settle everything that is due; return how many commissions were settled.

    Any number of runs may work at once: each claims rows that no other has. A promoter whose
    frozen account holds less than his rows is an alarm and keeps nobody from his own.
    """
    settled, short = 0, set[int]()
    while True:
        found = len(short)
        count = settle_chunk(at=at, limit=chunk, short=short)
        settled += count
        if not count and len(short) == found:
            return settled


def settle_chunk(*, at: datetime, limit: int = CHUNK, short: set[int] | None = None) -> int:
    """Settle at most `limit` due commissions in one transaction; return how many.

    short: promoters left out; those who turn out to be short of frozen money are added.
    """
    short = set() if short is None else short
    with transaction.atomic():
        rows = _covered(_claim(at, limit, short), short)
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
        post(_entries(settlement, rows), at=at)
        tell(commission_settled, settlement_id=settlement.pk)
    return len(rows)


def _claim(at: datetime, limit: int, without: Collection[int]) -> Sequence[Commission]:
    """Lock due rows that nobody else works on."""
    rows = due(at).exclude(promoter__in=without) if without else due(at)
    rows = rows.order_by("pk").select_for_update(of=("self",), skip_locked=True)
    return list(rows.only("pk", "promoter_id", "amount_fen", "reversed_fen")[:limit])


def _covered(rows: Sequence[Commission], short: set[int]) -> Sequence[Commission]:
    """Lock the promoters' accounts and keep the rows that their frozen money covers."""
    stands = lock_accounts(row.promoter_id for row in rows)
    for promoter_id, amount in _sums(rows).items():
        if amount > stands[promoter_id].frozen_fen:
            logger.error("ALARM promoter %s: frozen money is less than his rows", promoter_id)
            short.add(promoter_id)
    return [row for row in rows if row.promoter_id not in short]


def _sums(rows: Sequence[Commission]) -> dict[int, int]:
    sums: dict[int, int] = defaultdict(int)
    for row in rows:
        sums[row.promoter_id] += row.amount_fen - row.reversed_fen
    return sums


def _entries(settlement: Settlement, rows: Sequence[Commission]) -> list[Entry]:
    """One transfer a promoter: the sum of what his rows still hold."""
    return [
        Entry(
            debit=Ref(Kind.FROZEN, promoter_id),
            credit=Ref(Kind.AVAILABLE, promoter_id),
            amount_fen=amount,
            code="settle",
            key=f"settle:{settlement.pk}:{promoter_id}",
            source=f"settlement:{settlement.pk}",
        )
        for promoter_id, amount in sorted(_sums(rows).items())
    ]
