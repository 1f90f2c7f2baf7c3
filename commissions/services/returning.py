"""How the money of a withdrawal that is not paid comes back: once, by one posting."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from django.db import transaction

from commissions.models import Account, Transfer, Withdrawal
from commissions.services.ledger import Balances, Entry, Ref, balances, lock_accounts, post
from commissions.signals import withdrawal_finished
from distro.actors import SYSTEM, Actor
from distro.facts import tell
from distro.locks import require_transaction
from distro.states import advance

Kind = Account.Kind
REASON_CHARS = 200  # characters kept of a reason


def give_back(row: Withdrawal, *, to: str, by: Actor, why: str, at: datetime) -> None:
    """End a locked withdrawal in failed, rejected or cancelled and return its money.

    Raises IllegalTransition when it has ended or may not end so; nothing is returned then.
    """
    require_transaction("give_back()")
    why = why[:REASON_CHARS]
    advance(row, to, by=by, at=at, why=why, finished_at=at, fail_reason=why, package_info="",
            lease_until=None, next_query_at=None)  # fmt: skip
    withdrawing, available = (
        Ref(kind, row.promoter_id) for kind in (Kind.WITHDRAWING, Kind.AVAILABLE)
    )
    entry = Entry(
        withdrawing, available, row.amount_fen, Transfer.Code.RETURN, f"return:{row.pk}",
        f"withdrawal:{row.number}",
    )  # fmt: skip
    post([entry], at=at)
    tell_finished(row)


def tell_finished(row: Withdrawal) -> None:
    """Tell where a withdrawal has arrived."""
    tell(
        withdrawal_finished,
        withdrawal_id=row.pk,
        promoter_id=row.promoter_id,
        status=str(row.status),
    )


def return_unsent(*, promoter_id: int, needed_fen: int, why: str, at: datetime) -> int:
    """Cancel a promoter's newest unsent withdrawals until their sum covers what is needed.

    Returns what came back, in fen; all there is when that is less than needed. The caller holds
    no account lock yet.
    """
    require_transaction("return_unsent()")
    assert needed_fen >= 0
    rows = Withdrawal.objects.filter(promoter=promoter_id, status__in=Withdrawal.UNSENT)
    locked = list(rows.order_by("pk").select_for_update(of=("self",)))
    returned = 0
    for row in reversed(locked):
        if returned >= needed_fen:
            break
        give_back(row, to=Withdrawal.Status.CANCELLED, by=SYSTEM, why=why, at=at)
        returned += row.amount_fen
    return returned


def free_available(
    needed: Mapping[int, int], promoter_ids: Iterable[int], *, why: str, at: datetime
) -> dict[int, Balances]:
    """Lock the accounts of promoters and return what stands on them.

    needed: promoter -> fen about to be taken from his available account; his unsent withdrawals
    are given back as far as less is available.
    """
    require_transaction("free_available()")
    ids = sorted(set(promoter_ids))
    while (stands := _locked_in_order(needed, ids)) is None:
        pass  # only as often as somebody asked for a withdrawal while we waited
    for promoter_id in sorted(needed):
        short = needed[promoter_id] - stands[promoter_id].available_fen
        if short > 0:
            return_unsent(promoter_id=promoter_id, needed_fen=short, why=why, at=at)
            stands[promoter_id] = balances(promoter_id)
    return stands


def _locked_in_order(
    needed: Mapping[int, int], promoter_ids: Sequence[int]
) -> dict[int, Balances] | None:
    """Lock unsent withdrawals, then accounts; None, and nothing locked, if one came between.

    With the accounts locked no other can come. Taking a newcomer's lock after the accounts would
    turn the lock order round.
    """
    unsent = Withdrawal.objects.filter(promoter__in=needed, status__in=Withdrawal.UNSENT)
    unsent = unsent.order_by("pk")
    with transaction.atomic():
        locked = set(unsent.select_for_update(of=("self",)).values_list("pk", flat=True))
        stands = lock_accounts(promoter_ids)
        if set(unsent.values_list("pk", flat=True)) <= locked:
            return stands
        transaction.set_rollback(True)
    return None
