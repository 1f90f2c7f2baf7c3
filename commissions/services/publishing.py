"""Publishing a plan: the last moment at which a wrong rate can be refused."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from datetime import datetime, timedelta
from itertools import pairwise, product

from django.db import transaction

from commissions.errors import (
    PlanHasNoRates,
    PlanLevelTooDeep,
    PlanNotDraft,
    PlanRatesGrow,
    PlanRatesPassCap,
    PlanRateTwice,
    PlanRiskNotAccepted,
    PlanStartsTooEarly,
)
from commissions.models import Plan
from commissions.rules import Line, Rate, Terms, pick_rate
from commissions.selectors import plan_at, rate_of, terms_of
from distro import audit
from distro.actors import Actor
from distro.clock import BEIJING
from distro.money import percent
from distro.states import advance
from orders.models import Product, Sku

CHANNEL_LEVEL_MAX = 2  # 微信小程序平台运营规范 5.9: level 2 at the merchant's own risk, never 3
NOTICE = timedelta(days=7)  # 电子商务法 art. 34: notice before a worsening change
RISK_TEXT = "level-2-risk/1"  # version of the text that is accepted


def accept_level_2(*, plan_id: int, by: Actor, at: datetime) -> Plan:
    """Record that somebody takes the legal risk of paying level 2. Raises PlanNotDraft."""
    with transaction.atomic():
        plan = _draft(plan_id)
        plan.level_2_accepted_by, plan.level_2_accepted_at = str(by), at
        plan.level_2_text = RISK_TEXT
        plan.save(update_fields=["level_2_accepted_by", "level_2_accepted_at", "level_2_text"])
        audit.record(by=by, action="plan.accept_level_2", target=plan, at=at)
    return plan


def publish_plan(*, plan_id: int, by: Actor, at: datetime) -> Plan:
    """Make a draft plan final; it rules orders paid from `effective_from` on.

    Raises a PlanRefused that says what to change.
    """
    with transaction.atomic():
        plan = _draft(plan_id)
        rates = [rate_of(row) for row in plan.rates.order_by("pk").select_for_update(of=("self",))]
        check_rates(plan, rates)
        check_start(plan, rates, at)
        plan.rates.update(published=True)
        advance(
            plan,
            Plan.Status.PUBLISHED,
            by=by,
            at=at,
            published_at=at,
            published_by=str(by),
        )
        audit.record(by=by, action="plan.publish", target=plan, at=at)
    return plan


def _draft(plan_id: int) -> Plan:
    plan = Plan.objects.select_for_update().get(pk=plan_id)
    if plan.status != Plan.Status.DRAFT:
        raise PlanNotDraft
    return plan


def check_rates(plan: Plan, rates: list[Rate]) -> None:
    """Refuse rates that are ambiguous, too deep, too much together, or grow with the level."""
    if not any(rate.level == 1 for rate in rates):
        raise PlanHasNoRates(field="rates")
    places = Counter((rate.scope, rate.ref, rate.grade_id, rate.level) for rate in rates)
    for (_scope, _ref, _grade, level), count in places.items():
        if count > 1:
            raise PlanRateTwice(field="rates", level=level)
    deepest = max([plan.level_max, *(rate.level for rate in rates)])
    if deepest > CHANNEL_LEVEL_MAX:
        raise PlanLevelTooDeep(field="level_max", level=deepest, maximum=CHANNEL_LEVEL_MAX)
    if deepest > 1 and not plan.level_2_accepted_at:
        raise PlanRiskNotAccepted(field="level_2_accepted_by")
    for line in _lines(rates):
        for grades in product({rate.grade_id for rate in rates} | {None}, repeat=deepest):
            _check_levels(plan, rates, line, grades)


def _check_levels(plan: Plan, rates: list[Rate], line: Line, grades: Iterable[int | None]) -> None:
    """Look at what one line pays a chain of promoters with these grades, in basis points."""
    picked = [pick_rate(rates, line, grade, n) for n, grade in enumerate(grades, start=1)]
    shares = [rate.rate_bps or 0 if rate else 0 for rate in picked]
    if sum(shares) > plan.cap_bps:
        raise PlanRatesPassCap(field="rates", sum=percent(sum(shares)), cap=percent(plan.cap_bps))
    fixed = any(rate and rate.fixed_fen is not None for rate in picked)
    for level, (before, after) in enumerate(pairwise(shares), start=2):
        if after > before and not fixed:
            raise PlanRatesGrow(field="rates", level=level)


def _lines(rates: Iterable[Rate]) -> list[Line]:
    """Return an imagined line for each object that a rate names, and one for everything else.

    The line of a product stands for its SKUs that no rate names, those of tomorrow too; so does
    the line of a category for its products.
    """
    named: dict[str, set[int]] = {"sku": set(), "product": set(), "category": set()}
    for rate in rates:
        if rate.ref is not None:
            named[rate.scope].add(rate.ref)
    skus = Sku.objects.filter(pk__in=named["sku"])
    products = Product.objects.filter(pk__in=named["product"])
    places = [
        *skus.values_list("pk", "product_id", "product__category_id"),
        *((-1, *pair) for pair in products.values_list("pk", "category_id")),
        *((-1, -1, category) for category in named["category"]),
        (-1, -1, -1),
    ]
    return [Line(0, 0, 1, *place) for place in places]


def check_start(plan: Plan, rates: list[Rate], at: datetime) -> None:
    """Refuse a start in the past, and a start sooner than seven days where somebody loses."""
    before = plan_at(max(at, plan.effective_from))
    worse = before is not None and _worse(before, plan, rates)
    earliest = at + NOTICE if worse else at
    if plan.effective_from < earliest:
        day = f"{earliest.astimezone(BEIJING):%Y-%m-%d %H:%M}"
        raise PlanStartsTooEarly(field="effective_from", earliest=day)


def _worse(before: Plan, plan: Plan, rates: list[Rate]) -> bool:
    """Tell whether any promoter would earn less, or later, under the new plan."""
    old = terms_of(before).terms
    new = Terms(plan.cap_bps, plan.level_max, tuple(rates))
    longer = plan.release_days > before.release_days
    if longer or new.cap_bps < old.cap_bps or plan.min_order_fen > before.min_order_fen:
        return True
    if plan.base != before.base or new.level_max < old.level_max:
        return True
    grades = {rate.grade_id for rate in (*old.rates, *rates)} | {None}
    cases = product(_lines([*old.rates, *rates]), grades, range(1, old.level_max + 1))
    return any(
        after < before
        for line, grade, level in cases
        for before, after in zip(
            _value(old, line, grade, level), _value(new, line, grade, level), strict=True
        )
    )


def _value(terms: Terms, line: Line, grade_id: int | None, level: int) -> tuple[int, int]:
    """Return a rate as share and fixed fen, one of them 0; neither makes up for the other."""
    rate = pick_rate(terms.rates, line, grade_id, level)
    return (rate.rate_bps or 0, rate.fixed_fen or 0) if rate else (0, 0)
