"""A promoter asks for money: what he would get, the request itself, and taking it back."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta

from django.db import transaction

from commissions import selectors_withdrawals as reads
from commissions.errors_withdrawals import (
    AlreadySent,
    IdentityNotVerified,
    NotEnoughAvailable,
    NoWechatAccount,
    PayeeUnderAge,
    PromoterOnHold,
    SplitImpossible,
    StillOwes,
    WithdrawalTooSmall,
)
from commissions.models import (
    Account,
    PayoutPolicy,
    TaxMonth,
    Transfer,
    Withdrawal,
    WithdrawalRequest,
)
from commissions.rules_withdrawals import (
    JUST_BELOW_TIMES,
    Piece,
    days_for,
    is_adult,
    is_just_below,
    nearest_sums,
    pieces_of,
)
from commissions.services.ledger import Balances, Entry, Ref, balances, lock_accounts, post
from commissions.services.returning import give_back, return_unsent
from commissions.signals import withdrawal_requested
from distro.actors import SYSTEM, Actor
from distro.clock import beijing_day, beijing_month, day_start
from distro.errors import NotFound
from distro.facts import tell
from distro.money import check_amount, yuan
from distro.states import advance
from orders.services.numbers import new_number
from referrals.errors import PromoterNotActive
from referrals.models import Identity, Promoter
from referrals.selectors import held_promoter_ids
from referrals.selectors_accounts import payee_identity
from referrals.selectors_joining import refuse_unsigned

__all__ = ["Quote", "cancel_withdrawal", "quote", "request_withdrawal", "return_unsent"]

Reason = WithdrawalRequest.Reason
Status = Withdrawal.Status
WEEK = timedelta(days=7)
PAYEE_CHANGE_WAIT = timedelta(hours=72)


@dataclass(frozen=True)
class Quote:
    """What a withdrawal would be: its transfers, the tax expected, who looks, when it arrives.

    days: of each piece, the first day it may go out. It waits longer for review where there
    are reasons.
    """

    amount_fen: int
    pieces: list[Piece]
    days: list[date]
    reasons: list[str]
    approvals_needed: int

    @property
    def tax_fen(self) -> int:
        """Return the tax expected on all pieces; it is fixed when each is sent."""
        return sum(piece.tax_fen for piece in self.pieces)

    @property
    def net_fen(self) -> int:
        """Return what is expected to arrive."""
        return self.amount_fen - self.tax_fen


@dataclass(frozen=True)
class Payee:
    """The verified person behind a promoter and the account that is paid to."""

    key: str
    openid: str
    verified_at: datetime


# --- Services -------------------------------------------------------------------------------


def quote(*, promoter_id: int, amount_fen: int, at: datetime) -> Quote:
    """Say what a withdrawal would be; raise what request_withdrawal() would."""
    promoter = _promoter(promoter_id)
    payee = _payee(promoter, at)
    return _quote(promoter, payee, amount_fen, balances(promoter_id), at)


def request_withdrawal(
    *, promoter_id: int, amount_fen: int, at: datetime, by: Actor | None = None
) -> WithdrawalRequest:
    """Take a sum out of what is available and start its way to the promoter.

    by: who asks, the promoter himself unless said otherwise. Raises AmountOutOfRange,
    WithdrawalTooSmall, NotEnoughAvailable, StillOwes, PromoterNotActive, PromoterOnHold,
    IdentityNotVerified, PayeeUnderAge, NoWechatAccount, SplitImpossible, AgreementUnsigned.
    """
    promoter = _promoter(promoter_id)
    if promoter.status != Promoter.Status.CLOSING:  # who leaves signs nothing new for his money
        refuse_unsigned(promoter.member_id, at=at)
    payee = _payee(promoter, at)
    _quote(promoter, payee, amount_fen, balances(promoter_id), at)  # refuse before any lock
    with transaction.atomic():
        lock_tax_month(payee.key, beijing_month(at))
        locked = lock_accounts([promoter_id])[promoter_id]
        plan = _quote(promoter, payee, amount_fen, locked, at)
        request = WithdrawalRequest.objects.create(
            number=new_number("WR", at=at), promoter=promoter, amount_fen=amount_fen,
            estimated_tax_fen=plan.tax_fen, review_reasons=plan.reasons,
            approvals_needed=plan.approvals_needed,
            made_by=str(by or promoter.member.actor), requested_at=at,
        )  # fmt: skip
        _start(request, _create_pieces(request, plan, payee, at), at)
        tell(withdrawal_requested, request_id=request.pk, promoter_id=promoter_id)
    return request


def cancel_withdrawal(*, withdrawal_id: int, by: Actor, at: datetime, why: str = "") -> Withdrawal:
    """Take back one withdrawal that is not sent yet; raise AlreadySent, NotFound."""
    with transaction.atomic():
        rows = Withdrawal.objects.select_for_update(of=("self",))
        row = rows.filter(pk=withdrawal_id).first()
        if row is None:
            raise NotFound
        if row.status not in Withdrawal.UNSENT:
            raise AlreadySent
        give_back(row, to=Status.CANCELLED, by=by, why=why, at=at)
    return row


def lock_tax_month(payee_key: str, month: date) -> None:
    """Let one transaction at a time work on the month of a person; made before it is locked."""
    row = TaxMonth(payee_key=payee_key, month=month)
    TaxMonth.objects.bulk_create([row], ignore_conflicts=True)
    TaxMonth.objects.select_for_update().get(payee_key=payee_key, month=month)


# --- Who ------------------------------------------------------------------------------------


def _promoter(promoter_id: int) -> Promoter:
    row = Promoter.objects.select_related("member__merged_into").filter(pk=promoter_id).first()
    if row is None:
        raise NotFound
    return row


def _payee(promoter: Promoter, at: datetime) -> Payee:
    """Return whom to pay; refuse who may not be paid."""
    if promoter.status not in Promoter.PAID:
        raise PromoterNotActive
    if promoter.pk in set(held_promoter_ids()):
        raise PromoterOnHold
    owner = promoter.member.living  # of a merged account the one that stays is paid
    identity = payee_identity(promoter.member)
    if identity is None or identity.status != Identity.Status.VERIFIED or not identity.id_index:
        raise IdentityNotVerified
    if not is_adult(_born(identity.id_number), beijing_day(at)):
        raise PayeeUnderAge
    if not owner.openid:
        raise NoWechatAccount
    return Payee(
        key=identity.id_index,
        openid=owner.openid,
        verified_at=identity.decided_at or identity.submitted_at,
    )


def _born(id_number: str) -> date:
    """Read the birthday in an ID number; raise IdentityNotVerified where there is none."""
    try:
        return date(int(id_number[6:10]), int(id_number[10:12]), int(id_number[12:14]))
    except ValueError:
        raise IdentityNotVerified from None


# --- What and when --------------------------------------------------------------------------


def _quote(
    promoter: Promoter, payee: Payee, amount_fen: int, money: Balances, at: datetime
) -> Quote:
    policy = reads.payout_policy_at(at)
    _check_sum(promoter, amount_fen, policy, money)
    limits, month = reads.limits_of(policy), reads.expected_month(payee.key, at)
    pieces = pieces_of(amount_fen, limits=limits, month=month)
    if not pieces:
        sums = nearest_sums(amount_fen, limits=limits, month=month)
        raise SplitImpossible(field="amount_fen", nearest=" / ".join(map(yuan, sums)) or "-")
    reasons = _reasons(promoter, payee, amount_fen, policy, at)
    days = days_for(
        [piece.amount_fen for piece in pieces],
        first_day=beijing_day(_earliest(payee, reasons, at)),
        used_fen=reads.planned_days(payee.openid, at),
        day_max_fen=limits.day_max_fen,
    )
    return Quote(amount_fen, pieces, days, reasons, _approvals(reasons))


def _check_sum(promoter: Promoter, amount_fen: int, policy: PayoutPolicy, money: Balances) -> None:
    check_amount(amount_fen)
    if money.owed_fen:
        raise StillOwes(owed=yuan(money.owed_fen))
    leaves = promoter.status == Promoter.Status.CLOSING  # with the rest, however little
    if amount_fen < policy.minimum_fen and not (leaves and amount_fen == money.available_fen):
        raise WithdrawalTooSmall(field="amount_fen", minimum=yuan(policy.minimum_fen))
    if amount_fen > money.available_fen:
        raise NotEnoughAvailable(field="amount_fen", available=yuan(money.available_fen))


def _earliest(payee: Payee, reasons: list[str], at: datetime) -> datetime:
    """Return when the first transfer may go out: a new payee waits three days."""
    changed = Reason.PAYEE_CHANGED in reasons
    return max(at, payee.verified_at + PAYEE_CHANGE_WAIT) if changed else at


def _approvals(reasons: list[str]) -> int:
    if {Reason.DAY_SUM, Reason.MONTH_SUM} & set(reasons):
        return 2
    return 1 if reasons else 0


def _reasons(
    promoter: Promoter, payee: Payee, amount_fen: int, policy: PayoutPolicy, at: datetime
) -> list[str]:
    """Say why people have to look, by the sum of the request and what came before it."""
    today, month = day_start(beijing_day(at)), day_start(beijing_month(at))
    paid = Withdrawal.objects.filter(payee_key=payee.key, status=Status.PAID)
    own = Withdrawal.objects.filter(promoter=promoter, status=Status.PAID).order_by("-id")
    last_key = own.values_list("payee_key", flat=True).first()
    day_sum = amount_fen + reads.requested_since(payee.key, today)
    month_sum = amount_fen + reads.requested_since(payee.key, month)
    found = {
        Reason.FIRST: policy.review_first and not paid.exists(),
        Reason.LARGE: amount_fen >= policy.review_from_fen,
        Reason.DAY_SUM: day_sum >= policy.two_persons_day_fen,
        Reason.MONTH_SUM: month_sum >= policy.two_persons_month_fen,
        Reason.JUST_BELOW: _often_just_below(promoter, amount_fen, policy, at),
        Reason.PAYEE_CHANGED: last_key is not None and last_key != payee.key,
        Reason.PAYEE_SHARED: reads.is_shared_payee(payee.key, promoter),
    }
    return [reason.value for reason, holds in found.items() if holds]


def _often_just_below(
    promoter: Promoter, amount_fen: int, policy: PayoutPolicy, at: datetime
) -> bool:
    limits = [policy.review_from_fen, policy.two_persons_day_fen, policy.two_persons_month_fen]
    if not is_just_below(amount_fen, limits):
        return False
    week = WithdrawalRequest.objects.filter(promoter=promoter, requested_at__gt=at - WEEK)
    before = sum(is_just_below(fen, limits) for fen in week.values_list("amount_fen", flat=True))
    return before + 1 >= JUST_BELOW_TIMES


# --- Writing --------------------------------------------------------------------------------


def _create_pieces(
    request: WithdrawalRequest, plan: Quote, payee: Payee, at: datetime
) -> list[Withdrawal]:
    today = beijing_day(at)
    earliest = _earliest(payee, plan.reasons, at)
    rows = []
    for piece, day in zip(plan.pieces, plan.days, strict=True):
        not_before = max(earliest, day_start(day)) if day > today else None
        rows.append(
            Withdrawal.objects.create(
                request=request,
                promoter_id=request.promoter_id,
                number=new_number("WD", at=at),
                amount_fen=piece.amount_fen,
                payee_key=payee.key,
                openid=payee.openid,
                not_before=not_before,
                requested_at=at,
            )
        )
    return rows


def _start(request: WithdrawalRequest, rows: list[Withdrawal], at: datetime) -> None:
    """Move the money and each piece to review, or to approved where nobody has to look."""
    kinds = (Account.Kind.AVAILABLE, Account.Kind.WITHDRAWING)
    available, withdrawing = (Ref(kind, request.promoter_id) for kind in kinds)
    post(
        [
            Entry(
                available, withdrawing, row.amount_fen, Transfer.Code.REQUEST,
                f"request:{row.pk}", f"withdrawal:{row.number}",
            )
            for row in rows
        ],
        at=at,
    )  # fmt: skip
    for row in rows:
        if request.approvals_needed:
            why = ", ".join(request.review_reasons)
            advance(row, Status.REVIEWING, by=SYSTEM, at=at, why=why)
        else:
            advance(row, Status.APPROVED, by=SYSTEM, at=at, why="no review", approved_at=at)
