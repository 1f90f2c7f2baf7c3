"""Withdrawals: asked for once, paid or returned once."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from django.db.models import F

from analytics.books.comparing import Sums, differ, each, sums
from commissions.models import Transfer, Withdrawal, WithdrawalRequest


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


def requests_are_their_withdrawals() -> Iterator[str]:
    """A request is the sum of its withdrawals, all of the same promoter."""
    asked = sums(WithdrawalRequest.objects.all(), "pk", "amount_fen")
    pieces = sums(Withdrawal.objects.all(), "request_id", "amount_fen")
    yield from differ("withdrawals of request", pieces, asked)
    strangers = Withdrawal.objects.exclude(promoter=F("request__promoter"))
    yield from each("withdrawal of another promoter", strangers)


def money_left_the_payee_it_belongs_to() -> Iterator[str]:
    """What a withdrawal moved stood on accounts of its own promoter."""
    owners = dict(Withdrawal.objects.values_list("number", "promoter_id"))
    rows = Transfer.objects.filter(code__in=["request", "return", "pay_net", "pay_tax"])
    for pk, source, promoter in rows.values_list("pk", "source", "debit__promoter_id"):
        if owners.get(source.removeprefix("withdrawal:")) != promoter:
            yield f"another promoter's withdrawal: transfer {pk}"


CHECKS: list[Callable[[], Iterator[str]]] = [
    withdrawals_are_paid_once,
    requests_are_their_withdrawals,
    money_left_the_payee_it_belongs_to,
]
