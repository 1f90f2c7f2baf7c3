"""What packages further left may know of the money of an account."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from commissions.models import Account, Commission, Withdrawal
from commissions.selectors_withdrawals import has_missed_facts
from referrals.models import Closure, Promoter
from referrals.rules.accounts import Waiting
from referrals.selectors_accounts import former_promoters

Kind, Wait = Account.Kind, Closure.Wait
MONEY = {
    Kind.AVAILABLE: Wait.AVAILABLE,
    Kind.WITHDRAWING: Wait.WITHDRAWING,
    Kind.RECEIVABLE: Wait.OWED,
}
NAMES = {
    Kind.FROZEN: "frozen_fen",
    Kind.AVAILABLE: "available_fen",
    Kind.WITHDRAWING: "withdrawing_fen",
    Kind.RECEIVABLE: "owed_fen",
}


def money_waits(member_id: int) -> list[Waiting]:
    """Return what has to leave the accounts of the promoter that a member is."""
    promoter = Promoter.objects.filter(member=member_id).order_by().first()
    if promoter is None:
        return []
    accounts = Account.objects.filter(promoter=promoter)
    stands = dict(accounts.values_list("kind", "balance_fen"))
    waits = []
    if stands.get(Kind.FROZEN) or has_frozen(promoter.pk):
        waits.append(Waiting(Wait.FROZEN.value, stands.get(Kind.FROZEN) or 0))
    for kind, wait in MONEY.items():
        if fen := stands.get(kind):
            waits.append(Waiting(wait.value, abs(fen)))
    if has_missed_facts(promoter.pk):
        waits.append(Waiting(Wait.FACTS.value))
    return waits


def former_accounts(member_id: int) -> list[dict[str, Any]]:
    """Return what stands on the promoter accounts merged into a member's, those not empty."""
    rows = Account.objects.filter(promoter__in=former_promoters(member_id), closed=False)
    found: dict[str, dict[str, Any]] = {}
    for row in rows.select_related("promoter").order_by("promoter", "pk"):
        assert row.promoter is not None
        empty = dict.fromkeys(NAMES.values(), 0)
        stands = found.setdefault(row.promoter.code, {"account": row.promoter.code, **empty})
        stands[NAMES[Kind(row.kind)]] = abs(row.balance_fen or 0)
    return [stands for stands in found.values() if any(stands[name] for name in NAMES.values())]


def has_frozen(promoter_id: int) -> bool:
    """Say whether a promoter has commissions that may still settle."""
    rows = Commission.objects.filter(promoter=promoter_id, voided_at=None)
    return rows.filter(status=Commission.Status.FROZEN).exists()


def was_paid(member_ids: Collection[int]) -> bool:
    """Say whether money ever went out, or may be on its way, from accounts of these members."""
    rows = Withdrawal.objects.filter(promoter__member__in=member_ids)
    return rows.filter(sent_at__isnull=False).exists()
