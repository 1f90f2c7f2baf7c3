"""Reads about withdrawals: the rules in force, a person's month, whose requests are whose."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime, timedelta

from django.db.models import Exists, OuterRef, Q, QuerySet, Sum

from commissions.errors_withdrawals import NoPayoutPolicy
from commissions.models import (
    ChannelSwitch,
    Commission,
    PayoutPolicy,
    TaxPolicy,
    VatRule,
    Withdrawal,
    WithdrawalRequest,
)
from commissions.rules_withdrawals import Limits, TaxSoFar
from distro.clock import beijing_day, beijing_month, day_start
from distro.errors import NotFound
from distro.facts import missed_order_ids
from orders.models import Order
from referrals.models import Identity, Promoter
from referrals.selectors_accounts import accounts_of

Status = Withdrawal.Status
NEVER_PAID = [Status.FAILED, Status.REJECTED, Status.CANCELLED]


# --- Rules in force -------------------------------------------------------------------------


def payout_policy_at(at: datetime) -> PayoutPolicy:
    """Return the limits in force; raise NoPayoutPolicy before the first ones."""
    rows = PayoutPolicy.objects.filter(effective_from__lte=at)
    policy = rows.order_by("-effective_from").first()
    if policy is None:
        raise NoPayoutPolicy
    return policy


def limits_of(policy: PayoutPolicy) -> Limits:
    """Return what the channel takes."""
    return Limits(
        single_min_fen=policy.channel_single_min_fen,
        single_max_fen=policy.channel_single_max_fen,
        day_max_fen=policy.channel_day_max_fen,
    )


def tax_is_settled(at: datetime) -> bool:
    """Tell whether a person chose the tax mode and confirmed the VAT rule for this time.

    Only a VAT rule that withholds nothing can be carried out so far.
    """
    modes = TaxPolicy.objects.filter(effective_from__lte=at).order_by("-effective_from")
    rules = VatRule.objects.filter(effective_from__lte=at).order_by("-effective_from")
    mode, rule = modes.first(), rules.first()
    if mode is None or mode.mode != TaxPolicy.Mode.LABOR_PER_TIME:
        return False
    if rule is None or rule.confirmed_at is None or rule.basis != VatRule.Basis.NONE:
        return False
    return rule.effective_to is None or at < rule.effective_to


def stopped_channels() -> QuerySet[ChannelSwitch, str]:
    """Return the channels that somebody has stopped."""
    return ChannelSwitch.objects.filter(stopped=True).values_list("channel", flat=True)


# --- One payee's month and days -------------------------------------------------------------


def tax_so_far(payee_key: str, month: date) -> TaxSoFar:
    """Return gross and tax of the payouts to a person that succeeded in a Beijing month."""
    after = (month.replace(day=28) + timedelta(days=4)).replace(day=1)
    paid = Withdrawal.objects.filter(
        payee_key=payee_key,
        status=Status.PAID,
        finished_at__gte=day_start(month),
        finished_at__lt=day_start(after),
    )
    sums = paid.aggregate(gross=Sum("amount_fen"), tax=Sum("tax_fen"))
    return TaxSoFar(sums["gross"] or 0, sums["tax"] or 0)


def expected_month(payee_key: str, at: datetime) -> TaxSoFar:
    """Return a person's month as it will be once everything open is paid; for estimates."""
    open_rows = Withdrawal.objects.filter(
        payee_key=payee_key, status__in=[*Withdrawal.UNSENT, *Withdrawal.IN_FLIGHT]
    )
    open_fen = open_rows.aggregate(sum=Sum("amount_fen"))["sum"] or 0
    return tax_so_far(payee_key, beijing_month(at)).plus(open_fen)


def requested_since(payee_key: str, since: datetime) -> int:
    """Return what was requested for a person from a time on and not given back, in fen."""
    rows = Withdrawal.objects.filter(payee_key=payee_key, requested_at__gte=since)
    return rows.exclude(status__in=NEVER_PAID).aggregate(sum=Sum("amount_fen"))["sum"] or 0


def sent_on(openid: str, day: date) -> int:
    """Return what was sent to a WeChat account on a Beijing day and has not failed, in fen."""
    sent = Withdrawal.objects.filter(
        openid=openid,
        sent_at__gte=day_start(day),
        sent_at__lt=day_start(day + timedelta(days=1)),
    )
    return sent.exclude(status=Status.FAILED).aggregate(sum=Sum("net_fen"))["sum"] or 0


def planned_days(openid: str, at: datetime) -> Mapping[date, int]:
    """Return by Beijing day, today on, what is sent or will be sent to a WeChat account."""
    today = beijing_day(at)
    planned = {today: sent_on(openid, today)}
    unsent = Withdrawal.objects.filter(openid=openid, status__in=Withdrawal.UNSENT)
    for amount, not_before in unsent.values_list("amount_fen", "not_before"):
        day = max(today, beijing_day(not_before)) if not_before else today
        planned[day] = planned.get(day, 0) + amount
    return planned


def has_missed_facts(promoter_id: int) -> bool:
    """Tell whether some receiver has not heard everything about an order of this promoter."""
    missed = [pk for pk in missed_order_ids() if pk is not None]
    if not missed:
        return False
    attributed = Q(promoter_1=promoter_id) | Q(promoter_2=promoter_id) | Q(promoter_3=promoter_id)
    earned = Commission.objects.filter(promoter=promoter_id, order_id__in=missed)
    return Order.objects.filter(attributed, id__in=missed).exists() or earned.exists()


# --- Payees ---------------------------------------------------------------------------------


def is_shared_payee(payee_key: str, promoter: Promoter) -> bool:
    """Tell whether another account names, or was paid to, the same person."""
    others = Identity.objects.filter(id_index=payee_key).exclude(member=promoter.member_id)
    if others.exclude(status=Identity.Status.REJECTED).exists():
        return True
    return Withdrawal.objects.filter(payee_key=payee_key).exclude(promoter=promoter).exists()


# --- Lists ----------------------------------------------------------------------------------


def withdrawals_of(promoter: Promoter) -> QuerySet[Withdrawal]:
    """Return a promoter's own withdrawals, those out of his former accounts too."""
    accounts = accounts_of(promoter.member_id)
    return Withdrawal.objects.filter(promoter__member__in=accounts).select_related("request")


def withdrawal_of(promoter: Promoter, number: str) -> Withdrawal:
    """Return one of a promoter's own withdrawals; raise NotFound."""
    row = withdrawals_of(promoter).filter(number=number).first()
    if row is None:
        raise NotFound
    return row


def promoter_of(member_id: int) -> Promoter:
    """Return a member as promoter; raise NotFound."""
    row = Promoter.objects.select_related("member").filter(member=member_id).first()
    if row is None:
        raise NotFound
    return row


def account_of(member_id: int, code: str) -> Promoter:
    """Return a member's own promoter account, or a former one by its number; raise NotFound."""
    if not code:
        return promoter_of(member_id)
    row = Promoter.objects.filter(member__in=accounts_of(member_id), code=code).first()
    if row is None:
        raise NotFound(field="account")
    return row


def requests_to_review() -> QuerySet[WithdrawalRequest]:
    """Return the requests that wait for a decision, oldest first."""
    waiting = Withdrawal.objects.filter(
        request=OuterRef("pk"), status__in=[Status.REVIEWING, Status.HELD]
    )
    return WithdrawalRequest.objects.filter(Exists(waiting)).order_by("id")


def due_withdrawals(at: datetime) -> QuerySet[Withdrawal]:
    """Return what may be sent now as far as the row itself says, oldest first."""
    in_flight = Withdrawal.objects.filter(
        payee_key=OuterRef("payee_key"), status__in=Withdrawal.IN_FLIGHT
    )
    return Withdrawal.objects.filter(
        ~Exists(in_flight),
        Q(not_before=None) | Q(not_before__lte=at),
        status__in=[Status.APPROVED, Status.TAX_REVIEW],
    ).order_by("id")
