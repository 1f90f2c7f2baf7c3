"""Messages: the inbox always, WeChat within what the member accepted."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest

from distro import outbox
from distro.models import OutboxMessage
from distro.wechat.errors import WechatRefused, WechatUnknown
from referrals.errors import UnknownTemplate
from referrals.models import Member, Message, SubscribeQuota
from referrals.services import messages
from referrals.services.messages import accept_templates, notify, templates
from tests.factories import make_member

pytestmark = pytest.mark.django_db


def say(member: Member, at: datetime, **kw: Any) -> Message:
    facts = {"kind": "commission", "key": "settled:1", "title": "到账", "body": "12.34 元"}
    return notify(member_id=member.pk, at=at, **facts | kw)


def left(member: Member, kind: str = "commission") -> int:
    row = SubscribeQuota.objects.filter(member=member, template=templates()[kind]).first()
    return row.left if row else 0


def test_an_unknown_kind_is_not_accepted() -> None:
    with pytest.raises(UnknownTemplate):
        accept_templates(member_id=make_member().pk, kinds=["commission", "nonsense"])
    assert not SubscribeQuota.objects.exists()


def test_without_acceptance_there_is_only_the_inbox(at: datetime) -> None:
    member = make_member()
    message = say(member, at)
    assert (message.title, message.read_at) == ("到账", None)
    assert not OutboxMessage.objects.exists()


def test_a_kind_without_template_goes_to_the_inbox_only(at: datetime) -> None:
    member = make_member()
    say(member, at, kind="news")
    assert Message.objects.count() == 1
    assert not OutboxMessage.objects.exists()


def test_a_kind_uses_the_template_of_its_family(at: datetime) -> None:
    member = make_member()
    accept_templates(member_id=member.pk, kinds=["order"])
    say(member, at, kind="order_shipped")
    assert OutboxMessage.objects.get().payload["template"] == templates()["order"]


def test_one_acceptance_sends_one_message(at: datetime) -> None:
    member = make_member()
    accept_templates(member_id=member.pk, kinds=["commission"])
    say(member, at)
    say(member, at, key="settled:2")
    assert Message.objects.count() == 2
    sent = OutboxMessage.objects.get()
    assert (sent.topic, sent.key) == ("subscribe", "subscribe:settled:1")
    assert left(member) == 0


def test_a_repeated_cause_says_nothing_twice(at: datetime) -> None:
    member = make_member()
    accept_templates(member_id=member.pk, kinds=["commission"])
    accept_templates(member_id=member.pk, kinds=["commission"])
    assert say(member, at) == say(member, at, title="other")
    assert Message.objects.get().title == "到账"
    assert left(member) == 1


def test_acceptances_add_up_to_a_limit() -> None:
    member = make_member()
    for _ in range(messages.QUOTA_MAX + 5):
        accept_templates(member_id=member.pk, kinds=["commission"])
    assert left(member) == messages.QUOTA_MAX


def test_long_texts_are_cut_to_what_the_inbox_holds(at: datetime) -> None:
    message = say(make_member(), at, title="t" * 100, body="b" * 1000)
    assert (len(message.title), len(message.body)) == (64, 400)


def test_the_outbox_sends_over_wechat(at: datetime, mini: Any) -> None:
    member = make_member()
    accept_templates(member_id=member.pk, kinds=["commission"])
    say(member, at, page="pages/promoter/index")
    messages.send_subscribe(OutboxMessage.objects.get().payload)
    values = {"thing1": "到账", "thing2": "12.34 元", "time3": "2026-11-02 10:00"}
    asked = ("subscribe", member.openid, templates()["commission"], values)
    assert mini.asked == [(*asked, "pages/promoter/index")]


def test_a_refusal_by_wechat_is_final_and_ends_the_quota(at: datetime, mini: Any) -> None:
    member = make_member()
    for _ in range(3):
        accept_templates(member_id=member.pk, kinds=["commission"])
    say(member, at)
    mini.error = WechatRefused("43101")
    messages.send_subscribe(OutboxMessage.objects.get().payload)
    assert left(member) == 0


@pytest.mark.parametrize("error", [WechatUnknown("connection"), WechatRefused("47003")])
def test_other_errors_are_left_to_the_outbox(at: datetime, mini: Any, error: Exception) -> None:
    member = make_member()
    accept_templates(member_id=member.pk, kinds=["commission"])
    say(member, at)
    mini.error = error
    with pytest.raises(type(error)):
        messages.send_subscribe(OutboxMessage.objects.get().payload)


def test_an_imported_member_has_nobody_to_send_to(at: datetime, mini: Any) -> None:
    message = say(make_member(openid=None), at)
    messages.send_subscribe({"message_id": message.pk, "template": "t"})
    assert mini.asked == []


def test_the_outbox_knows_the_handler() -> None:
    assert outbox.handlers["subscribe"] is messages.send_subscribe
