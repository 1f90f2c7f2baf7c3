"""Daily facts: which days are counted anew, and that they say what the rows say."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import Any

import pytest

from analytics.models import Event, EventDay, ShopDay
from analytics.rules import Light, days_between
from analytics.selectors import (
    NUMBERS,
    DayFacts,
    commission_share,
    facts_of,
    series,
    today,
    top_promoters,
    waiting_queues,
)
from analytics.services.folding import fold_days, fold_range
from commissions.models import Commission
from commissions.services.accruing import accrue
from commissions.services.reversing import reverse_for_refund
from distro.models import MissedFact
from orders.models import Order, Refund
from referrals.models import Application, Member, Visit
from tests.commissions.builders import make_attributed, make_chain, make_plan, refund_line
from tests.factories import AT, make_link, make_member, make_order, make_promoter

pytestmark = pytest.mark.django_db
DAY = timedelta(days=1)
TODAY = date(2026, 11, 2)  # AT in Beijing
MIDNIGHT = AT.replace(hour=0)


def numbers(day: date = TODAY) -> dict[str, int]:
    """Return what a day's row says, without the zeros."""
    row = ShopDay.objects.get(day=day)
    return {name: getattr(row, name) for name in NUMBERS if getattr(row, name)}


def earn(*chain: Any, paid_fen: int = 10_000, **kw: Any) -> Order:
    order = make_attributed(chain, paid_fen, **kw)
    accrue(order_id=order.pk, at=AT)
    return order


# --- What a day says ------------------------------------------------------------------------


def test_money_counts_on_the_day_of_payment_without_freight() -> None:
    buyer = make_member(joined_at=AT - 50 * DAY)
    make_order(buyer, 10_000, freight_fen=800, discount_fen=0)
    make_order(buyer, 5_000)
    fold_days(at=AT)
    assert numbers() == {
        "orders": 2, "buyers": 1, "gmv_paid_fen": 15_000, "gmv_net_fen": 15_000,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("paid_at", "day"),
    [
        (MIDNIGHT, TODAY),
        (MIDNIGHT - timedelta(microseconds=1), TODAY - DAY),
        (MIDNIGHT + DAY - timedelta(microseconds=1), TODAY),
        (MIDNIGHT + timedelta(hours=7), TODAY),  # in London it is still yesterday
    ],
)
def test_a_day_is_a_beijing_day(paid_at: datetime, day: date) -> None:
    make_order(make_member(joined_at=AT - 50 * DAY), paid_at=paid_at)
    fold_range(first=TODAY - DAY, last=TODAY, at=AT)
    assert numbers(day)["orders"] == 1


def test_a_refund_lowers_the_net_of_the_day_of_payment() -> None:
    order = make_order(make_member(joined_at=AT - 50 * DAY), paid_at=AT - 40 * DAY)
    for _ in range(3):  # the cursors are past the order
        fold_days(at=AT)
    refund_line(order.lines.get(), 4_000, at=AT)
    fold_days(at=AT)
    row = numbers(TODAY - 40 * DAY)
    assert (row["orders"], row["gmv_paid_fen"], row["gmv_net_fen"]) == (1, 10_000, 6_000)
    assert numbers() == {}


def test_refunded_freight_touches_no_gmv() -> None:
    order = make_order(make_member(joined_at=AT - 50 * DAY), freight_fen=800)
    Order.objects.filter(pk=order.pk).update(refunded_fen=800, freight_refunded_fen=800)
    fold_days(at=AT)
    assert numbers()["gmv_net_fen"] == 10_000


@pytest.mark.parametrize("order", [{"status": "placed"}, {"status": "cancelled"}])
def test_what_was_not_paid_counts_nowhere(order: dict[str, str]) -> None:
    make_order(make_member(joined_at=AT - 50 * DAY), **order)
    fold_days(at=AT)
    assert numbers() == {}


def test_commission_is_what_is_kept_by_the_day_of_payment() -> None:
    make_plan(1000, 500, effective_from=AT - 99 * DAY)
    chain = make_chain(2)
    earn(*chain)
    kept = earn(*chain)
    refund = refund_line(kept.lines.get(), 5_000)
    reverse_for_refund(refund_id=refund.pk, at=AT)
    fold_days(at=AT)
    assert numbers()["commission_fen"] == 1_500 + 750
    assert commission_share(TODAY, TODAY) == (1_500, Light.GOOD)


def test_voided_commission_counts_nowhere() -> None:
    make_plan(1000)
    order = earn(*make_chain(1))
    Commission.objects.filter(order=order).update(voided_at=AT)
    fold_days(at=AT)
    assert "commission_fen" not in numbers()


def test_members_promoters_and_visits_count_on_their_days() -> None:
    promoter = make_promoter(member=make_member(joined_at=AT - DAY), at=AT - 2 * DAY)
    link = make_link(promoter.member)
    for n, moment in enumerate([AT, AT, AT - 3 * DAY]):
        Visit.objects.create(link=link, visit_key=f"v{n}", occurred_at=moment)
    fold_days(at=AT)
    assert numbers() == {"visits": 2}
    assert numbers(TODAY - DAY) == {"members_joined": 1}
    assert numbers(TODAY - 2 * DAY) == {"promoters_joined": 1}
    assert numbers(TODAY - 3 * DAY) == {"visits": 1}


def test_staff_and_test_accounts_count_nowhere() -> None:
    make_plan(1000)
    insider = make_member(excluded=True)
    earn(*make_chain(1), member=insider)
    Member.objects.update(joined_at=AT - 50 * DAY, excluded=True)
    link = make_link(insider)
    Visit.objects.create(link=link, visit_key="v", member=insider, occurred_at=AT)
    Event.objects.create(
        member=insider, client_event_id="e", name="search", occurred_at=AT, received_at=AT
    )
    fold_days(at=AT)
    assert numbers() == {}
    assert not EventDay.objects.exists()
    assert top_promoters(TODAY, TODAY, 10) == []


def test_events_are_counted_by_name_and_person() -> None:
    members = [make_member(), make_member()]
    told = [(0, "search", AT), (0, "search", AT), (1, "search", AT), (1, "page_view", AT - DAY)]
    for n, (who, name, moment) in enumerate(told):
        Event.objects.create(
            member=members[who], client_event_id=f"e{n}", name=name, occurred_at=moment,
            received_at=AT,
        )  # fmt: skip
    fold_days(at=AT)
    fold_days(at=AT)
    rows = EventDay.objects.order_by("day").values_list("day", "name", "count", "persons")
    assert list(rows) == [(TODAY - DAY, "page_view", 1, 1), (TODAY, "search", 3, 2)]


# --- Which days are counted -----------------------------------------------------------------


def test_recent_days_are_written_even_when_nothing_happened() -> None:
    assert fold_days(at=AT) == 4
    days = list(ShopDay.objects.order_by("day").values_list("day", flat=True))
    assert days == days_between(TODAY - 3 * DAY, TODAY)
    assert {row.as_of for row in ShopDay.objects.all()} == {AT}


def test_folding_twice_says_the_same() -> None:
    make_order()
    fold_days(at=AT)
    before = numbers()
    fold_days(at=AT + timedelta(hours=1))
    assert numbers() == before
    assert ShopDay.objects.get(day=TODAY).as_of == AT + timedelta(hours=1)


def test_the_days_of_an_import_are_found_by_themselves() -> None:
    fold_days(at=AT)
    for days_ago in (10_000, 9_999, 400):
        make_order(paid_at=AT - days_ago * DAY)
    fold_days(at=AT)
    for days_ago in (10_000, 9_999, 400):
        assert numbers(TODAY - days_ago * DAY)["gmv_paid_fen"] == 10_000
    assert ShopDay.objects.count() == 4 + 3


def test_what_a_slow_transaction_commits_late_is_still_found() -> None:
    """Rows below the highest id appear after the run that saw that id."""
    slow = make_order(paid_at=AT - 500 * DAY)
    paid_at = slow.paid_at
    Order.objects.filter(pk=slow.pk).update(status="placed", paid_at=None)  # not to be seen yet
    make_order(paid_at=AT - 400 * DAY)
    fold_days(at=AT)
    Order.objects.filter(pk=slow.pk).update(status="paid", paid_at=paid_at)
    fold_days(at=AT)
    assert numbers(TODAY - 500 * DAY)["orders"] == 1


def test_a_late_accrual_and_a_late_reversal_reach_their_day() -> None:
    make_plan(1000, effective_from=AT - 99 * DAY)
    chain = make_chain(1)
    Member.objects.update(joined_at=AT - 99 * DAY)
    order = make_attributed(chain, 10_000, paid_at=AT - 30 * DAY)
    for _ in range(3):  # the cursors are past the order
        fold_days(at=AT)
    accrue(order_id=order.pk, at=AT)
    fold_days(at=AT)
    assert numbers(TODAY - 30 * DAY)["commission_fen"] == 1_000
    for _ in range(3):
        fold_days(at=AT)
    refund = refund_line(order.lines.get(), 10_000, AT - 20 * DAY)
    reverse_for_refund(refund_id=refund.pk, at=AT)
    fold_days(at=AT)
    assert "commission_fen" not in numbers(TODAY - 30 * DAY)


def test_a_day_that_became_empty_is_emptied() -> None:
    order = make_order(make_member(joined_at=AT - 99 * DAY), paid_at=AT - 50 * DAY)
    fold_days(at=AT)
    Order.objects.filter(pk=order.pk).update(paid_at=AT - 51 * DAY)
    fold_range(first=TODAY - 60 * DAY, last=TODAY - 40 * DAY, at=AT)
    assert numbers(TODAY - 50 * DAY) == {}
    assert numbers(TODAY - 51 * DAY)["orders"] == 1


def test_folding_costs_the_same_however_much_was_sold(django_assert_max_num_queries: Any) -> None:
    for n in range(20):
        make_order(paid_at=AT - (n % 4) * DAY)
    with django_assert_max_num_queries(40):
        fold_days(at=AT)


# --- What the dashboard reads ---------------------------------------------------------------


def test_today_is_counted_live() -> None:
    assert today(AT) == DayFacts(day=TODAY)
    make_order(make_member(joined_at=AT - DAY))
    assert today(AT) == DayFacts(TODAY, orders=1, buyers=1, gmv_paid_fen=10_000, gmv_net_fen=10_000)
    assert today(AT).share == (0, Light.GOOD)
    assert today(AT + DAY) == DayFacts(day=TODAY + DAY)


def test_the_series_has_every_day_zeros_included() -> None:
    make_order(paid_at=AT - DAY)
    fold_days(at=AT)
    rows = series(TODAY - 9 * DAY, TODAY)
    assert [row.day for row in rows] == days_between(TODAY - 9 * DAY, TODAY)
    assert [row.orders for row in rows] == [0, 0, 0, 0, 0, 0, 0, 0, 1, 0]


def test_the_share_of_days_without_sales_is_none() -> None:
    fold_days(at=AT)
    assert commission_share(TODAY, TODAY) == (None, Light.NONE)


def test_the_facts_are_those_of_the_rows() -> None:
    make_order(), make_order(paid_at=AT - DAY)
    fold_days(at=AT)
    for day, facts in facts_of(TODAY - 5 * DAY, TODAY).items():
        assert series(day, day) == [facts]


def test_promoters_are_ranked_by_what_they_kept_or_sold() -> None:
    make_plan(1000, 500)
    seller, upline = make_chain(2)
    other = make_chain(1)[0]
    earn(seller, upline, paid_fen=10_000)
    earn(other, paid_fen=30_000)
    refunded = earn(other, paid_fen=30_000)
    refund = refund_line(refunded.lines.get(), 25_000)
    reverse_for_refund(refund_id=refund.pk, at=AT)
    ranks = top_promoters(TODAY, TODAY, 10)
    assert [(row.promoter, row.kept_fen, row.gmv_fen, row.orders) for row in ranks] == [
        (other, 3_500, 35_000, 2),
        (seller, 1_000, 10_000, 1),
        (upline, 500, 0, 0),
    ]
    assert [row.promoter for row in top_promoters(TODAY, TODAY, 9, by="gmv")] == [other, seller]
    assert len(top_promoters(TODAY, TODAY, 1)) == 1
    assert top_promoters(TODAY - 9 * DAY, TODAY - DAY, 10) == []


def test_ranking_takes_a_fixed_number_of_queries(django_assert_num_queries: Any) -> None:
    make_plan(1000)
    for _ in range(5):
        earn(*make_chain(1))
    with django_assert_num_queries(4):
        assert all(str(row.promoter) for row in top_promoters(TODAY, TODAY, 10))


def test_queues_count_what_waits_for_a_person(django_assert_num_queries: Any) -> None:
    order = make_order()
    for n, status in enumerate(["requested", "abnormal", "approved", "rejected", "withdrawn"]):
        Refund.objects.create(
            order=order, out_refund_no=f"R{n}", status=status, goods_fen=1, reason="x",
            requested_at=AT,
        )  # fmt: skip
    for done_at in (None, AT):
        MissedFact.objects.create(
            fact="f", uid="u", ids={}, error="", attempts=1, created_at=AT, next_at=AT,
            done_at=done_at,
        )  # fmt: skip
    with django_assert_num_queries(5):
        waiting = waiting_queues()
    assert (waiting.refunds, waiting.missed_facts) == (2, 1)
    assert (waiting.applications, waiting.identities, waiting.withdrawals) == (0, 0, 0)
    assert not Application.objects.exists()
