"""Hostile shapes of requests: an answer in the API's shape, never an error of ours."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client

from distro import clock
from distro.api.parsers import DEPTH_MAX, is_deeper
from referrals.models import Member, MemberToken, ShareLink
from referrals.selectors import token_digest
from tests.factories import make_member

pytestmark = pytest.mark.django_db
Send = Callable[..., Any]

OPEN = ["auth/login", "visits"]
MINE = ["share-links", "orders", "promoter/withdrawals", "events", "me/inbox/read"]
NOTICES = ["wechat/pay/notify", "wechat/refund/notify", "wechat/transfer/notify"]


@pytest.fixture
def send() -> Send:
    """Return `send(method, path, body)` of a logged-in member; a crash is an answer too."""
    member, token = make_member(), "t" * 43
    now = clock.real_now()
    MemberToken.objects.create(
        member=member, digest=token_digest(token), created_at=now,
        expires_at=now + timedelta(days=1),
    )  # fmt: skip
    headers = {"Authorization": f"Bearer {token}", "Idempotency-Key": "k" * 8}
    client = Client(raise_request_exception=False, headers=headers)

    def request(method: str, path: str, body: str = "") -> Any:
        return client.generic(method, f"/api/v1/{path}", body, "application/json")

    return request


def refusal(answer: Any) -> tuple[int, str]:
    said = answer.json()
    assert set(said) == {"code", "message", "fields"}
    return answer.status_code, said["code"]


@pytest.mark.parametrize("path", [*OPEN, *MINE])
@pytest.mark.parametrize("depth", [DEPTH_MAX, 900, 100_000])
def test_json_too_deep_cannot_be_read(send: Send, path: str, depth: int) -> None:
    for body in ("[" * depth + "]" * depth, '{"a":' * depth + "1" + "}" * depth):
        answer = send("POST", path, f'{{"a": {body}}}')
        assert refusal(answer) == (400, "parse_error")


def test_depth_is_counted_in_lists_and_objects() -> None:
    assert not is_deeper("text", 0)
    assert is_deeper([], 0)
    assert not is_deeper([{}, 1, "x"], 2)
    assert is_deeper([1, {"a": [{}]}], 3)
    assert not is_deeper([1, {"a": [{}]}], 4)


@pytest.mark.parametrize("path", [*OPEN, *MINE, *NOTICES])
def test_a_body_too_large_is_refused(send: Send, path: str) -> None:
    answer = send("POST", path, '{"a": "' + "x" * 3_000_000 + '"}')
    assert answer.status_code == 413
    assert path in NOTICES or refusal(answer) == (413, "body_too_large")


@pytest.mark.parametrize(
    "path",
    [
        "products/%00",
        "orders/D%00",
        "refunds/%00",
        "campaigns/%00",
        "share-links/%00/wxacode",
        "promoter/withdrawals/%00",
    ],
)
def test_an_address_with_a_nul_names_nothing(send: Send, path: str) -> None:
    assert refusal(send("GET", path)) == (404, "not_found")


def test_a_nul_in_a_query_is_a_bad_value_like_any_other(send: Send) -> None:
    assert refusal(send("GET", "products?category=%00")) == (400, "invalid")
    assert refusal(send("GET", "orders?status=%00")) == (400, "invalid")
    assert refusal(send("GET", "orders?cursor=%00")) == (400, "bad_cursor")


@pytest.mark.parametrize("path", ["orders/%00/cancel", "orders/%00/pay", "share-links/%00/revoke"])
def test_nothing_is_done_at_an_address_with_a_nul(send: Send, path: str) -> None:
    assert refusal(send("POST", path, "{}")) == (404, "not_found")


@pytest.mark.parametrize(
    "number", ["9" * 19, "9" * 30, "9" * 400, "0", "-1", "x", "1.5", "%ED%A0%80"]
)
def test_a_category_out_of_range_is_refused(send: Send, number: str) -> None:
    answer = send("GET", f"products?category={number}")
    assert refusal(answer) == (400, "invalid")
    assert "category" in answer.json()["fields"]


@pytest.mark.parametrize(
    "time",
    [
        "0001-01-01T00:00:00",
        "0001-01-01T00:00:00+14:00",
        "9999-12-31T23:59:59-12:00",
        "9999-12-31T23:59:59Z",
    ],
)
def test_a_time_out_of_the_calendar_is_refused(send: Send, time: str) -> None:
    answer = send("POST", "share-links", f'{{"expires_at": "{time}"}}')
    assert refusal(answer) == (400, "invalid")
    assert list(answer.json()["fields"]) == ["expires_at"]
    assert not ShareLink.objects.exists()
    answer = send("POST", "me/inbox/read", f'{{"until": "{time}"}}')
    assert list(answer.json()["fields"]) == ["until"]
    event = f'{{"client_event_id": "e", "name": "page_view", "occurred_at": "{time}"}}'
    told = send("POST", "events", f'{{"events": [{event}]}}').json()
    assert (told["accepted"], [r["field"] for r in told["rejected"]]) == (0, ["occurred_at"])


BODIES = [
    "", "null", "5", '"x"', "[]", "[1]", "{", "\ufeff{}", '{"a": NaN}', '{"a": Infinity}',
    '{"amount_fen": 1e999, "code": {}, "items": {"0": {}}, "events": 1}',
    '{"amount_fen": ' + "9" * 5000 + "}",
    '{"code": "\\ud800", "visit_key": "\\ud800\\ud800\\ud800\\ud800\\ud800\\ud800\\ud800\\ud800"}',
    '{"code": "a\\u0000b", "note": "\\u0000", "target_ref": "\\u0000", "target": "product"}',
    '{"items": [{"sku": {}, "quantity": []}], "address": [], "coupon": {}, "lines": {"a": 1}}',
    '{"target": {}, "channel": [], "expires_at": {}, "until": [], "events": [null, 5, [], {}]}',
]  # fmt: skip


@pytest.mark.parametrize("path", [*OPEN, *MINE])
def test_no_shape_of_a_body_is_an_error_of_ours(send: Send, path: str) -> None:
    for body in BODIES:
        answer = send("POST", path, body)
        assert answer.status_code < 500, (body[:60], answer.content)
        assert answer.status_code < 300 or refusal(answer)
    assert Member.objects.count() == 1
