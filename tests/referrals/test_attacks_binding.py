"""Attacks on who is whose customer that the rules say must fail."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from typing import Any

import pytest

from distro.errors import DomainError, NotFound
from referrals import selectors
from referrals.errors import OwnCode, YoungerInviter
from referrals.errors_joining import OwnOtherAccount
from referrals.models import (
    Binding,
    Member,
    Promoter,
    Visit,
)
from referrals.services.bindings import touch
from referrals.services.bindings_staff import bind_by_staff, end_binding
from referrals.services.links import open_link, record_visit
from referrals.services.members import login
from referrals.services.promoters import approve_application
from tests.factories import (
    make_agreement,
    make_link,
    make_member,
    make_policy,
    make_promoter,
)
from tests.referrals.disguises import PHONES, merged, with_two_phones
from tests.referrals.joining import DAY, STAFF, apply

pytestmark = pytest.mark.django_db

Threads = Callable[[int, Callable[[int], Any]], Any]


# --- Own code in disguise (rules.md H1) -------------------------------------------------------


def test_the_phone_of_a_merged_account_is_no_disguise(at: datetime) -> None:
    """Own code is refused in any disguise: same phone, same identity."""
    person = with_two_phones(at)
    seller = make_promoter(member=make_member(phone_index=PHONES[1]))
    with pytest.raises(OwnCode):
        touch(member_id=person.pk, link=make_link(seller.member), at=at)
    assert not Binding.objects.exists()


def test_who_buys_is_not_paid_by_the_phone_of_his_merged_account(at: datetime) -> None:
    """docs/rules.md: "Who buys is never paid for it: the same member, phone, or ..."."""
    person = with_two_phones(at)
    seller = make_promoter(member=make_member(phone_index=PHONES[1]))
    Binding.objects.create(
        member=person, promoter=seller, mode="first_touch", started_at=at - DAY, made_by="system:0"
    )
    assert selectors.attribution_of(person.pk, at=at) == selectors.NOBODY


def test_one_person_is_one_promoter_by_the_phone_of_his_merged_account(at: datetime) -> None:
    """docs/rules.md: "who is one with another account (same unionid, phone ...) is refused"."""
    make_agreement()
    make_policy(gate="everyone")
    person = with_two_phones(at)
    make_promoter(member=make_member(phone_index=PHONES[1]))
    with pytest.raises(OwnOtherAccount):
        apply(person, at)


def test_two_applications_of_one_person_make_one_promoter(at: datetime) -> None:
    """docs/rules.md: "One person is one promoter"."""
    make_agreement()
    make_policy(gate="review")
    accounts = [make_member(phone_index=PHONES[0]) for _ in range(2)]
    waiting = []
    for account in accounts:
        try:
            waiting.append(apply(account, at))
        except DomainError:
            continue
    for application in waiting:
        try:
            approve_application(application_id=application.pk, by=STAFF, at=at)
        except DomainError:
            continue
    assert Promoter.objects.filter(member__in=accounts).count() == 1


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
def test_two_accounts_that_apply_at_once_make_one_promoter(
    run_threads: Threads, at: datetime
) -> None:
    make_agreement()
    make_policy(gate="everyone")
    accounts = [make_member(unionid="one-person") for _ in range(6)]
    run_threads(6, lambda n: apply(accounts[n], at))
    assert Promoter.objects.filter(member__in=accounts).count() == 1


# --- An inviter younger than the first visit (H2) ----------------------------------------------


def test_a_visit_by_the_merged_account_is_the_persons_first_visit(at: datetime) -> None:
    """docs/rules.md: not bound "to somebody who joined after his first visit"."""
    stays, former = make_member(joined_at=at), make_member(joined_at=at)
    Visit.objects.create(
        link=make_link(), visit_key="early-one", member=former, occurred_at=at - 3 * DAY
    )
    person = merged(former, stays, at)
    young = make_promoter(member=make_member(joined_at=at - DAY))
    with pytest.raises(YoungerInviter):
        touch(member_id=person.pk, link=make_link(young.member), at=at)


def seen_as_a_stranger(at: datetime) -> tuple[Member, Promoter]:
    """Return who was here two days ago by this phone, and a promoter who joined since."""
    record_visit(
        link=make_link(), visit_key="visit-of-a-stranger", member_id=None, device="d-1", ip="",
        scene="", at=at - 2 * DAY,
    )  # fmt: skip
    young = make_promoter(member=make_member(joined_at=at - DAY))
    link = make_link(young.member)
    result = login(openid="o-new", unionid=None, link_code=link.code, device="d-1", at=at)
    assert result.link_error is not None
    return result.member, young


def test_staff_do_not_bind_to_somebody_younger_than_the_first_visit(at: datetime) -> None:
    """docs/rules.md: "The same holds for staff"; the log-in refused this very edge."""
    customer, young = seen_as_a_stranger(at)
    with pytest.raises(YoungerInviter):
        bind_by_staff(member_id=customer.pk, promoter_id=young.pk, reason="asked", by=STAFF, at=at)


def test_leaving_the_device_out_makes_no_inviter_older(at: datetime) -> None:
    customer, young = seen_as_a_stranger(at)
    opening = open_link(
        code=make_link(young.member).code, visit_key="visit-two", member=customer, device="",
        ip="", scene="", at=at,
    )  # fmt: skip
    assert opening.outcome == "younger_inviter"


def test_who_turns_out_to_be_his_upline_is_not_put_below_himself(at: datetime) -> None:
    """docs/rules.md: "Nobody is his own upline", also when the phone is told after applying."""
    make_agreement()
    make_policy(gate="review")
    upline, member = make_promoter(member=make_member(phone_index=PHONES[0])), make_member()
    touch(member_id=member.pk, link=make_link(upline.member), at=at)
    application = apply(member, at)
    Member.objects.filter(pk=member.pk).update(phone_index=PHONES[0])
    with suppress(DomainError):
        approve_application(application_id=application.pk, by=STAFF, at=at)
    assert not Promoter.objects.filter(member=member, parent=upline).exists()


def test_a_binding_that_had_expired_is_not_ended_later_by_staff(at: datetime) -> None:
    """The timeline is evidence: a binding was over when its days were over, not a day later."""
    row = Binding.objects.create(
        member=make_member(), promoter=make_promoter(), mode="first_touch",
        started_at=at - 9 * DAY, expires_at=at - DAY, made_by="system:0",
    )  # fmt: skip
    try:
        end_binding(binding_id=row.pk, reason="complaint", by=STAFF, at=at)
    except (DomainError, NotFound):
        return
    row.refresh_from_db()
    assert row.ended_at == at - DAY
