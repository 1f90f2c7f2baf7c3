"""Clawback: taking back commission because of a refund, to the fen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db import transaction
from django.utils.translation import gettext as _

from commissions.models import Commission, Plan, Reversal
from commissions.rules import kept, remaining_base
from commissions.services.ledger import EXPENSE, Balances, Entry, Kind, Ref, post
from commissions.services.returning import free_available
from commissions.signals import commission_reversed
from distro.actors import SYSTEM
from distro.facts import tell
from distro.states import advance
from orders.models import Order, Refund


@dataclass(frozen=True)
class Taking:
    """How much of one commission a refund takes back, in fen."""

    commission: Commission
    amount_fen: int


@dataclass
class Purse:
    """What a promoter has left while several of his commissions are taken back at once."""

    available_fen: int

    def take(self, wanted_fen: int) -> int:
        taken = min(wanted_fen, self.available_fen)
        self.available_fen -= taken
        return taken


def reverse_for_refund(*, refund_id: int, at: datetime) -> int:
    """Take back what a succeeded refund leaves no base for; return the fen taken, 0 when done.

    Frozen commission is taken from frozen; settled from what is available, after unsent
    withdrawals are given back for it, and the rest becomes a debt.
    """
    with transaction.atomic():
        refund = Refund.objects.get(pk=refund_id)
        order = Order.objects.select_for_update().get(pk=refund.order_id)
        refund.refresh_from_db()
        if refund.status != Refund.Status.SUCCEEDED:
            return 0
        taken = _reverse(refund, at)
        if taken:
            tell(commission_reversed, order_id=order.pk, refund_id=refund.pk)
    return taken


def reverse_order(*, order: Order, at: datetime) -> int:
    """Apply every refund of a locked order that succeeded before it was accrued."""
    done = order.refunds.filter(
        status=Refund.Status.SUCCEEDED, kind=Refund.Kind.AFTER_SALE
    ).order_by("pk")
    return sum(_reverse(refund, at) for refund in done)


def _reverse(refund: Refund, at: datetime) -> int:
    takings = _takings(refund)
    if not takings:
        return 0
    stands = _free_money(takings, at)
    purses = {pk: Purse(found.available_fen) for pk, found in stands.items()}
    rows = [_book(one, refund, purses[one.commission.promoter_id], at) for one in takings]
    Reversal.objects.bulk_create(rows)
    post([entry for row in rows for entry in _entries(row)], at=at)
    return sum(row.amount_fen for row in rows)


def _takings(refund: Refund) -> list[Taking]:
    """Lock the commissions of the refunded lines and say what each loses."""
    rows = Commission.objects.filter(line__refund_lines__refund=refund, voided_at=None)
    rows = rows.select_related("line", "plan").order_by("pk").select_for_update(of=("self",))
    done = set(Reversal.objects.filter(refund=refund).values_list("commission_id", flat=True))
    takings = [Taking(row, loss(row)) for row in rows if row.pk not in done]
    return [one for one in takings if one.amount_fen]


def loss(commission: Commission) -> int:
    """Return how much more of a commission must go, with its line as it is now, in fen."""
    return max(0, commission.kept_fen - keeps(commission))


def keeps(commission: Commission) -> int:
    """Return what a promoter keeps of a commission after the refunds of its line, in fen."""
    line = commission.line
    left = remaining_base(
        commission.base_fen,
        line.paid_fen,
        line.refunded_fen,
        margin=commission.plan.base == Plan.Base.MARGIN,
    )
    return kept(
        amount_fen=commission.amount_fen,
        base_fen=commission.base_fen,
        left_fen=left,
        rate_bps=None if commission.capped else commission.rate_bps,
    )


def _free_money(takings: Sequence[Taking], at: datetime) -> dict[int, Balances]:
    """Lock what the takings move; return the balances that they find."""
    settled: dict[int, int] = {}
    for one in takings:
        if one.commission.status == Commission.Status.SETTLED:
            promoter_id = one.commission.promoter_id
            settled[promoter_id] = settled.get(promoter_id, 0) + one.amount_fen
    promoters = {one.commission.promoter_id for one in takings}
    why = str(_("An order you earned from was refunded."))
    return free_available(settled, promoters, why=why, at=at)


def _book(one: Taking, refund: Refund, purse: Purse, at: datetime) -> Reversal:
    """Note on the commission what goes, and say where it comes from."""
    commission, amount = one.commission, one.amount_fen
    frozen = commission.status == Commission.Status.FROZEN
    available = 0 if frozen else purse.take(amount)
    _lower(commission, amount, at)
    return Reversal(
        commission=commission,
        cause=Reversal.Cause.REFUND,
        refund=refund,
        amount_fen=amount,
        from_frozen_fen=amount if frozen else 0,
        from_available_fen=available,
        as_debt_fen=0 if frozen else amount - available,
        booked_at=at,
    )


def _lower(commission: Commission, amount: int, at: datetime) -> None:
    total = commission.reversed_fen + amount
    if total == commission.amount_fen:
        advance(
            commission,
            Commission.Status.REVERSED,
            by=SYSTEM,
            at=at,
            why="refund",
            reversed_fen=total,
        )
    else:
        Commission.objects.filter(pk=commission.pk).update(reversed_fen=total)


def _entries(row: Reversal) -> list[Entry]:
    parts = [
        ("claw_frozen", Kind.FROZEN, row.from_frozen_fen),
        ("claw_available", Kind.AVAILABLE, row.from_available_fen),
        ("claw_debt", Kind.RECEIVABLE, row.as_debt_fen),
    ]
    return [
        Entry(
            debit=Ref(kind, row.commission.promoter_id),
            credit=EXPENSE,
            amount_fen=amount,
            code=code,
            key=f"{code}:refund:{row.refund_id}:{row.commission_id}",
            source=f"refund:{row.refund_id}",
        )
        for code, kind, amount in parts
    ]
