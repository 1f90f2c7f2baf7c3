"""One transfer at the channel: sent once at a time, asked about until it ends, booked once.

A transfer's number and body never change. An unknown outcome is queried; when the channel does
not know the number, the same body goes out again under it.
"""

from __future__ import annotations

import logging
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import F, Q

from commissions import selectors_withdrawals as reads
from commissions.models import Account, Transfer, Withdrawal
from commissions.services.ledger import Entry, Ref, post
from commissions.services.returning import give_back, tell_finished
from distro import clock
from distro.actors import Actor
from distro.errors import brief
from distro.states import advance
from distro.wechat.errors import WechatError, WechatNotFound, WechatRefused, WechatUnknown
from distro.wechat.notices import Notice, transfer_of
from distro.wechat.pay import NAME_MUST_FEN, PayClient, pay
from distro.wechat.states import TransferState
from orders.services.notices import handle_once
from referrals.models import Identity

logger = logging.getLogger(__name__)

Kind = Account.Kind
Status = Withdrawal.Status
WECHAT = Actor("wechat", 0)
BATCH = 200  # transfers asked about in one run
LEASE = timedelta(seconds=60)  # longer than the time-outs of the two or three calls under it
CONFIRM = timedelta(hours=24)  # WeChat's time for the promoter to confirm
MERCHANT_PATIENCE = timedelta(hours=24)  # to fill the account, or to mend the access
ARRIVES_WITHIN = timedelta(minutes=15)  # a transfer that WeChat does not show yet
RESEND = timedelta(days=25)  # WeChat answers queries for 30 days
# Refusals that are the merchant's to mend; the promoter's money need not come back for them.
MERCHANT_FAULTS = {"NOT_ENOUGH", "NO_AUTH", "SIGN_ERROR", "ACCOUNT_ERROR"}
INCOME_TAX = "income_tax"
# Age of a transfer up to -> pause between two queries; the last holds for older ones.
PAUSES = (
    (timedelta(minutes=10), timedelta(minutes=1)),
    (timedelta(hours=2), timedelta(minutes=5)),
    (timedelta(days=60), timedelta(minutes=30)),
)


def query_transfers(*, at: datetime) -> int:
    """Ask about the transfers whose turn it is, or send what was never sent; return how many."""
    due = Withdrawal.objects.filter(status__in=Withdrawal.IN_FLIGHT, next_query_at__lte=at)
    asked = 0
    for pk in list(due.order_by("next_query_at", "pk").values_list("pk", flat=True)[:BATCH]):
        try:
            asked += deliver(withdrawal_id=pk, at=at)
        except Exception as error:  # noqa: BLE001 - the next transfer must not suffer
            logger.error("withdrawal %d was not asked about: %s", pk, brief(error))
    return asked


def deliver(*, withdrawal_id: int, at: datetime) -> bool:
    """Send or query one transfer and book what is learnt; outside any transaction.

    Returns False when another worker has it or it has ended.
    """
    if not _lease(withdrawal_id):
        return False
    row = Withdrawal.objects.select_related("promoter").get(pk=withdrawal_id)
    try:
        state = _ask(row, pay(), at)
    except WechatRefused as refusal:
        _refused(row, refusal, at)
    except WechatError as error:
        logger.warning("withdrawal %s: outcome unknown (%s)", row.number, error)
        _ask_later(row, at, pause=_pause(row, at))
    else:
        finish_transfer(state=state, at=at)
    return True


def take_transfer_notice(*, notice: Notice, at: datetime) -> str:
    """Act on a believed notification once; return the outcome. Raises NoticeRefused."""
    state = transfer_of(notice)
    return handle_once(notice=notice, work=lambda: finish_transfer(state=state, at=at), at=at)


def finish_transfer(*, state: TransferState, at: datetime) -> str:
    """Book what the channel says of a transfer, from a notice, an answer or a query, once.

    Returns paid, returned, awaiting, in_progress, already, unknown, mismatch or conflict; the
    last three change nothing and raise an alarm.
    """
    with transaction.atomic():
        rows = Withdrawal.objects.select_for_update(of=("self",))
        row = rows.filter(number=state.out_bill_no).first()
        if row is None:
            return _alarm("unknown", state)
        if row.body is None or (row.net_fen, row.openid) != (state.amount_fen, state.openid):
            return _alarm("mismatch", state)
        if state.state == "SUCCESS":
            return _paid(row, state, at)
        if state.state in {"FAIL", "CANCELLED"}:
            return _failed(row, state, at)
        if row.status not in Withdrawal.IN_FLIGHT:
            return "already"  # an older answer that was overtaken
        if state.state == "WAIT_USER_CONFIRM":
            return _awaiting(row, state, at)
        _note(row, at, transfer_bill_no=state.transfer_bill_no)
        return "in_progress"


# --- At the channel -------------------------------------------------------------------------


def _lease(pk: int) -> bool:
    """Become the only sender for a minute of true time; committed before anything is sent."""
    now = clock.real_now()
    with transaction.atomic(durable=True):
        free = Withdrawal.objects.filter(
            Q(lease_until=None) | Q(lease_until__lte=now),
            pk=pk,
            status__in=Withdrawal.IN_FLIGHT,
        )
        return free.update(lease_until=now + LEASE, attempts=F("attempts") + 1) == 1


def _ask(row: Withdrawal, client: PayClient, at: datetime) -> TransferState:
    """Return the channel's word on a transfer, and send it where the channel has none.

    Raises WechatRefused when the channel certainly has no such transfer and takes none.
    """
    known = _query(row, client) if row.attempts > 1 else None
    if known is not None and not _lacks_package(row, known):
        return known
    try:
        return _send(row, client, at)
    except WechatRefused:
        if known is None:
            known = _query(row, client)  # an earlier sending may have arrived after all
        if known is None:
            _doubt(row, at)
            raise
        return known


def _doubt(row: Withdrawal, at: datetime) -> None:
    """Believe no refusal soon after a sending without an answer: it may still arrive."""
    assert row.sent_at is not None
    if row.attempts > 1 and at - row.sent_at < ARRIVES_WITHIN:
        raise WechatUnknown("refused_after_silence") from None


def _query(row: Withdrawal, client: PayClient) -> TransferState | None:
    """Return what the channel knows, None for nothing; a refused query proves nothing."""
    try:
        return client.query_transfer(row.number)
    except WechatNotFound:
        return None
    except WechatRefused as error:
        raise WechatUnknown(error.code) from None


def _lacks_package(row: Withdrawal, state: TransferState) -> bool:
    """Tell whether the promoter could confirm, but the answer that says how was lost.

    Only the answer to a creation carries it, so that the same body is sent again.
    """
    return state.state == "WAIT_USER_CONFIRM" and not (row.package_info or state.package_info)


def _send(row: Withdrawal, client: PayClient, at: datetime) -> TransferState:
    assert row.body is not None and row.net_fen is not None and row.sent_at is not None
    if row.channel in set(reads.stopped_channels()):
        raise WechatUnknown("stopped")
    if at - row.sent_at > RESEND:
        logger.error("ALARM withdrawal %s is too old to be sent again; ask WeChat", row.number)
        raise WechatUnknown("too_old")
    name = ""
    if row.net_fen >= NAME_MUST_FEN:
        name = Identity.objects.get(member=row.promoter.member_id).name
    return client.transfer(row.body, name)


def _refused(row: Withdrawal, refusal: WechatRefused, at: datetime) -> None:
    """Return the money of a transfer that the channel does not take; wait for the merchant."""
    assert row.sent_at is not None
    mendable = refusal.code in MERCHANT_FAULTS and at - row.sent_at < MERCHANT_PATIENCE
    logger.warning("withdrawal %s refused: %s %s", row.number, refusal.code, refusal.message)
    if mendable:
        logger.error("ALARM payouts wait for the merchant: %s", refusal.code)
        _ask_later(row, at, pause=timedelta(minutes=10))
        return
    with transaction.atomic():
        locked = Withdrawal.objects.select_for_update(of=("self",)).get(pk=row.pk)
        if locked.status in Withdrawal.IN_FLIGHT:  # a notice may have been faster
            give_back(locked, to=Status.FAILED, by=WECHAT, why=refusal.code, at=at)


def _ask_later(row: Withdrawal, at: datetime, *, pause: timedelta) -> None:
    """Free the lease; the next query has its time."""
    mine = Withdrawal.objects.filter(pk=row.pk, lease_until=row.lease_until)
    mine.update(lease_until=None, next_query_at=at + pause)


def _pause(row: Withdrawal, at: datetime) -> timedelta:
    assert row.sent_at is not None
    age = at - row.sent_at
    return next((pause for limit, pause in PAUSES if age < limit), PAUSES[-1][1])


# --- In the books ---------------------------------------------------------------------------


def _paid(row: Withdrawal, state: TransferState, at: datetime) -> str:
    if row.status == Status.PAID:
        return "already"
    if row.status not in Withdrawal.IN_FLIGHT:
        return _alarm("conflict", state)
    assert row.net_fen is not None and row.tax_fen is not None
    advance(
        row, Status.PAID, by=WECHAT, at=at, finished_at=at, package_info="", lease_until=None,
        next_query_at=None, transfer_bill_no=state.transfer_bill_no,
    )  # fmt: skip
    withdrawing, source = Ref(Kind.WITHDRAWING, row.promoter_id), f"withdrawal:{row.number}"
    clearing, payable = (
        Ref(Kind.CLEARING, label=row.channel),
        Ref(Kind.TAX_PAYABLE, label=INCOME_TAX),
    )
    net_key, tax_key = f"pay_net:{row.pk}", f"pay_tax:{row.pk}:{INCOME_TAX}"
    code = Transfer.Code
    post(
        [
            Entry(withdrawing, clearing, row.net_fen, code.PAY_NET, net_key, source),
            Entry(withdrawing, payable, row.tax_fen, code.PAY_TAX, tax_key, source),
        ],
        at=at,
    )
    tell_finished(row)
    return "paid"


def _failed(row: Withdrawal, state: TransferState, at: datetime) -> str:
    if row.status == Status.FAILED:
        return "already"
    if row.status not in Withdrawal.IN_FLIGHT:
        return _alarm("conflict", state)
    why = state.fail_reason or state.state
    give_back(row, to=Status.FAILED, by=WECHAT, why=why, at=at)
    return "returned"


def _awaiting(row: Withdrawal, state: TransferState, at: datetime) -> str:
    package = state.package_info or row.package_info
    if row.status == Status.AWAITING_CONFIRM:
        _note(row, at, package_info=package)
        return "awaiting"
    assert row.sent_at is not None
    advance(
        row, Status.AWAITING_CONFIRM, by=WECHAT, at=at, package_info=package, lease_until=None,
        transfer_bill_no=state.transfer_bill_no, next_query_at=at + _pause(row, at),
        confirm_before=max(row.sent_at + CONFIRM, at + timedelta(hours=1)),
    )  # fmt: skip
    tell_finished(row)
    return "awaiting"


def _note(row: Withdrawal, at: datetime, **changes: str) -> None:
    """Keep what was learnt about a transfer that goes on, and free the lease."""
    rows = Withdrawal.objects.filter(pk=row.pk)
    rows.update(lease_until=None, next_query_at=at + _pause(row, at), **changes)


def _alarm(outcome: str, state: TransferState) -> str:
    logger.error("ALARM transfer %s says %s: %s", state.out_bill_no, state.state, outcome)
    return outcome
