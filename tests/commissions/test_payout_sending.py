"""Approved money goes out: the last checks, the tax, the stored body, one in flight a payee."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.db import IntegrityError, transaction

from commissions.fail_reasons import OUT_OF_LIMITS, OWES, PAYEE_CHANGED
from commissions.models import (
    ChannelSwitch,
    PayoutPolicy,
    TaxMonth,
    TaxPolicy,
    Transfer,
    VatRule,
    Withdrawal,
)
from commissions.services import paying_out, transferring
from commissions.services.paying_out import send_due, start_payout
from commissions.services.transferring import finish_transfer, query_transfers
from commissions.services.withdrawals import cancel_withdrawal, request_withdrawal
from commissions.tax import gross_up
from distro.errors import DomainError
from distro.models import MissedFact
from referrals.models import Hold, Identity, Member, Promoter
from tests.commissions.payout_world import (
    Channel,
    booked,
    earn,
    make_payee,
    make_rules,
    only,
    owe,
    standing,
    statuses,
)
from tests.factories import make_order

pytestmark = pytest.mark.django_db
BEIJING = ZoneInfo("Asia/Shanghai")
MINUTE = timedelta(minutes=1)


@pytest.fixture
def channel(at: datetime, monkeypatch: pytest.MonkeyPatch) -> Channel:
    """WeChat in memory, whose payees need not confirm."""
    made = Channel(at, confirm=False)
    for module in (paying_out, transferring):
        monkeypatch.setattr(module, "pay", lambda: made)
    return made


def ask(promoter: Promoter, fen: int, at: datetime) -> None:
    request_withdrawal(promoter_id=promoter.pk, amount_fen=fen, at=at)


def pay_yuan(promoter: Promoter, yuan: int, at: datetime) -> int:
    """Withdraw and pay a sum at once; return the tax that was withheld."""
    ask(promoter, yuan * 100, at)
    assert send_due(at=at) == 1
    row = Withdrawal.objects.order_by("-id").first()
    assert row is not None and row.status == "paid" and row.tax_fen is not None
    return row.tax_fen // 100


# --- The story ------------------------------------------------------------------------------


def test_from_request_to_paid_every_balance_is_right(channel: Channel, at: datetime) -> None:
    channel.confirm = True
    make_rules(at)
    promoter = make_payee(at, available_fen=150_000)
    ask(promoter, 100_000, at)
    assert standing(promoter) == (50_000, 100_000, 0)

    assert send_due(at=at) == 1
    row = only(promoter)
    assert (row.status, row.tax_fen, row.net_fen) == ("awaiting_confirm", 4_000, 96_000)
    assert row.package_info == f"package-{row.number}"
    assert row.confirm_before == at + timedelta(hours=24)
    assert standing(promoter) == (50_000, 100_000, 0)
    assert channel.names[row.number] == ""  # below 2,000 yuan no name travels

    assert finish_transfer(state=channel.end(row.number), at=at) == "paid"
    assert only(promoter).status == "paid"
    assert only(promoter).package_info == ""
    assert standing(promoter) == (50_000, 0, 0)
    assert (booked("pay_net"), booked("pay_tax")) == ([96_000], [4_000])
    tax = Transfer.objects.get(code="pay_tax")
    assert (tax.credit.kind, tax.credit.label) == ("tax_payable", "income_tax")
    assert Transfer.objects.get(code="pay_net").credit.label == "wechat"

    assert finish_transfer(state=channel.end(row.number), at=at) == "already"
    assert send_due(at=at) == 0
    assert standing(promoter) == (50_000, 0, 0)
    assert channel.paid_fen() == 96_000


def test_a_transfer_that_fails_returns_the_money_once(channel: Channel, at: datetime) -> None:
    channel.confirm = True
    make_rules(at)
    promoter = make_payee(at, available_fen=100_000)
    ask(promoter, 100_000, at)
    send_due(at=at)
    row = only(promoter)
    state = channel.end(row.number, "FAIL", "OVERDUE_CLOSE")
    assert [finish_transfer(state=state, at=at) for _ in range(3)] == [
        "returned", "already", "already",
    ]  # fmt: skip
    assert (only(promoter).status, only(promoter).fail_reason) == ("failed", "OVERDUE_CLOSE")
    assert standing(promoter) == (100_000, 0, 0)
    assert (booked("return"), booked("pay_net"), booked("pay_tax")) == ([100_000], [], [])


def test_the_body_is_stored_and_never_changes(channel: Channel, at: datetime) -> None:
    channel.confirm = True
    make_rules(at)
    promoter = make_payee(at, available_fen=100_000)
    ask(promoter, 100_000, at)
    send_due(at=at)
    row = only(promoter)
    assert row.body == channel.bills[row.number]["body"]
    assert (row.body["transfer_amount"], row.body["openid"]) == (96_000, promoter.member.openid)
    assert row.body["out_bill_no"] == row.number
    for change in ({"body": {}}, {"net_fen": 1, "tax_fen": 99_999}, {"openid": "x"}):
        with pytest.raises(IntegrityError), transaction.atomic():
            Withdrawal.objects.filter(pk=row.pk).update(**change)


@pytest.mark.parametrize(("net", "name"), [(199_999, ""), (200_000, "王小明")])
def test_from_two_thousand_yuan_on_the_verified_name_travels(
    net: int, name: str, channel: Channel, at: datetime
) -> None:
    make_rules(at)
    promoter = make_payee(at, available_fen=1_000_000)
    ask(promoter, gross_up(net), at)
    send_due(at=at)
    assert only(promoter).net_fen == net
    assert list(channel.names.values()) == [name]
    assert "user_name" not in only(promoter).body


STORY: list[tuple[str, int, str, tuple[int, int]]] = [
    # step, fen, refusal, (available, withdrawing) after it
    ("ask", 99, "withdrawal_too_small", (100_000, 0)),
    ("ask", 100_001, "not_enough_available", (100_000, 0)),
    ("ask", 40_000, "", (60_000, 40_000)),
    ("ask", 60_001, "not_enough_available", (60_000, 40_000)),
    ("ask", 60_000, "", (0, 100_000)),
    ("ask", 100, "not_enough_available", (0, 100_000)),
    ("send", 1, "", (0, 100_000)),  # one in flight
    ("send", 0, "", (0, 100_000)),
    ("cancel", 0, "already_sent", (0, 100_000)),  # the one in flight
    ("fail", 0, "", (40_000, 60_000)),
    ("ask", 40_000, "", (0, 100_000)),
    ("send", 1, "", (0, 100_000)),  # the 600 yuan
    ("confirm", 0, "", (0, 40_000)),  # no tax up to 800
    ("send", 1, "", (0, 40_000)),
    ("confirm", 4_000, "", (0, 0)),  # tax of 1,000 yuan
    ("earn", 5_000, "", (5_000, 0)),
    ("ask", 5_000, "", (0, 5_000)),
    ("cancel", 0, "", (5_000, 0)),
    ("send", 0, "", (5_000, 0)),
]


def test_a_long_story_keeps_every_balance(channel: Channel, at: datetime) -> None:
    channel.confirm = True
    make_rules(at)
    promoter = make_payee(at, available_fen=100_000)

    def in_flight() -> Withdrawal:
        return Withdrawal.objects.get(status__in=Withdrawal.IN_FLIGHT)

    def play(step: str, fen: int) -> None:
        if step == "ask":
            ask(promoter, fen, at)
        elif step == "send":
            assert send_due(at=at) == fen
        elif step == "earn":
            earn(promoter, fen, at)
        elif step == "cancel":
            row = Withdrawal.objects.filter(status__in=["awaiting_confirm", "approved"]).first()
            assert row is not None
            cancel_withdrawal(withdrawal_id=row.pk, by=promoter.member.actor, at=at)
        else:
            row = in_flight()
            state = "SUCCESS" if step == "confirm" else "FAIL"
            finish_transfer(state=channel.end(row.number, state, "X"), at=at)
            assert step == "fail" or row.tax_fen == fen

    for step, fen, refusal, balances in STORY:
        code = ""
        try:
            play(step, fen)
        except DomainError as error:
            code = error.code
        assert (step, fen, code, standing(promoter)) == (step, fen, refusal, (*balances, 0))
    assert (sum(booked("pay_net")), sum(booked("pay_tax"))) == (96_000, 4_000)


# --- Tax ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "payouts", "taxes"),
    [
        ("T22", [500, 500], [0, 40]),
        ("T23", [500, 200, 100, 300], [0, 0, 0, 60]),
        ("T24", [800, 800], [0, 160]),
        ("T25", [300, 300, 300], [0, 0, 20]),
        ("T26", [3000, 3000], [440, 520]),
        ("T27", [4000, 1000], [640, 160]),
        ("T28", [20000, 10000, 40000], [3200, 2000, 10200]),
    ],
)
def test_the_payouts_of_a_month_are_taxed_together(
    name: str, payouts: list[int], taxes: list[int], channel: Channel, at: datetime
) -> None:
    make_rules(at)
    promoter = make_payee(at, available_fen=sum(payouts) * 100)
    assert [pay_yuan(promoter, yuan, at) for yuan in payouts] == taxes
    assert standing(promoter) == (0, 0, 0)
    assert sum(booked("pay_tax")) == sum(taxes) * 100
    assert sum(booked("pay_net")) == (sum(payouts) - sum(taxes)) * 100 == channel.paid_fen()


def test_t29_a_month_ends_at_midnight_in_beijing(channel: Channel) -> None:
    last = datetime(2026, 10, 31, 23, 59, 59, tzinfo=BEIJING)
    first = datetime(2026, 11, 1, 0, 0, tzinfo=BEIJING)
    make_rules(last)
    promoter = make_payee(last, available_fen=240_000)
    assert [pay_yuan(promoter, 800, last), pay_yuan(promoter, 800, first)] == [0, 0]
    assert pay_yuan(promoter, 800, first) == 160
    months = TaxMonth.objects.order_by("month").values_list("month", flat=True)
    assert [f"{month:%Y-%m-%d}" for month in months] == ["2026-10-01", "2026-11-01"]


def test_t30_two_accounts_of_one_person_are_one_payee(channel: Channel, at: datetime) -> None:
    make_rules(at)
    person = "110101199003070011"
    first = make_payee(at, available_fen=80_000, person=person)
    assert pay_yuan(first, 800, at) == 0
    Identity.objects.filter(member=first.member_id).update(status="rejected")  # moved over
    second = make_payee(at, available_fen=80_000, person=person)
    ask(second, 80_000, at)
    Withdrawal.objects.filter(promoter=second).update(status="approved")  # staff looked at it
    send_due(at=at)
    assert only(second).tax_fen == 16_000


def test_a_failed_payout_does_not_count_in_the_month(channel: Channel, at: datetime) -> None:
    make_rules(at)
    promoter = make_payee(at, available_fen=160_000)
    channel.confirm = True
    ask(promoter, 80_000, at)
    send_due(at=at)
    finish_transfer(state=channel.end(only(promoter).number, "FAIL", "X"), at=at)
    channel.confirm = False
    assert pay_yuan(promoter, 800, at) == 0


def test_a_payout_that_succeeds_next_month_counts_there(channel: Channel) -> None:
    last = datetime(2026, 10, 31, 23, 59, tzinfo=BEIJING)
    first = datetime(2026, 11, 1, 9, 0, tzinfo=BEIJING)
    make_rules(last)
    promoter = make_payee(last, available_fen=160_000)
    channel.confirm = True
    ask(promoter, 80_000, last)
    send_due(at=last)
    finish_transfer(state=channel.end(only(promoter).number), at=first)
    channel.confirm = False
    assert pay_yuan(promoter, 800, first) == 160


# --- Who waits ------------------------------------------------------------------------------


def hold(promoter: Promoter, at: datetime) -> Callable[[], object]:
    row = Hold.objects.create(promoter=promoter, reason="?", opened_by="x", opened_at=at)
    return lambda: Hold.objects.filter(pk=row.pk).update(lifted_at=at)


def stop(promoter: Promoter, at: datetime) -> Callable[[], object]:
    ChannelSwitch.objects.create(channel="wechat", stopped=True, reason="?")
    return lambda: ChannelSwitch.objects.update(stopped=False)


def suspend(promoter: Promoter, at: datetime) -> Callable[[], object]:
    Promoter.objects.filter(pk=promoter.pk).update(status="suspended")
    return lambda: Promoter.objects.filter(pk=promoter.pk).update(status="active")


def miss(promoter: Promoter, at: datetime) -> Callable[[], object]:
    from referrals.models import Binding

    buyer = Member.objects.create(no="B1", joined_at=at)
    binding = Binding.objects.create(
        member=buyer, promoter=promoter, mode="first_touch", started_at=at, made_by="x"
    )
    order = make_order(buyer, promoter_1=promoter, binding=binding)
    row = MissedFact.objects.create(
        fact="order_refunded", uid="x", ids={}, order_id=order.pk, error="", attempts=1,
        created_at=at, next_at=at,
    )  # fmt: skip
    return lambda: MissedFact.objects.filter(pk=row.pk).update(done_at=at)


@pytest.mark.parametrize("obstacle", [hold, stop, suspend, miss])
def test_an_obstacle_lets_the_money_wait_and_its_end_lets_it_go(
    obstacle: Any, channel: Channel, at: datetime
) -> None:
    make_rules(at)
    promoter = make_payee(at, available_fen=50_000)
    ask(promoter, 50_000, at)
    remove = obstacle(promoter, at)
    for _ in range(2):
        assert send_due(at=at) == 0
    assert (only(promoter).status, only(promoter).body) == ("approved", None)
    assert standing(promoter) == (0, 50_000, 0)
    assert channel.calls == {}
    remove()
    assert send_due(at=at) == 1
    assert standing(promoter) == (0, 0, 0)


def test_a_missed_fact_of_a_stranger_does_not_matter(channel: Channel, at: datetime) -> None:
    make_rules(at)
    promoter, stranger = make_payee(at, available_fen=50_000), make_payee(at)
    miss(stranger, at)
    ask(promoter, 50_000, at)
    assert send_due(at=at) == 1


@pytest.mark.parametrize("missing", ["tax", "vat", "unconfirmed", "ended", "later"])
def test_without_confirmed_tax_rules_money_waits_in_tax_review(
    missing: str, channel: Channel, at: datetime
) -> None:
    make_rules(at, tax=missing != "tax", vat=missing != "vat")
    changes: dict[str, Any] = {
        "unconfirmed": {"confirmed_at": None},
        "ended": {"effective_to": at},
        "later": {"effective_from": at + MINUTE},
    }.get(missing, {})
    if changes:
        VatRule.objects.update(**changes)
    promoter = make_payee(at, available_fen=50_000)
    ask(promoter, 50_000, at)
    for _ in range(2):
        assert send_due(at=at) == 0
    assert statuses(promoter) == ["tax_review"]
    assert standing(promoter) == (0, 50_000, 0)
    VatRule.objects.all().delete()
    TaxPolicy.objects.all().delete()
    PayoutPolicy.objects.all().delete()
    make_rules(at)
    assert send_due(at=at) == 1
    assert statuses(promoter) == ["paid"]


def test_what_is_planned_for_later_waits_for_its_day(channel: Channel, at: datetime) -> None:
    make_rules(at, channel_single_max_fen=20_000, channel_day_max_fen=40_000)
    promoter = make_payee(at, available_fen=60_000)
    ask(promoter, 60_000, at)
    assert [send_due(at=at) for _ in range(3)] == [2, 0, 0]  # the payee confirms at once
    assert statuses(promoter) == ["paid", "paid", "approved"]
    tomorrow = (at + timedelta(days=1)).replace(hour=0, minute=0)
    assert send_due(at=tomorrow - MINUTE) == 0
    assert send_due(at=tomorrow) == 1
    assert standing(promoter) == (0, 0, 0)


def test_the_day_limit_holds_when_reviews_pile_up_on_one_day(
    channel: Channel, at: datetime
) -> None:
    make_rules(at, channel_single_max_fen=20_000, channel_day_max_fen=20_000)
    promoter = make_payee(at, available_fen=60_000)
    ask(promoter, 40_000, at)
    assert send_due(at=at + timedelta(days=5)) == 1
    late = Withdrawal.objects.get(promoter=promoter, status="approved")
    assert late.not_before is not None and late.not_before > at + timedelta(days=5)
    assert send_due(at=at + timedelta(days=6)) == 1


def test_one_payee_has_one_transfer_in_flight(channel: Channel, at: datetime) -> None:
    channel.confirm = True
    make_rules(at)
    promoter, other = make_payee(at, available_fen=60_000), make_payee(at, available_fen=60_000)
    for fen in (20_000, 30_000):
        ask(promoter, fen, at)
    ask(other, 40_000, at)
    assert send_due(at=at) == 2
    assert statuses(promoter) == ["awaiting_confirm", "approved"]
    assert statuses(other) == ["awaiting_confirm"]
    assert send_due(at=at) == 0
    number = Withdrawal.objects.filter(promoter=promoter).order_by("id")[0].number
    finish_transfer(state=channel.end(number), at=at)
    assert send_due(at=at) == 1
    assert statuses(promoter) == ["paid", "awaiting_confirm"]


def test_the_database_refuses_a_second_transfer_in_flight(channel: Channel, at: datetime) -> None:
    channel.confirm = True
    make_rules(at)
    promoter = make_payee(at, available_fen=60_000)
    for fen in (20_000, 30_000):
        ask(promoter, fen, at)
    send_due(at=at)
    second = Withdrawal.objects.get(promoter=promoter, status="approved")
    with pytest.raises(IntegrityError), transaction.atomic():
        Withdrawal.objects.filter(pk=second.pk).update(
            status="paying", body={}, tax_fen=0, net_fen=30_000, sent_at=at
        )


# --- Whose money goes back ------------------------------------------------------------------


def test_who_owes_gets_it_back_and_pays_the_debt(channel: Channel, at: datetime) -> None:
    make_rules(at)
    promoter = make_payee(at, available_fen=50_000)
    ask(promoter, 50_000, at)
    owe(promoter, 20_000, at)
    assert send_due(at=at) == 0
    assert (only(promoter).status, only(promoter).fail_reason) == ("rejected", OWES)
    assert standing(promoter) == (30_000, 0, 0)
    assert channel.calls == {}


@pytest.mark.parametrize("change", ["identity", "unverified", "none", "openid"])
def test_a_changed_payee_gets_nothing(change: str, channel: Channel, at: datetime) -> None:
    make_rules(at)
    promoter = make_payee(at, available_fen=50_000)
    ask(promoter, 50_000, at)
    own = Identity.objects.filter(member=promoter.member_id)
    if change == "identity":
        own.update(id_index="y" * 64)
    elif change == "unverified":
        own.update(status="rejected")
    elif change == "none":
        own.delete()
    else:
        Member.objects.filter(pk=promoter.member_id).update(openid="another")
    assert send_due(at=at) == 0
    assert (only(promoter).status, only(promoter).fail_reason) == ("rejected", PAYEE_CHANGED)
    assert standing(promoter) == (50_000, 0, 0)
    assert channel.calls == {}


def test_a_net_outside_the_channels_limits_goes_back(channel: Channel, at: datetime) -> None:
    policy = make_rules(at)
    promoter = make_payee(at, available_fen=50_000)
    ask(promoter, 50_000, at)
    policy.channel_single_max_fen = 49_999
    policy.save()
    assert send_due(at=at) == 0
    assert (only(promoter).status, only(promoter).fail_reason) == ("rejected", OUT_OF_LIMITS)
    assert standing(promoter) == (50_000, 0, 0)


def test_lowered_limits_give_back_what_no_day_can_take(channel: Channel, at: datetime) -> None:
    policy = make_rules(at, channel_single_max_fen=20_000, channel_day_max_fen=200_000)
    promoter = make_payee(at, available_fen=20_000)
    ask(promoter, 20_000, at)
    policy.channel_single_max_fen, policy.channel_day_max_fen = 10_000, 15_000
    policy.save()
    assert send_due(at=at) == 0
    assert (only(promoter).status, only(promoter).fail_reason) == ("rejected", OUT_OF_LIMITS)
    assert standing(promoter) == (20_000, 0, 0)


def test_the_day_limit_counts_what_arrives(channel: Channel, at: datetime) -> None:
    policy = make_rules(at)
    promoter = make_payee(at, available_fen=100_000)
    ask(promoter, 100_000, at)
    policy.channel_single_max_fen = policy.channel_day_max_fen = 96_000  # 1,000 yuan less tax
    policy.save()
    assert send_due(at=at) == 1
    assert channel.paid_fen() == 96_000


@pytest.mark.parametrize("status", ["blocked", "closed"])
def test_nothing_goes_out_to_a_member_shut_out_since(
    status: str, channel: Channel, at: datetime
) -> None:
    make_rules(at)
    promoter = make_payee(at, available_fen=50_000)
    ask(promoter, 50_000, at)
    Member.objects.filter(pk=promoter.member_id).update(status=status)
    assert send_due(at=at) == 0
    assert (statuses(promoter), channel.calls) == (["approved"], {})
    Member.objects.filter(pk=promoter.member_id).update(status="active")
    assert send_due(at=at) == 1


def test_what_is_not_approved_is_never_sent(channel: Channel, at: datetime) -> None:
    make_rules(at, review_first=True)
    promoter = make_payee(at, available_fen=50_000)
    ask(promoter, 50_000, at)
    assert send_due(at=at) == 0
    assert start_payout(withdrawal_id=only(promoter).pk, at=at) is False
    assert query_transfers(at=at) == 0
    assert (statuses(promoter), channel.calls) == (["reviewing"], {})
