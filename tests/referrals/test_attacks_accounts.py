"""Accounts that close or merge while customers, links and applications come."""

from __future__ import annotations

import contextlib
import threading
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.db import transaction

from distro.errors import DomainError
from referrals.errors import MemberBlocked
from referrals.models import Application, Binding, Member, Promoter, ShareLink
from referrals.proofs import tree_faults
from referrals.selectors_accounts import payee_identity
from referrals.services.agreements import Evidence, sign
from referrals.services.bindings import touch
from referrals.services.closing import close_account, close_accounts, close_promoter
from referrals.services.identities import submit_identity, verify_identity
from referrals.services.links import create_link
from referrals.services.merging import approve_merge, carry_customers, propose_merge
from referrals.services.promoters import approve_application, suspend_promoter
from referrals.services.quitting import request_quitting, withdraw_quitting
from referrals.services.standing import block_member
from tests.factories import AT, make_agreement, make_link, make_member, make_policy, make_promoter
from tests.referrals.attack_world import (
    ANNA,
    BORIS,
    DAY,
    SECONDS,
    Threads,
    bind,
    fresh,
    merge,
    merge_stopped,
    merged_promoters,
    waiting_below,
)
from tests.referrals.joining import apply
from tests.referrals.locks import somebody_waits

pytestmark = pytest.mark.usefixtures("no_money")
NUMBERS = ["11010519491231002X", "440524188001010014"]


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("how", ["close", "merge"])
def test_a_customer_who_comes_while_the_account_goes_stays_with_nobody_who_is_gone(
    run_threads: Threads, how: str, settings: Any
) -> None:
    # accounts.md: "a closed promoter has no open binding left after the job"; merging: "bindings
    # of its customers ... carried over to the promoter that stays".
    settings.CLOSING_CHECKS = {"promoter": [], "account": []}
    goes = make_promoter(member=make_member(joined_at=AT - DAY))
    stays = make_promoter(member=make_member(joined_at=AT - 9 * DAY))
    row = propose_merge(
        merged_id=goes.member_id, survivor_id=stays.member_id, reason="r", by=ANNA, at=AT
    )
    customer, link = make_member(), make_link(goes.member, created_at=AT - DAY)
    touched, gone = threading.Event(), threading.Event()

    def work(thread: int) -> None:
        if thread == 1:
            assert touched.wait(SECONDS)
            if how == "close":
                close_promoter(promoter_id=goes.pk, reason="r", by=ANNA, at=AT)
            else:
                approve_merge(merge_id=row.pk, by=BORIS, at=AT)
            gone.set()
            return
        with transaction.atomic():
            touch(member_id=customer.pk, link=link, at=AT)
            touched.set()
            gone.wait(2)

    run_threads(2, work)
    carry_customers(at=AT)
    close_accounts(at=AT)
    assert fresh(goes).status == "closed"
    assert not Binding.objects.filter(promoter=goes, ended_at=None).exists()


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("how", ["close", "merge"])
def test_a_link_made_while_the_account_goes_is_not_left_over(
    run_threads: Threads, how: str
) -> None:
    # accounts.md: "Links are revoked"; closing: "revoked, no new ones".
    goes = make_promoter(member=make_member(joined_at=AT - DAY))
    stays = make_promoter(member=make_member(joined_at=AT - 9 * DAY))
    row = propose_merge(
        merged_id=goes.member_id, survivor_id=stays.member_id, reason="r", by=ANNA, at=AT
    )
    agreement = make_agreement()
    with transaction.atomic():
        sign(
            member=goes.member, agreement=agreement, body_sha256=agreement.body_sha256,
            evidence=Evidence(), at=AT,
        )  # fmt: skip
    made, gone = threading.Event(), threading.Event()

    def work(thread: int) -> None:
        if thread == 1:
            assert made.wait(SECONDS)
            if how == "close":
                close_promoter(promoter_id=goes.pk, reason="r", by=ANNA, at=AT)
            else:
                approve_merge(merge_id=row.pk, by=BORIS, at=AT)
            gone.set()
            return
        with transaction.atomic():
            create_link(
                member=goes.member, target="home", target_ref="", channel="chat",
                expires_at=None, at=AT,
            )  # fmt: skip
            made.set()
            gone.wait(2)

    list(run_threads(2, work))
    assert not ShareLink.objects.filter(member=goes.member, revoked_at=None).exists()


@pytest.mark.django_db
@pytest.mark.parametrize("how", ["close", "merge"])
def test_a_stale_touch_binds_nobody_whose_account_is_gone(
    at: datetime, how: str, settings: Any
) -> None:
    # accounts.md: "no closed or merged member has an open binding".
    settings.CLOSING_CHECKS = {"promoter": [], "account": []}
    seller, older, stale = make_promoter(), make_member(joined_at=at - DAY), make_member()
    link = make_link(seller.member, created_at=at - DAY)
    if how == "close":
        close_account(member_id=stale.pk, reason="r", by=ANNA, at=at)
    else:
        merge(stale, older, at)
    with contextlib.suppress(DomainError):
        touch(member_id=stale.pk, link=link, at=at)
    assert not Binding.objects.filter(member=stale, ended_at=None).exists()


@pytest.mark.django_db
def test_closing_a_former_promoter_stops_no_merge(
    at: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    # accounts.md: "bindings of its customers ... carried over to the promoter that stays".
    former, stays, row = merged_promoters(at, monkeypatch)
    other, _stays, later = merged_promoters(at, monkeypatch)
    customer = make_member(joined_at=at - DAY)
    bind(customer, former, at - timedelta(hours=1))
    with contextlib.suppress(DomainError):  # refused is as good
        close_promoter(promoter_id=former.pk, reason="r", by=ANNA, at=at)
    carry_customers(at=at)
    assert Binding.objects.get(member=customer, ended_at=None).promoter == stays
    assert fresh(row).carried_at is not None
    assert (fresh(later).carried_at, fresh(other).status) == (at, "closing")


@pytest.mark.django_db
@pytest.mark.parametrize("step", ["before", "after"])
def test_a_suspension_takes_no_customer_of_a_merged_account_away(
    at: datetime, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    # accounts.md, suspended: "his customers' bindings: open"; "it holds and never takes away".
    former = make_promoter(member=make_member(joined_at=at - DAY))
    stays = make_promoter(member=make_member(joined_at=at - 9 * DAY))
    customer = make_member(joined_at=at - DAY)
    bind(customer, former, at - timedelta(hours=1))
    merge_stopped(former, stays, at, monkeypatch)
    if step == "after":
        carry_customers(at=at)
    suspend_promoter(promoter_id=stays.pk, why="case", by=ANNA, at=at)
    carry_customers(at=at)
    assert Binding.objects.filter(member=customer, ended_at=None).exists()


@pytest.mark.django_db
def test_a_chain_of_merges_carries_to_the_last(at: datetime) -> None:
    a, b, c = (make_promoter(member=make_member(joined_at=at - n * DAY)) for n in (1, 2, 3))
    customer = make_member(joined_at=at - DAY)
    bind(customer, a, at - timedelta(hours=1))
    merge(a.member, b.member, at)
    merge(fresh(b.member), c.member, at)
    assert Binding.objects.get(member=customer, ended_at=None).promoter == c
    assert {fresh(x.member).merged_into_id for x in (a, b)} == {c.member_id}
    assert [fresh(x).status for x in (a, b, c)] == ["closing", "closing", "active"]


@pytest.mark.django_db
def test_a_chain_whose_first_link_was_interrupted_carries_to_the_last(
    at: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    a, b, c = (make_promoter(member=make_member(joined_at=at - n * DAY)) for n in (1, 2, 3))
    customer = make_member(joined_at=at - DAY)
    bind(customer, a, at - timedelta(hours=1))
    merge_stopped(a, b, at, monkeypatch)
    merge(fresh(b.member), c.member, at)
    carry_customers(at=at)
    assert Binding.objects.get(member=customer, ended_at=None).promoter == c


@pytest.mark.django_db
@pytest.mark.parametrize("below", [True, False])
def test_two_promoters_of_one_line_merge_and_the_tree_stays(at: datetime, below: bool) -> None:
    top = make_promoter(member=make_member(joined_at=at - 9 * DAY))
    middle = make_promoter(top, member=make_member(joined_at=at - 8 * DAY))
    low = make_promoter(middle, member=make_member(joined_at=at - DAY))
    first, second = (low, top) if below else (top, low)
    merge(first.member, second.member, at)
    assert fresh(low).upline_2_id == top.pk
    assert not list(tree_faults())


@pytest.mark.django_db
def test_after_a_merge_no_second_id_number_is_verified_for_the_person(at: datetime) -> None:
    # accounts.md: "paid to his one payee identity until empty", "one person, one payee".
    former = make_promoter(member=make_member(joined_at=at - DAY))
    stays = make_promoter(member=make_member(joined_at=at - 9 * DAY))
    one = submit_identity(member_id=stays.member_id, name="王小明", id_number=NUMBERS[0], at=at)
    verify_identity(identity_id=one.pk, by=ANNA, at=at)
    two = submit_identity(member_id=former.member_id, name="李小红", id_number=NUMBERS[1], at=at)
    merge(former.member, stays.member, at)
    with contextlib.suppress(DomainError):
        verify_identity(identity_id=two.pk, by=ANNA, at=at)
    payees = {payee_identity(fresh(row.member)) for row in (former, stays)}
    assert payees == {one}


@pytest.mark.django_db
def test_a_wish_to_quit_taken_back_leaves_the_customers_of_a_merged_account(
    at: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    # accounts.md: "carried over to the promoter that stays, a row each"; nobody closes here.
    former = make_promoter(member=make_member(joined_at=at - DAY))
    stays = make_promoter(member=make_member(joined_at=at - 9 * DAY))
    customer = make_member(joined_at=at - DAY)
    bind(customer, former, at - timedelta(hours=1))
    request_quitting(member=stays.member, confirmed=True, note="", at=at)
    merge(former.member, stays.member, at)
    withdraw_quitting(member=fresh(stays.member), at=at)
    assert Binding.objects.filter(member=customer, ended_at=None).exists()


@pytest.mark.django_db
def test_a_former_promoters_own_wish_to_quit_takes_no_closing_back(at: datetime) -> None:
    # accounts.md: "a merged account's closing cannot be taken back".
    former = make_promoter(member=make_member(joined_at=at - DAY))
    stays = make_promoter(member=make_member(joined_at=at - 9 * DAY))
    request_quitting(member=former.member, confirmed=True, note="", at=at)
    stale = fresh(former.member)
    merge(former.member, stays.member, at)
    with contextlib.suppress(DomainError):
        withdraw_quitting(member=stale, at=at)
    close_accounts(at=at)
    assert fresh(former).status == "closing"


@pytest.mark.django_db(transaction=True)
@pytest.mark.postgres
def test_a_block_beside_a_merge_lets_no_blocked_account_give_way(run_threads: Threads) -> None:
    # accounts.md, refused: "a closed or blocked one".
    stays, goes = make_member(joined_at=AT - DAY), make_member()
    row = propose_merge(merged_id=goes.pk, survivor_id=stays.pk, reason="r", by=ANNA, at=AT)
    begun = threading.Event()

    def work(thread: int) -> None:
        if thread == 1:
            assert begun.wait(SECONDS)
            approve_merge(merge_id=row.pk, by=BORIS, at=AT)
            return
        with transaction.atomic():
            block_member(member_id=goes.pk, reason="r", by=ANNA, at=AT)
            begun.set()
            somebody_waits()

    run = run_threads(2, work)
    assert [type(error) for error in run.errors.values()] == [MemberBlocked]
    assert (fresh(goes).status, fresh(row).status) == ("blocked", "proposed")


@pytest.mark.django_db
def test_who_turns_out_to_be_his_upline_before_the_approval_does_not_come_below_himself(
    at: datetime,
) -> None:
    # Own code in any disguise (same phone, same verified identity) is refused: rule H1.
    parent = make_promoter(member=make_member(joined_at=at - DAY, phone_index="x" * 64))
    row = waiting_below(parent, at)
    Member.objects.filter(pk=row.member_id).update(phone_index="x" * 64)
    try:
        newcomer = approve_application(application_id=row.pk, by=ANNA, at=at)
    except DomainError:
        return
    assert Promoter.objects.get(pk=newcomer).parent_id is None


@pytest.mark.django_db
@pytest.mark.parametrize("how", ["close", "merge"])
def test_a_stale_member_of_an_account_that_is_gone_applies_for_nothing(
    at: datetime, how: str, settings: Any
) -> None:
    settings.CLOSING_CHECKS = {"promoter": [], "account": []}
    make_policy(gate="review")
    older, stale = make_member(joined_at=at - DAY), make_member()
    if how == "close":
        close_account(member_id=stale.pk, reason="r", by=ANNA, at=at)
    else:
        merge(stale, older, at)
    with contextlib.suppress(DomainError):
        apply(stale, at, make_agreement())
    assert not Application.objects.filter(member=stale, status="pending").exists()
