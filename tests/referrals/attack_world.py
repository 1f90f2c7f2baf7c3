"""What the attacks on the tree, on accounts and on the import share."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from distro.actors import Actor
from referrals.models import Application, Binding, Member, Merge, Promoter
from referrals.services.bindings import touch
from referrals.services.merging import approve_merge, propose_merge
from tests.factories import make_agreement, make_link, make_member, make_policy, make_promoter
from tests.referrals.joining import apply

Threads = Callable[..., Any]
ANNA, BORIS = Actor("staff", 1), Actor("staff", 2)
DAY = timedelta(days=1)
SECONDS = 20  # that a thread waits for another one at most


def fresh(row: Any) -> Any:
    return type(row)._base_manager.get(pk=row.pk)


def bind(customer: Member, promoter: Promoter, at: datetime) -> Binding:
    touch(member_id=customer.pk, link=make_link(promoter.member, created_at=at - 30 * DAY), at=at)
    return Binding.objects.get(member=customer, ended_at=None)


def waiting_below(parent: Promoter, at: datetime) -> Application:
    """Return the application, to be reviewed, of a customer of this promoter."""
    make_policy(gate="review")
    member = make_member(joined_at=at)
    bind(member, parent, at - timedelta(hours=1))
    row = apply(member, at, make_agreement())
    assert (row.status, row.parent_id) == ("pending", parent.pk)
    return row


def merged_promoters(at: datetime, monkeypatch: Any) -> tuple[Promoter, Promoter, Merge]:
    """Merge two promoters of one person, stopped before the customers are carried over."""
    former = make_promoter(member=make_member(joined_at=at - DAY))
    stays = make_promoter(member=make_member(joined_at=at - 9 * DAY))
    return former, stays, merge_stopped(former, stays, at, monkeypatch)


def merge_stopped(former: Promoter, stays: Promoter, at: datetime, monkeypatch: Any) -> Merge:
    with monkeypatch.context() as patch:
        patch.setattr("referrals.services.merging._carried", lambda merge, at: True)
        return merge(former.member, stays.member, at)


def merge(merged: Member, survivor: Member, at: datetime) -> Merge:
    row = propose_merge(
        merged_id=merged.pk, survivor_id=survivor.pk, reason="one person", by=ANNA, at=at
    )
    return approve_merge(merge_id=row.pk, by=BORIS, at=at)
