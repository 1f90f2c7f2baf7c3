"""The proof of the books: what must always hold, asked of the whole database.

Each check yields one line per fault; a sound database yields none. Sums are made by the
database, so a check costs one or two statements whatever the number of rows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Count, Exists, F, Model, OuterRef, Q, QuerySet, Sum
from django.db.models.functions import Coalesce

from campaigns.models import Campaign, CouponTemplate, Reward
from commissions.models import (
    Account,
    Accrual,
    Commission,
    Reversal,
    Settlement,
    Transfer,
    Withdrawal,
)
from commissions.models.ledger import PROMOTER_KINDS
from orders.models import Order, OrderLine, Refund, RefundLine
from referrals.proofs import tree_faults

ACCRUE_WITHIN = timedelta(minutes=5)
Sums = dict[Any, int]


def faults(*, at: datetime) -> Iterator[str]:
    """Yield every fault of the books as one line of text."""
    for check in CHECKS:
        yield from check()
    yield from accrual_of_every_order(at)
    yield from tree_faults()


def sums(rows: QuerySet[Any], by: str, *what: str) -> Sums:
    """Return {value of `by`: sum of a column (or the difference of two)}, 0 for none."""
    totals = [Coalesce(Sum(column), 0) for column in what]
    annotated = rows.order_by().values(by).annotate(first=totals[0], second=totals[-1])
    minus = len(what) - 1  # with one column the second sum is the first again
    pairs = annotated.values_list(by, "first", "second")
    return {key: int(first) - minus * int(second) for key, first, second in pairs}


def differ(name: str, found: Sums, wanted: Sums) -> Iterator[str]:
    """Yield a fault for each key whose sums differ; a missing key is 0."""
    for key in sorted(found.keys() | wanted.keys(), key=str):
        one, other = found.get(key, 0), wanted.get(key, 0)
        if one != other:
            yield f"{name} {key}: {one} instead of {other}"


def each(name: str, rows: Iterable[Model]) -> Iterator[str]:
    """Yield a fault for each row that should not be there."""
    for row in rows:
        yield f"{name}: {row._meta.model_name} {row.pk}"


# --- Accounts -------------------------------------------------------------------------------


def balances_are_their_transfers() -> Iterator[str]:
    """Every cached balance is its credits less its debits; all accounts sum to 0."""
    credits = sums(Transfer.objects.all(), "credit_id", "amount_fen")
    debits = sums(Transfer.objects.all(), "debit_id", "amount_fen")
    true = {key: credits.get(key, 0) - debits.get(key, 0) for key in credits.keys() | debits.keys()}
    cached = sums(Account.objects.filter(promoter__isnull=False), "pk", "balance_fen")
    wanted = {key: value for key, value in true.items() if key in cached}
    yield from differ("balance of account", cached, wanted)
    if sum(true.values()):
        yield f"sum of all accounts: {sum(true.values())} instead of 0"


def nobody_owes_and_has() -> Iterator[str]:
    """Nobody has something available while he owes."""
    owing = Account.objects.filter(kind=Account.Kind.RECEIVABLE, balance_fen__lt=0)
    rows = Account.objects.filter(
        kind=Account.Kind.AVAILABLE,
        balance_fen__gt=0,
        promoter__in=owing.values("promoter"),
    )
    yield from each("available while something is owed", rows)


def accounts_are_their_rows() -> Iterator[str]:
    """Frozen is what frozen commissions hold; withdrawing is what unfinished withdrawals hold."""
    frozen = Account.objects.filter(kind=Account.Kind.FROZEN)
    rows = Commission.objects.filter(status=Commission.Status.FROZEN, voided_at=None)
    held = sums(rows, "promoter_id", "amount_fen", "reversed_fen")
    yield from differ("frozen of promoter", sums(frozen, "promoter_id", "balance_fen"), held)
    withdrawing = Account.objects.filter(kind=Account.Kind.WITHDRAWING)
    unfinished = Withdrawal.objects.filter(status__in=[*Withdrawal.UNSENT, *Withdrawal.IN_FLIGHT])
    asked = sums(unfinished, "promoter_id", "amount_fen")
    found = sums(withdrawing, "promoter_id", "balance_fen")
    yield from differ("withdrawing of promoter", found, asked)


def what_came_is_what_went() -> Iterator[str]:
    """Per promoter: what stands, was paid, withheld and taken back is what he earned."""
    own = Account.objects.filter(promoter__isnull=False, kind__in=PROMOTER_KINDS)
    stands = sums(own, "promoter_id", "balance_fen")
    out = _by_promoter(
        "debit", ["pay_net", "pay_tax", "claw_frozen", "claw_available", "claw_debt"]
    )
    earned = _by_promoter("credit", ["accrue"])
    found = {key: stands.get(key, 0) + out.get(key, 0) for key in stands.keys() | out.keys()}
    yield from differ("all of promoter", found, earned)


def _by_promoter(side: str, codes: list[str]) -> Sums:
    rows = Transfer.objects.filter(code__in=codes, **{f"{side}__promoter__isnull": False})
    return sums(rows, f"{side}__promoter_id", "amount_fen")


# --- Commissions ----------------------------------------------------------------------------


def commissions_are_booked() -> Iterator[str]:
    """What was accrued and taken back per promoter is what the ledger shows."""
    earned = sums(Commission.objects.all(), "promoter_id", "amount_fen")
    yield from differ("accrued by promoter", _by_promoter("credit", ["accrue"]), earned)
    back = sums(Commission.objects.all(), "promoter_id", "reversed_fen")
    booked = _by_promoter("debit", ["claw_frozen", "claw_available", "claw_debt"])
    yield from differ("taken back from promoter", booked, back)
    rows = Commission.objects.filter(reversed_fen__gt=0)
    noted = sums(Reversal.objects.all(), "commission_id", "amount_fen")
    yield from differ("reversals of commission", noted, sums(rows, "pk", "reversed_fen"))


def orders_keep_their_cap() -> Iterator[str]:
    """No accrual's live commissions pass its cap, and the cap is the plan's share of the base."""
    paid = sums(Commission.objects.filter(voided_at=None), "accrual_id", "amount_fen")
    caps = dict(Accrual.objects.filter(pk__in=paid).values_list("pk", "cap_fen"))
    for key, amount in paid.items():
        if amount > caps[key]:
            yield f"accrual {key}: {amount} paid above its cap of {caps[key]}"
    rows = Accrual.objects.filter(cap_fen__gt=0).exclude(
        cap_fen=F("base_fen") * F("plan__cap_bps") / 10_000
    )
    yield from each("cap is not the plan's", rows)


def commissions_have_a_paid_line() -> Iterator[str]:
    """Commission exists only for a line that was paid with money, of an order that was paid."""
    unpaid = Q(line__paid_fen=0) | Q(order__paid_at=None)
    rows = Commission.objects.filter(voided_at=None)
    yield from each("commission without a payment", rows.filter(unpaid))
    yield from each("commission of another order", rows.exclude(line__order=F("order")))
    gone = rows.filter(line__refunded_fen=F("line__paid_fen"))
    heard = gone.exclude(reversed_fen=F("amount_fen"))
    yield from each("commission left on a refunded line", heard)


def settlements_are_booked() -> Iterator[str]:
    """The transfers of a settlement are the sum its rows were settled with."""
    rows = Commission.objects.filter(settlement__isnull=False)
    settled = sums(rows, "settlement_id", "settled_fen")
    booked: Sums = {}
    transfers = Transfer.objects.filter(code=Transfer.Code.SETTLE)
    for source, amount in sums(transfers, "source", "amount_fen").items():
        booked[int(source.removeprefix("settlement:"))] = amount
    yield from differ("settlement", booked, settled)
    yield from each("empty settlement", Settlement.objects.exclude(pk__in=settled))


def accrual_of_every_order(at: datetime) -> Iterator[str]:
    """Every paid order has a live accrual within five minutes; no other order has one."""
    live = Accrual.objects.filter(order=OuterRef("pk"), voided_at=None)
    late = Order.objects.filter(paid_at__lt=at - ACCRUE_WITHIN).exclude(Exists(live))
    yield from each("paid order without an accrual", late)
    yield from each("accrual of an unpaid order", Accrual.objects.filter(order__paid_at=None))


# --- Withdrawals ----------------------------------------------------------------------------


def withdrawals_are_paid_once() -> Iterator[str]:
    """A paid withdrawal left as net and tax exactly once; no other one left at all."""
    paid = Withdrawal.objects.filter(status=Withdrawal.Status.PAID)
    for code, column in (("pay_net", "net_fen"), ("pay_tax", "tax_fen")):
        wanted = {key: amount for key, amount in sums(paid, "number", column).items() if amount}
        yield from differ(f"{code} of withdrawal", _by_withdrawal(code), wanted)
    back = Withdrawal.objects.filter(
        status__in=[
            Withdrawal.Status.FAILED,
            Withdrawal.Status.REJECTED,
            Withdrawal.Status.CANCELLED,
        ]
    )
    asked = sums(Withdrawal.objects.all(), "number", "amount_fen")
    yield from differ("request of withdrawal", _by_withdrawal("request"), asked)
    returned = sums(back, "number", "amount_fen")
    yield from differ("return of withdrawal", _by_withdrawal("return"), returned)


def _by_withdrawal(code: str) -> Sums:
    rows = sums(Transfer.objects.filter(code=code), "source", "amount_fen")
    return {source.removeprefix("withdrawal:"): amount for source, amount in rows.items()}


# --- Orders, campaigns ----------------------------------------------------------------------


def refunds_are_on_their_orders() -> Iterator[str]:
    """What orders and lines show as refunded and reserved is what their refunds say."""
    ours = Q(refund__kind=Refund.Kind.AFTER_SALE)
    done = RefundLine.objects.filter(ours, refund__status=Refund.Status.SUCCEEDED)
    lines = OrderLine.objects.filter(Q(refunded_fen__gt=0) | Q(reserved_fen__gt=0))
    found = sums(lines, "pk", "refunded_fen")
    yield from differ("refunded of line", found, sums(done, "line_id", "amount_fen"))
    approved = [Refund.Status.APPROVED, Refund.Status.PROCESSING, Refund.Status.ABNORMAL]
    waiting = RefundLine.objects.filter(ours, refund__status__in=approved)
    reserved = sums(waiting, "line_id", "amount_fen")
    yield from differ("reserved of line", sums(lines, "pk", "reserved_fen"), reserved)
    orders = Order.objects.filter(refunded_fen__gt=0)
    refunds = Refund.objects.filter(
        kind=Refund.Kind.AFTER_SALE, status=Refund.Status.SUCCEEDED
    ).annotate(total=F("goods_fen") + F("freight_fen"))
    found = sums(orders, "pk", "refunded_fen")
    yield from differ("refunded of order", found, sums(refunds, "order_id", "total"))


def orders_are_their_lines() -> Iterator[str]:
    """An order's goods are the sum of its lines."""
    goods = sums(OrderLine.objects.all(), "order_id", "paid_fen")
    orders = Order.objects.annotate(goods=F("paid_fen") - F("freight_fen"))
    yield from differ("goods of order", sums(orders, "pk", "goods"), goods)


def coupons_are_counted() -> Iterator[str]:
    """Counters of coupons and rewards are the number of their rows."""
    templates = CouponTemplate.objects.annotate(rows=Count("coupons")).exclude(issued=F("rows"))
    yield from each("issued coupons", templates)
    granted = dict(
        Reward.objects.order_by()
        .values("participation__campaign_id")
        .annotate(rows=Count("pk"))
        .values_list("participation__campaign_id", "rows")
    )
    used = dict(Campaign.objects.values_list("pk", "used_rewards"))
    yield from differ("rewards of campaign", used, granted)


CHECKS: list[Callable[[], Iterator[str]]] = [
    balances_are_their_transfers,
    nobody_owes_and_has,
    accounts_are_their_rows,
    what_came_is_what_went,
    commissions_are_booked,
    orders_keep_their_cap,
    commissions_have_a_paid_line,
    settlements_are_booked,
    withdrawals_are_paid_once,
    refunds_are_on_their_orders,
    orders_are_their_lines,
    coupons_are_counted,
]
