"""POST auth/login, POST auth/logout, and what a token opens."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.core.cache import cache
from django.utils import translation

from distro import clock
from distro.wechat.errors import LoginCodeInvalid, LoginRefused, WechatRefused, WechatUnknown
from referrals.models import Binding, Member, MemberToken
from tests.factories import make_link, make_member

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (LoginCodeInvalid("40029"), 400, "login_code_wrong"),
        (LoginCodeInvalid("40163"), 400, "login_code_used"),
        (LoginRefused("40226"), 403, "login_refused"),
        (WechatUnknown("45011"), 503, "wechat_unavailable"),
        (WechatRefused("40013"), 503, "wechat_unavailable"),
    ],
)
def test_a_code_that_wechat_refuses_makes_nobody_a_member(
    mini: Any, stranger: Any, error: Exception, status: int, code: str
) -> None:
    mini.error = error
    answer = stranger.post("auth/login", {"code": "c", "link_code": make_link().code})
    before = Member.objects.count()
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert ("code" in answer.json()["fields"]) == (status == 400)
    assert Member.objects.count() == before
    assert not MemberToken.objects.exists()


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "code"),
        ({"code": ""}, "code"),
        ({"code": "c" * 257}, "code"),
        ({"code": "c", "device": "a b"}, "device"),
        ({"code": "c", "device": "d" * 65}, "device"),
        ({"code": "c", "link_code": "x" * 65}, "link_code"),
        ({"code": ["c"]}, "code"),
    ],
)
def test_a_login_of_wrong_shape_does_not_reach_wechat(
    mini: Any, stranger: Any, body: dict[str, Any], field: str
) -> None:
    answer = stranger.post("auth/login", body)
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid")
    assert field in answer.json()["fields"]
    assert mini.asked == []


def test_too_many_logins_are_refused(
    mini: Any, stranger: Any, throttle: Callable[[str, str], None]
) -> None:
    cache.clear()
    throttle("login", "2/min")
    answers = [stranger.post("auth/login", {"code": "c"}) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [200, 200, 429]
    assert MemberToken.objects.count() == 2


@pytest.mark.parametrize("status", ["blocked", "closed"])
def test_a_blocked_or_closed_member_stays_outside(mini: Any, stranger: Any, status: str) -> None:
    make_member(openid=mini.session.openid, status=status)
    answer = stranger.post("auth/login", {"code": "c"})
    assert (answer.status_code, answer.json()["code"]) == (403, f"member_{status}")
    assert not MemberToken.objects.exists()


@pytest.mark.parametrize("token", ["", "x" * 43, "x" * 5000, "中文", "a b"])
def test_a_wrong_token_opens_nothing(stranger: Any, token: str) -> None:
    header = f"Bearer {token}".encode().decode("latin-1")
    answer = stranger.client.get("/api/v1/me", HTTP_AUTHORIZATION=header)
    assert (answer.status_code, answer.json()["code"]) == (401, "token_invalid")
    assert answer.headers["WWW-Authenticate"] == "Bearer"


def test_no_token_opens_nothing(stranger: Any) -> None:
    answer = stranger.get("me")
    assert (answer.status_code, answer.json()["code"]) == (401, "not_authenticated")


@pytest.mark.parametrize(
    "change", [{"revoked_at": clock.real_now()}, {"expires_at": clock.real_now()}]
)
def test_an_old_token_opens_nothing(as_member: Any, change: dict[str, Any]) -> None:
    api = as_member(make_member())
    MemberToken.objects.update(**change)
    assert api.get("me").json()["code"] == "token_invalid"


@pytest.mark.parametrize("status", ["blocked", "closed"])
def test_a_member_blocked_later_is_shut_out_at_once(as_member: Any, status: str) -> None:
    member = make_member()
    api = as_member(member)
    Member.objects.filter(pk=member.pk).update(status=status)
    answer = api.get("me")
    assert (answer.status_code, answer.json()["code"]) == (403, f"member_{status}")


def test_a_member_is_no_staff_user(as_member: Any) -> None:
    api = as_member(make_member())
    assert api.client.get("/admin/", follow=True).redirect_chain[0][0].startswith("/admin/login/")


def test_a_first_login_answers_a_token_that_opens_the_api(mini: Any, stranger: Any) -> None:
    link = make_link()
    body = {"code": "c-1", "link_code": link.code, "device": "d-1"}
    answer = stranger.post("auth/login", body)
    data = answer.json()
    assert answer.status_code == 200
    assert (data["created"], data["link_error"], len(data["token"])) == (True, None, 43)
    assert mini.asked == [("session", "c-1")]
    assert Binding.objects.get().member.no == data["member"]["no"]
    stranger.client.credentials(HTTP_AUTHORIZATION=f"Bearer {data['token']}")
    assert stranger.get("me").json()["no"] == data["member"]["no"]


def test_a_useless_share_code_is_told_in_the_readers_language(mini: Any, stranger: Any) -> None:
    with translation.override("en"):
        data = stranger.client.post(
            "/api/v1/auth/login", {"code": "c", "link_code": "22222223"}, HTTP_ACCEPT_LANGUAGE="en"
        ).json()
    assert data["link_error"]["code"] == "mistyped_code"
    assert "mistyped" in data["link_error"]["message"]


def test_logging_out_closes_this_device_only(as_member: Any) -> None:
    member = make_member()
    phone, tablet = as_member(member), as_member(member)
    assert phone.post("auth/logout").status_code == 204
    assert phone.get("me").status_code == 401
    assert tablet.get("me").status_code == 200


def test_a_request_asks_the_database_once_who_it_is(
    as_member: Any, django_assert_num_queries: Any
) -> None:
    api = as_member(make_member())
    with django_assert_num_queries(3):  # token and member, promoter, unread
        api.get("me")
