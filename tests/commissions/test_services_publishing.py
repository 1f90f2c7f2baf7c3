"""Publishing a plan: what is refused, and that a published plan cannot change."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.db import DatabaseError, IntegrityError, connection, transaction

from commissions import errors
from commissions.models import Accrual, Plan, PlanRate
from commissions.selectors import plan_at
from commissions.services.accruing import accrue
from commissions.services.publishing import accept_level_2, publish_plan
from distro.actors import Actor
from distro.models import AuditEntry
from referrals.models import Grade
from tests.commissions.builders import make_attributed, make_chain, make_plan
from tests.factories import make_sku

pytestmark = pytest.mark.django_db
OWNER = Actor("staff", 1)


def draft(*rates: dict[str, Any], **kw: Any) -> Plan:
    fields = {"code": f"p{Plan.objects.count()}", "name": "p", "level_max": 2, "cap_bps": 2000}
    plan = Plan.objects.create(**fields | kw)
    for rate in rates:
        PlanRate.objects.create(plan=plan, **{"level": 1} | rate)
    return plan


def accepted(plan: Plan, at: datetime) -> Plan:
    return accept_level_2(plan_id=plan.pk, by=OWNER, at=at)


def test_a_sound_plan_is_published_and_rules_from_its_start(at: datetime) -> None:
    start = at + timedelta(hours=1)
    plan = draft({"rate_bps": 1000}, {"rate_bps": 500, "level": 2}, effective_from=start)
    accepted(plan, at)
    publish_plan(plan_id=plan.pk, by=OWNER, at=at)
    plan.refresh_from_db()
    assert (plan.status, plan.published_by) == ("published", "staff:1")
    assert all(rate.published for rate in plan.rates.all())
    assert plan_at(start - timedelta(seconds=1)) is None
    assert plan_at(start) == plan
    assert list(AuditEntry.objects.values_list("action", flat=True)) == [
        "plan.accept_level_2",
        "plan.publish",
    ]


L1, L2 = {"rate_bps": 1000}, {"rate_bps": 500, "level": 2}


@pytest.mark.parametrize(
    ("rates", "kw", "accept", "refusal"),
    [
        ([], {}, True, errors.PlanHasNoRates),
        ([L2], {}, True, errors.PlanHasNoRates),
        ([L1, L1], {}, True, errors.PlanRateTwice),
        ([L1, L2], {}, False, errors.PlanRiskNotAccepted),
        ([L1], {"level_max": 2}, False, errors.PlanRiskNotAccepted),
        ([L1], {"level_max": 3}, True, errors.PlanLevelTooDeep),
        ([L1, {"rate_bps": 1, "level": 3}], {}, True, errors.PlanLevelTooDeep),
        ([{"rate_bps": 1600}, L2], {}, True, errors.PlanRatesPassCap),
        ([{"rate_bps": 2001}], {"level_max": 1}, True, errors.PlanRatesPassCap),
        ([{"rate_bps": 400}, L2], {}, True, errors.PlanRatesGrow),
    ],
)
def test_an_unsound_plan_is_refused(
    rates: list[dict[str, Any]],
    kw: dict[str, Any],
    accept: bool,
    refusal: type[errors.PlanRefused],
    at: datetime,
) -> None:
    plan = draft(*rates, effective_from=at, **kw)
    if accept:
        accepted(plan, at)
    with pytest.raises(refusal):
        publish_plan(plan_id=plan.pk, by=OWNER, at=at)
    plan.refresh_from_db()
    assert plan.status == "draft"
    assert not plan.rates.filter(published=True).exists()


def test_a_special_rate_is_added_to_the_default_of_the_other_level(at: datetime) -> None:
    sku = make_sku()
    special = {"rate_bps": 1600, "scope": "product", "product": sku.product}
    plan = accepted(draft(L1, L2, special, effective_from=at), at)
    with pytest.raises(errors.PlanRatesPassCap):
        publish_plan(plan_id=plan.pk, by=OWNER, at=at)


def test_a_grade_of_the_upline_may_not_lift_him_above_the_promoter(at: datetime) -> None:
    gold = Grade.objects.create(code="gold", name="Gold")
    plan = draft(
        L1, L2, {"rate_bps": 1001, "level": 2, "grade": gold}, effective_from=at, cap_bps=3000
    )
    accepted(plan, at)
    with pytest.raises(errors.PlanRatesGrow):
        publish_plan(plan_id=plan.pk, by=OWNER, at=at)


def test_a_plan_is_published_once(at: datetime) -> None:
    plan = draft(L1, effective_from=at, level_max=1)
    publish_plan(plan_id=plan.pk, by=OWNER, at=at)
    for again in (publish_plan, accept_level_2):
        with pytest.raises(errors.PlanNotDraft):
            again(plan_id=plan.pk, by=OWNER, at=at)


@pytest.mark.parametrize(
    ("changes", "rate", "days", "refused"),
    [
        ({}, 1000, 0, False),  # the same
        ({}, 1100, 0, False),  # better
        ({}, 900, 7, False),  # worse, with notice
        ({}, 900, 6, True),
        ({"release_days": 16}, 1000, 6, True),
        ({"cap_bps": 1500}, 1000, 6, True),
        ({"min_order_fen": 1}, 1000, 6, True),
        ({"base": "margin"}, 1000, 6, True),
        ({"release_days": 14}, 1000, 0, False),
    ],
)
def test_a_worse_plan_needs_seven_days_of_notice(
    changes: dict[str, Any], rate: int, days: int, refused: bool, at: datetime
) -> None:
    old = draft(L1, effective_from=at, level_max=1)
    publish_plan(plan_id=old.pk, by=OWNER, at=at)
    start = at + timedelta(days=days)
    new = draft({"rate_bps": rate}, effective_from=start, **{"level_max": 1} | changes)
    if refused:
        with pytest.raises(errors.PlanStartsTooEarly):
            publish_plan(plan_id=new.pk, by=OWNER, at=at)
    else:
        publish_plan(plan_id=new.pk, by=OWNER, at=at)
        assert plan_at(start) == new


def test_no_plan_starts_in_the_past(at: datetime) -> None:
    plan = draft(L1, effective_from=at - timedelta(seconds=1), level_max=1)
    with pytest.raises(errors.PlanStartsTooEarly):
        publish_plan(plan_id=plan.pk, by=OWNER, at=at)


@pytest.mark.parametrize("change", [{"cap_bps": 1999}, {"release_days": 7}, {"code": "other"}])
def test_the_database_keeps_a_published_plan_as_it_is(change: dict[str, Any], at: datetime) -> None:
    plan = draft(L1, effective_from=at, level_max=1)
    publish_plan(plan_id=plan.pk, by=OWNER, at=at)
    with pytest.raises(DatabaseError), transaction.atomic():
        Plan.objects.filter(pk=plan.pk).update(**change)
    with pytest.raises(DatabaseError), transaction.atomic():
        PlanRate.objects.filter(plan=plan).update(rate_bps=1)
    with pytest.raises(DatabaseError), transaction.atomic():
        PlanRate.objects.filter(plan=plan)._raw_delete("default")


@pytest.mark.parametrize(
    "kw",
    [{"cap_bps": 3001}, {"level_max": 0}, {"level_max": 4}, {"release_days": 6}],
)
def test_the_database_refuses_a_plan_beyond_the_law(kw: dict[str, Any], at: datetime) -> None:
    with pytest.raises(IntegrityError), transaction.atomic():
        draft(effective_from=at, **kw)


@pytest.mark.parametrize(
    "kw",
    [
        {"level": 0, "rate_bps": 1},
        {"level": 4, "rate_bps": 1},
        {"rate_bps": 3001},
        {"rate_bps": 1, "fixed_fen": 1},
        {},
        {"fixed_fen": -1},
        {"rate_bps": 1, "scope": "product"},
    ],
)
def test_the_database_refuses_a_rate_that_cannot_be(kw: dict[str, Any], at: datetime) -> None:
    plan = draft(effective_from=at)
    with pytest.raises(IntegrityError), transaction.atomic():
        PlanRate.objects.create(**{"plan": plan, "level": 1} | kw)


FIXED = {"rate_bps": None, "fixed_fen": 500}


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (FIXED, {"rate_bps": 1}),  # from five yuan a piece to one ten-thousandth
        ({"rate_bps": 1000}, {"rate_bps": None, "fixed_fen": 1_000_000}),
        (FIXED, {"rate_bps": None, "fixed_fen": 499}),
    ],
)
def test_no_other_kind_of_rate_comes_round_the_notice(
    old: dict[str, Any], new: dict[str, Any], at: datetime
) -> None:
    before = draft(old, effective_from=at, level_max=1)
    publish_plan(plan_id=before.pk, by=OWNER, at=at)
    after = draft(new, effective_from=at + timedelta(days=6), level_max=1)
    with pytest.raises(errors.PlanStartsTooEarly):
        publish_plan(plan_id=after.pk, by=OWNER, at=at)


def test_a_product_without_skus_is_looked_at_too(at: datetime) -> None:
    """Its SKUs may be made tomorrow, when the plan cannot be changed any more."""
    sku = make_sku()
    product, _deleted = sku.product, sku.delete()
    special = {"rate_bps": 1600, "scope": "product", "product": product}
    plan = accepted(draft(L1, L2, special, effective_from=at), at)
    with pytest.raises(errors.PlanRatesPassCap):
        publish_plan(plan_id=plan.pk, by=OWNER, at=at)


def test_a_worse_rate_of_a_product_without_skus_needs_notice(at: datetime) -> None:
    sku = make_sku()
    product, _deleted = sku.product, sku.delete()
    special = {"rate_bps": 1600, "scope": "product", "product": product}
    old = draft(L1, special, effective_from=at, level_max=1)
    publish_plan(plan_id=old.pk, by=OWNER, at=at)
    new = draft(L1, effective_from=at + timedelta(days=6), level_max=1)
    with pytest.raises(errors.PlanStartsTooEarly):
        publish_plan(plan_id=new.pk, by=OWNER, at=at)


def test_a_published_plan_does_not_become_a_draft_again(at: datetime) -> None:
    plan = draft(L1, effective_from=at, level_max=1)
    publish_plan(plan_id=plan.pk, by=OWNER, at=at)
    doors: list[Callable[[], object]] = [
        lambda: Plan.objects.filter(pk=plan.pk).update(status="draft"),
        lambda: PlanRate.objects.filter(plan=plan).update(published=False),
        lambda: PlanRate.objects.filter(plan=plan).update(plan=draft(effective_from=at)),
        lambda: PlanRate.objects.bulk_create([PlanRate(plan=plan, level=2, rate_bps=1)]),
        lambda: PlanRate.objects.create(plan=plan, level=2, rate_bps=1, published=True),
        lambda: Plan.objects.filter(pk=plan.pk)._raw_delete("default"),
        lambda: connection.cursor().execute("UPDATE commissions_plan SET status = 'draft'"),
        lambda: connection.cursor().execute("UPDATE commissions_planrate SET rate_bps = 1"),
        lambda: connection.cursor().execute("DELETE FROM commissions_planrate"),
    ]
    for door in doors:
        with pytest.raises(DatabaseError), transaction.atomic():
            door()
    plan.refresh_from_db()
    assert (plan.status, plan.rates.get().rate_bps) == ("published", 1000)


def test_what_an_accrual_said_stays_said(at: datetime) -> None:
    make_plan(1000)
    accrue(order_id=make_attributed(make_chain(1), 10_000).pk, at=at)
    for change in ({"outcome": "no_plan"}, {"base_fen": 1}, {"cap_fen": 1}, {"plan": None}):
        with pytest.raises(DatabaseError), transaction.atomic():
            Accrual.objects.update(**change)
    assert Accrual.objects.get().outcome == "accrued"
