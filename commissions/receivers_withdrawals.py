"""What promoters read about their withdrawals; the inbox always has it."""

from __future__ import annotations

from dataclasses import dataclass

from django.utils.timezone import localtime
from django.utils.translation import gettext as _

from commissions.fail_reasons import text_of
from commissions.models import Withdrawal
from commissions.signals import withdrawal_finished
from distro import clock
from distro.facts import hear
from distro.money import yuan
from referrals.services.messages import in_members_language, notify

Status = Withdrawal.Status
KIND = "withdrawal"  # of message, and of WeChat's template


@dataclass(frozen=True)
class Text:
    """One message."""

    title: str
    body: str


def connect() -> None:
    """Hear the facts; called once when the app is ready."""
    hear(withdrawal_finished, message_on_withdrawal, "commissions.message_on_withdrawal")


def message_on_withdrawal(*, withdrawal_id: int, promoter_id: int, status: str) -> None:
    """Write the promoter where his money is."""
    row = Withdrawal.objects.select_related("promoter").get(pk=withdrawal_id)
    with in_members_language():
        text = text_for(row, status)
        if text is None:
            return
        notify(
            member_id=row.promoter.member_id,
            kind=KIND,
            key=f"withdrawal:{row.pk}:{status}",
            title=text.title,
            body=text.body,
            page=f"pages/promoter/withdrawal?number={row.number}",
            at=clock.now(),
        )


def text_for(row: Withdrawal, status: str) -> Text | None:
    """Return the message of a move; None when the promoter took it back himself."""
    words = {
        "amount": yuan(row.amount_fen),
        "net": yuan(row.net_fen or 0),
        "tax": yuan(row.tax_fen or 0),
        "reason": text_of(row.fail_reason),
    }
    if status == Status.AWAITING_CONFIRM:
        assert row.confirm_before is not None
        words["until"] = localtime(row.confirm_before).strftime("%Y-%m-%d %H:%M")
        body = _("Confirm %(net)s yuan before %(until)s, else the money comes back.")
        return Text(_("Confirm your withdrawal"), body % words)
    if status == Status.PAID:
        body = _("%(net)s yuan have arrived; %(tax)s yuan of tax were withheld.")
        return Text(_("Withdrawal paid"), body % words)
    body = _("%(amount)s yuan are available again. Reason: %(reason)s")
    if status == Status.REJECTED:
        return Text(_("Withdrawal rejected"), body % words)
    if status == Status.FAILED:
        return Text(_("Withdrawal failed"), body % words)
    if status == Status.CANCELLED and row.fail_reason:
        return Text(_("Withdrawal taken back"), body % words)
    return None
