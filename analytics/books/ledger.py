"""Accounts and transfers: what stands is what was booked, and every booking has its shape."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import date, timedelta
from itertools import pairwise

from django.db.models import Count, F, Q, QuerySet, Sum
from django.db.models.functions import Coalesce, TruncDate

from analytics.books.comparing import Sums, differ, each, sums
from commissions.models import (
    Account,
    Commission,
    Correction,
    Period,
    Settlement,
    Transfer,
    Withdrawal,
)
from commissions.models.ledger import PROMOTER_KINDS
from commissions.selectors_periods import ledger_faults
from distro.clock import BEIJING, beijing_day

Code, Kind = Transfer.Code, Account.Kind

# code -> kinds of (debit, credit) account, beginning of the source; what has no cause yet is absent
SHAPES: dict[str, tuple[list[tuple[str, str]], str]] = {
    Code.ACCRUE: ([(Kind.EXPENSE, Kind.FROZEN)], "commission:"),
    Code.SETTLE: ([(Kind.FROZEN, Kind.AVAILABLE)], "settlement:"),
    Code.CLAW_FROZEN: ([(Kind.FROZEN, Kind.EXPENSE)], "refund:"),
    Code.CLAW_AVAILABLE: ([(Kind.AVAILABLE, Kind.EXPENSE)], "refund:"),
    Code.CLAW_DEBT: ([(Kind.RECEIVABLE, Kind.EXPENSE)], "refund:"),
    Code.OFFSET: ([(Kind.AVAILABLE, Kind.RECEIVABLE)], ""),
    Code.REQUEST: ([(Kind.AVAILABLE, Kind.WITHDRAWING)], "withdrawal:"),
    Code.RETURN: ([(Kind.WITHDRAWING, Kind.AVAILABLE)], "withdrawal:"),
    Code.PAY_NET: ([(Kind.WITHDRAWING, Kind.CLEARING)], "withdrawal:"),
    Code.PAY_TAX: ([(Kind.WITHDRAWING, Kind.TAX_PAYABLE)], "withdrawal:"),
    Code.CORRECT_UP: ([(Kind.EXPENSE, Kind.AVAILABLE)], "correction:"),
    Code.CORRECT_DOWN: (
        [(Kind.AVAILABLE, Kind.EXPENSE), (Kind.RECEIVABLE, Kind.EXPENSE)],
        "correction:",
    ),
    Code.WRITE_OFF: ([(Kind.WRITE_OFF, Kind.RECEIVABLE)], "correction:"),
}


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


def transfers_have_their_shape() -> Iterator[str]:
    """Each code goes between its two kinds of account of one promoter, under a key of its own."""
    for code, (pairs, source) in SHAPES.items():
        between = Q(pk=None)
        for debit, credit in pairs:
            between |= Q(debit__kind=debit, credit__kind=credit)
        sound = between & Q(source__startswith=source, idempotency_key__startswith=f"{code}:")
        yield from each("not what its code means", Transfer.objects.filter(~sound, code=code))
    yield from each("without a cause", Transfer.objects.exclude(code__in=SHAPES))
    strangers = Transfer.objects.filter(
        debit__promoter__isnull=False, credit__promoter__isnull=False
    ).exclude(debit__promoter=F("credit__promoter"))
    yield from each("between two promoters", strangers)
    labelled = Account.objects.filter(kind=Kind.EXPENSE).exclude(label="")
    yield from each("second account of the expense", labelled)


def transfers_are_booked_on_their_day() -> Iterator[str]:
    """A transfer is booked on the Beijing day it occurred on, or on the first day after a close."""
    rows = Transfer.objects.annotate(day=TruncDate("occurred_at", tzinfo=BEIJING))
    first_open = [day + timedelta(days=1) for day in _closed_days()]
    late = Q(booked_on__gt=F("day"), booked_on__in=first_open)
    yield from each("booked on another day", rows.exclude(booked_on=F("day")).exclude(late))


def closed_months_are_whole() -> Iterator[str]:
    """Months are closed without a gap, and hold what they held when they were closed."""
    days = _closed_days()
    if days:
        earlier = Transfer.objects.filter(booked_on__lt=days[0].replace(day=1))
        yield from each("booked before the first closed month", earlier)
    for before, day in pairwise(days):
        if (before + timedelta(days=1)).replace(day=1) != day.replace(day=1):
            yield f"closed month {day:%Y-%m}: the one before it is open"
    for period in Period.objects.order_by("last_day"):
        day = period.last_day
        if (day + timedelta(days=1)).day != 1 or beijing_day(period.closed_at) <= day:
            yield f"closed month {period}: not a whole month that was over"
        rows = Transfer.objects.filter(
            booked_on__gte=period.last_day.replace(day=1), booked_on__lte=period.last_day
        )
        found = rows.aggregate(number=Count("pk"), fen=Coalesce(Sum("amount_fen"), 0))
        if (found["number"], found["fen"]) != (period.transfers, period.amount_fen):
            yield f"closed month {period}: {found['number']} transfers, not {period.transfers}"


def _closed_days() -> list[date]:
    return list(Period.objects.order_by("last_day").values_list("last_day", flat=True))


def sealed_rows_are_unchanged() -> Iterator[str]:
    """No transfer that was sealed is altered, gone or slipped in later."""
    yield from ledger_faults()


def corrections_are_booked() -> Iterator[str]:
    """A booked correction moved its amount on its promoter's accounts; no other moved anything."""
    rows = Correction.objects.filter(status=Correction.Status.BOOKED)
    for kind in Correction.Kind.values:
        of_kind = rows.filter(kind=kind)
        wanted = {
            f"correction:{pk} of {promoter}": amount
            for pk, promoter, amount in of_kind.values_list("pk", "promoter", "amount_fen")
        }
        side = "debit" if kind == Correction.Kind.DOWN else "credit"
        booked: Sums = {}
        transfers = Transfer.objects.filter(code=kind).values_list(
            "source", f"{side}__promoter", "amount_fen"
        )
        for source, promoter, amount in transfers:
            name = f"{source} of {promoter}"
            booked[name] = booked.get(name, 0) + amount
        yield from differ(f"{kind} of", booked, wanted)


def nobody_owes_and_has() -> Iterator[str]:
    """Nobody has something available while he owes."""
    owing = Account.objects.filter(kind=Kind.RECEIVABLE, balance_fen__lt=0)
    rows = Account.objects.filter(
        kind=Kind.AVAILABLE, balance_fen__gt=0, promoter__in=owing.values("promoter")
    )
    yield from each("available while something is owed", rows)


def accounts_are_their_rows() -> Iterator[str]:
    """Frozen is what frozen commissions hold; withdrawing is what unfinished withdrawals hold."""
    rows = Commission.objects.filter(status=Commission.Status.FROZEN, voided_at=None)
    held = sums(rows, "promoter_id", "amount_fen", "reversed_fen")
    yield from differ("frozen of promoter", _stands(Kind.FROZEN), held)
    unfinished = Withdrawal.objects.filter(status__in=[*Withdrawal.UNSENT, *Withdrawal.IN_FLIGHT])
    asked = sums(unfinished, "promoter_id", "amount_fen")
    yield from differ("withdrawing of promoter", _stands(Kind.WITHDRAWING), asked)


def _stands(kind: str) -> Sums:
    return sums(Account.objects.filter(kind=kind), "promoter_id", "balance_fen")


OUT = ["pay_net", "pay_tax", "claw_frozen", "claw_available", "claw_debt", "correct_down"]


def what_came_is_what_went() -> Iterator[str]:
    """Per promoter: what stands, was paid, withheld and taken back is what he earned.

    A debt that was written off counts as given to him.
    """
    own = Account.objects.filter(promoter__isnull=False, kind__in=PROMOTER_KINDS)
    stands = sums(own, "promoter_id", "balance_fen")
    out = by_promoter("debit", OUT)
    earned = by_promoter("credit", ["accrue", "correct_up", "write_off"])
    found = {key: stands.get(key, 0) + out.get(key, 0) for key in stands.keys() | out.keys()}
    yield from differ("all of promoter", found, earned)


def by_promoter(side: str, codes: list[str]) -> Sums:
    """Return what went out of (or into) each promoter's accounts under these codes."""
    rows = Transfer.objects.filter(code__in=codes, **{f"{side}__promoter__isnull": False})
    return sums(rows, f"{side}__promoter_id", "amount_fen")


def settlements_are_booked() -> Iterator[str]:
    """The transfers of a settlement are, for each promoter, the sum of its rows."""
    rows = Commission.objects.filter(settlement__isnull=False)
    pairs = rows.order_by().values_list("settlement_id", "promoter_id", "settled_fen")
    settled: Sums = {}
    for settlement, promoter, amount in pairs.iterator():
        source = f"settlement:{settlement} of promoter {promoter}"
        settled[source] = settled.get(source, 0) + (amount or 0)
    booked: Sums = {}
    for row in _settle_transfers():
        source = f"{row.source} of promoter {row.debit.promoter_id}"
        booked[source] = booked.get(source, 0) + row.amount_fen
    yield from differ("booked for", booked, settled)
    empty = Settlement.objects.exclude(pk__in=rows.values("settlement"))
    yield from each("empty settlement", empty)


def _settle_transfers() -> QuerySet[Transfer]:
    rows = Transfer.objects.filter(code=Code.SETTLE).select_related("debit")
    return rows.only("source", "amount_fen", "debit__promoter_id")


CHECKS: list[Callable[[], Iterator[str]]] = [
    balances_are_their_transfers,
    transfers_have_their_shape,
    transfers_are_booked_on_their_day,
    closed_months_are_whole,
    sealed_rows_are_unchanged,
    corrections_are_booked,
    nobody_owes_and_has,
    accounts_are_their_rows,
    what_came_is_what_went,
    settlements_are_booked,
]
