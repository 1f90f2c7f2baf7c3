"""Accrual: computing and recording what an order earns its promoters, once per order."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import Exists, OuterRef

from commissions.errors import OrderNotPaid
from commissions.models import Accrual, Commission, Plan
from commissions.rules import Beneficiary, Line, Row, compute, goods_base
from commissions.selectors import PlanTerms, in_force, published_plans, terms_of
from commissions.services.ledger import EXPENSE, Entry, Kind, Ref, lock_accounts, post
from commissions.services.reversing import reverse_order
from commissions.signals import commission_accrued
from distro.errors import brief
from distro.facts import tell
from orders.models import Order, OrderLine
from referrals.models import Promoter
from referrals.selectors import people

logger = logging.getLogger(__name__)

Outcome = Accrual.Outcome
SWEEP_AFTER = timedelta(minutes=1)


@dataclass
class Computed:
    """What an order comes to, before it is written."""

    order: Order
    outcome: str
    plan: Plan | None = None
    base_fen: int = 0
    cap_fen: int = 0
    rows: list[Row] = field(default_factory=list)


@dataclass(frozen=True)
class Choice:
    """How plans are found: the one in force when paid, or one named by an import."""

    plans: list[Plan]
    forced: Plan | None
    history: bool
    terms: dict[int, PlanTerms] = field(default_factory=dict)

    def of(self, order: Order) -> PlanTerms | None:
        assert order.paid_at is not None
        plan = self.forced or in_force(self.plans, order.paid_at)
        if plan is None:
            return None
        if plan.pk not in self.terms:
            self.terms[plan.pk] = terms_of(plan)
        return self.terms[plan.pk]


def accrue(*, order_id: int, at: datetime) -> Accrual:
    """Record what a paid order earns; return its live accrual, made now or before.

    Raises OrderNotPaid.
    """
    accrue_orders(order_ids=[order_id], at=at)
    accrual = Accrual.objects.filter(order_id=order_id, voided_at=None).first()
    if accrual is None:
        raise OrderNotPaid
    return accrual


def accrue_orders(
    *,
    order_ids: Sequence[int],
    at: datetime,
    plan: Plan | None = None,
    quiet: bool = False,
) -> int:
    """Record what these orders earn; return how many got an accrual now.

    plan: accrue an imported history under this plan whatever its start; without one imported
    orders earn nothing. quiet: tell no fact of it (a history moves nobody). Refunds that
    already succeeded and a receipt that already happened are applied at once.
    """
    with transaction.atomic():
        orders = _locked(order_ids)
        choice = Choice(published_plans(), plan, plan is not None)
        buyers = _Persons(orders)
        lines = _lines(orders)
        computed = [_compute(order, lines[order.pk], choice, buyers) for order in orders]
        if any(order.refunded_fen for order in orders):  # the reversal needs all their accounts
            lock_accounts(row.promoter_id for one in computed for row in one.rows)
        accruals = _write(computed, at, forced=plan is not None)
        for order in orders:
            if order.refunded_fen:
                reverse_order(order=order, at=at)
        if not quiet:
            for accrual in accruals:
                tell(commission_accrued, order_id=accrual.order_id, accrual_id=accrual.pk)
    return len(accruals)


def accrue_missing(*, at: datetime, limit: int = 500) -> int:
    """Accrue paid orders that have no live accrual a minute after their payment."""
    live = Accrual.objects.filter(order=OuterRef("pk"), voided_at=None)
    rows = Order.objects.filter(paid_at__lte=at - SWEEP_AFTER).exclude(Exists(live))
    ids = rows.order_by("-paid_at", "-pk").values_list("pk", flat=True)
    return sum([_accrue_missed(pk, at) for pk in list(ids[:limit])])


def _accrue_missed(order_id: int, at: datetime) -> int:
    """Accrue one order; what is wrong with it is an alarm and keeps no other from its own."""
    try:
        return accrue_orders(order_ids=[order_id], at=at)
    except Exception as error:  # noqa: BLE001 - the next order must not suffer
        logger.error("ALARM order %s cannot be accrued: %s", order_id, brief(error))
        return 0


def set_release(*, order_id: int) -> int:
    """Set when an order's commissions are released, from its receipt; return how many."""
    with transaction.atomic():
        order = Order.objects.select_for_update().get(pk=order_id)
        if order.completed_at is None:
            return 0
        rows = Commission.objects.filter(order=order, release_at=None).select_related("plan")
        days = {row.plan_id: row.plan.release_days for row in rows}
        return sum(
            Commission.objects.filter(order=order, plan_id=plan_id, release_at=None).update(
                release_at=order.completed_at + timedelta(days=count)
            )
            for plan_id, count in days.items()
        )


# --- Reading --------------------------------------------------------------------------------


def _locked(order_ids: Sequence[int]) -> list[Order]:
    """Lock the paid orders among these that have no live accrual, by pk."""
    rows = Order.objects.filter(pk__in=order_ids, paid_at__isnull=False)
    rows = rows.select_related("promoter_1", "promoter_2", "promoter_3", "binding", "member")
    locked = list(rows.order_by("pk").select_for_update(of=("self",)))
    done = Accrual.objects.filter(order_id__in=order_ids, voided_at=None)
    known = set(done.values_list("order_id", flat=True))
    return [order for order in locked if order.pk not in known]


def _lines(orders: Sequence[Order]) -> dict[int, list[OrderLine]]:
    lines: dict[int, list[OrderLine]] = {order.pk: [] for order in orders}
    rows = OrderLine.objects.filter(order_id__in=lines).select_related("sku__product")
    for line in rows.order_by("pk"):
        lines[line.order_id].append(line)
    return lines


class _Persons:
    """Tells whether a promoter is the buyer himself, by whatever account (H1)."""

    def __init__(self, orders: Sequence[Order]) -> None:
        members = {order.member_id for order in orders}
        members |= {who.member_id for order in orders for who in _chain(order)}
        self.known = people(members)

    def same(self, one: int, other: int) -> bool:
        return self.known[one].is_same_as(self.known[other])


def _chain(order: Order) -> list[Promoter]:
    chain = [order.promoter_1, order.promoter_2, order.promoter_3]
    return [promoter for promoter in chain if promoter is not None]


# --- Computing ------------------------------------------------------------------------------


def _compute(
    order: Order, lines: Sequence[OrderLine], choice: Choice, persons: _Persons
) -> Computed:
    """Decide an order's outcome and, when it earns, its rows."""
    found = choice.of(order)
    refusal = _refusal(order, found, choice, persons)
    if refusal or found is None:
        return Computed(order, refusal or Outcome.NO_PLAN, found.plan if found else None)
    bases = [_line(line, found) for line in lines]
    base_fen = sum(line.base_fen for line in bases)
    if base_fen == 0:
        return Computed(order, Outcome.ZERO_BASE, found.plan)
    chain = _beneficiaries(order, persons)
    if not any(who.entitled for who in chain):
        return Computed(order, Outcome.NOT_ENTITLED, found.plan, base_fen)
    cap_fen = base_fen * found.terms.cap_bps // 10_000
    rows = compute(bases, chain, found.terms)
    return Computed(order, Outcome.ACCRUED, found.plan, base_fen, cap_fen, rows)


def _refusal(
    order: Order, found: PlanTerms | None, choice: Choice, persons: _Persons
) -> str | None:
    """Return why the order earns nothing, whatever its lines are."""
    if order.source == Order.Source.IMPORT and not choice.history:
        return Outcome.IMPORTED
    if order.promoter_1 is None or order.binding is None:
        return Outcome.NO_PROMOTER
    if persons.same(order.member_id, order.promoter_1.member_id):
        return Outcome.SELF_PURCHASE
    if found is None:
        return Outcome.NO_PLAN
    assert order.paid_at is not None
    if order.binding.started_at > order.paid_at and not choice.history:
        return Outcome.BOUND_LATER
    if order.paid_fen - order.freight_fen < found.plan.min_order_fen:
        return Outcome.BELOW_MINIMUM
    return None


def _beneficiaries(order: Order, persons: _Persons) -> list[Beneficiary]:
    """Return the snapshot's levels; who is suspended, closed or the buyer himself earns nothing."""
    return [
        Beneficiary(
            level=level,
            promoter_id=promoter.pk,
            grade_id=promoter.grade_id,
            entitled=promoter.status == Promoter.Status.ACTIVE
            and not persons.same(order.member_id, promoter.member_id),
        )
        for level, promoter in enumerate(
            (order.promoter_1, order.promoter_2, order.promoter_3), start=1
        )
        if promoter is not None
    ]


def _line(line: OrderLine, found: PlanTerms) -> Line:
    return Line(
        key=line.pk,
        base_fen=goods_base(line.paid_fen, line.cost_fen, margin=found.margin),
        quantity=line.quantity,
        sku_id=line.sku_id,
        product_id=line.sku.product_id,
        category_id=line.sku.product.category_id,
    )


# --- Writing --------------------------------------------------------------------------------


def _write(computed: Sequence[Computed], at: datetime, *, forced: bool) -> list[Accrual]:
    accruals = Accrual.objects.bulk_create(
        [
            Accrual(
                order=one.order,
                outcome=one.outcome,
                plan=one.plan,
                plan_forced=forced,
                base_fen=one.base_fen,
                cap_fen=one.cap_fen,
                accrued_at=at,
            )
            for one in computed
        ]
    )
    commissions = Commission.objects.bulk_create(
        [
            _commission(one, accrual, row)
            for one, accrual in zip(computed, accruals, strict=True)
            for row in one.rows
        ]
    )
    post([_entry(commission) for commission in commissions], at=at)
    return accruals


def _commission(one: Computed, accrual: Accrual, row: Row) -> Commission:
    assert one.plan is not None and one.order.paid_at is not None
    received = one.order.completed_at
    return Commission(
        accrual=accrual,
        order=one.order,
        line_id=row.line.key,
        level=row.level,
        promoter_id=row.promoter_id,
        plan=one.plan,
        rate_id=row.rate.key,
        grade_id=row.grade_id,
        base_fen=row.line.base_fen,
        rate_bps=row.rate.rate_bps,
        fixed_fen=row.rate.fixed_fen,
        uncapped_fen=row.uncapped_fen,
        amount_fen=row.amount_fen,
        capped=row.capped,
        paid_at=one.order.paid_at,
        release_at=received and received + timedelta(days=one.plan.release_days),
    )


def _entry(commission: Commission) -> Entry:
    return Entry(
        debit=EXPENSE,
        credit=Ref(Kind.FROZEN, commission.promoter_id),
        amount_fen=commission.amount_fen,
        code="accrue",
        key=f"accrue:{commission.pk}",
        source=f"commission:{commission.pk}",
    )
