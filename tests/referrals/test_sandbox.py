"""Log-in, phone, picture and message through the real client code and the imitated WeChat."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest

from distro.models import OutboxMessage
from distro.wechat.sandbox.control import SandboxControl
from referrals.models import Member, MemberToken, SubscribeQuota
from referrals.services import messages
from tests.factories import make_link, make_member

pytestmark = pytest.mark.django_db

CODE_SECONDS = 301


def test_a_wrong_code_is_refused(wechat: SandboxControl, stranger: Any) -> None:
    answer = stranger.post("auth/login", {"code": "made-up"})
    assert (answer.status_code, answer.json()["code"]) == (400, "login_code_wrong")
    assert not Member.objects.exists()


def test_a_code_works_once(wechat: SandboxControl, stranger: Any) -> None:
    code = wechat.login_code("wang")
    assert stranger.post("auth/login", {"code": code}).status_code == 200
    answer = stranger.post("auth/login", {"code": code})
    assert answer.status_code == 400
    assert list(answer.json()["fields"]) == ["code"]
    assert MemberToken.objects.count() == 1


def test_an_expired_code_is_refused(wechat: SandboxControl, stranger: Any) -> None:
    code = wechat.login_code("wang")
    wechat.advance(CODE_SECONDS)
    answer = stranger.post("auth/login", {"code": code})
    assert (answer.status_code, answer.json()["code"]) == (400, "login_code_wrong")
    assert not Member.objects.exists()


def test_a_risky_user_is_refused(wechat: SandboxControl, stranger: Any) -> None:
    wechat.set_person("wang", risky=True)
    answer = stranger.post("auth/login", {"code": wechat.login_code("wang")})
    assert (answer.status_code, answer.json()["code"]) == (403, "login_refused")
    assert not Member.objects.exists()


def test_one_person_is_one_member(wechat: SandboxControl, stranger: Any) -> None:
    codes = [wechat.login_code(name) for name in ("wang", "wang", "li")]
    numbers = [stranger.post("auth/login", {"code": c}).json()["member"]["no"] for c in codes]
    assert numbers[0] == numbers[1] != numbers[2]
    assert Member.objects.count() == 2


def test_a_phone_code_of_somebody_else_is_refused(wechat: SandboxControl, as_member: Any) -> None:
    member = make_member(openid=wechat.person("wang").openid)
    answer = as_member(member).patch("me", {"phone_code": wechat.phone_code("li")})
    assert (answer.status_code, answer.json()["code"]) == (400, "bad_phone")
    own = as_member(member).patch("me", {"phone_code": wechat.phone_code("wang")})
    assert own.json()["phone"].count("*") == 4


def test_a_picture_comes_from_wechat(wechat: SandboxControl, as_member: Any) -> None:
    member = make_member()
    code = make_link(member).code
    answer = as_member(member).get(f"share-links/{code}/wxacode")
    assert answer.headers["Content-Type"] == "image/png"
    assert answer.content.startswith(b"\x89PNG")


def test_a_message_arrives_once_per_acceptance(wechat: SandboxControl, at: datetime) -> None:
    person = wechat.person("wang")
    member = make_member(openid=person.openid)
    template = messages.templates()["promoter"]
    wechat.accept_subscription("wang", template)
    for key in ("a", "b"):
        messages.accept_templates(member_id=member.pk, kinds=["promoter"])
        facts = {"kind": "promoter", "key": key, "title": "你已成为推广员", "body": "恭喜 " * 20}
        messages.notify(member_id=member.pk, at=at, **facts)
    for row in OutboxMessage.objects.order_by("pk"):
        messages.send_subscribe(row.payload)
    (sent,) = wechat.messages()
    assert sent["template"] == template
    assert SubscribeQuota.objects.get().left == 0
