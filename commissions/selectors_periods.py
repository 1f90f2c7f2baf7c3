"""Reads of the books' periods and seals."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta
from typing import NamedTuple

from django.db.models import QuerySet

from commissions.models import Period, Seal, Transfer
from commissions.rules_seals import MARK, Fault, chain, first_difference, text_of
from distro.models import AuditEntry


def closed_through() -> date | None:
    """Return the last day in which nothing is booked any more."""
    return Period.objects.order_by("-last_day").values_list("last_day", flat=True).first()


def open_day(day: date) -> date:
    """Return the day on which something of this day is booked: itself or the first open one."""
    closed = closed_through()
    return day if closed is None or day > closed else closed + timedelta(days=1)


# --- Seals ----------------------------------------------------------------------------------

WITH_ACCOUNTS = (
    "pk",
    "code",
    "amount_fen",
    "debit__kind",
    "debit__promoter",
    "debit__label",
    "credit__kind",
    "credit__promoter",
    "credit__label",
    "idempotency_key",
    "source",
    "booked_on",
    "occurred_at",
)


class Sealed(NamedTuple):
    """A fault inside a sealed range, and the seal that shows it."""

    seal: Seal
    fault: Fault


def contents(rows: QuerySet[Transfer]) -> Iterator[tuple[int, str]]:
    """Yield the id of each transfer, oldest first, and the text that its seal covers."""
    found = rows.order_by("pk").values_list(*WITH_ACCOUNTS)
    for values in found.iterator(chunk_size=5_000):
        yield values[0], text_of(values)


def transfers_of(seal: Seal) -> QuerySet[Transfer]:
    """Return what stands in the range of a seal now."""
    return Transfer.objects.filter(pk__gte=seal.first_id, pk__lte=seal.last_id)


def seal_faults() -> Iterator[Sealed]:
    """Yield the first fault of every seal: a transfer altered, gone or slipped in."""
    before, last_id = "", 0
    for seal in Seal.objects.order_by("pk").iterator(chunk_size=1):
        whole = seal.rows * MARK.size == len(seal.marks)
        if seal.before != before or seal.first_id <= last_id or not whole:
            yield Sealed(seal, Fault(seal.first_id, "chain"))
        fault = first_difference(
            bytes(seal.marks), chain(seal.before, contents(transfers_of(seal))), seal.digest
        )
        if fault is not None:
            yield Sealed(seal, fault)
        before, last_id = seal.digest, seal.last_id


def unsealed_between() -> Iterator[int]:
    """Yield the ids of transfers that no seal covers though a later one is sealed."""
    rows = Transfer.objects.order_by("pk").values_list("pk", flat=True)
    for first, last in Seal.objects.order_by("pk").values_list("first_id", "last_id"):
        yield from rows.filter(pk__lt=first)
        rows = rows.filter(pk__gt=last)


def lost_seals() -> Iterator[str]:
    """Yield the digests that the audit trail knows and no seal has."""
    known = set(Seal.objects.values_list("digest", flat=True))
    trail = AuditEntry.objects.filter(action="ledger.seal").order_by("pk")
    for detail in trail.values_list("detail", flat=True):
        if detail["digest"] not in known:
            yield detail["digest"]


def ledger_faults() -> Iterator[str]:
    """Yield a line for each place where the ledger is not what was sealed."""
    for row in seal_faults():
        yield f"seal {row.seal}: transfer {row.fault.row_id} {row.fault.what}"
    for pk in unsealed_between():
        yield f"transfer {pk}: not sealed, later ones are"
    for digest in lost_seals():
        yield f"seal {digest}: gone, the audit trail knows it"
