"""Campaigns and coupons over HTTP."""

from __future__ import annotations

import itertools
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.urls import include, path
from drf_spectacular.generators import SchemaGenerator
from rest_framework.test import APIClient

from campaigns.models import Participation
from campaigns.services import publishing
from distro import clock
from referrals.auth import MemberActor
from referrals.models import Member
from tests.campaigns.parts import MAKER, STARTS, declining, join, ladder, make_coupon, run, sell
from tests.factories import make_member, make_sku

pytestmark = pytest.mark.django_db
keys = itertools.count(1)


@pytest.fixture(autouse=True)
def frozen(monkeypatch: pytest.MonkeyPatch, at: datetime) -> None:
    monkeypatch.setattr(clock, "now", lambda: at)


def client(member: Member | None = None) -> APIClient:
    api = APIClient()
    api.force_authenticate(MemberActor(member or make_member()))  # type: ignore[arg-type]
    return api


def post(api: APIClient, code: str, key: str = "", **body: Any) -> Any:
    headers = {"Idempotency-Key": key or f"joining-{next(keys)}"}
    return api.post(f"/api/v1/campaigns/{code}/join", body, format="json", headers=headers)


# --- Campaigns ------------------------------------------------------------------------------


def test_the_list_shows_what_runs(at: datetime) -> None:
    running, ended = run(ladder((1, 500))), run(ladder((1, 500)))
    publishing.end_campaign(campaign_id=ended.pk, why="x", by=MAKER, at=at)
    publishing.draft_campaign(draft=ladder((1, 500)), by=MAKER, at=STARTS)
    answer = client().get("/api/v1/campaigns").json()
    assert [row["code"] for row in answer["results"]] == [running.code]
    assert answer["next"] is None


def test_a_paused_campaign_stays_in_the_list(at: datetime) -> None:
    campaign = run(ladder((1, 500)))
    publishing.pause_campaign(campaign_id=campaign.pk, why="x", by=MAKER, at=at)
    rows = client().get("/api/v1/campaigns").json()["results"]
    assert [row["status"] for row in rows] == ["paused"]


def test_all_rules_and_rewards_are_shown_before_joining() -> None:
    campaign = run(ladder((1, 500), (3, 900), total_rewards=7))
    answer = client().get(f"/api/v1/campaigns/{campaign.code}").json()
    shown = answer["campaign"]
    assert answer["mine"] is None
    assert (shown["rules_text"], shown["max_invitees"], shown["rewards_left"]) == (
        campaign.rules_text, 10, 7,
    )  # fmt: skip
    steps = [(step["invited_buyers"], step["value_fen"]) for step in shown["rewards"]]
    assert steps == [(1, 500), (3, 900)]
    assert shown["reward_limit_bps"] is None
    assert shown["rewards"][0]["coupon"]["threshold_fen"] == 5000


def test_a_declining_campaign_shows_each_reward_and_its_limit() -> None:
    campaign = run(declining())
    shown = client().get(f"/api/v1/campaigns/{campaign.code}").json()["campaign"]
    assert [step["value_fen"] for step in shown["rewards"]] == [500, 400, 320, 256, 205, 200]
    assert shown["reward_limit_bps"] == 3000


def test_a_participant_sees_his_own_part() -> None:
    campaign = run(ladder((1, 500)))
    part = join(campaign)
    join(campaign)
    sell(part)
    mine = client(part.member).get(f"/api/v1/campaigns/{campaign.code}").json()["mine"]
    assert (mine["link_code"], mine["counted"], mine["waiting"]) == (part.link.code, 1, 0)
    coupon = part.member.coupons.get()
    assert [(row["value_fen"], row["coupon_code"]) for row in mine["rewards"]] == [
        (500, coupon.code)
    ]


@pytest.mark.parametrize("code", ["nosuch", "draft", "has space", "%00"])
def test_an_unknown_or_unpublished_campaign_is_not_found(code: str) -> None:
    publishing.draft_campaign(draft=ladder((1, 500), code="draft"), by=MAKER, at=STARTS)
    assert client().get(f"/api/v1/campaigns/{code}").status_code == 404


@pytest.mark.parametrize("address", ["campaigns", "campaigns/x", "me/coupons"])
def test_nobody_reads_without_logging_in(address: str) -> None:
    assert APIClient().get(f"/api/v1/{address}").status_code in (401, 403)


# --- Joining --------------------------------------------------------------------------------


def test_joining_answers_the_link() -> None:
    campaign, member = run(ladder((1, 500))), make_member()
    answer = post(client(member), campaign.code, channel="group")
    part = Participation.objects.get()
    assert (answer.status_code, part.member, part.link.channel) == (201, member, "group")
    assert answer.json()["link_code"] == part.link.code


def test_joining_again_under_any_key_answers_the_same() -> None:
    campaign, api = run(ladder((1, 500))), client()
    answers = [post(api, campaign.code, key) for key in ("same-key", "same-key", "other-key")]
    assert len({answer.json()["link_code"] for answer in answers}) == 1
    assert Participation.objects.count() == 1


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"channel": "fax"}, 400, "invalid"),
        ({"channel": ["chat"]}, 400, "invalid"),
        ({"channel": ""}, 400, "invalid"),
    ],
)
def test_a_wrong_channel_is_refused(body: dict[str, Any], status: int, code: str) -> None:
    campaign = run(ladder((1, 500)))
    answer = post(client(), campaign.code, **body)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert "channel" in answer.json()["fields"]
    assert not Participation.objects.exists()


def test_joining_without_a_key_is_refused() -> None:
    campaign = run(ladder((1, 500)))
    answer = client().post(f"/api/v1/campaigns/{campaign.code}/join", {}, format="json")
    assert (answer.status_code, answer.json()["code"]) == (400, "idempotency_key_missing")
    assert not Participation.objects.exists()


def test_a_paused_campaign_takes_nobody(at: datetime) -> None:
    campaign = run(ladder((1, 500)))
    publishing.pause_campaign(campaign_id=campaign.pk, why="x", by=MAKER, at=at)
    answer = post(client(), campaign.code)
    assert (answer.status_code, answer.json()["code"]) == (409, "campaign_paused")
    assert not Participation.objects.exists()


def test_an_ended_campaign_takes_nobody(monkeypatch: pytest.MonkeyPatch, at: datetime) -> None:
    campaign = run(ladder((1, 500)))
    monkeypatch.setattr(clock, "now", lambda: at + timedelta(days=29))
    answer = post(client(), campaign.code)
    assert (answer.status_code, answer.json()["code"]) == (409, "campaign_over")
    assert not Participation.objects.exists()


# --- Coupons --------------------------------------------------------------------------------


def test_a_member_sees_only_his_own_coupons() -> None:
    member, sku = make_member(), make_sku()
    plain, scoped = make_coupon(member), make_coupon(member, product=sku.product)
    make_coupon(make_member())
    rows = client(member).get("/api/v1/me/coupons").json()["results"]
    assert [row["code"] for row in rows] == [scoped.code, plain.code]
    assert rows[0]["template"]["product_code"] == sku.product.code
    assert (rows[1]["value_fen"], rows[1]["order_number"]) == (500, None)


def test_coupons_come_in_pages_with_a_fixed_number_of_queries(
    django_assert_num_queries: Any,
) -> None:
    member = make_member()
    codes = [make_coupon(member).code for _ in range(5)]
    api, seen, cursor = client(member), [], ""
    while cursor is not None:
        with django_assert_num_queries(1):
            query = {"limit": 2} | ({"cursor": cursor} if cursor else {})
            answer = api.get("/api/v1/me/coupons", query).json()
        seen += [row["code"] for row in answer["results"]]
        cursor = answer["next"]
    assert seen == codes[::-1]


# --- Schema ---------------------------------------------------------------------------------


def test_every_endpoint_is_described_with_an_example() -> None:
    schema = SchemaGenerator(patterns=[path("api/v1/", include("campaigns.urls"))]).get_schema(
        request=None, public=True
    )
    operations = {
        operation["operationId"]: str(operation)
        for methods in schema["paths"].values()
        for operation in methods.values()
    }
    assert operations.keys() == {"campaigns", "campaign", "campaign_join", "me_coupons"}
    assert all("'examples'" in text for text in operations.values())
