"""Share links and their visits."""

from __future__ import annotations

import re
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import transaction

from distro import audit
from distro.actors import Actor
from distro.crypto import signal_hash, signal_key_version, truncate_ip
from distro.errors import NotFound
from distro.wechat.errors import WechatError
from distro.wechat.mini import mini
from referrals import selectors
from referrals.errors import (
    BadTarget,
    ExpiryInPast,
    ReasonMissing,
    RevokedCode,
    WechatUnavailable,
    YoungerInviter,
)
from referrals.errors_bindings import ReferralCycle, VisitKeyUsed
from referrals.models import Member, MemberToken, ShareLink, Visit
from referrals.rules.codes import new_code
from referrals.selectors_accounts import refuse_closing
from referrals.selectors_joining import refuse_sharer
from referrals.services.bindings import touch_member

find_link = selectors.find_link

OBJECT_CODE = re.compile(r"[0-9A-Za-z._-]{1,64}")
# The mini-program's page behind each target.
PAGES = {
    ShareLink.Target.HOME: "pages/index/index",
    ShareLink.Target.PRODUCT: "pages/product/detail",
    ShareLink.Target.CAMPAIGN: "pages/campaign/detail",
    ShareLink.Target.MATERIAL: "pages/material/detail",
    ShareLink.Target.LIVE: "pages/live/room",
    ShareLink.Target.RECRUIT: "pages/promoter/join",
}
SINGLE_PAGE = "1154"  # WeChat's scene of a page seen in Moments: no log-in, nobody is bound
VISITOR_KEPT = timedelta(days=180)  # device and address, for scoring; docs/rules.md, "Binding"
FORGOTTEN_AT_ONCE = 1_000


def create_link(
    *,
    member: Member,
    target: str,
    target_ref: str,
    channel: str,
    expires_at: datetime | None,
    at: datetime,
    employee_only: bool = False,
) -> ShareLink:
    """Make a code that a member shares.

    Raises MemberBlocked, MemberClosed, AccountMerged, AccountClosing, PromoterQuits,
    AgreementUnsigned, BadTarget, ExpiryInPast.
    """
    has_object = bool(OBJECT_CODE.fullmatch(target_ref))
    if has_object != (target in ShareLink.WITH_OBJECT) or (target_ref and not has_object):
        raise BadTarget(field="target_ref")
    if expires_at is not None and expires_at <= at:
        raise ExpiryInPast(field="expires_at")
    with transaction.atomic():
        _lock_sharer(member.pk, at)
        return ShareLink.objects.create(
            code=_free_code(),
            member=member,
            target=target,
            target_ref=target_ref,
            channel=channel,
            employee_only=employee_only,
            expires_at=expires_at,
            created_at=at,
        )


def _lock_sharer(member_id: int, at: datetime) -> None:
    """Refuse who may not share; what closes or merges his account waits, and revokes his links."""
    selectors.refuse_inactive(Member.objects.select_for_update(no_key=True).get(pk=member_id))
    refuse_closing(member_id)
    refuse_sharer(member_id, at=at)


def _free_code() -> str:
    while ShareLink.objects.filter(code=(code := new_code(secrets.choice))).exists():
        pass  # one in a million, with a million links
    return code


def revoke_link(*, code: str, member: Member, at: datetime) -> ShareLink:
    """Take a code of one's own back; doing it again changes nothing. Raises NotFound."""
    with transaction.atomic():
        own = ShareLink.objects.select_for_update().filter(member=member, code=code)
        own.filter(revoked_at=None).update(revoked_at=at, revoked_by=str(member.actor))
        link = own.first()
        if link is None:
            raise NotFound
        return link


def revoke_link_by_staff(*, link_id: int, reason: str, by: Actor, at: datetime) -> ShareLink:
    """Make somebody's code useless by a person's decision; bindings stay as they are.

    Raises ReasonMissing, NotFound, RevokedCode.
    """
    if not reason.strip():
        raise ReasonMissing(field="reason")
    with transaction.atomic():
        link = ShareLink.objects.select_for_update().filter(pk=link_id).first()
        if link is None:
            raise NotFound
        if link.revoked_at:
            raise RevokedCode
        link.revoked_at, link.revoked_by, link.revoke_reason = at, str(by), reason
        link.save(update_fields=["revoked_at", "revoked_by", "revoke_reason"])
        audit.record(by=by, action="link.revoke", target=link, reason=reason, at=at)
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
    """Record that a code was opened and, for a known member, bind him; each once per visit key.

    A stranger's visit becomes that of the member who sends it again after his log-in. Raises the
    errors of find_link(), OwnCode and VisitKeyUsed, and then nothing is recorded.
    """
    member = None if scene == SINGLE_PAGE else member
    with transaction.atomic():
        link = find_link(code=code, at=at)
        visit = record_visit(
            link=link, visit_key=visit_key, member_id=None, device=device, ip=ip, scene=scene, at=at
        )
        visit = Visit.objects.select_for_update().get(pk=visit.pk)
        if visit.link_id != link.pk or (member and visit.member_id not in {None, member.pk}):
            raise VisitKeyUsed(field="visit_key")
        if member and visit.member_id is None:
            visit.member, visit.outcome = member, _touch(member, link, device, at)
            visit.save(update_fields=["member", "outcome"])
    return Opening(visit, link, visit.outcome if member else "")


def _touch(member: Member, link: ShareLink, device: str, at: datetime) -> str:
    """Bind a member who opens a link; a visit stands also where rule H2 refuses the binding."""
    try:
        return touch_member(member=member, link=link, at=at, device=device).outcome
    except (YoungerInviter, ReferralCycle) as error:
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
            "device_hmac": signal_hash("device", device),
            "ip_hmac": signal_hash("ip", ip),
            "ip_truncated": truncate_ip(ip),
            "key_version": signal_key_version(),
            "scene": scene,
            "occurred_at": at,
        },
    )
    return visit


def forget_visitors(*, at: datetime) -> int:
    """Take device and address out of the visits older than 180 days; return how many.

    A log-in keeps its device only until it is over.
    """
    over = MemberToken.objects.filter(expires_at__lte=at).exclude(device="")
    over.update(device="")
    count = 0
    while forgotten := _forget_some(at):
        count += forgotten
    return count


def _forget_some(at: datetime) -> int:
    due = Visit.objects.filter(forgotten_at=None, occurred_at__lte=at - VISITOR_KEPT)
    some = list(due.order_by("occurred_at").values_list("pk", flat=True)[:FORGOTTEN_AT_ONCE])
    empty = {"device_hmac": "", "ip_hmac": "", "ip_truncated": ""}
    return Visit.objects.filter(pk__in=some).update(**empty, forgotten_at=at)
