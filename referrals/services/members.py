"""Members: log-in, tokens, their own data, members of an import."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import IntegrityError, transaction

from distro import clock
from distro.crypto import blind_index
from distro.errors import DomainError
from distro.facts import tell
from distro.wechat.errors import LoginCodeInvalid, LoginRefused, WechatError, WechatRefused
from distro.wechat.mini import mini
from referrals import selectors
from referrals.errors import (
    BadPhone,
    LoginCodeUsed,
    LoginCodeWrong,
    LoginRefusedByWechat,
    WechatUnavailable,
)
from referrals.models import Member, MemberToken, ShareLink
from referrals.rules.codes import MEMBER_NO_CHARS, random_text
from referrals.rules.people import Person, normal_phone
from referrals.selectors_accounts import account_of_openid
from referrals.services.bindings import bind_newcomer, refuse_edge, touch_member
from referrals.services.links import record_visit
from referrals.services.merging import recognise, unite
from referrals.signals import member_joined

TOKEN_LIFE = timedelta(days=30)
TOKEN_BYTES = 32  # 43 characters
DEVICE_CHARS = 64
USED_CODE = "40163"  # WeChat's number for a code that was used before
ASKED_AT_ONCE = 5_000


@dataclass(frozen=True)
class LoginResult:
    """Who is logged in; a share code that was of no use does not stop him."""

    member: Member
    token: str
    expires_at: datetime
    created: bool
    link_error: DomainError | None = None


def login_with_code(*, code: str, link_code: str, device: str, at: datetime) -> LoginResult:
    """Exchange WeChat's login code and log its owner in.

    Raises LoginCodeWrong, LoginCodeUsed, LoginRefusedByWechat, WechatUnavailable, MemberBlocked,
    MemberClosed.
    """
    try:
        session = mini().code_to_session(code)
    except LoginCodeInvalid as error:
        refusal = LoginCodeUsed if error.code == USED_CODE else LoginCodeWrong
        raise refusal(field="code") from None
    except LoginRefused:
        raise LoginRefusedByWechat from None
    except WechatError:
        raise WechatUnavailable from None
    return login(
        openid=session.openid, unionid=session.unionid, link_code=link_code, device=device, at=at
    )


def login(
    *, openid: str, unionid: str | None, link_code: str, device: str, at: datetime
) -> LoginResult:
    """Log a person in; the first time makes him a member, brought by the owner of the share code.

    An unusable share code never stops the log-in: the result says what was wrong with it.
    Raises MemberBlocked, MemberClosed.
    """
    with transaction.atomic():
        link, link_error = _read_link(link_code, at)
        arrival = Arrival(openid, unionid, device[:DEVICE_CHARS], link, at)
        member = account_of_openid(openid) or recognise(openid=openid, unionid=unionid, at=at)
        if member is None:
            member, created, edge_error = _join(arrival)
        else:
            created = False
            member, edge_error = _return(member, arrival)
        token, expires_at = _issue_token(member, arrival.device)
    return LoginResult(member, token, expires_at, created, link_error or edge_error)


@dataclass(frozen=True)
class Arrival:
    """One log-in, and the usable link it came through."""

    openid: str
    unionid: str | None
    device: str
    link: ShareLink | None
    at: datetime


def _read_link(link_code: str, at: datetime) -> tuple[ShareLink | None, DomainError | None]:
    if not link_code:
        return None, None
    try:
        return selectors.find_link(code=link_code, at=at), None
    except DomainError as error:
        return None, error


def _join(arrival: Arrival) -> tuple[Member, bool, DomainError | None]:
    """Make a new member, or find the one that a log-in at the same moment made."""
    seen = _first_seen(arrival)
    edge_error = _edge_error(arrival, seen)
    link = None if edge_error else arrival.link
    try:
        with transaction.atomic():
            member = Member.objects.create(
                no=_new_no(),
                openid=arrival.openid,
                unionid=arrival.unionid,
                inviter=link.member if link and not link.employee_only else None,
                joined_at=arrival.at,
                first_seen_at=seen if seen < arrival.at else None,
            )
    except IntegrityError:
        return Member.objects.get(openid=arrival.openid), False, None
    if link:
        _record_arrival(member, link, arrival)
    tell(member_joined, member_id=member.pk)
    if link:
        bind_newcomer(member=member, link=link, at=arrival.at)
    return member, True, edge_error


def _record_arrival(member: Member, link: ShareLink, arrival: Arrival) -> None:
    """Keep the link that brought a new person: those right of this package count by it."""
    record_visit(
        link=link,
        visit_key=f"login/{member.pk}",  # no phone can write such a key
        member_id=member.pk,
        device=arrival.device,
        ip="",
        scene="",
        at=arrival.at,
    )


def _first_seen(arrival: Arrival) -> datetime:
    """Return when this phone was here first; the device is forgotten after a while, this is not."""
    if not arrival.device:
        return arrival.at
    return selectors.first_seen(None, device=arrival.device, joined_at=arrival.at)


def _edge_error(arrival: Arrival, seen: datetime) -> DomainError | None:
    """Return why the link's owner cannot have brought this new person."""
    if arrival.link is None:
        return None
    owner = arrival.link.member
    try:
        refuse_edge(
            invitee=Person(0, unionids=frozenset(filter(None, [arrival.unionid]))),
            inviter=selectors.people([owner.pk])[owner.pk],
            first_seen=seen,
            inviter_joined_at=owner.joined_at,
        )
    except DomainError as error:
        return error
    return None


def _return(member: Member, arrival: Arrival) -> tuple[Member, DomainError | None]:
    """Receive a known person; also say why the link did not bind him, which writes nothing."""
    selectors.refuse_inactive(member)
    own = member.openid == arrival.openid  # else it is a former account that leads here
    if own and arrival.unionid and member.unionid != arrival.unionid:
        member = unite(member=member, unionid=arrival.unionid, at=arrival.at)
    if arrival.link is None:
        return member, None
    try:
        touch_member(member=member, link=arrival.link, at=arrival.at, device=arrival.device)
    except DomainError as error:
        return member, error
    return member, None


def _issue_token(member: Member, device: str) -> tuple[str, datetime]:
    """Store a new token of the member; it lives by the true time, which no demo moves."""
    token, now = secrets.token_urlsafe(TOKEN_BYTES), clock.real_now()
    MemberToken.objects.create(
        member=member,
        digest=selectors.token_digest(token),
        device=device,
        created_at=now,
        expires_at=now + TOKEN_LIFE,
    )
    return token, now + TOKEN_LIFE


def revoke_token(*, token_id: int, at: datetime) -> int:
    """Make one token useless; return how many were revoked."""
    return MemberToken.objects.filter(pk=token_id, revoked_at=None).update(revoked_at=at)


def revoke_tokens_of(*, member_id: int, at: datetime) -> int:
    """Log a member out everywhere; return how many tokens were revoked."""
    return MemberToken.objects.filter(member=member_id, revoked_at=None).update(revoked_at=at)


def rename(*, member_id: int, nickname: str) -> Member:
    """Set the name a member wants to be called by."""
    with transaction.atomic():
        member = Member.objects.select_for_update().get(pk=member_id)
        member.nickname = nickname
        member.save(update_fields=["nickname"])
        return member


def set_phone_with_code(*, member_id: int, phone_code: str) -> Member:
    """Exchange a phone code of this very member for his number and keep it.

    Raises BadPhone, WechatUnavailable.
    """
    openid = Member.objects.values_list("openid", flat=True).get(pk=member_id) or ""
    try:
        phone = mini().phone_number(phone_code, openid)
    except WechatRefused:
        raise BadPhone(field="phone_code") from None
    except WechatError:
        raise WechatUnavailable from None
    return set_phone(member_id=member_id, phone=phone)


def set_phone(*, member_id: int, phone: str) -> Member:
    """Keep a member's phone number, encrypted, and what finds it; raise BadPhone."""
    number = normal_phone(phone)
    with transaction.atomic():
        member = Member.objects.select_for_update().get(pk=member_id)
        member.phone, member.phone_index = number, blind_index("phone", number)
        member.save(update_fields=["phone", "phone_index"])
        return member


def _new_no() -> str:
    return "M" + random_text(secrets.choice, MEMBER_NO_CHARS)


# --- Imports --------------------------------------------------------------------------------


def ensure_members(
    *, external_nos: Mapping[str, datetime], tell_facts: bool = False
) -> dict[str, int]:
    """Make the persons another system knows members; return their ids by external number.

    external_nos: number -> joined at, for those that are new. tell_facts: also tell
    member_joined for each new one.
    """
    found: dict[str, int] = {}
    numbers = sorted(external_nos)
    for start in range(0, len(numbers), ASKED_AT_ONCE):
        some = numbers[start : start + ASKED_AT_ONCE]
        with transaction.atomic():
            before = _ids_of(some)
            missing = [number for number in some if number not in before]
            after = _make(missing, external_nos)
            if tell_facts:
                for member_id in after.values():
                    tell(member_joined, member_id=member_id)
        found |= before | after
    return found


def _make(missing: list[str], joined: Mapping[str, datetime]) -> dict[str, int]:
    """Insert members; whoever another import inserts at the same moment is its row."""
    made: dict[str, int] = {}
    while len(made) < len(missing):  # again only if two random numbers were equal
        rows = [
            Member(no=_new_no(), external_no=number, joined_at=joined[number])
            for number in missing
            if number not in made
        ]
        Member.objects.bulk_create(rows, ignore_conflicts=True, batch_size=1_000)
        made = _ids_of(missing)
    return made


def _ids_of(numbers: list[str]) -> dict[str, int]:
    rows = Member.objects.filter(external_no__in=numbers).values_list("external_no", "pk")
    return {number: pk for number, pk in rows if number}
