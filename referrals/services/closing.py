"""Closing an account: begun at once, done when nothing is left, never at the cost of a fen.

The promoter earns nothing new from the beginning on; what he has settles and is paid out.
"""

from __future__ import annotations

import logging
from dataclasses import asdict
from datetime import datetime

from django.conf import settings
from django.db import transaction
from django.db.models import Exists, OuterRef, Q
from django.utils.module_loading import import_string
from django.utils.translation import gettext as _

from distro import audit
from distro.actors import SYSTEM, Actor
from distro.errors import brief
from distro.facts import tell
from distro.states import advance
from referrals import selectors, selectors_accounts, selectors_joining
from referrals.errors import NotPromoter, ReasonMissing
from referrals.errors_accounts import (
    AccountClosing,
    AccountMerged,
    AccountStillHolds,
    ClosingUnconfirmed,
    NotClosing,
)
from referrals.models import Application, Binding, Closure, Member, Promoter, Quitting, ShareLink
from referrals.services.binding_steps import end, lock_open_binding
from referrals.services.bindings import end_some_bindings
from referrals.services.erasing import erase_person
from referrals.services.messages import in_members_language, notify
from referrals.services.quitting import finish_quitting
from referrals.signals import promoter_changed

logger = logging.getLogger(__name__)

Scope, Status = Closure.Scope, Closure.Status
MESSAGE_KIND = "promoter"
PAGE = "pages/me/closing"


# --- Beginning ------------------------------------------------------------------------------


def request_closing(*, member: Member, confirmed: bool, note: str, at: datetime) -> Closure:
    """Close a member's whole account by his own wish; at once if nothing is left in it.

    Raises ClosingUnconfirmed, AccountClosing, MemberBlocked, MemberClosed, AccountMerged.
    """
    if not confirmed:
        raise ClosingUnconfirmed(field="confirmed")
    with transaction.atomic():
        selectors.refuse_inactive(lock_member(member.pk))
        closure = _begin(member.pk, Scope.ACCOUNT, note, by=member.actor, at=at)
        return _told(closure, at)


def close_account(*, member_id: int, reason: str, by: Actor, at: datetime) -> Closure:
    """Close a member's whole account by a person's decision, a blocked one's too.

    Raises ReasonMissing, AccountClosing, MemberClosed, AccountMerged.
    """
    _refuse_without(reason)
    with transaction.atomic():
        member = lock_member(member_id)
        if member.status != Member.Status.BLOCKED:
            selectors.refuse_inactive(member)
        closure = _begin(member_id, Scope.ACCOUNT, reason, by=by, at=at)
        audit.record(by=by, action="account.close", target=closure, reason=reason, at=at)
        return _told(closure, at)


def close_promoter(*, promoter_id: int, reason: str, by: Actor, at: datetime) -> Closure:
    """Close a promoter by a person's decision, as he wished if he asked to quit.

    The person stays a customer. Raises ReasonMissing, AccountClosing, NotPromoter once closed,
    AccountMerged while the customers of an account that gave way are carried over.
    """
    _refuse_without(reason)
    with transaction.atomic():
        member_id = Promoter.objects.values_list("member", flat=True).get(pk=promoter_id)
        lock_member(member_id)
        promoter = Promoter.objects.get(pk=promoter_id)
        if selectors_accounts.is_being_carried(member_id):
            raise AccountMerged
        if promoter.status == Promoter.Status.CLOSED:
            raise NotPromoter
        closure = _begin(promoter.member_id, Scope.PROMOTER, reason, by=by, at=at)
        audit.record(by=by, action="promoter.close", target=closure, reason=reason, at=at)
        return _told(closure, at)


def begin_former_promoter(*, member_id: int, reason: str, by: Actor, at: datetime) -> Closure:
    """Let the promoter of a merged account run out, in the caller's transaction.

    Who is being closed already goes on so.
    """
    lock_member(member_id)
    return selectors_accounts.open_closure(member_id) or _begin(
        member_id, Scope.PROMOTER, reason, by=by, at=at
    )


def _begin(member_id: int, scope: str, reason: str, *, by: Actor, at: datetime) -> Closure:
    """Open the row, stop what is new, and finish if nothing is left; the member is locked."""
    closure = selectors_accounts.open_closure(member_id)
    if closure:
        return _widen(closure, scope, at)
    promoter = Promoter.objects.filter(member=member_id).order_by().first()
    closure = Closure.objects.create(
        member_id=member_id,
        scope=scope,
        quitting=selectors_joining.open_quitting(promoter.pk) if promoter else None,
        reason=reason,
        requested_by=str(by),
        requested_at=at,
    )
    revoke_links(member_id=member_id, reason=closure.get_scope_display(), by=by, at=at)
    reject_waiting_application(member_id=member_id, by=by, at=at)
    if promoter and promoter.status == Promoter.Status.ACTIVE:
        _move(promoter, Promoter.Status.CLOSING, by=by, at=at, why=reason)
    _finish(closure, at)
    return closure


def _widen(closure: Closure, scope: str, at: datetime) -> Closure:
    """Let a closing of the promoter become one of the whole account; nothing else twice."""
    if scope != Scope.ACCOUNT or closure.scope == Scope.ACCOUNT:
        raise AccountClosing
    closure.scope = scope
    closure.save(update_fields=["scope"])
    _finish(closure, at)
    return closure


def revoke_links(*, member_id: int, reason: str, by: Actor, at: datetime) -> int:
    """Make all codes of a member useless; return how many."""
    links = ShareLink.objects.filter(member=member_id, revoked_at=None)
    return links.update(revoked_at=at, revoked_by=str(by), revoke_reason=reason)


def reject_waiting_application(*, member_id: int, by: Actor, at: datetime) -> None:
    """Reject the application of an account that goes."""
    to = Application.Status.REJECTED
    waiting = Application.objects.filter(member=member_id, status=Application.Status.PENDING)
    for application in waiting:
        with in_members_language():
            why = _("The account is closed or merged.")
        advance(application, to, by=by, at=at, why=why, decided_at=at, reason=why)


def lock_member(member_id: int) -> Member:
    """Lock a member; two closings, or a closing and a merge, wait for each other here."""
    return Member.objects.select_for_update(no_key=True).get(pk=member_id)


def _refuse_without(reason: str) -> None:
    if not reason.strip():
        raise ReasonMissing(field="reason")


# --- Taking back ----------------------------------------------------------------------------


def withdraw_closing(*, member: Member, at: datetime) -> Closure:
    """Keep the account after all; raise NotClosing, also for what staff asked for."""
    with transaction.atomic():
        lock_member(member.pk)
        closure = selectors_accounts.open_closure(member.pk)
        if closure is None or closure.requested_by != str(member.actor):
            raise NotClosing
        return _cancel(closure, "", by=member.actor, at=at)


def cancel_closing(*, closure_id: int, reason: str, by: Actor, at: datetime) -> Closure:
    """Take a closing back by a person's decision.

    Raises ReasonMissing, IllegalTransition, AccountMerged for a promoter who gave way to another.
    """
    _refuse_without(reason)
    with transaction.atomic():
        closure = _locked_closure(closure_id)
        if closure.member.status == Member.Status.MERGED:
            raise AccountMerged
        _cancel(closure, reason, by=by, at=at)
        audit.record(by=by, action="closing.cancel", target=closure, reason=reason, at=at)
        return closure


def _locked_closure(closure_id: int) -> Closure:
    """Lock the member first, as everybody does, then the row."""
    member_id = Closure.objects.values_list("member", flat=True).get(pk=closure_id)
    lock_member(member_id)
    return Closure.objects.select_related("member", "quitting").get(pk=closure_id)


def _cancel(closure: Closure, why: str, *, by: Actor, at: datetime) -> Closure:
    advance(closure, Status.CANCELLED, by=by, at=at, why=why, ended_at=at)
    promoter = Promoter.objects.filter(member=closure.member_id).order_by().first()
    if promoter and promoter.status == Promoter.Status.CLOSING:
        _move(promoter, Promoter.Status.ACTIVE, by=by, at=at, why=why)
    return closure


# --- Finishing ------------------------------------------------------------------------------


def close_accounts(*, at: datetime) -> int:
    """Close the accounts in which nothing is left any more; return how many.

    Former promoters come first by their ids, then the accounts that wait for them.
    """
    waiting = Closure.objects.filter(status=Status.WAITING).order_by("-scope", "pk")
    done = sum([_try(pk, at) for pk in list(waiting.values_list("pk", flat=True))])
    left = Binding.objects.filter(promoter__member=OuterRef("member"), ended_at=None)
    ended = Closure.objects.filter(Q(cleared_at=None) | Exists(left), status=Status.DONE)
    for closure in ended.order_by("pk"):
        while not _cleared(closure, at):
            pass
    return done


def _try(closure_id: int, at: datetime) -> int:
    """Close one account if it is empty; what is wrong with it is an alarm and keeps no other."""
    try:
        with transaction.atomic():
            closure = _locked_closure(closure_id)
            if closure.status != Status.WAITING:
                return 0  # another run was first, or it was taken back
            _finish(closure, at)
            return int(closure.status == Status.DONE)
    except Exception as error:  # noqa: BLE001 - the next account must not suffer
        logger.error("ALARM closing %d cannot be finished: %s", closure_id, brief(error))
        return 0


def _finish(closure: Closure, at: datetime) -> None:
    """Close what is empty; else note what it waits for. A wish to quit may be taken back."""
    quitting = closure.quitting if closure.scope == Scope.PROMOTER else None
    if quitting and quitting.status == Quitting.Status.WITHDRAWN:
        _cancel(closure, "", by=SYSTEM, at=at)
        return
    waits = selectors_accounts.waits_of(closure.member_id, closure.scope)
    if not waits:
        try:
            with transaction.atomic():
                _close(closure, at)
                return
        except AccountStillHolds:
            closure.refresh_from_db()
            waits = selectors_accounts.waits_of(closure.member_id, closure.scope)
    closure.waits = [asdict(wait) for wait in waits]
    closure.save(update_fields=["waits"])


def _close(closure: Closure, at: datetime) -> None:
    """Close promoter and member in one step; raise AccountStillHolds."""
    promoter = Promoter.objects.filter(member=closure.member_id).order_by().first()
    if promoter and promoter.status != Promoter.Status.CLOSED:
        for path in settings.CLOSING_STEPS:
            import_string(path)(promoter_id=promoter.pk)
        _move(promoter, Promoter.Status.CLOSED, by=SYSTEM, at=at, why=closure.reason)
        finish_quitting(promoter_id=promoter.pk, by=SYSTEM, at=at)
    if closure.scope == Scope.ACCOUNT:
        member = Member.objects.get(pk=closure.member_id)
        own = lock_open_binding(member.pk, at=at)
        if own:
            end(own, Binding.EndReason.CLOSED, at=at)
        advance(member, Member.Status.CLOSED, by=SYSTEM, at=at, why=closure.reason)
        erase_person(member_id=member.pk, at=at)
    advance(closure, Status.DONE, by=SYSTEM, at=at, ended_at=at, waits=[])
    _cleared(closure, at)
    if closure.scope == Scope.PROMOTER and promoter:
        _tell_done(closure, promoter, at)


def _cleared(closure: Closure, at: datetime) -> bool:
    """End some of the bindings of a closed promoter's customers; say whether all are ended."""
    with transaction.atomic():
        promoter = Promoter.objects.filter(member=closure.member_id).order_by().first()
        note, why = closure.get_scope_display(), Binding.EndReason.CLOSED
        if promoter:
            end_some_bindings(promoter_id=promoter.pk, why=why, note=note, by=SYSTEM, at=at)
            if Binding.objects.filter(promoter=promoter, ended_at=None).exists():
                return False
        closure.cleared_at = at
        closure.save(update_fields=["cleared_at"])
        return True


# --- Steps ----------------------------------------------------------------------------------


def _move(promoter: Promoter, to: str, *, by: Actor, at: datetime, why: str) -> None:
    advance(promoter, to, by=by, at=at, why=why)
    tell(promoter_changed, promoter_id=promoter.pk)


def _told(closure: Closure, at: datetime) -> Closure:
    """Tell the member what happens now, if it is not over already."""
    if closure.status == Status.WAITING:
        with in_members_language():
            title = _("Your account is being closed")
            if closure.scope == Scope.PROMOTER:
                title = _("Your promoter account is being closed")
            body = _("New orders earn nothing. What you have is settled and paid; nothing is lost.")
        _tell(closure, "begun", title, body, at)
    return closure


def _tell_done(closure: Closure, promoter: Promoter, at: datetime) -> None:
    with in_members_language():
        title = _("Promoter account %(code)s is closed") % {"code": promoter.code}
        body = _("Nothing was left in it. You can go on buying here.")
    _tell(closure, "done", title, body, at)


def _tell(closure: Closure, step: str, title: str, body: str, at: datetime) -> None:
    key, member_id = f"closure:{closure.pk}:{step}", closure.member_id
    notify(
        member_id=member_id, kind=MESSAGE_KIND, key=key, title=title, body=body, page=PAGE, at=at
    )
