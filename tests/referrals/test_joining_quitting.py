"""Quitting: asked for with a confirmation, taken back, or done; it moves nothing else."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest
from django.db import IntegrityError, transaction

from distro.errors import DomainError, IllegalTransition
from distro.states import advance, history
from referrals import selectors, selectors_joining
from referrals.errors import NotPromoter
from referrals.errors_joining import (
    AlreadyQuitting,
    NotQuitting,
    PromoterQuits,
    QuittingUnconfirmed,
)
from referrals.models import Binding, Member, Quitting, ShareLink
from referrals.services.bindings import touch
from referrals.services.bindings_staff import bind_by_staff
from referrals.services.links import create_link
from referrals.services.quitting import finish_quitting, request_quitting, withdraw_quitting
from referrals.signals import promoter_changed
from tests.factories import make_link, make_member, make_promoter
from tests.referrals.joining import DAY, STAFF

pytestmark = pytest.mark.django_db


def quit_(member: Member, at: datetime, confirmed: bool = True) -> Quitting:
    return request_quitting(member=member, confirmed=confirmed, note="no time", at=at)


@pytest.fixture
def told() -> Any:
    heard: list[int] = []

    def hear(promoter_id: int, **kw: object) -> None:
        heard.append(promoter_id)

    promoter_changed.connect(hear, weak=False, dispatch_uid="test")
    yield heard
    promoter_changed.disconnect(dispatch_uid="test")


def test_an_unfit_wish_writes_nothing(at: datetime, told: list[int]) -> None:
    promoter, quitting = make_promoter(), make_promoter()
    quit_(quitting.member, at)
    told.clear()
    cases: list[tuple[type[DomainError], Member, bool]] = [
        (NotPromoter, make_member(), True),
        (NotPromoter, make_promoter(status="closed").member, True),
        (QuittingUnconfirmed, promoter.member, False),
        (AlreadyQuitting, quitting.member, True),
    ]
    for error, member, confirmed in cases:
        with pytest.raises(error):
            quit_(member, at, confirmed)
        assert Quitting.objects.count() == 1
    with pytest.raises(NotQuitting):
        withdraw_quitting(member=promoter.member, at=at)
    assert told == []


@pytest.mark.parametrize("status", ["active", "suspended"])
def test_who_quits_keeps_his_status_and_gets_nothing_new(
    at: datetime, told: list[int], status: str
) -> None:
    promoter = make_promoter(status=status)
    selectors_joining.refuse_quitting(promoter.pk)
    quitting = quit_(promoter.member, at)
    promoter.refresh_from_db()
    assert (promoter.status, quitting.status, quitting.requested_at) == (status, "requested", at)
    assert selectors_joining.is_quitting(promoter.pk)
    assert list(selectors_joining.quitting_promoter_ids()) == [promoter.pk]
    with pytest.raises(PromoterQuits):
        selectors_joining.refuse_quitting(promoter.pk)
    assert told == [promoter.pk]


def test_who_changes_his_mind_stays_and_may_ask_again(at: datetime, told: list[int]) -> None:
    promoter = make_promoter()
    quit_(promoter.member, at)
    row = withdraw_quitting(member=promoter.member, at=at + DAY)
    assert (row.status, row.ended_at) == ("withdrawn", at + DAY)
    assert not selectors_joining.is_quitting(promoter.pk)
    assert [step.to_status for step in history(row)] == ["withdrawn"]
    quit_(promoter.member, at + 2 * DAY)
    assert Quitting.objects.count() == 2
    assert told == [promoter.pk] * 3


def test_a_closed_account_ends_the_wish(at: datetime) -> None:
    promoter = make_promoter()
    finish_quitting(promoter_id=promoter.pk, by=STAFF, at=at)  # nothing to end
    row = quit_(promoter.member, at)
    finish_quitting(promoter_id=promoter.pk, by=STAFF, at=at + DAY)
    row.refresh_from_db()
    assert (row.status, row.ended_at) == ("done", at + DAY)


@pytest.mark.parametrize("to", list(Quitting.TRANSITIONS))
def test_every_pair_of_states_is_allowed_or_refused(at: datetime, to: str) -> None:
    for start, allowed in Quitting.TRANSITIONS.items():
        ended = None if start == "requested" else at
        row = Quitting.objects.create(
            promoter=make_promoter(), status=start, requested_at=at, ended_at=ended
        )
        if to in allowed:
            advance(row, to, by=STAFF, at=at, ended_at=at)
        else:
            with pytest.raises(IllegalTransition):
                advance(row, to, by=STAFF, at=at, ended_at=at)


@pytest.mark.parametrize("change", ["unknown", "done without a time", "open with a time"])
def test_the_database_refuses_an_unfit_row(at: datetime, change: str) -> None:
    faults: dict[str, dict[str, Any]] = {
        "unknown": {"status": "odd", "ended_at": at},
        "done without a time": {"status": "done"},
        "open with a time": {"ended_at": at},
    }
    with pytest.raises(IntegrityError), transaction.atomic():
        Quitting.objects.create(promoter=make_promoter(), requested_at=at, **faults[change])


def test_a_promoter_has_one_open_wish_says_the_database(at: datetime) -> None:
    promoter = make_promoter()
    quit_(promoter.member, at)
    with pytest.raises(IntegrityError), transaction.atomic():
        Quitting.objects.create(promoter=promoter, requested_at=at)


def test_who_quits_makes_no_links_and_gets_no_customers(at: datetime) -> None:
    promoter, customer = make_promoter(), make_member()
    link = make_link(promoter.member)
    quit_(promoter.member, at)
    share: dict[str, Any] = {
        "target": "home",
        "target_ref": "",
        "channel": "chat",
        "expires_at": None,
        "at": at,
    }
    with pytest.raises(PromoterQuits):
        create_link(member=promoter.member, **share)
    assert touch(member_id=customer.pk, link=link, at=at).outcome == "not_promoter"
    with pytest.raises(PromoterQuits):
        bind_by_staff(member_id=customer.pk, promoter_id=promoter.pk, reason="x", by=STAFF, at=at)
    assert (ShareLink.objects.count(), Binding.objects.count()) == (1, 0)
    withdraw_quitting(member=promoter.member, at=at)
    create_link(member=promoter.member, **share)
    assert touch(member_id=customer.pk, link=link, at=at).outcome == "bound"


def test_earlier_customers_stay_while_one_waits(at: datetime) -> None:
    promoter, customer = make_promoter(), make_member()
    touch(member_id=customer.pk, link=make_link(promoter.member), at=at)
    quit_(promoter.member, at)
    assert Binding.objects.get().ended_at is None
    assert selectors.attribution_of(customer.pk, at=at).promoter_1 == promoter.pk
