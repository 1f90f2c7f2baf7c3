"""The promoter has 24 hours to confirm a transfer; he is reminded twice before they end."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.db import transaction
from django.utils.timezone import localtime
from django.utils.translation import gettext as _

from commissions.models import Withdrawal
from distro.money import yuan
from referrals.services.messages import in_members_language, notify

# What is left of the time when each reminder goes out, earliest first.
REMIND_AT = (timedelta(hours=12), timedelta(hours=2))


def remind_confirm(*, at: datetime) -> int:
    """Send the reminders that are due, each once; return how many."""
    waiting = Withdrawal.objects.filter(
        status=Withdrawal.Status.AWAITING_CONFIRM,
        confirm_before__gt=at,
        confirm_before__lte=at + max(REMIND_AT),
        reminders__lt=len(REMIND_AT),
    ).select_related("promoter")
    return sum([_remind(row, at) for row in waiting.order_by("confirm_before", "pk")])


def _remind(row: Withdrawal, at: datetime) -> bool:
    """Send the newest reminder that is due; an older one that was missed is left out."""
    assert row.confirm_before is not None and row.net_fen is not None
    due = sum(row.confirm_before - at <= left for left in REMIND_AT)
    with transaction.atomic():
        mine = Withdrawal.objects.filter(
            pk=row.pk, status=Withdrawal.Status.AWAITING_CONFIRM, reminders__lt=due
        )
        if not mine.update(reminders=due):
            return False
        with in_members_language():
            until = localtime(row.confirm_before).strftime("%Y-%m-%d %H:%M")
            text = _("Confirm %(net)s yuan before %(until)s, else the money comes back.")
            notify(
                member_id=row.promoter.member_id,
                kind="withdrawal",
                key=f"withdrawal:{row.pk}:remind:{due}",
                title=_("Your withdrawal waits for you"),
                body=text % {"net": yuan(row.net_fen), "until": until},
                page=f"pages/promoter/withdrawal?number={row.number}",
                at=at,
            )
    return True
