"""GET and PATCH me, inbox, subscriptions."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest

from distro.wechat.errors import WechatRefused, WechatUnknown
from referrals.models import Member, Message, SubscribeQuota
from referrals.services.messages import notify, templates
from tests.factories import make_member, make_promoter

pytestmark = pytest.mark.django_db

PATHS = ["me", "me/inbox", "me/subscriptions", "me/identity", "me/binding", "agreements/promoter",
         "promoter", "promoter/team", "share-links", "share-links/22222222/wxacode"]  # fmt: skip


@pytest.mark.parametrize("path", PATHS)
def test_nothing_is_shown_without_a_token(stranger: Any, path: str) -> None:
    assert stranger.get(path).status_code == 401


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (WechatRefused("40029"), 400, "bad_phone"),
        (WechatUnknown("connection"), 503, "wechat_unavailable"),
    ],
)
def test_a_refused_phone_code_changes_nothing(
    mini: Any, as_member: Any, error: Exception, status: int, code: str
) -> None:
    api = as_member(make_member(nickname="A"))
    mini.error = error
    answer = api.patch("me", {"phone_code": "p", "nickname": "B"})
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    member = Member.objects.get()
    assert (member.nickname, member.phone) == ("A", "")


@pytest.mark.parametrize("nickname", ["", " ", "a\nb", "a\x00", "n" * 65])
def test_a_name_of_wrong_shape_is_refused(as_member: Any, nickname: str) -> None:
    api = as_member(make_member(nickname="A"))
    answer = api.patch("me", {"nickname": nickname})
    assert (answer.status_code, list(answer.json()["fields"])) == (400, ["nickname"])
    assert Member.objects.get().nickname == "A"


def test_a_member_reads_himself_with_a_masked_phone(mini: Any, as_member: Any) -> None:
    promoter = make_promoter(member=make_member(openid="o-me"))
    api = as_member(promoter.member)
    answer = api.patch("me", {"phone_code": "p-1", "nickname": " 小王 "})
    assert mini.asked == [("phone", "p-1", "o-me")]
    data = api.get("me").json()
    assert data == answer.json()
    assert (data["nickname"], data["phone"]) == ("小王", "138****8000")
    assert (data["promoter_code"], data["unread"]) == (promoter.code, 0)
    assert "openid" not in str(data)


def say(member: Member, key: str, at: datetime, kind: str = "promoter") -> Message:
    return notify(member_id=member.pk, kind=kind, key=key, title=f"T {key}", body="B", at=at)


def test_the_inbox_is_paged_and_ones_own(as_member: Any, at: datetime) -> None:
    member = make_member()
    say(make_member(), "other", at)
    for number in range(5):
        say(member, str(number), at + timedelta(minutes=number))
    api = as_member(member)
    first = api.get("me/inbox", limit=3).json()
    rest = api.get("me/inbox", limit=3, cursor=first["next"]).json()
    titles = [row["title"] for row in first["results"] + rest["results"]]
    assert titles == ["T 4", "T 3", "T 2", "T 1", "T 0"]
    assert rest["next"] is None
    assert set(first["results"][0]) == {"kind", "title", "body", "page", "created_at", "read_at"}


@pytest.mark.parametrize("params", [{"cursor": "x"}, {"limit": "0"}, {"limit": "1000"}])
def test_a_made_up_page_is_refused(as_member: Any, params: dict[str, str]) -> None:
    assert as_member(make_member()).get("me/inbox", **params).status_code == 400


def test_messages_are_read_up_to_a_moment(as_member: Any, at: datetime) -> None:
    member, other = make_member(), make_member()
    say(other, "other", at - timedelta(hours=3))
    say(member, "old", at - timedelta(hours=2))
    say(member, "new", at - timedelta(hours=1))
    api = as_member(member)
    until = (at - timedelta(hours=2)).isoformat()
    assert api.post("me/inbox/read", {"until": until}).json() == {"read": 1, "unread": 1}
    assert api.post("me/inbox/read").json() == {"read": 1, "unread": 0}
    assert api.post("me/inbox/read").json() == {"read": 0, "unread": 0}
    assert Message.objects.get(member=other).read_at is None


@pytest.mark.parametrize(
    "accepted", [[], ["nonsense"], ["promoter", "nonsense"], "promoter", ["promoter"] * 11]
)
def test_an_unknown_kind_of_message_is_refused(as_member: Any, accepted: Any) -> None:
    answer = as_member(make_member()).post("me/subscriptions", {"accepted": accepted})
    assert answer.status_code == 400
    assert not SubscribeQuota.objects.exists()


def test_acceptances_are_counted_once_per_request(as_member: Any) -> None:
    api = as_member(make_member())
    for key in ("request-a", "request-a", "request-b"):
        answer = api.post("me/subscriptions", {"accepted": ["promoter", "order"]}, key=key)
    left = {row["kind"]: row["left"] for row in answer.json()}
    assert left == {kind: 2 if kind in {"promoter", "order"} else 0 for kind in templates()}
    assert api.get("me/subscriptions").json() == answer.json()
