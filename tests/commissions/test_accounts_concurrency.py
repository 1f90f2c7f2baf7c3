"""Closings, merges, log-ins, touches and accruals at the same moment, on PostgreSQL."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest

from analytics.books.accounts import CHECKS
from commissions.models import Account, Accrual
from commissions.services.accruing import accrue
from distro.actors import Actor
from distro.errors import DomainError, IllegalTransition
from referrals import selectors
from referrals.errors import NotPromoter
from referrals.errors_accounts import AccountMerged
from referrals.models import Binding, Closure, Member, MemberToken, Merge, Promoter
from referrals.services.bindings import touch
from referrals.services.closing import close_accounts, close_promoter, request_closing
from referrals.services.members import login
from referrals.services.merging import approve_merge, carry_customers
from tests.commissions.builders import make_attributed, make_plan
from tests.factories import make_link, make_member, make_promoter

pytestmark = [pytest.mark.postgres, pytest.mark.django_db(transaction=True)]

ANNA, BORIS = Actor("staff", 1), Actor("staff", 2)
Threads = Callable[..., Any]


def proposed(merged: Member, survivor: Member, at: datetime) -> Merge:
    return Merge.objects.create(
        merged=merged, survivor=survivor, reason="r", requested_by=str(ANNA), requested_at=at
    )


def is_sound() -> bool:
    return [fault for check in CHECKS for fault in check()] == []


def log_in(openid: str, unionid: str | None, at: datetime) -> Any:
    return login(openid=openid, unionid=unionid, link_code="", device="", at=at)


# --- Merges ---------------------------------------------------------------------------------


def test_two_merges_the_other_way_round_are_one(run_threads: Threads, at: datetime) -> None:
    one, other = make_member(), make_member()
    rows = [proposed(one, other, at), proposed(other, one, at)]
    run = run_threads(2, lambda n: approve_merge(merge_id=rows[n].pk, by=BORIS, at=at))
    assert len(run.results) == 1
    assert {type(error) for error in run.errors.values()} == {AccountMerged}
    assert sorted(Member.objects.values_list("status", flat=True)) == ["active", "merged"]
    assert is_sound()


def test_one_merge_approved_by_many_happens_once(run_threads: Threads, at: datetime) -> None:
    former, stays = make_promoter(), make_promoter()
    for _ in range(5):
        touch(member_id=make_member().pk, link=make_link(former.member), at=at)
    row = proposed(former.member, stays.member, at)
    run = run_threads(4, lambda n: approve_merge(merge_id=row.pk, by=Actor("staff", n + 2), at=at))
    assert len(run.results) == 1
    assert {type(error) for error in run.errors.values()} <= {AccountMerged, IllegalTransition}
    assert Binding.objects.filter(ended_at=None, promoter=stays).count() == 5
    assert Closure.objects.count() == 1
    assert is_sound()


def test_a_chain_of_merges_at_once_leads_to_one_in_one_step(
    run_threads: Threads, at: datetime
) -> None:
    for _ in range(5):
        members = [make_member() for _ in range(4)]
        rows = [proposed(a, b, at) for a, b in pairwise(members)]
        run_threads(3, lambda n, rows=rows: approve_merge(merge_id=rows[n].pk, by=BORIS, at=at))
        assert is_sound()


def test_customers_are_carried_once_by_two_jobs(run_threads: Threads, at: datetime) -> None:
    former, stays = make_promoter(), make_promoter()
    customers = [make_member() for _ in range(20)]
    for customer in customers:
        touch(member_id=customer.pk, link=make_link(former.member), at=at)
    Member.objects.filter(pk=former.member_id).update(status="merged", merged_into=stays.member)
    Merge.objects.create(
        merged=former.member, survivor=stays.member, reason="r", requested_by="staff:1",
        requested_at=at, status="done", decided_by="staff:2", decided_at=at,
    )  # fmt: skip
    list(run_threads(3, lambda _: carry_customers(at=at)))
    assert Binding.objects.filter(ended_at=None, promoter=stays).count() == 20
    assert Binding.objects.count() == 40


def test_a_customer_who_is_carried_and_touched_at_once_has_one_binding(
    run_threads: Threads, at: datetime
) -> None:
    for _ in range(5):
        former, stays, link = make_promoter(), make_promoter(), make_link()
        customer = make_member()
        touch(member_id=customer.pk, link=make_link(former.member), at=at)
        row = proposed(former.member, stays.member, at)

        def work(n: int, row: Merge = row, customer: Member = customer, link: Any = link) -> None:
            if n:
                touch(member_id=customer.pk, link=link, at=at)
            else:
                approve_merge(merge_id=row.pk, by=BORIS, at=at)

        list(run_threads(2, work))
        assert Binding.objects.get(member=customer, ended_at=None).promoter == stays


# --- Log-ins --------------------------------------------------------------------------------


def test_eight_log_ins_of_a_new_openid_find_the_one_account(
    run_threads: Threads, at: datetime
) -> None:
    known = make_member(unionid="u", openid="old")
    results = list(run_threads(8, lambda _: log_in("new", "u", at)))
    assert {result.member for result in results} == {known}
    assert Member.objects.count() == 2
    assert Merge.objects.count() == 1
    assert Member.objects.get(pk=known.pk).openid == "new"


def test_eight_openids_of_one_new_person_are_one_account(
    run_threads: Threads, at: datetime
) -> None:
    list(run_threads(8, lambda n: log_in(f"o{n}", "u", at)))
    assert Member.objects.filter(merged_into=None).count() == 1
    assert Member.objects.count() == 8
    assert is_sound()


def test_accounts_that_learn_one_unionid_at_once_are_merged(
    run_threads: Threads, at: datetime
) -> None:
    members = [make_member() for _ in range(4)]
    list(run_threads(4, lambda n: log_in(members[n].openid or "", "u", at)))
    assert Member.objects.filter(merged_into=None).count() == 1
    assert is_sound()


def test_a_log_in_beside_a_merge_leads_to_the_account_that_stays(
    run_threads: Threads, at: datetime
) -> None:
    for _ in range(5):
        merged, stays = make_member(), make_member()
        row, openid = proposed(merged, stays, at), merged.openid or ""

        def work(n: int, row: Merge = row, openid: str = openid) -> Any:
            if n:
                return log_in(openid, None, at)
            return approve_merge(merge_id=row.pk, by=BORIS, at=at)

        run = run_threads(4, work)
        assert not run.errors
        for n in (1, 2, 3):
            token = selectors.live_token(run.results[n].token, at=at)
            assert token is not None
            assert token.member.living == stays
    assert is_sound()


# --- Closings -------------------------------------------------------------------------------


def test_an_account_is_closed_once_by_many(run_threads: Threads, at: datetime) -> None:
    promoter = make_promoter()
    member = promoter.member
    run = run_threads(4, lambda _: request_closing(member=member, confirmed=True, note="", at=at))
    assert len(run.results) == 1
    assert Closure.objects.count() == 1
    assert all(isinstance(error, DomainError) for error in run.errors.values())
    assert is_sound()


def test_a_closing_and_a_merge_do_not_both_happen(run_threads: Threads, at: datetime) -> None:
    for _ in range(5):
        merged, stays = make_member(), make_member()
        row = proposed(merged, stays, at)

        def work(n: int, row: Merge = row, merged: Member = merged) -> Any:
            if n:
                return request_closing(member=merged, confirmed=True, note="", at=at)
            return approve_merge(merge_id=row.pk, by=BORIS, at=at)

        run = run_threads(2, work)
        assert len(run.results) == 1
        assert Member.objects.get(pk=merged.pk).status in {"closed", "merged"}
    assert is_sound()


def test_no_fen_is_left_in_an_account_that_was_closed_beside_accruals(
    run_threads: Threads, at: datetime
) -> None:
    make_plan(1000)
    for _ in range(8):
        promoter = make_promoter()
        orders = [make_attributed([promoter], 10_000).pk for _ in range(3)]

        def work(n: int, pk: int = promoter.pk, orders: list[int] = orders) -> None:
            if n == 0:
                close_promoter(promoter_id=pk, reason="r", by=ANNA, at=at)
            else:
                try:
                    accrue(order_id=orders[n - 1], at=at)
                except DomainError:  # the account closed under it; the sweep comes again
                    accrue(order_id=orders[n - 1], at=at)

        list(run_threads(4, work))
        frozen = sum(
            Account.objects.filter(promoter=promoter).values_list("balance_fen", flat=True)
        )
        closed = Promoter.objects.get(pk=promoter.pk).status == "closed"
        assert (frozen == 0) == closed
        assert Accrual.objects.filter(order__in=orders, voided_at=None).count() == 3
    assert is_sound()


def test_two_jobs_close_an_account_once(run_threads: Threads, at: datetime) -> None:
    promoter = make_promoter()
    Closure.objects.create(
        member=promoter.member, scope="account", requested_by="t", requested_at=at
    )
    Promoter.objects.filter(pk=promoter.pk).update(status="closing")
    later = at + timedelta(minutes=10)
    assert sum(run_threads(3, lambda _: close_accounts(at=later))) == 1
    assert Closure.objects.get().status == "done"
    assert not MemberToken.objects.exists()
    with pytest.raises(NotPromoter):
        close_promoter(promoter_id=promoter.pk, reason="r", by=ANNA, at=at)
