"""The steps of every change of a binding: find, lock, refuse a cycle, end, begin."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import connection

from distro.actors import SYSTEM, Actor
from distro.facts import tell
from distro.locks import Lock, advisory
from referrals import selectors, selectors_joining
from referrals.errors_bindings import ReferralCycle
from referrals.models import Binding, Member, Promoter, ReferralPolicy, ShareLink
from referrals.rules.binding import Terms
from referrals.selectors_bindings import leads_up_to
from referrals.signals import binding_ended, member_bound

ENDING = ["ended_at", "end_reason", "ended_by", "end_note"]
STATUS = "SELECT status FROM referrals_promoter WHERE id = %s"


@dataclass(frozen=True)
class Promoters:
    """The promoters that some members are: member -> (promoter, status)."""

    rows: dict[int, tuple[int, str]]

    def of(self, member_id: int) -> int | None:
        """Return the promoter that a member is or was."""
        return self.rows[member_id][0] if member_id in self.rows else None

    def active(self, member_id: int) -> int | None:
        """Return the promoter that a member is, if he may take customers."""
        promoter_id, status = self.rows.get(member_id, (None, ""))
        return promoter_id if status == Promoter.Status.ACTIVE else None

    def not_closed(self, member_id: int) -> int | None:
        """Return the promoter that a member is, unless he left for good."""
        promoter_id, status = self.rows.get(member_id, (None, ""))
        return None if status == Promoter.Status.CLOSED else promoter_id


def promoters_of(*member_ids: int, until_commit: bool = False) -> Promoters:
    """Return the promoters among some members.

    until_commit: none of them begins or ends a closing before this transaction is over.
    """
    rows = Promoter.objects.filter(member__in=member_ids).order_by()
    quits = selectors_joining.quitting_of("pk")  # who does takes no customers any more
    columns = rows.annotate(quits=quits).values_list("member", "pk", "status", "quits")
    found: Iterable[tuple[Any, ...]] = columns
    if until_commit:
        found = _shared(*columns.query.sql_with_params())
    return Promoters(
        {member_id: (pk, "" if quits else status) for member_id, pk, status, quits in found}
    )


def _shared(sql: str, params: Sequence[Any]) -> list[tuple[Any, ...]]:
    """Return rows of promoters, on PostgreSQL locked against a change but not a second reader."""
    share = " FOR SHARE" if connection.vendor == "postgresql" else ""
    with connection.cursor() as cursor:
        cursor.execute(f"{sql}{share}", params)
        return list(cursor.fetchall())


def refuse_cycle(promoter_id: int, own_id: int | None, *, field: str) -> None:
    """Refuse a promoter whom the customer brought, himself or through others (rule H2).

    own_id: the promoter that the customer is; who is none has brought nobody. Two promoters who
    bind each other at the same moment wait for one another here.
    """
    if own_id is None:
        return
    advisory(Lock.BINDING_CYCLE)
    if leads_up_to(promoter_id, own_id):
        raise ReferralCycle(field=field)


def lock_customer(member_id: int) -> None:
    """Make touches of one member wait for each other, and for the end of his account.

    Locks are taken in this order: members, promoters, bindings.
    Raises MemberBlocked, MemberClosed, AccountMerged.
    """
    rows = Member.objects.select_for_update(no_key=True).only("pk", "status")
    selectors.refuse_inactive(rows.get(pk=member_id))


def status_until_commit(promoter_id: int, *, own_ids: Iterable[int | None]) -> str:
    """Return a promoter's status; he begins or ends no closing before this transaction is over.

    own_ids: the promoters that the customers are, for refuse_cycle() after this: its lock comes
    before those of promoters, as in a move.
    """
    if any(own_id is not None for own_id in own_ids):
        advisory(Lock.BINDING_CYCLE)
    return str(_shared(STATUS, [promoter_id])[0][0])


def lock_open_binding(member_id: int, *, at: datetime) -> Binding | None:
    """Lock a customer and return his binding; raises what lock_customer() raises."""
    lock_customer(member_id)
    return open_binding_of(member_id, at=at)


def open_binding_of(member_id: int, *, at: datetime) -> Binding | None:
    """Lock and return the binding of a member who is locked, an expired one ended."""
    rows = Binding.objects.select_for_update(no_key=True)  # the expiry ends it without the member
    binding = rows.filter(member=member_id, ended_at=None).first()
    if binding and binding.expires_at and binding.expires_at <= at:
        end(binding, Binding.EndReason.EXPIRED, at=binding.expires_at)
        return None
    return binding


def end(
    binding: Binding,
    why: Binding.EndReason,
    *,
    at: datetime,
    by: Actor = SYSTEM,
    note: str = "",
) -> None:
    """End a binding whose row is locked, and tell it."""
    binding.ended_at, binding.end_reason = at, why
    binding.ended_by, binding.end_note = str(by), note
    binding.save(update_fields=ENDING)
    tell(
        binding_ended,
        member_id=binding.member_id,
        promoter_id=binding.promoter_id,
        binding_id=binding.pk,
    )


def terms_of(policy: ReferralPolicy) -> Terms:
    """Return what a policy says about bindings."""
    return Terms(policy.binding_mode, policy.binding_days, policy.protection_days)


def create(
    *,
    member_id: int,
    promoter_id: int,
    mode: Binding.Mode,
    terms: Terms,
    made_by: Actor,
    at: datetime,
    link: ShareLink | None = None,
    reason: str = "",
) -> Binding:
    """Begin a binding and tell it; nothing else makes one while people act."""
    binding = Binding.objects.create(
        member_id=member_id,
        promoter_id=promoter_id,
        mode=mode,
        link=link,
        started_at=at,
        expires_at=terms.expires_at(at),
        protected_until=terms.protected_until(at),
        reason=reason,
        made_by=str(made_by),
    )
    tell(member_bound, member_id=member_id, promoter_id=promoter_id, binding_id=binding.pk)
    return binding
