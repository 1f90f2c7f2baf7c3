"""A promoter stops by his own wish: told, taken back, or done when his account is closed."""

from __future__ import annotations

from datetime import datetime

from django.db import IntegrityError, transaction

from distro.actors import Actor
from distro.facts import tell
from distro.states import advance
from referrals import selectors, selectors_joining
from referrals.errors import NotPromoter
from referrals.errors_joining import AlreadyQuitting, NotQuitting, QuittingUnconfirmed
from referrals.models import Member, Promoter, Quitting
from referrals.signals import promoter_changed


def request_quitting(*, member: Member, confirmed: bool, note: str, at: datetime) -> Quitting:
    """Note that a promoter wants to stop: from now on no new links and customers.

    No money moves: what he earned stays his, and his account is closed by a step of its own.
    Raises NotPromoter (also once closed), QuittingUnconfirmed, AlreadyQuitting.
    """
    promoter = _open_promoter(member)
    if not confirmed:
        raise QuittingUnconfirmed(field="confirmed")
    try:
        with transaction.atomic():
            quitting = Quitting.objects.create(promoter=promoter, note=note, requested_at=at)
            tell(promoter_changed, promoter_id=promoter.pk)
            return quitting
    except IntegrityError:  # one open wish a promoter; another request was first
        raise AlreadyQuitting from None


def withdraw_quitting(*, member: Member, at: datetime) -> Quitting:
    """Stay after all.

    Raises NotPromoter, NotQuitting, MemberBlocked, MemberClosed, AccountMerged.
    """
    promoter = _open_promoter(member)
    with transaction.atomic():
        rows = Member.objects.select_for_update(no_key=True)  # a merge may have come meanwhile
        selectors.refuse_inactive(rows.get(pk=member.pk))
        quitting = selectors_joining.open_quitting(promoter.pk)
        if quitting is None:
            raise NotQuitting
        _end(quitting, Quitting.Status.WITHDRAWN, by=member.actor, at=at)
        tell(promoter_changed, promoter_id=promoter.pk)
        return quitting


def finish_quitting(*, promoter_id: int, by: Actor, at: datetime) -> None:
    """End the open wish, if there is one, in the transaction that closes the account."""
    quitting = selectors_joining.open_quitting(promoter_id)
    if quitting:
        _end(quitting, Quitting.Status.DONE, by=by, at=at)


def _end(quitting: Quitting, to: str, *, by: Actor, at: datetime) -> None:
    advance(quitting, to, by=by, at=at, ended_at=at)


def _open_promoter(member: Member) -> Promoter:
    promoter = selectors.promoter_or_refuse(member.pk)
    if promoter.status == Promoter.Status.CLOSED:
        raise NotPromoter
    return promoter
