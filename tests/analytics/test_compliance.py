"""Pay by headcount, found in what was paid; what cannot happen at all; who bought twice."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction

from analytics.compliance import (
    cash_rewards,
    check_rewards,
    coupon_rewards,
    ghost_sales,
)
from analytics.segments import bought_twice
from campaigns.models import (
    Campaign,
    Coupon,
    CouponTemplate,
    Invitation,
    Participation,
    Reward,
)
from commissions.models import Account, Accrual, Commission, Plan, PlanRate, Transfer
from orders.models import Order
from referrals.models import Binding, ComplianceDay, CompliancePolicy, Member, Promoter
from tests.factories import make_link, make_member, make_order, make_promoter, make_sku

pytestmark = pytest.mark.django_db

DAY = timedelta(days=1)


def make_sale(promoter: Promoter, buyer: Member | None = None, paid_fen: int = 10_000) -> Order:
    buyer = buyer or make_member()
    binding = Binding.objects.filter(member=buyer).first() or Binding.objects.create(
        member=buyer, promoter=promoter, mode="first_touch", started_at=promoter.approved_at,
        made_by="staff:1",
    )  # fmt: skip
    return make_order(buyer, paid_fen=paid_fen, promoter_1=promoter, binding=binding)


def make_plan(at: datetime, **kw: Any) -> Plan:
    plan = Plan.objects.create(code=f"p{Plan.objects.count()}", name="x", effective_from=at, **kw)
    PlanRate.objects.create(plan=plan, scope="sku", sku=make_sku(), level=1, rate_bps=1000)
    return plan


def make_commission(order: Order, plan: Plan, at: datetime, amount_fen: int = 1_000) -> Commission:
    promoter = order.promoter_1
    assert promoter is not None
    accrual = Accrual.objects.create(order=order, outcome="accrued", plan=plan, accrued_at=at)
    return Commission.objects.create(
        accrual=accrual, order=order, line=order.lines.get(), level=1, promoter=promoter,
        plan=plan, rate=plan.rates.get(), base_fen=10_000, rate_bps=1000, uncapped_fen=amount_fen,
        amount_fen=amount_fen, paid_at=at,
    )  # fmt: skip


def make_reward(at: datetime, order: Order | None, value_fen: int = 500) -> Reward:
    n = Campaign.objects.count()
    template = CouponTemplate.objects.create(
        code=f"c{n}", title="x", value_fen=value_fen, threshold_fen=10_000, total=9
    )
    campaign = Campaign.objects.create(
        code=f"a{n}", title="x", starts_at=at - 99 * DAY, ends_at=at + DAY, rules_text="x",
        max_invitees=9, total_rewards=9,
    )  # fmt: skip
    member = make_member()
    part = Participation.objects.create(
        campaign=campaign, member=member, link=make_link(member), joined_at=at
    )
    invitation = Invitation.objects.create(
        participation=part, campaign=campaign, invitee=make_member(), order=order, joined_at=at
    )
    coupon = Coupon.objects.create(
        template=template, member=member, code=f"K{n}", key=f"k{n}", value_fen=value_fen,
        valid_from=at, valid_until=at + DAY,
    )  # fmt: skip
    return Reward.objects.create(
        participation=part, invitation=invitation, position=1, value_fen=value_fen,
        coupon=coupon, granted_at=at,
    )  # fmt: skip


# --- Cash -----------------------------------------------------------------------------------


def test_commissions_of_paid_orders_are_no_pay_for_heads(at: datetime) -> None:
    order, plan = make_sale(make_promoter()), make_plan(at)
    make_commission(order, plan, at)
    make_commission(make_sale(make_promoter()), plan, at - 31 * DAY)
    assert cash_rewards(at - 30 * DAY, at) == (1_000, 0)


def test_a_commission_without_a_paid_order_is_found(at: datetime) -> None:
    order, plan = make_sale(make_promoter()), make_plan(at)
    make_commission(order, plan, at, amount_fen=700)
    Order.objects.filter(pk=order.pk).update(paid_at=None, status="placed")
    assert cash_rewards(at - 30 * DAY, at) == (700, 700)


def test_any_other_payment_to_a_promoter_is_found(at: datetime) -> None:
    promoter = make_promoter()
    expense = Account.objects.create(kind="expense")
    frozen = Account.objects.create(kind="frozen", promoter=promoter, balance_fen=0)
    for number, code in enumerate(["accrue", "settle"]):
        Transfer.objects.create(
            debit=expense, credit=frozen, amount_fen=300, code=code, source="x",
            idempotency_key=f"t{number}", booked_on=at.date(), occurred_at=at,
        )  # fmt: skip
    assert cash_rewards(at - 30 * DAY, at) == (300, 300)


def test_a_commission_needs_an_order_line(at: datetime) -> None:
    order, plan = make_sale(make_promoter()), make_plan(at)
    commission = make_commission(order, plan, at)
    fields = {f.attname: getattr(commission, f.attname) for f in commission._meta.concrete_fields}
    Commission.objects.all().update(voided_at=at)
    with pytest.raises(IntegrityError), transaction.atomic():
        Commission.objects.create(**fields | {"id": None, "line_id": None})
    assert Commission.objects.count() == 1


# --- Coupons --------------------------------------------------------------------------------


def test_coupons_for_sales_are_told_from_coupons_for_heads(at: datetime) -> None:
    make_reward(at, make_order(), 500)
    make_reward(at, None, 200)
    make_reward(at, make_order(status="placed", paid_at=None), 100)
    make_reward(at - 31 * DAY, None, 9_000)
    assert coupon_rewards(at - 30 * DAY, at) == (800, 300)


@pytest.mark.parametrize("kind", ["cash", "balance", "points"])
@pytest.mark.parametrize(
    "trigger", ["register", "join", "follow", "invite_count", "first_order_matured"]
)
def test_a_campaign_that_pays_cash_cannot_be_saved(at: datetime, kind: str, trigger: str) -> None:
    _refuse_campaign(at, reward_kind=kind, trigger=trigger)


@pytest.mark.parametrize("trigger", ["register", "join", "follow", "invite_count", "share"])
def test_a_campaign_that_rewards_less_than_a_sale_cannot_be_saved(
    at: datetime, trigger: str
) -> None:
    _refuse_campaign(at, reward_kind="coupon", trigger=trigger)


def _refuse_campaign(at: datetime, **rule: str) -> None:
    campaign = Campaign(
        code="c", title="x", starts_at=at, ends_at=at + DAY, rules_text="x", max_invitees=1,
        total_rewards=1, **rule,
    )  # fmt: skip
    with pytest.raises(ValidationError):
        campaign.full_clean()
    with pytest.raises(IntegrityError), transaction.atomic():
        campaign.save()
    assert not Campaign.objects.exists()


# --- Ghost sales ----------------------------------------------------------------------------


def test_who_sold_only_the_minimum_to_everybody_is_a_ghost(at: datetime) -> None:
    ghost, seller, mixed, regular = (make_promoter() for _ in range(4))
    for _ in range(3):
        make_sale(ghost, paid_fen=1_000)
    make_sale(seller, paid_fen=1_001)
    make_sale(mixed, paid_fen=1_000)
    make_sale(mixed, paid_fen=5_000)
    buyer = make_member()
    for _ in range(2):  # each of the minimum, together more
        make_sale(regular, buyer, paid_fen=1_000)
    make_promoter()  # nobody bought from him
    make_order(paid_fen=500)  # of no promoter
    assert ghost_sales(1_000) == (4, 1)
    assert ghost_sales(999) == (4, 0)
    assert ghost_sales(100_000) == (4, 4)


def test_freight_and_unpaid_orders_do_not_count(at: datetime) -> None:
    promoter = make_promoter()
    order = make_sale(promoter, paid_fen=1_000)
    Order.objects.filter(pk=order.pk).update(freight_fen=800, paid_fen=1_800)
    waiting = make_sale(promoter, paid_fen=90_000)
    Order.objects.filter(pk=waiting.pk).update(status="placed", paid_at=None)
    assert ghost_sales(1_000) == (1, 1)


# --- The daily look -------------------------------------------------------------------------


def test_the_day_keeps_what_was_found(at: datetime) -> None:
    CompliancePolicy.objects.create(effective_from=at, reward_gate_fen=1_000, reward_days=7)
    make_reward(at, None, 200)
    make_reward(at - 8 * DAY, None, 200)
    make_sale(make_promoter(), paid_fen=1_000)
    assert check_rewards(at=at) == 1
    check_rewards(at=at)
    day = ComplianceDay.objects.get()
    assert (day.rewards_fen, day.cash_fen, day.coupons_fen) == (200, 0, 200)
    assert (day.gate_fen, day.sellers, day.ghosts) == (1_000, 1, 1)
    assert day.rewards_from == at - 7 * DAY
    assert day.trees is None  # not judged on that day


def test_without_a_purchase_that_opens_a_reward_nothing_is_invented(at: datetime) -> None:
    make_sale(make_promoter())
    check_rewards(at=at)
    day = ComplianceDay.objects.get()
    assert (day.gate_fen, day.sellers, day.ghosts) == (None, None, None)
    assert (day.rewards_fen, day.cash_fen, day.coupons_fen) == (0, 0, 0)


def test_the_smallest_order_of_the_plan_opens_a_reward(at: datetime) -> None:
    plan = make_plan(at - DAY, min_order_fen=2_000)
    Plan.objects.filter(pk=plan.pk).update(status="published", published_at=at - DAY)
    make_sale(make_promoter(), paid_fen=2_000)
    check_rewards(at=at)
    day = ComplianceDay.objects.get()
    assert (day.gate_fen, day.sellers, day.ghosts) == (2_000, 1, 1)


def test_who_received_two_orders_bought_twice() -> None:
    member = make_member()
    for status, twice in [("completed", False), ("refunded", False), ("completed", True)]:
        make_order(member, status=status)
        assert bought_twice(member.pk) is twice
