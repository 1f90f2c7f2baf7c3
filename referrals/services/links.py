"""Share links and their visits."""

from __future__ import annotations

import re
import secrets
from dataclasses import dataclass
from datetime import datetime

from django.db import transaction

from distro.crypto import blind_index, truncate_ip
from distro.errors import NotFound
from distro.wechat.errors import WechatError
from distro.wechat.mini import mini
from referrals import selectors
from referrals.errors import BadTarget, ExpiryInPast, WechatUnavailable, YoungerInviter
from referrals.models import Member, ShareLink, Visit
from referrals.rules.codes import new_code
from referrals.services.bindings import touch_member

find_link = selectors.find_link

WITH_OBJECT = {ShareLink.Target.PRODUCT, ShareLink.Target.CAMPAIGN}
OBJECT_CODE = re.compile(r"[0-9A-Za-z._-]{1,64}")
# The mini-program's page behind each target.
PAGES = {
    ShareLink.Target.HOME: "pages/index/index",
    ShareLink.Target.PRODUCT: "pages/product/detail",
    ShareLink.Target.CAMPAIGN: "pages/campaign/detail",
    ShareLink.Target.RECRUIT: "pages/promoter/join",
}


def create_link(
    *,
    member: Member,
    target: str,
    target_ref: str,
    channel: str,
    expires_at: datetime | None,
    at: datetime,
) -> ShareLink:
    """Make a code that a member shares; raise BadTarget, ExpiryInPast."""
    has_object = bool(OBJECT_CODE.fullmatch(target_ref))
    if has_object != (target in WITH_OBJECT) or (target_ref and not has_object):
        raise BadTarget(field="target_ref")
    if expires_at is not None and expires_at <= at:
        raise ExpiryInPast(field="expires_at")
    return ShareLink.objects.create(
        code=_free_code(),
        member=member,
        target=target,
        target_ref=target_ref,
        channel=channel,
        expires_at=expires_at,
        created_at=at,
    )


def _free_code() -> str:
    while ShareLink.objects.filter(code=(code := new_code(secrets.choice))).exists():
        pass  # one in a million, with a million links
    return code


def revoke_link(*, code: str, member: Member, at: datetime) -> ShareLink:
    """Take a code of one's own back; doing it again changes nothing. Raises NotFound."""
    with transaction.atomic():
        own = ShareLink.objects.select_for_update().filter(member=member, code=code)
        own.filter(revoked_at=None).update(revoked_at=at)
        link = own.first()
        if link is None:
            raise NotFound
        return link


def wxacode(*, link: ShareLink) -> bytes:
    """Return the picture of the mini-program code that carries a link; raise WechatUnavailable."""
    try:
        return mini().wxacode(scene=link.code, page=PAGES[ShareLink.Target(link.target)])
    except WechatError:
        raise WechatUnavailable from None


# --- Visits ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class Opening:
    """One opening of a share link, and what it meant for the binding; "" for a stranger."""

    visit: Visit
    link: ShareLink
    outcome: str


def open_link(
    *,
    code: str,
    visit_key: str,
    member: Member | None,
    device: str,
    ip: str,
    scene: str,
    at: datetime,
) -> Opening:
    """Record that a code was opened and, for a known member, bind him; once per visit key.

    Raises the errors of find_link() and OwnCode, and then nothing is recorded.
    """
    with transaction.atomic():
        link = find_link(code=code, at=at)
        outcome = _touch(member, link, device, at) if member else ""
        member_id = member.pk if member else None
        visit = record_visit(
            link=link,
            visit_key=visit_key,
            member_id=member_id,
            device=device,
            ip=ip,
            scene=scene,
            at=at,
        )
    return Opening(visit, link, outcome)


def _touch(member: Member, link: ShareLink, device: str, at: datetime) -> str:
    """Bind a member who opens a link; a visit stands also where rule H2 refuses the binding."""
    try:
        return touch_member(member=member, link=link, at=at, device=device).outcome
    except YoungerInviter as error:
        return error.code


def record_visit(
    *,
    link: ShareLink,
    visit_key: str,
    member_id: int | None,
    device: str,
    ip: str,
    scene: str,
    at: datetime,
) -> Visit:
    """Record one opening of a link; the same key again returns the first record.

    Device and address are kept as keyed hashes only, the address also shortened.
    """
    visit, _ = Visit.objects.get_or_create(
        visit_key=visit_key,
        defaults={
            "link": link,
            "member_id": member_id,
            "device_hmac": blind_index("device", device),
            "ip_hmac": blind_index("ip", ip),
            "ip_truncated": truncate_ip(ip),
            "scene": scene,
            "occurred_at": at,
        },
    )
    return visit
