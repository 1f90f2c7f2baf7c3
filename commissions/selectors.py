"""Reads of plans and commissions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db.models import Exists, OuterRef, QuerySet, Sum
from django.db.models.functions import Coalesce

from commissions.models import Account, Commission, Plan, PlanRate, Transfer
from commissions.rules import Rate, Terms
from distro.errors import NotFound
from distro.facts import missed_order_ids
from orders.models import Refund, RefundLine
from referrals.models import Promoter
from referrals.selectors import held_promoter_ids


@dataclass(frozen=True)
class PlanTerms:
    """A published plan with what the arithmetic needs of it."""

    plan: Plan
    terms: Terms

    @property
    def margin(self) -> bool:
        return self.plan.base == Plan.Base.MARGIN


def terms_of(plan: Plan) -> PlanTerms:
    """Return a plan with its rates; of a published one only those published with it."""
    rows = plan.rates.order_by("pk")
    if plan.status == Plan.Status.PUBLISHED:
        rows = rows.filter(published=True)
    rates = tuple(rate_of(row) for row in rows)
    return PlanTerms(plan, Terms(plan.cap_bps, plan.level_max, rates))


def rate_of(row: PlanRate) -> Rate:
    """Return a rate's row as the arithmetic takes it."""
    ref = row.sku_id or row.product_id or row.category_id
    return Rate(row.pk, row.scope, ref, row.grade_id, row.level, row.rate_bps, row.fixed_fen)


def published_plans() -> list[Plan]:
    """Return the published plans, the last to take effect first."""
    return list(
        Plan.objects.filter(status=Plan.Status.PUBLISHED).order_by("-effective_from", "-pk")
    )


def plan_at(at: datetime) -> Plan | None:
    """Return the plan in force at a moment."""
    return in_force(published_plans(), at)


def in_force(plans: Sequence[Plan], at: datetime) -> Plan | None:
    """Return the first plan that had taken effect; plans come as `published_plans()` gives them."""
    return next((plan for plan in plans if plan.effective_from <= at), None)


def plan_by_code(code: str) -> Plan:
    """Return the newest published version of a plan. Raises NotFound."""
    rows = Plan.objects.filter(code=code, status=Plan.Status.PUBLISHED)
    plan = rows.order_by("-version").first()
    if plan is None:
        raise NotFound(field="plan")
    return plan


def commissions_of(promoter: Promoter) -> QuerySet[Commission]:
    """Return a promoter's live commissions, for him to see."""
    rows = Commission.objects.filter(promoter=promoter, voided_at=None)
    return rows.select_related("order", "line", "plan")


def commission_of(promoter: Promoter, commission_id: int) -> Commission:
    """Return one of a promoter's own commissions. Raises NotFound."""
    rows = commissions_of(promoter).select_related("rate", "grade", "settlement")
    row = rows.filter(pk=commission_id).first()
    if row is None:
        raise NotFound
    return row


def ledger_of(promoter: Promoter) -> QuerySet[Transfer]:
    """Return every movement on a promoter's accounts."""
    own = Account.objects.filter(promoter=promoter)
    rows = Transfer.objects.filter(debit__in=own) | Transfer.objects.filter(credit__in=own)
    return rows.select_related("debit", "credit")


def due(at: datetime) -> QuerySet[Commission]:
    """Return the frozen commissions that may become available now.

    Their order is past its return period and every fact of it was heard, no refund of their line
    is open, and nobody holds or suspended their promoter; who leaves is settled to the end.
    """
    open_refund = RefundLine.objects.filter(line=OuterRef("line"), refund__status__in=Refund.OPEN)
    return (
        Commission.objects.filter(
            status=Commission.Status.FROZEN,
            voided_at=None,
            release_at__lte=at,
            order__matured_at__isnull=False,
            promoter__status__in=Promoter.PAID,
        )
        .exclude(order_id__in=missed_order_ids())
        .exclude(promoter_id__in=held_promoter_ids())
        .exclude(Exists(open_refund))
    )


def kept_fen(commissions: QuerySet[Commission]) -> int:
    """Return what is left of these commissions after what was taken back."""
    sums = commissions.aggregate(
        amount=Coalesce(Sum("amount_fen"), 0), back=Coalesce(Sum("reversed_fen"), 0)
    )
    return int(sums["amount"]) - int(sums["back"])
