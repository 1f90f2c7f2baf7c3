"""What this package does when it hears a fact."""

from __future__ import annotations

from commissions import messages
from commissions.services.accruing import accrue, set_release
from commissions.services.ledger import lock_accounts
from commissions.services.reversing import reverse_for_refund
from commissions.signals import commission_accrued, commission_reversed, commission_settled
from distro import clock, outbox
from distro.facts import hear, hear_later
from orders.signals import order_completed, order_paid, order_refunded
from referrals.signals import promoter_approved


def open_accounts_on_approval(*, promoter_id: int, **ids: object) -> None:
    lock_accounts([promoter_id])


def accrue_on_payment(*, order_id: int, **ids: object) -> None:
    accrue(order_id=order_id, at=clock.now())


def set_release_on_receipt(*, order_id: int, **ids: object) -> None:
    set_release(order_id=order_id)


def reverse_on_refund(*, refund_id: int, **ids: object) -> None:
    reverse_for_refund(refund_id=refund_id, at=clock.now())


def tell_earned(*, accrual_id: int, **ids: object) -> None:
    outbox.put("commission_earned", f"earned:{accrual_id}", {"accrual_id": accrual_id})


def tell_reversed(*, refund_id: int, **ids: object) -> None:
    outbox.put("commission_reversed", f"reversed:{refund_id}", {"refund_id": refund_id})


def tell_settled(*, settlement_id: int, **ids: object) -> None:
    key = f"settled:{settlement_id}"
    outbox.put("commission_settled", key, {"settlement_id": settlement_id})


def connect() -> None:
    """Accrual is the last to hear of a payment: it takes the hot locks."""
    hear_later(promoter_approved, open_accounts_on_approval, "commissions.open_accounts")
    hear(order_completed, set_release_on_receipt, "commissions.set_release")
    hear(order_refunded, reverse_on_refund, "commissions.reverse")
    hear(order_paid, accrue_on_payment, "commissions.accrue")
    hear(commission_accrued, tell_earned, "commissions.tell_earned")
    hear(commission_reversed, tell_reversed, "commissions.tell_reversed")
    hear(commission_settled, tell_settled, "commissions.tell_settled")
    messages.register()
