"""Reads of this package; none of them writes."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from django.conf import settings
from django.db import connection
from django.db.models import F, Min, Q, QuerySet
from django.utils.module_loading import import_string

from distro.crypto import signal_hashes
from distro.errors import NotFound
from referrals.errors import (
    ExpiredCode,
    MemberBlocked,
    MemberClosed,
    NoAgreement,
    NotPromoter,
    RevokedCode,
    UnknownCode,
)
from referrals.errors_accounts import AccountMerged
from referrals.models import (
    Agreement,
    Application,
    Binding,
    Hold,
    Identity,
    Member,
    MemberToken,
    Message,
    Promoter,
    ReferralPolicy,
    ShareLink,
    SubscribeQuota,
    Visit,
)
from referrals.rules.codes import read_code
from referrals.rules.people import Marks, Person, person_of
from referrals.selectors_attribution import NOBODY as NOBODY
from referrals.selectors_attribution import Attribution as Attribution
from referrals.selectors_attribution import attribution_of as attribution_of

TOKEN_CHARS_MAX = 100
ASKED_AT_ONCE = 10_000
PROMOTER_AGREEMENT = "promoter"


# --- Members --------------------------------------------------------------------------------


def token_digest(token: str) -> str:
    """Return what is stored of a token."""
    return hashlib.sha256(token.encode()).hexdigest()


def live_token(token: str, *, at: datetime) -> MemberToken | None:
    """Return the row of a token that is neither revoked nor expired, with its member."""
    if not 0 < len(token) <= TOKEN_CHARS_MAX:
        return None
    rows = MemberToken.objects.select_related("member__merged_into")
    rows = rows.filter(digest=token_digest(token), revoked_at=None, expires_at__gt=at)
    return rows.first()


def refuse_inactive(member: Member) -> None:
    """Raise MemberBlocked, MemberClosed or AccountMerged."""
    refuse_status(member.status)


def refuse_status(status: str) -> None:
    """Raise MemberBlocked, MemberClosed or AccountMerged for a member of this status."""
    if status == Member.Status.BLOCKED:
        raise MemberBlocked
    if status == Member.Status.CLOSED:
        raise MemberClosed
    if status == Member.Status.MERGED:
        raise AccountMerged


# One row for each account of the same person; `given` is the account that was asked for.
PEOPLE = """
    SELECT given.id, COALESCE(given.merged_into_id, given.id), own.unionid, own.phone_index,
        i.id_index
    FROM referrals_member given
    JOIN referrals_member own
        ON own.id = COALESCE(given.merged_into_id, given.id)
        OR own.merged_into_id = COALESCE(given.merged_into_id, given.id)
    LEFT JOIN referrals_identity i ON i.member_id = own.id
    WHERE given.id IN ({ids})
"""


def people(member_ids: Collection[int]) -> dict[int, Person]:
    """Return what is known of the persons behind accounts; merged accounts are one person."""
    ids = sorted(set(member_ids))
    found: dict[int, list[Marks]] = defaultdict(list)
    with connection.cursor() as cursor:
        for start in range(0, len(ids), ASKED_AT_ONCE):
            some = ids[start : start + ASKED_AT_ONCE]
            cursor.execute(PEOPLE.format(ids=", ".join(["%s"] * len(some))), some)
            for member_id, *marks in cursor.fetchall():
                found[member_id].append(tuple(marks))
    return {member_id: person_of(rows) for member_id, rows in found.items()}


def first_seen(member_id: int | None, *, device: str, joined_at: datetime) -> datetime:
    """Return when a person was first here: his first visit, also by device, or his first log-in."""
    mine = Q(device_hmac__in=signal_hashes("device", device)) if device else Q(pk=None)
    moments: list[datetime | None] = []
    if member_id:
        mine |= Q(member=member_id) | Q(member__merged_into=member_id)
        accounts = Member.objects.filter(Q(pk=member_id) | Q(merged_into=member_id))
        moments.append(accounts.aggregate(at=Min("first_seen_at"))["at"])
    rows = Visit.objects.filter(mine, occurred_at__lt=joined_at)
    moments.append(rows.aggregate(at=Min("occurred_at"))["at"])
    return min([joined_at, *(moment for moment in moments if moment)])


def has_paid_order(member_id: int) -> bool:
    """Ask the packages that know about orders."""
    checks: list[str] = settings.PAID_ORDER_CHECKS
    return any(import_string(path)(member_id) for path in checks)


# --- Policy, agreement ----------------------------------------------------------------------


def policy_at(at: datetime) -> ReferralPolicy:
    """Return the policy in force; the model's defaults before the first row."""
    rows = ReferralPolicy.objects.filter(effective_from__lte=at).order_by("-effective_from")
    return rows.first() or ReferralPolicy(effective_from=at)


def current_agreement(at: datetime, code: str = PROMOTER_AGREEMENT) -> Agreement:
    """Return the newest published version that is in force; raise NoAgreement."""
    rows = Agreement.objects.filter(code=code, published_at__lte=at, effective_from__lte=at)
    agreement = rows.order_by("-effective_from", "-version").first()
    if agreement is None:
        raise NoAgreement
    return agreement


def has_signed(member_id: int, agreement: Agreement) -> bool:
    """Say whether a member signed this version."""
    return agreement.acceptances.filter(member=member_id).exists()


# --- Share links ----------------------------------------------------------------------------


def find_link(*, code: str, at: datetime) -> ShareLink:
    """Return the link of a code that may be used now, with its member.

    Raises MistypedCode, UnknownCode, RevokedCode, ExpiredCode.
    """
    rows = ShareLink.objects.select_related("member").filter(code=read_code(code))
    link = rows.first()
    if link is None:
        raise UnknownCode(field="code")
    if link.revoked_at or link.member.status != Member.Status.ACTIVE:
        raise RevokedCode(field="code")
    if link.expires_at and link.expires_at <= at:
        raise ExpiredCode(field="code")
    return link


def links_of(member: Member) -> QuerySet[ShareLink]:
    """Return a member's links."""
    return ShareLink.objects.filter(member=member)


def own_link(member: Member, code: str, *, at: datetime) -> ShareLink:
    """Return a usable link of one's own; raise NotFound, RevokedCode, ExpiredCode."""
    link = links_of(member).filter(code=code).first()
    if link is None:
        raise NotFound
    if link.revoked_at:
        raise RevokedCode
    if link.expires_at and link.expires_at <= at:
        raise ExpiredCode
    return link


# --- Bindings -------------------------------------------------------------------------------


def open_bindings(at: datetime) -> QuerySet[Binding]:
    """Return the bindings in force."""
    unexpired = Q(expires_at=None) | Q(expires_at__gt=at)
    return Binding.objects.filter(unexpired, ended_at=None, started_at__lte=at)


def open_binding(member_id: int, *, at: datetime) -> Binding | None:
    """Return a customer's binding in force, with its promoter, his member and the link."""
    rows = open_bindings(at).select_related("promoter__member", "link")
    return rows.filter(member=member_id).first()


# --- Promoters ------------------------------------------------------------------------------


@dataclass(frozen=True)
class Summary:
    """What a promoter sees first of his own standing."""

    customers: int
    direct_team: int


def promoter_of(member_id: int) -> Promoter | None:
    """Return the promoter that a member is."""
    rows = Promoter.objects.select_related("member", "grade", "parent__member")
    return rows.filter(member=member_id).first()


def promoter_or_refuse(member_id: int) -> Promoter:
    """Return the promoter that a member is; raise NotPromoter."""
    promoter = promoter_of(member_id)
    if promoter is None:
        raise NotPromoter
    return promoter


def uplines(promoter_id: int) -> list[int]:
    """Return the ids of the promoter's three uplines, nearest first; never reads labels."""
    row = Promoter.objects.filter(pk=promoter_id).values_list("upline_1", "upline_2", "upline_3")
    return [pk for pk in row.get() if pk]


def summary_of(promoter: Promoter, *, at: datetime) -> Summary:
    """Count a promoter's customers and direct team."""
    customers = open_bindings(at).filter(promoter=promoter).count()
    return Summary(customers, Promoter.objects.filter(parent=promoter).count())


def newest_application(member_id: int) -> Application | None:
    """Return the member's last application."""
    return Application.objects.filter(member=member_id).order_by("-pk").first()


def held_promoter_ids() -> QuerySet[Hold, int]:
    """Return the promoters whose settlement and payout are stopped."""
    return Hold.objects.filter(lifted_at=None).values_list("promoter_id", flat=True)


# --- Identity -------------------------------------------------------------------------------


@dataclass(frozen=True)
class Payee:
    """Whom money is paid to; key is equal for all accounts of one ID number."""

    key: str
    name: str
    verified: bool


def identity_of(member_id: int) -> Identity | None:
    """Return what a member submitted."""
    return Identity.objects.filter(member=member_id).first()


def payee_of(member_id: int) -> Payee | None:
    """Return the person behind a member; None before he gave his identity."""
    identity = identity_of(member_id)
    if identity is None:
        return None
    verified = identity.status == Identity.Status.VERIFIED
    return Payee(identity.id_index, identity.name, verified)


# --- Messages -------------------------------------------------------------------------------


def inbox_of(member: Member) -> QuerySet[Message]:
    """Return a member's messages."""
    return Message.objects.filter(member=member)


def unread_count(member: Member) -> int:
    """Count the messages not read yet."""
    return inbox_of(member).filter(read_at=None).count()


def quotas_of(member: Member) -> dict[str, int]:
    """Return how many messages of each template the member still accepts."""
    rows = SubscribeQuota.objects.filter(member=member)
    return dict(rows.values_list("template", F("left")))
