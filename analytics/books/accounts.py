"""Accounts that are closed or merged: nothing is left in them, everything leads to a living one."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from django.db.models import Exists, F, OuterRef, Q, Sum

from analytics.books.comparing import each
from commissions.models import Account, Transfer
from referrals.models import Binding, Closure, Identity, Member, Promoter, ShareLink

GONE = [Member.Status.CLOSED, Member.Status.MERGED]
NOBODY = Q(openid__isnull=True, unionid__isnull=True, nickname="", phone_index="")


def closed_promoters_hold_nothing() -> Iterator[str]:
    """What a closed promoter had is gone; he may owe only what came back after he had left."""
    own = Account.objects.filter(promoter__status=Promoter.Status.CLOSED).order_by("pk")
    positive = own.exclude(kind=Account.Kind.RECEIVABLE).exclude(balance_fen=0)
    yield from each("money of a closed promoter", positive)
    yield from each("account of a closed promoter is open", own.filter(closed=False))
    others = Account.objects.filter(closed=True).exclude(promoter__status=Promoter.Status.CLOSED)
    yield from each("closed account of a promoter who is not", others.order_by("pk"))
    yield from each("owed when the promoter was closed", _owed_at_the_end())


def _owed_at_the_end() -> Iterator[Account]:
    """Yield what was owed by promoters at the moment they were closed."""
    debts = Account.objects.filter(closed=True, kind=Account.Kind.RECEIVABLE)
    ended = dict(
        Closure.objects.filter(status=Closure.Status.DONE)
        .order_by("pk")
        .values_list("member__promoter", "ended_at")
    )
    for account in debts.order_by("pk"):
        until = ended.get(account.promoter_id or 0)
        rows = Transfer.objects.filter(occurred_at__lt=until) if until else Transfer.objects.none()
        paid = rows.filter(credit=account).aggregate(sum=Sum("amount_fen"))["sum"] or 0
        owed = rows.filter(debit=account).aggregate(sum=Sum("amount_fen"))["sum"] or 0
        if paid != owed:
            yield account


def closed_promoters_have_no_customers() -> Iterator[str]:
    """Their bindings ended with them; those of a great many end by the job, after it."""
    going_on = Closure.objects.filter(
        member__promoter=OuterRef("promoter"), status=Closure.Status.DONE, cleared_at=None
    )
    rows = Binding.objects.filter(ended_at=None, promoter__status=Promoter.Status.CLOSED)
    rows = rows.exclude(Exists(going_on))
    yield from each("binding of a closed promoter", rows.order_by("pk"))


def gone_members_begin_nothing() -> Iterator[str]:
    """Who is closed or merged has no open binding and no usable link."""
    bound = Binding.objects.filter(ended_at=None, member__status__in=GONE)
    yield from each("binding of a customer who is gone", bound.order_by("pk"))
    links = ShareLink.objects.filter(revoked_at=None, member__status__in=GONE)
    yield from each("link of a member who is gone", links.order_by("pk"))


def merged_members_lead_to_one_that_is_not() -> Iterator[str]:
    """In one step."""
    lost = Member.objects.filter(merged_into__merged_into__isnull=False)
    yield from each("merged into a merged account", lost.order_by("pk"))
    later = Member.objects.filter(joined_at__lt=F("merged_into__joined_at"))
    yield from each("older than the account that stays", later.order_by("pk"))


def closed_members_are_nobody() -> Iterator[str]:
    """Nothing tells who they were, nor who the accounts merged into theirs were."""
    closed = Q(status=Member.Status.CLOSED) | Q(merged_into__status=Member.Status.CLOSED)
    rows = Member.objects.filter(closed)
    yield from each("personal data of a closed account", rows.exclude(NOBODY).order_by("pk"))
    waiting = Identity.objects.filter(
        member__status=Member.Status.CLOSED, status=Identity.Status.PENDING
    )
    yield from each("identity of a closed account to review", waiting.order_by("pk"))


CHECKS: list[Callable[[], Iterator[str]]] = [
    closed_promoters_hold_nothing,
    closed_promoters_have_no_customers,
    gone_members_begin_nothing,
    merged_members_lead_to_one_that_is_not,
    closed_members_are_nobody,
]
