"""The team as its head sees it: masked, his own only, in pages of a fixed number of queries."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from rest_framework.test import APIClient

from distro import clock
from referrals.auth import MemberActor
from referrals.models import Grade, Member, Promoter
from tests.factories import make_member, make_promoter
from tests.orders.test_selectors_teams import grow, sell

pytestmark = pytest.mark.django_db
SORTS = ("joined", "gmv", "orders", "active_days", "direct")


@pytest.fixture(autouse=True)
def frozen(at: datetime, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clock, "now", lambda: at)


def team(member: Member, path: str = "", **params: Any) -> Any:
    client = APIClient(headers={"accept-language": "en"})
    client.force_authenticate(user=MemberActor(member))  # type: ignore[arg-type]
    return client.get(f"/api/v1/promoter/team{path}", params)


@pytest.mark.parametrize("path", ["", "/summary"])
def test_who_is_no_promoter_has_no_team(path: str) -> None:
    answer = team(make_member(), path)
    assert (answer.status_code, answer.json()["code"]) == (403, "not_promoter")
    assert APIClient().get(f"/api/v1/promoter/team{path}").status_code == 401


def test_the_direct_team_is_shown_masked_and_paged(at: datetime) -> None:
    me = make_promoter()
    people = [
        make_promoter(
            me,
            member=make_member(nickname=f"{n}小明", phone="13800138000"),
            at=at + timedelta(hours=n),
        )
        for n in range(5)
    ]
    make_promoter(people[4])
    make_promoter()
    first = team(me.member, limit=3).json()
    rest = team(me.member, limit=3, cursor=first["next"]).json()
    rows = first["results"] + rest["results"]
    assert rest["next"] is None
    assert [row["name"] for row in rows] == ["4**", "3**", "2**", "1**", "0**"]
    assert [row["direct_team"] for row in rows] == [1, 0, 0, 0, 0]
    for member in (node.member for node in people):
        assert member.no not in str(rows)
        assert member.nickname not in str(rows)
        assert "13800138000" not in str(rows)


def test_a_teammates_grade_and_sales_are_shown(at: datetime) -> None:
    me = make_promoter()
    gold = Grade.objects.create(code="gold", name="Gold", rank=2)
    below = make_promoter(make_promoter(me), grade=gold)
    sell(below.pk, at, 5_000, refunded_fen=1_000)
    (row,) = team(me.member, level=2).json()["results"]
    assert (row["grade"], row["level"], row["status"]) == ("Gold", 2, "active")
    assert (row["orders"], row["active_days"], row["gmv_fen"]) == (1, 1, 4_000)
    assert len(team(me.member, level=0).json()["results"]) == 2


def test_the_period_is_the_running_month_unless_others_days_are_named(at: datetime) -> None:
    me = make_promoter()
    below = make_promoter(me, at=at - timedelta(days=40))
    sell(below.pk, at - timedelta(days=3), 700)  # in October
    sell(below.pk, at, 300)
    named = {"first": "2026-10-01", "last": "2026-10-31"}
    assert team(me.member, "/summary").json()["gmv_fen"] == 300
    assert team(me.member, "/summary", **named).json()["gmv_fen"] == 700
    assert team(me.member).json()["results"][0]["gmv_fen"] == 300
    assert team(me.member, **named).json()["results"][0]["gmv_fen"] == 700
    assert team(me.member, joined="true").json()["results"] == []
    assert len(team(me.member, joined="true", first="2026-09-01").json()["results"]) == 1


def test_the_summary_adds_up_and_leaves_ones_own_apart(at: datetime) -> None:
    me = make_promoter()
    direct = [make_promoter(me) for _ in range(2)]
    far = make_promoter(direct[0], at=at)
    for seller, fen in ((me, 100), (direct[0], 200), (far, 400), (far, 800)):
        sell(seller.pk, at, fen)
    data = team(me.member, "/summary").json()
    assert (data["first"], data["last"]) == ("2026-11-01", "2026-11-02")
    assert (data["team"], data["direct"], data["joined"]) == (3, 2, 3)
    assert (data["orders"], data["gmv_fen"]) == (3, 1_400)
    assert (data["own_orders"], data["own_gmv_fen"]) == (1, 100)
    assert [(row["level"], row["promoters"], row["gmv_fen"]) for row in data["levels"]] == [
        (1, 2, 200), (2, 1, 1_200)
    ]  # fmt: skip


def test_nobody_sees_the_team_of_another(at: datetime) -> None:
    head, other = make_promoter(), make_promoter()
    for _ in range(3):
        make_promoter(head)
    assert team(other.member, level=0).json()["results"] == []
    cursor = team(head.member, limit=1).json()["next"]
    answer = team(other.member, cursor=cursor)
    assert (answer.status_code, answer.json()["code"]) == (400, "bad_cursor")


@pytest.mark.parametrize(
    ("params", "code"),
    [
        ({"first": "2026-11-03", "last": "2026-11-02"}, "bad_period"),
        ({"first": "2025-01-01", "last": "2026-11-02"}, "bad_period"),
        ({"first": "2026-02-30"}, "invalid"),
        ({"sort": "name"}, "invalid"),
        ({"level": "-1"}, "invalid"),
        ({"level": "x"}, "invalid"),
        ({"limit": "0"}, "bad_limit"),
        ({"cursor": "WzE3XQ.forged"}, "bad_cursor"),
    ],
)
def test_what_makes_no_sense_is_refused(params: dict[str, str], code: str) -> None:
    answer = team(make_promoter().member, **params)
    assert (answer.status_code, answer.json()["code"]) == (400, code)


def test_a_cursor_is_of_its_order_only() -> None:
    me = make_promoter()
    for _ in range(2):
        make_promoter(me)
    cursor = team(me.member, limit=1).json()["next"]
    assert team(me.member, sort="gmv", cursor=cursor).json()["code"] == "bad_cursor"


@pytest.mark.parametrize("sort", SORTS)
def test_every_order_pages_through_everybody_once(sort: str, at: datetime) -> None:
    ids = grow([None, 0, 0, 1, 1, 2, 3])
    for pk, fen in ((ids[3], 100), (ids[3], 100), (ids[5], 900)):
        sell(pk, at, fen)
    me = Promoter.objects.get(pk=ids[0]).member
    seen, cursor = [], {}
    while True:
        page = team(me, level=0, sort=sort, limit=2, **cursor).json()
        seen += page["results"]
        if page["next"] is None:
            break
        cursor = {"cursor": page["next"]}
    assert len(seen) == 6
    column = {"joined": "approved_at", "gmv": "gmv_fen", "direct": "direct_team"}.get(sort, sort)
    values = [row[column] for row in seen]
    assert values == sorted(values, reverse=True)


@pytest.mark.parametrize("path", ["", "/summary"])
def test_a_team_takes_the_same_number_of_queries_at_any_size(path: str) -> None:
    counts = {queries(10, path), queries(1000, path)}
    assert counts == {6 if path == "" else 4}


def queries(size: int, path: str) -> int:
    ids = grow([None, *([0] * (size - 1))])
    me = Promoter.objects.get(pk=ids[0]).member
    with CaptureQueriesContext(connection) as made:
        assert team(me, path, level=0).status_code == 200
    return len(made)
