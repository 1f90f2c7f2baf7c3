"""The money's part in closing and merging accounts."""

from __future__ import annotations

from datetime import datetime

from django.utils.translation import gettext as _

from commissions.models import Account, Withdrawal
from commissions.selectors_accounts import has_frozen
from commissions.services.ledger import lock_accounts
from commissions.services.returning import return_unsent
from distro.locks import require_transaction
from referrals.errors_accounts import AccountStillHolds
from referrals.models import Promoter
from referrals.services.messages import in_members_language


def close_money(*, promoter_id: int) -> None:
    """Close the four accounts of a promoter who leaves, in the transaction that closes him.

    Whoever posts at the same moment waits here, and is refused after it. Raises AccountStillHolds.
    """
    require_transaction("close_money()")
    money = lock_accounts([promoter_id])[promoter_id]
    held = money.frozen_fen, money.available_fen, money.withdrawing_fen, money.owed_fen
    if any(held) or has_frozen(promoter_id):
        raise AccountStillHolds
    Account.objects.filter(promoter=promoter_id).update(closed=True)


def return_for_merge(*, member_id: int, at: datetime) -> int:
    """Give back what a merged account has not sent: he may be paid at another WeChat account now.

    Returns what came back, in fen; nothing more a second time.
    """
    promoter = Promoter.objects.filter(member=member_id).order_by().first()
    if promoter is None:
        return 0
    unsent = Withdrawal.objects.filter(promoter=promoter, status__in=Withdrawal.UNSENT)
    needed = sum(unsent.values_list("amount_fen", flat=True))
    with in_members_language():
        why = _("Your accounts were merged; ask for the money again.")
    return return_unsent(promoter_id=promoter.pk, needed_fen=needed, why=why, at=at)
