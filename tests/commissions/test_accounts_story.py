"""Accounts that are closed and merged, told with their money: docs/accounts.md."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.db import IntegrityError, transaction
from rest_framework.test import APIClient

from analytics.books import faults
from analytics.books.accounts import CHECKS
from commissions.errors import AccountClosed
from commissions.models import Account, Commission, Transfer, Withdrawal
from commissions.services import accruing
from commissions.services.accruing import accrue
from commissions.services.correcting import book_correction, request_correction
from commissions.services.ledger import EXPENSE, Entry, Ref, lock_accounts, post
from commissions.services.paying_out import send_due
from commissions.services.settling import settle_due
from commissions.services.transferring import query_transfers
from distro.actors import Actor
from orders.models import Order
from orders.selectors import has_paid_order, order_of, orders_of
from orders.services.shipping import complete_order, mature_orders, ship_order
from referrals import selectors
from referrals.errors_joining import AgreementUnsigned
from referrals.models import Binding, Closure, Identity, Member, Promoter
from referrals.services.closing import close_accounts, close_promoter, request_closing
from referrals.services.members import login
from referrals.services.merging import approve_merge, propose_merge
from tests.commissions.payout_world import Channel
from tests.factories import make_agreement
from tests.flows.shop import (
    buy,
    deliver,
    join,
    open_shop,
    pay,
    promote,
    refund,
    stands,
    verify,
    withdraw,
)

pytestmark = pytest.mark.django_db

ANNA, BORIS = Actor("staff", 1), Actor("staff", 2)
RELEASED = timedelta(days=18)
DAY = timedelta(days=1)


@pytest.fixture
def channel(at: datetime, monkeypatch: pytest.MonkeyPatch) -> Channel:
    """WeChat in memory, whose payees need not confirm."""
    made = Channel(at, confirm=False)
    for module in ("paying_out", "transferring"):
        monkeypatch.setattr(f"commissions.services.{module}.pay", lambda: made)
    return made


def sound(at: datetime) -> bool:
    return list(faults(at=at)) == []


def fresh(row: Any) -> Any:
    return type(row)._base_manager.get(pk=row.pk)


def leave(promoter: Promoter, at: datetime) -> Closure:
    member = Member.objects.get(pk=promoter.member_id)
    return request_closing(member=member, confirmed=True, note="", at=at)


def waits(closure: Closure) -> dict[str, int]:
    return {wait["kind"]: wait["amount_fen"] for wait in fresh(closure).waits}


# --- Closing --------------------------------------------------------------------------------


def test_who_leaves_is_paid_to_the_last_fen(at: datetime, channel: Channel) -> None:
    agreement = open_shop(at, 1000, 500)
    upline = promote(join(at), agreement, at)
    seller = promote(join(at, by=upline), agreement, at)
    buyer = join(at, by=seller)
    first, second = (buy(buyer, 705, at) for _ in range(2))
    pay(first, at)
    assert stands(seller) == (70, 0, 0, 0)

    # He wants to leave: the 0.70 yuan keep the account open, the second order earns him nothing.
    closure = leave(seller, at)
    assert waits(closure) == {"frozen": 70}
    pay(second, at)
    assert [stands(seller), stands(upline)] == [(70, 0, 0, 0), (70, 0, 0, 0)]
    for order in (first, second):
        deliver(order, at)

    # What he had settles, and he may take it though it is less than the minimum.
    released = at + RELEASED
    settle_due(at=released)
    assert stands(seller) == (0, 70, 0, 0)
    close_accounts(at=released)
    assert waits(closure) == {"available": 70}
    verify(seller, released)
    withdraw(fresh(seller), 70, released)
    close_accounts(at=released)
    assert waits(closure) == {"withdrawing": 70}
    send_due(at=released)
    query_transfers(at=released + DAY)
    assert (stands(seller), channel.paid_fen()) == ((0, 0, 0, 0), 70)

    # Nothing is left: he is closed, his name stays as a tax record, his customer is free.
    assert close_accounts(at=released + DAY) == 1
    assert (fresh(seller).status, fresh(seller.member).status) == ("closed", "closed")
    assert Identity.objects.filter(member=seller.member).exists()
    assert selectors.attribution_of(buyer.pk, at=released + DAY) == selectors.NOBODY
    assert sound(released + DAY)


def test_who_leaves_signs_no_new_agreement_for_his_money(at: datetime) -> None:
    agreement = open_shop(at, 1000)
    seller = promote(join(at), agreement, at)
    order = buy(join(at, by=seller), 10_000, at)
    pay(order, at)
    deliver(order, at)
    settle_due(at=at + RELEASED)
    verify(seller, at)
    make_agreement(version=2)
    with pytest.raises(AgreementUnsigned):
        withdraw(seller, 1_000, at + RELEASED)
    leave(seller, at + RELEASED)
    withdraw(fresh(seller), 1_000, at + RELEASED)
    assert stands(seller) == (0, 0, 1_000, 0)


def test_a_refund_after_the_closing_is_a_debt_to_write_off(at: datetime, channel: Channel) -> None:
    agreement = open_shop(at, 1000)
    seller = promote(join(at), agreement, at)
    order = buy(join(at, by=seller), 10_000, at)
    pay(order, at)
    deliver(order, at)
    closure, released = leave(seller, at), at + RELEASED
    settle_due(at=released)
    verify(seller, released)
    withdraw(fresh(seller), 1_000, released)
    send_due(at=released)
    query_transfers(at=released + DAY)
    close_accounts(at=released + DAY)
    assert fresh(closure).status == "done"

    refund(order, 10_000, released + 2 * DAY)
    assert stands(seller) == (0, 0, 0, 1_000)
    assert sound(released + 2 * DAY)
    write_off(seller, 1_000, released + 3 * DAY)
    assert stands(seller) == (0, 0, 0, 0)
    assert sound(released + 3 * DAY)


def write_off(promoter: Promoter, fen: int, at: datetime) -> None:
    row = request_correction(
        promoter_id=promoter.pk, kind="write_off", amount_fen=fen, reason="left", by=ANNA, at=at
    )
    book_correction(correction_id=row.pk, by=BORIS, at=at)


def test_a_debt_keeps_the_account_open_until_two_persons_write_it_off(
    at: datetime, channel: Channel
) -> None:
    agreement = open_shop(at, 1000)
    seller = promote(join(at), agreement, at)
    order = buy(join(at, by=seller), 10_000, at)
    pay(order, at)
    deliver(order, at)
    released = at + RELEASED
    settle_due(at=released)
    verify(seller, released)
    withdraw(seller, 1_000, released)
    send_due(at=released)
    query_transfers(at=released + DAY)
    refund(order, 4_000, released + DAY)
    closure = leave(seller, released + DAY)
    assert waits(closure) == {"owed": 400}
    write_off(seller, 400, released + DAY)
    assert close_accounts(at=released + DAY) == 1
    assert sound(released + DAY)


def test_his_own_purchases_keep_the_account_open(at: datetime) -> None:
    open_shop(at, 1000)
    member = join(at)
    order = buy(member, 10_000, at)
    closure = request_closing(member=member, confirmed=True, note="", at=at)
    assert waits(closure) == {"orders": 0}
    pay(order, at)
    ship_order(order_id=order.pk, company="SF", tracking_no="1", by=ANNA, at=at)
    complete_order(order_id=order.pk, by=ANNA, at=at)
    assert close_accounts(at=at) == 0
    mature_orders(at=at + 8 * DAY)
    assert close_accounts(at=at + 8 * DAY) == 1
    assert Order.objects.get().receiver  # a trade record, kept three years


def test_an_accrual_that_began_before_the_closing_is_refused_and_comes_again(
    at: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    agreement = open_shop(at, 1000, 500)
    upline = promote(join(at), agreement, at)
    seller = promote(join(at, by=upline), agreement, at)
    order = buy(join(at, by=seller), 10_000, at)
    leave(seller, at)
    assert fresh(seller).status == "closed"
    read = accruing._beneficiaries

    def as_read_before(*args: Any) -> list[Any]:
        return [replace(who, entitled=True) for who in read(*args)]

    with monkeypatch.context() as patch:
        patch.setattr(accruing, "_beneficiaries", as_read_before)
        pay(order, at)
    assert not Commission.objects.exists()
    assert fresh(order).status == "paid"
    accrue(order_id=order.pk, at=at)
    assert list(Commission.objects.values_list("promoter", "amount_fen")) == [(upline.pk, 500)]
    assert stands(seller) == (0, 0, 0, 0)


def test_nothing_is_credited_to_a_closed_account(at: datetime) -> None:
    agreement = open_shop(at, 1000)
    seller = promote(join(at), agreement, at)
    leave(seller, at)
    for kind in ("frozen", "available"):
        entry = Entry(EXPENSE, Ref(kind, seller.pk), 5, CODES[kind], f"k:{kind}", "test")
        with pytest.raises(AccountClosed), transaction.atomic():
            post([entry], at=at)
        own = Account.objects.filter(promoter=seller, kind=kind)
        with pytest.raises(IntegrityError), transaction.atomic():
            own.update(balance_fen=5)
    assert not Transfer.objects.exists()


CODES = {"frozen": Transfer.Code.ACCRUE, "available": Transfer.Code.CORRECT_UP}


# --- Merging --------------------------------------------------------------------------------


@pytest.fixture
def pair(at: datetime) -> Callable[[], tuple[Promoter, Promoter]]:
    """Return `pair()`: two promoters of one person, the one that gives way first, each bound."""

    def make() -> tuple[Promoter, Promoter]:
        agreement = open_shop(at, 1000, 500)
        stays = promote(join(at - DAY), agreement, at)
        former = promote(join(at), agreement, at)
        return former, stays

    return make


def merge(former: Promoter, stays: Promoter, at: datetime) -> None:
    row = propose_merge(
        merged_id=former.member_id, survivor_id=stays.member_id, reason="r", by=ANNA, at=at
    )
    approve_merge(merge_id=row.pk, by=BORIS, at=at)


def test_a_merge_moves_no_money_and_all_of_it_is_paid_to_the_one_person(
    at: datetime, channel: Channel, pair: Any
) -> None:
    former, stays = pair()
    customer = join(at, by=former)
    orders = [buy(customer, 10_000, at) for _ in range(2)]
    for order in orders:
        pay(order, at)
    deliver(orders[0], at)
    verify(former, at)
    released = at + RELEASED
    settle_due(at=released)
    withdraw(former, 400, released)
    assert stands(former) == (1_000, 600, 400, 0)
    transfers = Transfer.objects.count()

    # What was not sent comes back: it would go to the former WeChat account.
    merge(former, stays, released)
    assert [stands(former), stands(stays)] == [(1_000, 1_000, 0, 0), (0, 0, 0, 0)]
    assert Transfer.objects.count() == transfers + 1
    assert Withdrawal.objects.get().status == "cancelled"
    assert fresh(former).status == "closing"

    # His customers buy from the account that stays; what was frozen settles where it was earned.
    later = buy(customer, 10_000, released)
    assert (later.promoter_1, later.promoter_2) == (stays, None)
    pay(later, released)
    deliver(orders[1], released)
    settle_due(at=released + RELEASED)
    assert [stands(former), stands(stays)] == [(0, 2_000, 0, 0), (1_000, 0, 0, 0)]

    # He takes it out of the former account; it is paid to his one identity, where he is now.
    now = released + RELEASED
    api = as_member(stays.member, now)
    assert api.get("/api/v1/promoter/former-accounts").json()["accounts"] == [
        {
            "account": former.code, "frozen_fen": 0, "available_fen": 2_000,
            "withdrawing_fen": 0, "owed_fen": 0,
        }
    ]  # fmt: skip
    with_clock = {"amount_fen": 2_000, "account": former.code}
    answer = api.post("/api/v1/promoter/withdrawals", with_clock, format="json", headers=KEY)
    assert answer.status_code == 201, answer.json()
    row = Withdrawal.objects.exclude(status="cancelled").get()
    assert row.openid == fresh(stays.member).openid
    assert row.payee_key == Identity.objects.get().id_index
    assert api.get(f"/api/v1/promoter/withdrawals/{row.number}").status_code == 200
    send_due(at=now)
    query_transfers(at=now + DAY)
    assert (stands(former), channel.paid_fen()) == ((0, 0, 0, 0), 2_000)
    assert close_accounts(at=now + DAY) == 1
    assert fresh(former).status == "closed"
    assert api.get("/api/v1/promoter/former-accounts").json()["accounts"] == []
    assert sound(now + DAY)


KEY = {"Idempotency-Key": "take-it-all"}


def as_member(member: Member, at: datetime) -> APIClient:
    openid = Member.objects.get(pk=member.pk).openid or ""
    client = APIClient()
    token = login(openid=openid, unionid=None, link_code="", device="", at=at).token
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {token}")
    return client


def test_another_persons_former_account_is_not_found(at: datetime, pair: Any) -> None:
    former, stays = pair()
    api = as_member(stays.member, at)
    body = {"amount_fen": 100, "account": former.code}
    answer = api.post("/api/v1/promoter/withdrawals", body, format="json", headers=KEY)
    assert answer.status_code == 404
    assert not Withdrawal.objects.exists()


def test_no_account_of_his_earns_from_another_of_his(at: datetime, pair: Any) -> None:
    former, stays = pair()
    buyer = join(at, by=former)  # a third account of the person
    open_order = buy(buyer, 10_000, at)
    assert open_order.promoter_1 == former
    row = propose_merge(merged_id=buyer.pk, survivor_id=stays.member_id, reason="r", by=ANNA, at=at)
    approve_merge(merge_id=row.pk, by=BORIS, at=at)
    merge(former, stays, at)
    pay(open_order, at)  # placed before, paid after: the accrual sees one person
    assert [stands(former), stands(stays)] == [(0, 0, 0, 0)] * 2
    assert buy(fresh(stays.member), 10_000, at).promoter_1 is None
    assert sound(at)


def test_the_person_is_never_his_own_upline_in_effect(at: datetime) -> None:
    agreement = open_shop(at, 1000, 500)
    top = promote(join(at - DAY), agreement, at)
    below = promote(join(at, by=top), agreement, at)
    customer = join(at, by=below)
    merge(below, top, at)
    order = buy(customer, 10_000, at)
    assert (order.promoter_1, order.promoter_2) == (top, None)
    pay(order, at)
    assert [stands(below), stands(top)] == [(0, 0, 0, 0), (1_000, 0, 0, 0)]
    assert fresh(below).parent == top  # the tree stays as it is


def test_he_handles_the_orders_of_his_former_account(at: datetime) -> None:
    open_shop(at, 1000)
    old, new = join(at - DAY), join(at)
    order = buy(new, 10_000, at)
    pay(order, at)
    row = propose_merge(merged_id=new.pk, survivor_id=old.pk, reason="r", by=ANNA, at=at)
    approve_merge(merge_id=row.pk, by=BORIS, at=at)
    assert list(orders_of(old.pk)) == [order]
    assert order_of(old.pk, order.number) == order
    assert has_paid_order(old.pk)
    assert fresh(order).member == new


def test_the_former_account_suspended_before_it_is_empty_waits(at: datetime, pair: Any) -> None:
    from referrals.services.promoters import reinstate_promoter, suspend_promoter

    former, stays = pair()
    order = buy(join(at, by=former), 10_000, at)
    pay(order, at)
    deliver(order, at)
    merge(former, stays, at)
    suspend_promoter(promoter_id=former.pk, why="case", by=ANNA, at=at)
    assert settle_due(at=at + RELEASED) == 0
    reinstate_promoter(promoter_id=former.pk, why="cleared", by=ANNA, at=at)
    assert fresh(former).status == "closing"
    assert settle_due(at=at + RELEASED) == 1


# --- Proofs ---------------------------------------------------------------------------------


def test_the_books_name_what_should_not_be(at: datetime) -> None:
    agreement = open_shop(at, 1000)
    seller = promote(join(at), agreement, at)
    customer = join(at, by=seller)
    lock_accounts([seller.pk])
    Promoter.objects.filter(pk=seller.pk).update(status="closed")
    Member.objects.filter(pk=customer.pk).update(status="closed")
    found = [fault for check in CHECKS for fault in check()]
    binding = Binding.objects.get()
    kinds = {fault.partition(":")[0] for fault in found}
    assert kinds == {
        "account of a closed promoter is open",
        "binding of a closed promoter",
        "binding of a customer who is gone",
        "personal data of a closed account",
    }
    assert f"binding of a closed promoter: binding {binding.pk}" in found


def test_closing_a_promoter_only_keeps_the_customer(at: datetime) -> None:
    agreement = open_shop(at, 1000)
    upline = promote(join(at), agreement, at)
    seller = promote(join(at, by=upline), agreement, at)
    close_promoter(promoter_id=seller.pk, reason="wish", by=ANNA, at=at)
    assert buy(fresh(seller.member), 10_000, at).promoter_1 == upline
    assert sound(at)
