"""Plans are edited as drafts only, withdrawals decided in the queue, orders explain themselves."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.test import Client
from django.urls import reverse

from commissions.models import Plan, PlanRate, TaxPolicy, Withdrawal, WithdrawalRequest
from commissions.services.accruing import accrue
from distro import clock
from tests.analytics.admin_world import make_staff
from tests.commissions.builders import make_attributed, make_chain, make_plan
from tests.factories import AT

pytestmark = pytest.mark.django_db

SUBMITTED = {"_form_submitted": "on"}


def client_of(role: str) -> Client:
    client = Client()
    client.force_login(make_staff(role))
    return client


def plan_form(**changes: str) -> dict[str, str]:
    start = clock.now() + timedelta(days=30)
    return {
        "code": "autumn", "version": "1", "name": "秋季方案", "base": "goods_paid",
        "level_max": "1", "cap_bps": "20", "min_order_fen": "9.90", "release_days": "15",
        "effective_from_0": f"{start:%Y-%m-%d}", "effective_from_1": "00:00:00",
        "rates-TOTAL_FORMS": "1", "rates-INITIAL_FORMS": "0", "rates-0-level": "1",
        "rates-0-scope": "default", "rates-0-rate_bps": "10", "rates-0-fixed_fen": "",
    } | changes  # fmt: skip


def make_request(
    amount_fen: int = 500, status: str = "reviewing", needed: int = 1
) -> WithdrawalRequest:
    promoter = make_chain(1)[0]
    request = WithdrawalRequest.objects.create(
        number=f"W{promoter.pk}", promoter=promoter, amount_fen=amount_fen, estimated_tax_fen=0,
        requested_at=AT, review_reasons=["first"], approvals_needed=needed,
        made_by=f"member:{promoter.member_id}",
    )  # fmt: skip
    Withdrawal.objects.create(
        request=request, promoter=promoter, number=f"{request.number}-1", amount_fen=amount_fen,
        payee_key="k", openid="o", requested_at=AT, status=status,
    )  # fmt: skip
    return request


def post_step(client, model, name, row, **answers):
    url = reverse(f"admin:commissions_{model}_{name}", args=[row.pk])
    return client.post(url, {**SUBMITTED, **answers}, follow=True)


# --- Plans ----------------------------------------------------------------------------------


def test_a_draft_is_written_in_percent_and_yuan_and_published_by_a_step():
    owner = client_of("owner")
    answer = owner.post(reverse("admin:commissions_plan_add"), plan_form())
    assert answer.status_code == 302, answer.context["errors"]
    plan = Plan.objects.get()
    assert (plan.cap_bps, plan.min_order_fen, plan.status) == (2000, 990, "draft")
    assert plan.rates.get().rate_bps == 1000
    assert plan.created_by.startswith("staff:")
    post_step(owner, "plan", "publish", plan)
    plan.refresh_from_db()
    assert plan.status == "published"


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("cap_bps", "30.01"),
        ("cap_bps", "-1"),
        ("release_days", "6"),
        ("level_max", "4"),
        ("rates-0-rate_bps", "30.01"),
        ("rates-0-rate_bps", ""),
        ("rates-0-fixed_fen", "1"),
        ("rates-0-scope", "sku"),
    ],
)
def test_an_unlawful_or_ambiguous_plan_is_not_saved(field, value):
    answer = client_of("owner").post(
        reverse("admin:commissions_plan_add"), plan_form(**{field: value})
    )
    assert answer.status_code == 200
    assert not Plan.objects.exists()


def test_a_published_plan_and_its_rates_stay_as_they_are():
    plan = make_plan(1000)
    owner = client_of("owner")
    url = reverse("admin:commissions_plan_change", args=[plan.pk])
    page = owner.get(url)
    assert page.status_code == 200
    assert 'name="rates-0-rate_bps"' not in page.content.decode()
    assert owner.post(url, plan_form(name="anders")).status_code == 403
    assert owner.post(reverse("admin:commissions_plan_delete", args=[plan.pk])).status_code == 403
    plan.refresh_from_db()
    assert plan.name == "test"
    assert PlanRate.objects.get().rate_bps == 1000


def test_why_a_plan_is_not_published_is_shown():
    owner = client_of("owner")
    owner.post(reverse("admin:commissions_plan_add"), plan_form(level_max="2"))
    plan = Plan.objects.get()
    PlanRate.objects.create(plan=plan, level=2, rate_bps=500)
    answer = post_step(owner, "plan", "publish", plan)
    assert [message.level_tag for message in answer.context["messages"]][-2:] == [
        "error",
        "warning",
    ]
    plan.refresh_from_db()
    assert plan.status == "draft"
    post_step(owner, "plan", "accept_risk", plan)
    plan.refresh_from_db()
    assert plan.level_2_accepted_by.startswith("staff:")


def test_who_saves_the_tax_rule_stands_for_it():
    owner = client_of("owner")
    start = clock.now() + timedelta(days=1)
    form = {"effective_from_0": f"{start:%Y-%m-%d}", "effective_from_1": "00:00:00"}
    owner.post(reverse("admin:commissions_taxpolicy_add"), {**form, "mode": "labor_per_time"})
    assert TaxPolicy.objects.get().confirmed_by.startswith("staff:")


# --- Withdrawals ----------------------------------------------------------------------------


def test_the_queue_holds_what_waits_and_says_how_much():
    waiting, done = make_request(1234), make_request(500, "approved")
    finance = client_of("finance")
    url = reverse("admin:commissions_withdrawalrequest_changelist")
    page = finance.get(url, {"state": "waiting"})
    assert [row.pk for row in page.context["cl"].result_list] == [waiting.pk]
    assert page.context["queue"] == {"count": 1, "amount": "12.34"}
    everything = finance.get(url)
    assert {row.pk for row in everything.context["cl"].result_list} == {waiting.pk, done.pk}
    assert "该收款人首次提现" in page.content.decode()


def test_approving_is_one_decision_and_names_who_decided():
    request = make_request()
    finance = client_of("finance")
    post_step(finance, "withdrawalrequest", "approve", request)
    assert Withdrawal.objects.get().status == "approved"
    page = finance.get(reverse("admin:commissions_withdrawalrequest_change", args=[request.pk]))
    text = page.content.decode()
    assert "1 / 1" in text
    assert "finance" in text
    assert "staff:" not in text
    paths = {action["path"].rstrip("/").split("/")[-1] for action in page.context["actions_detail"]}
    assert paths == {"reject", "hold"}


def test_a_rejection_without_a_reason_decides_nothing():
    request = make_request()
    post_step(client_of("finance"), "withdrawalrequest", "reject", request, reason=" ")
    assert Withdrawal.objects.get().status == "reviewing"


def test_one_person_does_not_approve_twice():
    request = make_request(needed=2)
    finance = client_of("finance")
    post_step(finance, "withdrawalrequest", "approve", request)
    answer = post_step(finance, "withdrawalrequest", "approve", request)
    assert len(list(answer.context["messages"])) == 2
    assert Withdrawal.objects.get().status == "reviewing"
    post_step(client_of("owner"), "withdrawalrequest", "approve", request)
    assert Withdrawal.objects.get().status == "approved"


# --- An order's commissions -----------------------------------------------------------------


def test_an_order_shows_its_commissions_and_why():
    make_plan(1000, 500)
    order = make_attributed(make_chain(2), 10_000)
    accrue(order_id=order.pk, at=AT)
    url = reverse("admin:orders_order_change", args=[order.pk])
    panel = next(p for p in client_of("finance").get(url).context["panels"] if "rows" in p)
    assert [(row["commission"].level, row["amount"]) for row in panel["rows"]] == [
        (1, "10.00"),
        (2, "5.00"),
    ]
    assert all(order.number in row["why"] for row in panel["rows"])


def test_commissions_are_hidden_from_who_may_not_see_them():
    make_plan(1000)
    order = make_attributed(make_chain(1), 10_000)
    accrue(order_id=order.pk, at=AT)
    page = client_of("support").get(reverse("admin:orders_order_change", args=[order.pk]))
    assert not [panel for panel in page.context["panels"] if "rows" in panel]
    promoter = client_of("support").get(
        reverse("admin:referrals_promoter_change", args=[order.promoter_1_id])
    )
    assert not [panel for panel in promoter.context["panels"] if "frozen" in panel]
