"""Reads around closing and merging: all accounts of one person, and what an account waits for."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from django.conf import settings
from django.db.models import Q, QuerySet
from django.utils.module_loading import import_string

from referrals.errors_accounts import AccountClosing
from referrals.models import Closure, Hold, Identity, Member, Merge, Promoter
from referrals.rules.accounts import Side, Waiting

Wait = Closure.Wait


# --- One person -----------------------------------------------------------------------------


def accounts_of(member_id: int) -> QuerySet[Member, Any]:
    """Return the ids of a living account and of those merged into it, for `member__in`."""
    return Member.objects.filter(Q(pk=member_id) | Q(merged_into=member_id)).values("pk")


def living_id(member_id: int) -> int:
    """Return the account of this person that stays; itself unless merged."""
    merged = Member.objects.filter(pk=member_id).values_list("merged_into", flat=True).first()
    return merged or member_id


def account_of_openid(openid: str) -> Member | None:
    """Return the living account that an openid leads to."""
    member = Member.objects.select_related("merged_into").filter(openid=openid).first()
    return member.living if member else None


def accounts_of_unionid(unionid: str) -> QuerySet[Member]:
    """Return the accounts that a unionid may lead to, the oldest first."""
    open_ones = Member.objects.filter(
        unionid=unionid, status__in=[Member.Status.ACTIVE, Member.Status.BLOCKED]
    )
    return open_ones.order_by("joined_at", "pk")


def are_one_account(one: Member, other: Member) -> bool:
    """Say whether two rows are accounts of one person that were merged."""
    return (one.merged_into_id or one.pk) == (other.merged_into_id or other.pk)


def payee_identity(member: Member) -> Identity | None:
    """Return whom a member's money is paid to: his own identity, else that of the same person.

    A verified one comes before one that is not.
    """
    accounts = accounts_of(member.merged_into_id or member.pk)
    rows = list(Identity.objects.filter(member__in=accounts).order_by("pk"))
    return min(
        rows,
        key=lambda row: (row.status != Identity.Status.VERIFIED, row.member_id != member.pk),
        default=None,
    )


def former_promoters(member_id: int) -> QuerySet[Promoter]:
    """Return the promoters of accounts merged into a living one."""
    return Promoter.objects.filter(member__merged_into=member_id).order_by("pk")


def side_of(member: Member) -> Side:
    """Return an account as the choice between two looks at it."""
    promoter = Promoter.objects.filter(member=member).order_by().first()
    state = None
    if promoter:
        state = "closed" if promoter.status == Promoter.Status.CLOSED else "open"
    return Side(member.pk, member.joined_at, state)


def are_under_review(promoters: Collection[Promoter]) -> bool:
    """Say whether a person has to decide about one of these promoters."""
    suspended = any(promoter.status == Promoter.Status.SUSPENDED for promoter in promoters)
    ids = [promoter.pk for promoter in promoters]
    return suspended or Hold.objects.filter(promoter__in=ids, lifted_at=None).exists()


def verified_numbers(members: Collection[Member]) -> set[str]:
    """Return the blind indexes of the ID numbers that these persons are verified with."""
    ids = [member.pk for member in members]
    accounts = Member.objects.filter(Q(pk__in=ids) | Q(merged_into__in=ids)).values("pk")
    rows = Identity.objects.filter(member__in=accounts, status=Identity.Status.VERIFIED)
    return set(rows.values_list("id_index", flat=True))


def done_merge(merged_id: int, survivor_id: int) -> Merge | None:
    """Return the row of a merge that happened."""
    rows = Merge.objects.filter(merged=merged_id, survivor=survivor_id, status=Merge.Status.DONE)
    return rows.first()


def is_being_carried(member_id: int) -> bool:
    """Say whether customers of a merged account may still have to be carried over."""
    rows = Merge.objects.filter(merged=member_id, status=Merge.Status.DONE, carried_at=None)
    return rows.exists()


# --- Closing --------------------------------------------------------------------------------


def open_closure(member_id: int) -> Closure | None:
    """Return the closing of a member's account that waits."""
    rows = Closure.objects.filter(member=member_id, status=Closure.Status.WAITING)
    return rows.select_related("quitting").first()


def newest_closure(member_id: int) -> Closure | None:
    """Return the last closing that a member's account saw."""
    return Closure.objects.filter(member=member_id).order_by("-pk").first()


def refuse_closing(member_id: int) -> None:
    """Raise AccountClosing: who leaves begins nothing new."""
    if open_closure(member_id):
        raise AccountClosing


def is_leaving(promoter_id: int) -> bool:
    """Say whether a promoter who is reinstated goes on being closed."""
    rows = Closure.objects.filter(member__promoter=promoter_id, status=Closure.Status.WAITING)
    return rows.exists()


def waits_of(member_id: int, scope: str) -> list[Waiting]:
    """Return what keeps an account open, asking the packages that know about money and orders."""
    waits = list(_promoter_waits(member_id))
    asked = ["promoter"]
    if scope == Closure.Scope.ACCOUNT:
        waits += _account_waits(member_id)
        asked.append("account")
    for name in asked:
        for path in settings.CLOSING_CHECKS[name]:
            waits += import_string(path)(member_id)
    return waits


def _promoter_waits(member_id: int) -> list[Waiting]:
    promoter = Promoter.objects.filter(member=member_id).order_by().first()
    if promoter is None:
        return []
    held = Hold.objects.filter(promoter=promoter, lifted_at=None).exists()
    suspended = promoter.status == Promoter.Status.SUSPENDED
    found = {Wait.HELD: held, Wait.SUSPENDED: suspended}
    return [Waiting(kind.value) for kind, holds in found.items() if holds]


def _account_waits(member_id: int) -> list[Waiting]:
    blocked = Member.objects.filter(pk=member_id, status=Member.Status.BLOCKED).exists()
    former = former_promoters(member_id).exclude(status=Promoter.Status.CLOSED).exists()
    found = {Wait.BLOCKED: blocked, Wait.FORMER: former}
    return [Waiting(kind.value) for kind, holds in found.items() if holds]


def keeps_identity(member_ids: Collection[int]) -> bool:
    """Say whether names and ID numbers of these accounts are tax records."""
    return any(import_string(path)(member_ids) for path in settings.IDENTITY_KEPT_CHECKS)
