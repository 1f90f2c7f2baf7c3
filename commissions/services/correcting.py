"""Corrections by hand: one person asks, another one books; the ledger keeps both."""

from __future__ import annotations

from datetime import datetime

from django.db import transaction
from django.utils.translation import gettext as _

from commissions.errors_books import NothingOwed, ReasonTooLong, SecondPersonNeeded
from commissions.errors_withdrawals import OnlyStaffDecides
from commissions.models import Correction, Transfer
from commissions.services.ledger import EXPENSE, Entry, Kind, Ref, lock_accounts, post
from commissions.services.returning import REASON_CHARS, free_available
from distro import audit
from distro.actors import Actor
from distro.money import check_amount, yuan
from distro.states import advance
from referrals.errors import ReasonMissing

Status = Correction.Status


def request_correction(
    *, promoter_id: int, kind: str, amount_fen: int, reason: str, by: Actor, at: datetime
) -> Correction:
    """Write down what should be set right and why; nothing moves yet.

    The same wish that still waits is returned, not doubled.
    Raises OnlyStaffDecides, ReasonMissing, ReasonTooLong, AmountOutOfRange.
    """
    if by.kind != "staff":
        raise OnlyStaffDecides
    _check_reason(reason)
    check_amount(amount_fen)
    with transaction.atomic():
        correction, made = Correction.objects.get_or_create(
            promoter_id=promoter_id,
            kind=Correction.Kind(kind),
            amount_fen=amount_fen,
            reason=reason.strip(),
            status=Status.REQUESTED,
            defaults={"requested_by": str(by), "requested_at": at},
        )
        if made:
            audit.record(
                by=by, action="correction.request", target=correction, reason=reason, at=at
            )
    return correction


def book_correction(*, correction_id: int, by: Actor, at: datetime) -> Correction:
    """Book what another person asked for.

    Raises OnlyStaffDecides, SecondPersonNeeded, NothingOwed, IllegalTransition.
    """
    with transaction.atomic():
        correction = _locked(correction_id, by)
        if str(by) == correction.requested_by:
            raise SecondPersonNeeded
        assert not Transfer.objects.filter(source=_source(correction)).exists(), "booked before"
        advance(correction, Status.BOOKED, by=by, at=at, decided_by=str(by), decided_at=at)
        post(_entries(correction, at), at=at)
        audit.record(by=by, action="correction.book", target=correction, at=at)
    return correction


def reject_correction(*, correction_id: int, reason: str, by: Actor, at: datetime) -> Correction:
    """Refuse a correction, who asked for it included.

    Raises OnlyStaffDecides, ReasonMissing, ReasonTooLong, IllegalTransition.
    """
    _check_reason(reason)
    with transaction.atomic():
        correction = _locked(correction_id, by)
        to = Status.REJECTED
        advance(correction, to, by=by, at=at, why=reason, decided_by=str(by), decided_at=at)
        audit.record(by=by, action="correction.reject", target=correction, reason=reason, at=at)
    return correction


def _locked(correction_id: int, by: Actor) -> Correction:
    if by.kind != "staff":
        raise OnlyStaffDecides
    return Correction.objects.select_for_update(of=("self",)).get(pk=correction_id)


def _entries(correction: Correction, at: datetime) -> list[Entry]:
    """Say between which accounts the money moves, their owner's accounts locked."""
    amount, promoter_id = correction.amount_fen, correction.promoter_id
    available, receivable = Ref(Kind.AVAILABLE, promoter_id), Ref(Kind.RECEIVABLE, promoter_id)
    if correction.kind == Correction.Kind.UP:
        return [_entry(correction, EXPENSE, available, amount)]
    if correction.kind == Correction.Kind.WRITE_OFF:
        owed = lock_accounts([promoter_id])[promoter_id].owed_fen
        if amount > owed:
            raise NothingOwed(owed=yuan(owed))
        return [_entry(correction, Ref(Kind.WRITE_OFF), receivable, amount)]
    why = str(_("An amount was corrected."))
    stands = free_available({promoter_id: amount}, [promoter_id], why=why, at=at)
    taken = min(amount, stands[promoter_id].available_fen)
    return [
        _entry(correction, available, EXPENSE, taken),
        _entry(correction, receivable, EXPENSE, amount - taken),
    ]


def _entry(correction: Correction, debit: Ref, credit: Ref, amount_fen: int) -> Entry:
    key = f"{correction.kind}:{correction.pk}"
    return Entry(
        debit=debit,
        credit=credit,
        amount_fen=amount_fen,
        code=correction.kind,
        key=f"{key}:debt" if debit.kind == Kind.RECEIVABLE else f"{key}:1",
        source=_source(correction),
    )


def _source(correction: Correction) -> str:
    return f"correction:{correction.pk}"


def _check_reason(reason: str) -> None:
    if not reason.strip():
        raise ReasonMissing(field="reason")
    if len(reason.strip()) > REASON_CHARS:
        raise ReasonTooLong(field="reason", maximum=REASON_CHARS)
