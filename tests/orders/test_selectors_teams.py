"""Teams and what they sell, against plain lists of parents and orders."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from random import Random
from typing import Any

import pytest
from django.db import transaction

from distro.clock import beijing_day
from orders.models import Order
from orders.selectors_teams import Key, Teammate, TeamQuery, TeamSort, team_levels, team_page
from referrals.bulk import attach, place_pending, rebuild_labels
from referrals.models import Binding, Member, Promoter
from referrals.selectors_teams import read_team, team_count
from tests.factories import AT, counter, make_member, make_promoter

pytestmark = pytest.mark.django_db
DAY = timedelta(days=1)
START, END = AT, AT + 10 * DAY


def grow(parents: list[int | None], at: datetime = AT) -> list[int]:
    """Make promoters; parents: the place in the list of each one's upline. Return their ids."""
    first = next(counter) * 10_000
    members = Member.objects.bulk_create(
        Member(no=f"T{first + n}", joined_at=at) for n in range(len(parents))
    )
    ids: list[int] = []
    with transaction.atomic():
        for n, (member, parent) in enumerate(zip(members, parents)):
            up = None if parent is None else ids[parent]
            code, joined = f"T{first + n}", at + n * timedelta(minutes=1)
            ids.append(attach(member_id=member.pk, parent_id=up, code=code, at=joined))
    return ids


def sell(promoter_id: int, paid_at: datetime, paid_fen: int = 1_000, **kw: Any) -> Order:
    n, member = next(counter), make_member()
    binding = Binding.objects.create(
        member=member, promoter_id=promoter_id, mode="import", started_at=AT, made_by="test"
    )
    freight = kw.get("freight_fen", 0)
    fields = {"goods_fen": paid_fen, "paid_fen": paid_fen + freight, "status": "paid"}
    return Order.objects.create(
        number=f"TEAM{n}", member=member, promoter_1_id=promoter_id, binding=binding,
        placed_at=paid_at, paid_at=paid_at, **fields | kw,
    )  # fmt: skip


def pages(query: TeamQuery, size: int = 1000) -> list[Teammate]:
    rows: list[Teammate] = []
    after: Key | None = None
    while page := team_page(query, after=after, limit=size):
        rows += page
        after = page[-1].key
    return rows


# --- Against a naive model ------------------------------------------------------------------


@dataclass
class Naive:
    """What a plain dictionary of parents and a list of orders say."""

    parents: dict[int, int | None]
    joined: dict[int, datetime]
    orders: list[Order]

    def depths(self, head: int) -> dict[int, int]:
        found = {}
        for pk in self.parents:
            up, depth = self.parents[pk], 1
            while up is not None and up != head:
                up, depth = self.parents[up], depth + 1
            if up == head:
                found[pk] = depth
        return found

    def sold(self, pk: int) -> tuple[int, int, int, int]:
        mine = [
            order
            for order in self.orders
            if order.promoter_1_id == pk and order.paid_at and START <= order.paid_at < END
            and order.status not in ("placed", "cancelled")
        ]  # fmt: skip
        kept = [order for order in mine if order.status != "refunded"]
        days = {beijing_day(order.paid_at) for order in kept if order.paid_at}
        paid = sum(order.paid_fen - order.freight_fen for order in mine)
        back = sum(order.refunded_fen - order.freight_refunded_fen for order in mine)
        return len(kept), len(days), paid, back

    def direct(self, pk: int) -> int:
        return list(self.parents.values()).count(pk)

    def value(self, pk: int, sort: TeamSort) -> Any:
        orders, days, paid, back = self.sold(pk)
        return {
            TeamSort.JOINED: self.joined[pk],
            TeamSort.GMV: paid - back,
            TeamSort.ORDERS: orders,
            TeamSort.ACTIVE: days,
            TeamSort.DIRECT: self.direct(pk),
        }[sort]


def a_shop(rng: Random) -> Naive:
    """Make a forest, a part of it labelled, a part placed, a part pending; and orders."""
    ids = grow([None, *(None if rng.random() < 0.05 else rng.randrange(n) for n in range(1, 40))])
    labelled = rng.randrange(3)
    if labelled:
        rebuild_labels() if labelled == 1 else place_pending(at=AT)
    later = [make_promoter(Promoter.objects.get(pk=rng.choice(ids)), at=AT + 3 * DAY)]
    later += [make_promoter(later[0], at=AT + 4 * DAY)]
    for _ in range(30):
        amount, state = rng.randrange(1, 5_000), rng.choice(("paid", "completed", "refunded"))
        kw: dict[str, Any] = {"freight_fen": rng.choice((0, 800))}
        if state == "refunded":
            kw |= {"refunded_fen": amount, "status": state}
        elif rng.random() < 0.3:
            kw |= {"refunded_fen": rng.randrange(amount)}
        if rng.random() < 0.1:
            kw |= {"status": "cancelled"}
        sell(rng.choice(ids), START + rng.randrange(-2 * 24, 12 * 24) * timedelta(hours=1),
             amount, **kw)  # fmt: skip
    rows = Promoter.objects.order_by("pk").values_list("pk", "parent", "approved_at")
    return Naive(
        {pk: parent for pk, parent, _at in rows},
        {pk: joined for pk, _parent, joined in rows},
        list(Order.objects.all()),
    )


@pytest.mark.parametrize("seed", range(6))
def test_teams_levels_and_pages_are_what_plain_lists_say(seed: int) -> None:
    rng = Random(seed)
    naive = a_shop(rng)
    heads = rng.sample(sorted(naive.parents), 6)
    for head in heads:
        depths = naive.depths(head)
        assert team_count(head) == len(depths)
        levels = {row.level: row for row in team_levels(head, start=START, end=END)}
        assert sorted(levels) == sorted(set(depths.values()))
        for level, row in levels.items():
            there = [pk for pk in depths if depths[pk] == level]
            sums = [sum(column) for column in zip(*(naive.sold(pk) for pk in there))]
            joined = [pk for pk in there if START <= naive.joined[pk] < END]
            sellers = [pk for pk in there if naive.sold(pk)[0]]
            assert (row.promoters, row.joined, row.sellers, row.orders) == (
                len(there), len(joined), len(sellers), sums[0]
            )  # fmt: skip
            assert (row.paid_fen, row.refunded_fen) == (sums[2], sums[3])
        check_pages(naive, head, depths, rng)


def check_pages(naive: Naive, head: int, depths: dict[int, int], rng: Random) -> None:
    for sort in TeamSort:
        level, joined = rng.choice((None, 1, 2)), rng.random() < 0.3
        query = TeamQuery(head, START, END, level, joined, sort)
        there = [
            pk for pk in depths
            if level in (None, depths[pk]) and (not joined or START <= naive.joined[pk] < END)
        ]  # fmt: skip
        there.sort(key=lambda pk: (naive.value(pk, sort), pk), reverse=True)
        rows = pages(query, size=rng.choice((1, 3, 100)))
        assert [row.promoter.pk for row in rows] == there, sort
        for row in rows:
            orders, days, paid, back = naive.sold(row.promoter.pk)
            assert (row.sold.orders, row.sold.days) == (orders, days)
            assert row.sold.net_fen == paid - back
            assert (row.level, row.direct) == (
                depths[row.promoter.pk], naive.direct(row.promoter.pk)
            )  # fmt: skip


# --- What belongs to a team -----------------------------------------------------------------


def test_the_heads_own_sales_are_not_those_of_his_team() -> None:
    head, below = grow([None, 0])
    sell(head, START)
    assert [row.paid_fen for row in team_levels(head, start=START, end=END)] == [0]
    sell(below, START, 700)
    assert [row.net_fen for row in team_levels(head, start=START, end=END)] == [700]


def test_a_period_begins_with_its_first_moment_and_ends_before_its_last() -> None:
    head, below = grow([None, 0])
    for moment in (START - timedelta(microseconds=1), START, END - timedelta(microseconds=1), END):
        sell(below, moment)
    assert [row.orders for row in team_levels(head, start=START, end=END)] == [2]


def test_freight_is_no_gmv_and_a_refund_counts_on_the_day_of_the_payment() -> None:
    head, below = grow([None, 0])
    sell(below, START, 1_000, freight_fen=800, refunded_fen=500, freight_refunded_fen=200)
    (row,) = team_levels(head, start=START, end=END)
    assert (row.paid_fen, row.refunded_fen, row.net_fen, row.orders) == (1_000, 300, 700, 1)


def test_an_order_refunded_in_full_makes_no_day_active() -> None:
    head, below = grow([None, 0])
    sell(below, START, 1_000, refunded_fen=1_000, status="refunded")
    (mate,) = pages(TeamQuery(head, START, END, sort=TeamSort.ACTIVE))
    assert (mate.sold.orders, mate.sold.days, mate.sold.net_fen) == (0, 0, 0)


def test_days_are_beijings() -> None:
    head, below = grow([None, 0])
    late = START.replace(hour=23, minute=30)
    for moment in (late, late + timedelta(hours=1), late + timedelta(hours=2)):
        sell(below, moment)
    (mate,) = pages(TeamQuery(head, START, END))
    assert (mate.sold.orders, mate.sold.days) == (3, 2)


@pytest.mark.parametrize("size", [10, 1000])
@pytest.mark.parametrize("sort", TeamSort)
def test_a_page_takes_the_same_queries_at_any_size(
    size: int, sort: TeamSort, django_assert_num_queries: Callable[..., Any]
) -> None:
    rng = Random(size)
    ids = grow([None, *(rng.randrange(n) for n in range(1, size))])
    sell(ids[5], START)
    with django_assert_num_queries(5):  # where he stands, who, their rows, sales and direct teams
        rows = team_page(TeamQuery(ids[0], START, END, sort=sort), after=None, limit=20)
    assert len(rows) == min(20, size - 1)
    with django_assert_num_queries(2):
        levels = team_levels(ids[0], start=START, end=END)
    assert sum(row.promoters for row in levels) == size - 1
    with django_assert_num_queries(1):
        assert team_count(ids[0]) == size - 1


def test_a_team_that_was_relabelled_between_two_statements_is_read_again() -> None:
    _root, elder, head, *below = grow([None, 0, 0, 2, 2])
    place_pending(at=AT)
    make_promoter(Promoter.objects.get(pk=elder))
    places: list[int] = []

    def read(team: Any) -> list[int]:
        if not places:
            rebuild_labels()  # the elder's new promoter pushes the head aside
        places.append(Promoter.objects.get(pk=head).lft)
        return list(team.values_list("pk", flat=True))

    before = Promoter.objects.get(pk=head).lft
    assert sorted(read_team(head, read)) == below
    assert places[0] != before  # what the first statement was made for
    assert len(places) == 2


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
def test_teams_are_exact_beside_relabelling(run_threads: Callable[..., Any]) -> None:
    rng = Random(7)
    ids = grow([None, *(rng.randrange(n) for n in range(1, 300))])
    place_pending(at=AT)
    sizes = {pk: team_count(pk) for pk in ids[:10]}
    assert sizes[ids[0]] == 299

    def work(number: int) -> None:
        for turn in range(12):
            if number == 0:
                rebuild_labels()
                place_pending(at=AT)
            for pk, size in sizes.items():
                assert team_count(pk) == size, turn
                levels = team_levels(pk, start=START, end=END)
                assert sum(row.promoters for row in levels) == size, turn

    list(run_threads(3, work))
