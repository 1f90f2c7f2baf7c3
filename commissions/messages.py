"""What promoters are told about their commissions; sent from the outbox, once per cause."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from django.conf import settings
from django.db.models import F, Sum
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _
from django.utils.translation import override

from commissions.models import Accrual, Commission, Reversal, Settlement
from commissions.services.ledger import balances
from distro import clock, outbox
from distro.money import yuan
from referrals.models import Promoter
from referrals.services.messages import notify

PAGE = "pages/promoter/commissions"


def send_earned(payload: dict[str, Any]) -> None:
    """Tell each promoter what an accrual brought him."""
    accrual = Accrual.objects.select_related("order").get(pk=payload["accrual_id"])
    for promoter_id, amount in _sums(accrual.commissions.values_list("promoter_id", "amount_fen")):
        _send(
            promoter_id,
            f"earned:{accrual.pk}:{promoter_id}",
            "commission_earned",
            _("Commission earned"),
            _("%(amount)s yuan from order %(order)s, frozen until the return period is over."),
            amount=yuan(amount),
            order=accrual.order.number,
        )


def send_reversed(payload: dict[str, Any]) -> None:
    """Tell each promoter what a refund took from him."""
    rows = Reversal.objects.filter(refund_id=payload["refund_id"])
    order = rows.values_list("commission__order__number", flat=True).first()
    for promoter_id, amount in _sums(rows.values_list("commission__promoter_id", "amount_fen")):
        owed = balances(promoter_id).owed_fen
        text = _("%(amount)s yuan were taken back because order %(order)s was refunded.")
        if owed:
            text = _(
                "%(amount)s yuan were taken back because order %(order)s was refunded."
                " %(owed)s yuan are still owed and will be set off against what you earn next."
            )
        _send(
            promoter_id,
            f"reversed:{payload['refund_id']}:{promoter_id}",
            "commission_reversed",
            _("Commission taken back"),
            text,
            amount=yuan(amount),
            order=order,
            owed=yuan(owed),
        )


def send_settled(payload: dict[str, Any]) -> None:
    """Tell each promoter what became available to him; who never logged in is not told."""
    settlement = Settlement.objects.get(pk=payload["settlement_id"])
    rows = Commission.objects.filter(
        settlement=settlement, promoter__member__openid__isnull=False
    ).order_by()
    sums = rows.values("promoter_id").annotate(sum=Sum(F("settled_fen")))
    for promoter_id, amount in sums.values_list("promoter_id", "sum"):
        _send(
            promoter_id,
            f"settled:{settlement.pk}:{promoter_id}",
            "commission_settled",
            _("Commission settled"),
            _("%(amount)s yuan can now be withdrawn."),
            amount=yuan(amount),
        )


def _sums(rows: Any) -> list[tuple[int, int]]:
    sums: dict[int, int] = defaultdict(int)
    for promoter_id, amount in rows:
        sums[promoter_id] += amount
    return sorted(sums.items())


def _send(
    promoter_id: int, key: str, kind: str, title: str | Promise, text: str | Promise, **values: Any
) -> None:
    member_id = Promoter.objects.values_list("member_id", flat=True).get(pk=promoter_id)
    with override(settings.LANGUAGE_CODE):
        notify(
            member_id=member_id,
            kind=kind,
            key=key,
            title=str(title),
            body=str(text) % values,
            page=PAGE,
            at=clock.now(),
        )


def register() -> None:
    """Let the outbox send these messages."""
    outbox.handler("commission_earned")(send_earned)
    outbox.handler("commission_reversed")(send_reversed)
    outbox.handler("commission_settled")(send_settled)
