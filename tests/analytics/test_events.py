"""Events told in batches over HTTP."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.urls import include, path
from rest_framework.test import APIClient

from analytics.models import Event
from analytics.services.events import Told, take_events
from distro import clock
from distro.urls import urlpatterns as site
from referrals.auth import MemberActor
from referrals.models import Member
from tests.factories import make_member

pytestmark = [pytest.mark.django_db, pytest.mark.urls(__name__)]
urlpatterns = [path("api/v1/", include("analytics.urls")), *site]
OLD = timedelta(hours=72, seconds=1)


@pytest.fixture(autouse=True)
def frozen(monkeypatch: pytest.MonkeyPatch, at: datetime) -> None:
    monkeypatch.setattr(clock, "now", lambda: at)


@pytest.fixture
def member() -> Member:
    return make_member()


def event(key: str = "e1", **kw: Any) -> dict[str, Any]:
    fields = {"client_event_id": key, "name": "page_view"}
    return fields | {"occurred_at": "2026-11-02T09:59:00+08:00"} | kw


def tell(member: Member, *events: Any, **body: Any) -> Any:
    api = APIClient()
    api.force_authenticate(MemberActor(member))  # type: ignore[arg-type]
    return api.post("/api/v1/events", {"events": list(events)} | body, format="json")


def test_events_are_recorded_with_all_they_say(member: Member, at: datetime) -> None:
    answer = tell(member, event(object_ref="P0001", channel="group"), event("e2", name="search"))
    assert (answer.status_code, answer.json()) == (
        200, {"accepted": 2, "duplicate": 0, "rejected": []},
    )  # fmt: skip
    row = Event.objects.get(client_event_id="e1")
    assert (row.member, row.object_ref, row.channel, row.received_at) == (
        member, "P0001", "group", at,
    )  # fmt: skip
    assert row.occurred_at == at - timedelta(minutes=1)


def test_the_same_event_counts_once_in_a_batch_and_across_batches(member: Member) -> None:
    assert tell(member, event(), event()).json()["duplicate"] == 1
    answer = tell(member, event(name="search"), event("e2")).json()
    assert (answer["accepted"], answer["duplicate"]) == (1, 1)
    assert list(Event.objects.order_by("id").values_list("client_event_id", "name")) == [
        ("e1", "page_view"),
        ("e2", "page_view"),
    ]


def test_two_members_may_use_the_same_id(member: Member) -> None:
    for who in (member, make_member()):
        assert tell(who, event()).json()["accepted"] == 1
    assert Event.objects.count() == 2


@pytest.mark.parametrize(
    ("change", "code", "field"),
    [
        ({"name": "liked"}, "unknown_event", "name"),
        ({"name": ""}, "event_malformed", "name"),
        ({"name": "x" * 33}, "event_malformed", "name"),
        ({"name": None}, "event_malformed", "name"),
        ({"occurred_at": "2026-11-02T10:05:01+08:00"}, "event_in_future", "occurred_at"),
        ({"occurred_at": "2026-10-30T09:59:59+08:00"}, "event_too_old", "occurred_at"),
        ({"occurred_at": "2026-11-02T09:59:00"}, "event_malformed", "occurred_at"),
        ({"occurred_at": "2026-11-02"}, "event_malformed", "occurred_at"),
        ({"occurred_at": "yesterday"}, "event_malformed", "occurred_at"),
        ({"occurred_at": "0001-01-01T00:00:00+14:00"}, "event_malformed", "occurred_at"),
        ({"occurred_at": 1793584740}, "event_malformed", "occurred_at"),
        ({"client_event_id": ""}, "event_malformed", "client_event_id"),
        ({"client_event_id": "x" * 65}, "event_malformed", "client_event_id"),
        ({"client_event_id": "a b"}, "event_malformed", "client_event_id"),
        ({"client_event_id": "\x00"}, "event_malformed", "client_event_id"),
        ({"object_ref": "13800000000 张三"}, "event_malformed", "object_ref"),
        ({"object_ref": "x" * 65}, "event_malformed", "object_ref"),
        ({"channel": "fax"}, "event_malformed", "channel"),
        ({"channel": ["chat"]}, "event_malformed", "channel"),
    ],
)
def test_a_bad_event_is_refused_by_its_index_and_the_others_are_taken(
    member: Member, change: dict[str, Any], code: str, field: str
) -> None:
    answer = tell(member, event("good"), event("bad") | change, event("fine"))
    assert answer.status_code == 200
    body = answer.json()
    assert (body["accepted"], body["duplicate"]) == (2, 0)
    (refusal,) = body["rejected"]
    assert (refusal["index"], refusal["code"], refusal["field"]) == (1, code, field)
    assert refusal["message"]
    assert set(Event.objects.values_list("client_event_id", flat=True)) == {"good", "fine"}


@pytest.mark.parametrize("junk", [None, 7, "page_view", [], {}])
def test_junk_among_the_events_is_refused_by_its_index(member: Member, junk: Any) -> None:
    body = tell(member, junk, event()).json()
    assert (body["accepted"], [row["index"] for row in body["rejected"]]) == (1, [0])


@pytest.mark.parametrize("events", [[], None, "x", {}, [event(f"e{n}") for n in range(101)]])
def test_a_batch_of_none_or_too_many_is_refused_whole(member: Member, events: Any) -> None:
    answer = tell(member, events=events)
    assert (answer.status_code, answer.json()["code"]) == (400, "too_many_events")
    assert not Event.objects.exists()


def test_a_body_that_is_no_object_is_refused(member: Member) -> None:
    api = APIClient()
    api.force_authenticate(MemberActor(member))  # type: ignore[arg-type]
    answer = api.post("/api/v1/events", [event()], format="json")
    assert (answer.status_code, answer.json()["code"]) == (400, "too_many_events")
    assert not Event.objects.exists()


def test_nobody_tells_events_without_logging_in() -> None:
    answer = APIClient().post("/api/v1/events", {"events": [event()]}, format="json")
    assert answer.status_code in (401, 403)
    assert not Event.objects.exists()


def test_a_full_batch_costs_a_fixed_number_of_queries(
    member: Member, django_assert_max_num_queries: Any
) -> None:
    with django_assert_max_num_queries(6):
        assert tell(member, *[event(f"e{n}") for n in range(100)]).json()["accepted"] == 100


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
def test_one_batch_told_eight_times_at_once_counts_once(
    run_threads: Callable[[int, Callable[[int], Any]], Any], at: datetime
) -> None:
    member = make_member()
    told = {n: Told(f"e{n}", "page_view", at) for n in range(20)}
    taken = list(run_threads(8, lambda n: take_events(member_id=member.pk, events=told, at=at)))
    assert sum(one.accepted for one in taken) == 20
    assert sum(one.duplicate for one in taken) == 140
    assert Event.objects.count() == 20
