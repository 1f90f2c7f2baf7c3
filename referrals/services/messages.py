"""Messages to members: the inbox always has them, WeChat gets what the member still accepts."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from datetime import datetime
from functools import partial
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import F, Value
from django.db.models.functions import Least
from django.utils import translation

from distro import clock, outbox
from distro.wechat.errors import WechatRefused
from distro.wechat.mini import mini
from referrals.errors import UnknownTemplate
from referrals.models import Member, Message, SubscribeQuota
from referrals.selectors_accounts import living_id

TOPIC = "subscribe"
NOT_ACCEPTED = "43101"  # WeChat: the user has not accepted, or not any more
QUOTA_MAX = 50
TITLE_CHARS, BODY_CHARS = 64, 400
DEMO_TEMPLATES = {
    "promoter": "demo-template-promoter",
    "commission": "demo-template-commission",
    "withdrawal": "demo-template-withdrawal",
    "order": "demo-template-order",
    "campaign": "demo-template-campaign",
    "identity": "demo-template-identity",
}


def templates() -> dict[str, str]:
    """Return WeChat's template ids by kind or family: "order" stands for "order_shipped" too."""
    return getattr(settings, "SUBSCRIBE_TEMPLATES", DEMO_TEMPLATES)


def template_of(kind: str) -> str | None:
    """Return the template of a kind, else of its family."""
    known = templates()
    return known.get(kind) or known.get(kind.partition("_")[0])


@contextmanager
def in_members_language() -> Iterator[None]:
    """Write texts in the language of the members, whoever causes them."""
    with translation.override(settings.LANGUAGE_CODE):
        yield


def notify(
    *, member_id: int, kind: str, key: str, title: str, body: str, page: str = "", at: datetime
) -> Message:
    """Tell a member something, once per key, and over WeChat if he accepts one more message.

    Who was merged is told in the account that stays.

    key: names the cause, for instance "settled:17". page: of the mini-program, no leading slash.
    """
    with transaction.atomic():
        message, is_new = Message.objects.get_or_create(
            key=key,
            defaults={
                "member_id": partial(living_id, member_id),  # type: ignore[misc]  # called
                "kind": kind,
                "title": title[:TITLE_CHARS],
                "body": body[:BODY_CHARS],
                "page": page,
                "created_at": at,
            },
        )
        if is_new and (template := template_of(kind)):
            _queue(message, template)
        return message


def _queue(message: Message, template: str) -> None:
    """Use up one acceptance and send the message after the commit."""
    quota = SubscribeQuota.objects.filter(member=message.member_id, template=template, left__gt=0)
    if quota.update(left=F("left") - 1) == 1:
        payload = {"message_id": message.pk, "template": template}
        outbox.put(TOPIC, f"{TOPIC}:{message.key}", payload)


@outbox.handler(TOPIC)
def send_subscribe(payload: dict[str, Any]) -> None:
    """Send one message over WeChat; a refusal is final, the inbox has the message anyway."""
    message = Message.objects.select_related("member").get(pk=payload["message_id"])
    template = payload["template"]
    if not message.member.openid:
        return
    values = {
        "thing1": message.title,
        "thing2": message.body,
        "time3": f"{message.created_at.astimezone(clock.BEIJING):%Y-%m-%d %H:%M}",
    }
    try:
        mini().send_subscribe_message(message.member.openid, template, values, message.page)
    except WechatRefused as error:
        if error.code != NOT_ACCEPTED:
            raise
        SubscribeQuota.objects.filter(member=message.member_id, template=template).update(left=0)


def accept_templates(*, member_id: int, kinds: Collection[str]) -> None:
    """Note that a member accepted one more message of each kind; raise UnknownTemplate."""
    known = templates()
    if unknown := sorted(set(kinds) - known.keys()):
        raise UnknownTemplate(field="accepted", name=unknown[0])
    with transaction.atomic():
        accepted = [
            SubscribeQuota(member_id=member_id, template=known[kind], left=0) for kind in set(kinds)
        ]
        SubscribeQuota.objects.bulk_create(accepted, ignore_conflicts=True)
        quotas = SubscribeQuota.objects.filter(
            member=member_id, template__in=[quota.template for quota in accepted]
        )
        quotas.update(left=Least(F("left") + 1, Value(QUOTA_MAX)))


def mark_read(*, member: Member, until: datetime, at: datetime) -> int:
    """Mark the messages up to a moment as read; return how many were unread."""
    rows = Message.objects.filter(member=member, read_at=None, created_at__lte=until)
    return rows.update(read_at=at)
