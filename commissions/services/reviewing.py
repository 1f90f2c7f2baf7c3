"""People decide on a request: one decision for all its transfers that are not sent yet."""

from __future__ import annotations

from datetime import datetime

from django.db import transaction

from commissions.errors_withdrawals import (
    AlreadyApproved,
    MakerCannotApprove,
    NothingToDecide,
    OnlyStaffDecides,
)
from commissions.models import Withdrawal, WithdrawalApproval, WithdrawalRequest
from commissions.services.returning import give_back
from distro import audit
from distro.actors import Actor
from distro.errors import NotFound
from distro.states import advance
from referrals.errors import ReasonMissing

Status = Withdrawal.Status


def approve_request(*, request_id: int, by: Actor, at: datetime) -> WithdrawalRequest:
    """Record one person's approval; with the last one needed the transfers may go out.

    Raises OnlyStaffDecides, MakerCannotApprove, AlreadyApproved, NothingToDecide, NotFound.
    """
    with transaction.atomic():
        request, rows = _locked(request_id, by)
        waiting = [row for row in rows if row.status == Status.REVIEWING]
        if not waiting:
            raise NothingToDecide
        if str(by) == request.made_by:
            raise MakerCannotApprove
        approval = WithdrawalApproval(request=request, approved_by=str(by), approved_at=at)
        if request.approvals.filter(approved_by=str(by)).exists():
            raise AlreadyApproved
        approval.save(force_insert=True)
        audit.record(by=by, action="withdrawal.approve", target=request, at=at)
        if is_approved(request):
            for row in waiting:
                advance(row, Status.APPROVED, by=by, at=at, approved_at=at)
    return request


def reject_request(*, request_id: int, reason: str, by: Actor, at: datetime) -> WithdrawalRequest:
    """Refuse what is not sent yet of a request and return its money; the promoter sees why.

    Raises OnlyStaffDecides, ReasonMissing, NothingToDecide, NotFound.
    """
    with transaction.atomic():
        request, rows = _locked(request_id, by)
        _check_reason(reason)
        unsent = [row for row in rows if row.status in Withdrawal.UNSENT]
        if not unsent:
            raise NothingToDecide
        for row in unsent:
            give_back(row, to=Status.REJECTED, by=by, why=reason, at=at)
        audit.record(by=by, action="withdrawal.reject", target=request, reason=reason, at=at)
    return request


def hold_request(*, request_id: int, reason: str, by: Actor, at: datetime) -> WithdrawalRequest:
    """Stop what is not sent yet of a request until somebody releases or rejects it."""
    with transaction.atomic():
        request, rows = _locked(request_id, by)
        _check_reason(reason)
        unsent = [row for row in rows if row.status in Withdrawal.UNSENT]
        moving = [row for row in unsent if row.status != Status.HELD]
        if not moving:
            raise NothingToDecide
        for row in moving:
            advance(row, Status.HELD, by=by, at=at, why=reason)
        audit.record(by=by, action="withdrawal.hold", target=request, reason=reason, at=at)
    return request


def release_request(*, request_id: int, by: Actor, at: datetime) -> WithdrawalRequest:
    """Let a held request go on: to its review, or on its way if it was approved before."""
    with transaction.atomic():
        request, rows = _locked(request_id, by)
        held = [row for row in rows if row.status == Status.HELD]
        if not held:
            raise NothingToDecide
        for row in held:
            if is_approved(request):
                advance(row, Status.APPROVED, by=by, at=at, approved_at=row.approved_at or at)
            else:
                advance(row, Status.REVIEWING, by=by, at=at)
        audit.record(by=by, action="withdrawal.release", target=request, at=at)
    return request


def is_approved(request: WithdrawalRequest) -> bool:
    """Tell whether as many different people approved as the request needs."""
    return request.approvals.count() >= request.approvals_needed


def _locked(request_id: int, by: Actor) -> tuple[WithdrawalRequest, list[Withdrawal]]:
    """Lock a request and its withdrawals, the request first, so that decisions queue up."""
    if by.kind != "staff":
        raise OnlyStaffDecides
    requests = WithdrawalRequest.objects.select_for_update(of=("self",))
    request = requests.filter(pk=request_id).first()
    if request is None:
        raise NotFound
    rows = Withdrawal.objects.filter(request=request).order_by("pk")
    return request, list(rows.select_for_update(of=("self",)))


def _check_reason(reason: str) -> None:
    if not reason.strip():
        raise ReasonMissing(field="reason")
