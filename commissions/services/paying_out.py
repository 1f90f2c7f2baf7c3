"""Approved withdrawals go out: the last checks, the tax, the stored body, then the channel."""

from __future__ import annotations

import logging
from datetime import datetime, timedelta

from django.conf import settings
from django.db import IntegrityError, transaction

from commissions import fail_reasons
from commissions import selectors_withdrawals as reads
from commissions.models import Withdrawal
from commissions.services.ledger import lock_accounts
from commissions.services.returning import give_back
from commissions.services.transferring import deliver
from commissions.services.withdrawals import lock_tax_month
from distro.actors import SYSTEM
from distro.clock import beijing_day, beijing_month, day_start
from distro.errors import brief
from distro.states import advance
from distro.wechat.pay import TransferRequest, pay
from referrals.models import Identity, Member, Promoter
from referrals.selectors import held_promoter_ids
from referrals.selectors_accounts import payee_identity

logger = logging.getLogger(__name__)

Status = Withdrawal.Status
BATCH = 200  # transfers sent in one run
NOTIFY_PATH = "/api/v1/wechat/transfer/notify"
REMARK = "推广佣金"  # what the promoter reads in WeChat


def send_due(*, at: datetime) -> int:
    """Send what is approved and may go out now; return how many were sent.

    One that cannot go yet waits for the next run; one that fails does not stop the others.
    """
    sent = 0
    for pk in list(reads.due_withdrawals(at).values_list("pk", flat=True)):
        if sent >= BATCH:
            break
        try:
            if start_payout(withdrawal_id=pk, at=at):
                sent += 1
                deliver(withdrawal_id=pk, at=at)
        except Exception as error:  # noqa: BLE001 - the next withdrawal must not suffer
            logger.error("withdrawal %d was not sent: %s", pk, brief(error))
    return sent


def start_payout(*, withdrawal_id: int, at: datetime) -> bool:
    """Fix tax, net and the request body of a withdrawal, committed before anything is sent.

    Returns False when it has to wait, or was given back because it can no longer be paid.
    """
    key = Withdrawal.objects.values_list("payee_key", flat=True).get(pk=withdrawal_id)
    try:
        with transaction.atomic(durable=True):
            lock_tax_month(key, beijing_month(at))
            return _start(withdrawal_id, at)
    except IntegrityError:
        if _in_flight(key):  # begun by another worker at the turn of a month
            return False
        raise


def _start(pk: int, at: datetime) -> bool:
    row = Withdrawal.objects.select_for_update(of=("self",)).get(pk=pk)
    if row.status not in {Status.APPROVED, Status.TAX_REVIEW} or _in_flight(row.payee_key):
        return False
    if row.not_before and row.not_before > at:
        return False
    owed = lock_accounts([row.promoter_id])[row.promoter_id].owed_fen
    promoter = Promoter.objects.select_related("member__merged_into").get(pk=row.promoter_id)
    if _has_to_wait(row, promoter):
        return False
    if reason := _why_never(row, promoter, owed):
        give_back(row, to=Status.REJECTED, by=SYSTEM, why=reason, at=at)
        return False
    return _tax_is_known(row, at) and _fix(row, at)


def _in_flight(payee_key: str) -> bool:
    rows = Withdrawal.objects.filter(payee_key=payee_key, status__in=Withdrawal.IN_FLIGHT)
    return rows.exists()


def _has_to_wait(row: Withdrawal, promoter: Promoter) -> bool:
    """Tell whether something is to be settled first, by people or by the sweep."""
    return (
        row.channel in set(reads.stopped_channels())
        or promoter.status not in Promoter.PAID
        or promoter.member.living.status != Member.Status.ACTIVE
        or promoter.pk in set(held_promoter_ids())
        or reads.has_missed_facts(promoter.pk)
    )


def _why_never(row: Withdrawal, promoter: Promoter, owed_fen: int) -> str:
    """Return why the money goes back, "" if it does not."""
    if owed_fen:
        return fail_reasons.OWES
    identity = payee_identity(promoter.member)
    same = (
        identity is not None
        and identity.status == Identity.Status.VERIFIED
        and identity.id_index == row.payee_key
        and promoter.member.living.openid == row.openid
    )
    return "" if same else fail_reasons.PAYEE_CHANGED


def _tax_is_known(row: Withdrawal, at: datetime) -> bool:
    """Move to tax_review and back, as a person has chosen and confirmed the rules or not."""
    known = reads.tax_is_settled(at)
    if known and row.status == Status.TAX_REVIEW:
        advance(row, Status.APPROVED, by=SYSTEM, at=at, why="tax rules confirmed")
    elif not known and row.status == Status.APPROVED:
        advance(row, Status.TAX_REVIEW, by=SYSTEM, at=at, why="tax rules not confirmed")
    return known


def _fits_today(row: Withdrawal, net_fen: int, at: datetime) -> bool:
    """Put off to tomorrow what passes the channel's sum of today; an empty day takes any."""
    today = beijing_day(at)
    limit = reads.payout_policy_at(at).channel_day_max_fen
    if reads.sent_on(row.openid, today) + net_fen <= limit:
        return True
    tomorrow = day_start(today + timedelta(days=1))
    Withdrawal.objects.filter(pk=row.pk).update(not_before=tomorrow)
    return False


def _fix(row: Withdrawal, at: datetime) -> bool:
    """Compute the tax under the lock of the month and store what will be sent."""
    month = reads.tax_so_far(row.payee_key, beijing_month(at))
    tax = month.tax_on(row.amount_fen)
    net, limits = row.amount_fen - tax, reads.limits_of(reads.payout_policy_at(at))
    if not limits.single_min_fen <= net <= limits.single_max_fen:
        give_back(row, to=Status.REJECTED, by=SYSTEM, why=fail_reasons.OUT_OF_LIMITS, at=at)
        return False
    if not _fits_today(row, net, at):
        return False
    request = TransferRequest(
        out_bill_no=row.number, openid=row.openid, amount_fen=net, remark=REMARK,
        notify_url=settings.WECHAT_NOTIFY_BASE.rstrip("/") + NOTIFY_PATH,
    )  # fmt: skip
    advance(
        row, Status.PAYING, by=SYSTEM, at=at, tax_fen=tax, net_fen=net,
        body=pay().transfer_body(request), sent_at=at, next_query_at=at, lease_until=None,
    )  # fmt: skip
    return True
