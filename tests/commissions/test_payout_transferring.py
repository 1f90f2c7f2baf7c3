"""Lost answers, refusals, kills and repeats: nothing is lost and nothing is paid twice."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.db.models import Sum

from commissions.errors_withdrawals import AlreadySent
from commissions.models import ChannelSwitch, Transfer, Withdrawal
from commissions.services import paying_out, transferring
from commissions.services.paying_out import send_due, start_payout
from commissions.services.reminding import remind_confirm
from commissions.services.transferring import deliver, finish_transfer, query_transfers
from commissions.services.withdrawals import cancel_withdrawal, request_withdrawal
from distro.actors import SYSTEM
from distro.errors import IllegalTransition
from distro.states import advance
from distro.wechat.errors import WechatRefused
from referrals.models import Message, Promoter
from tests.commissions.payout_world import (
    Channel,
    Killed,
    booked,
    make_payee,
    make_rules,
    only,
    standing,
)

pytestmark = pytest.mark.django_db
MINUTE = timedelta(minutes=1)
Status = Withdrawal.Status


@pytest.fixture
def channel(at: datetime, monkeypatch: pytest.MonkeyPatch) -> Channel:
    made = Channel(at)
    for module in (paying_out, transferring):
        monkeypatch.setattr(module, "pay", lambda: made)
    return made


@pytest.fixture
def promoter(at: datetime) -> Promoter:
    """A promoter whose 1,000 yuan are approved: tax 40, net 960."""
    make_rules(at)
    made = make_payee(at, available_fen=100_000)
    request_withdrawal(promoter_id=made.pk, amount_fen=100_000, at=at)
    return made


def sent(channel: Channel, promoter: Promoter, at: datetime) -> Withdrawal:
    """Send the withdrawal; it waits for the promoter."""
    send_due(at=at)
    row = only(promoter)
    assert row.status == Status.AWAITING_CONFIRM
    return row


def paid_once(channel: Channel, promoter: Promoter) -> None:
    assert only(promoter).status == Status.PAID
    assert standing(promoter) == (0, 0, 0)
    assert (booked("pay_net"), booked("pay_tax"), booked("return")) == ([96_000], [4_000], [])
    assert channel.paid_fen() == 96_000
    assert len(channel.bills) == 1


def free_lease(promoter: Promoter) -> None:
    """Let the minute of a killed sender pass."""
    Withdrawal.objects.filter(promoter=promoter).update(lease_until=None)


# --- Unknown outcomes -----------------------------------------------------------------------


@pytest.mark.parametrize(("fault", "calls"), [("before", 2), ("after", 2)])
def test_a_lost_answer_is_asked_about_and_the_same_body_sent_again(
    fault: str, calls: int, channel: Channel, promoter: Promoter, at: datetime
) -> None:
    channel.faults = [fault]
    send_due(at=at)
    row = only(promoter)
    assert (row.status, row.lease_until, row.next_query_at) == ("paying", None, at + MINUTE)
    body = row.body
    assert query_transfers(at=at) == 0  # its time has not come
    assert query_transfers(at=at + MINUTE) == 1
    row = only(promoter)
    # Only the answer to a creation says how to confirm, hence the second sending after "after".
    assert (row.status, row.package_info) == ("awaiting_confirm", f"package-{row.number}")
    assert (channel.calls["transfer"], channel.calls["query"]) == (calls, 1)
    assert row.body == body == channel.bills[row.number]["body"]
    finish_transfer(state=channel.end(row.number), at=at + 2 * MINUTE)
    paid_once(channel, promoter)


def test_many_lost_answers_pay_once(channel: Channel, promoter: Promoter, at: datetime) -> None:
    channel.faults = ["before", "after", "after", "before", "after"]
    send_due(at=at)
    for n in range(1, 8):
        query_transfers(at=at + n * 10 * MINUTE)
    channel.end(only(promoter).number)
    query_transfers(at=at + 120 * MINUTE)
    paid_once(channel, promoter)


def test_a_transfer_that_succeeds_at_once_is_booked_by_the_answer(
    channel: Channel, promoter: Promoter, at: datetime
) -> None:
    channel.confirm = False
    assert send_due(at=at) == 1
    paid_once(channel, promoter)


@pytest.mark.parametrize("state", ["ACCEPTED", "PROCESSING", "TRANSFERING", "CANCELING"])
def test_a_transfer_on_its_way_is_asked_about_again(
    state: str, channel: Channel, promoter: Promoter, at: datetime
) -> None:
    channel.faults = ["after"]
    send_due(at=at)
    channel.end(only(promoter).number, state)
    query_transfers(at=at + MINUTE)
    row = only(promoter)
    assert (row.status, row.transfer_bill_no) == ("paying", f"T{row.number}")
    assert (row.lease_until, row.next_query_at) == (None, at + 2 * MINUTE)
    assert standing(promoter) == (0, 100_000, 0)
    channel.end(row.number)
    query_transfers(at=at + 2 * MINUTE)
    paid_once(channel, promoter)


def test_old_transfers_are_asked_about_less_often(
    channel: Channel, promoter: Promoter, at: datetime
) -> None:
    sent(channel, promoter, at)
    pauses = []
    for minutes in (5, 60, 600):
        Withdrawal.objects.update(next_query_at=at)
        query_transfers(at=at + minutes * MINUTE)
        next_at = only(promoter).next_query_at
        assert next_at is not None
        pauses.append((next_at - at) / MINUTE - minutes)
    assert pauses == [1, 5, 30]


def test_a_stopped_channel_sends_nothing_again_but_still_asks(
    channel: Channel, promoter: Promoter, at: datetime
) -> None:
    channel.faults = ["before"]
    send_due(at=at)
    ChannelSwitch.objects.create(channel="wechat", stopped=True)
    query_transfers(at=at + MINUTE)
    assert (only(promoter).status, channel.bills) == ("paying", {})
    ChannelSwitch.objects.update(stopped=False)
    query_transfers(at=at + 2 * MINUTE)
    assert only(promoter).status == "awaiting_confirm"


def test_a_very_old_body_is_not_sent_again_by_itself(
    channel: Channel, promoter: Promoter, at: datetime, caplog: pytest.LogCaptureFixture
) -> None:
    channel.faults = ["before"]
    send_due(at=at)
    query_transfers(at=at + timedelta(days=26))
    assert (only(promoter).status, channel.bills) == ("paying", {})
    assert "ALARM" in caplog.text


# --- Refusals -------------------------------------------------------------------------------


@pytest.mark.parametrize("code", ["INVALID_REQUEST", "PARAM_ERROR", "NAME_REQUIRED"])
def test_a_certain_refusal_returns_the_money_once(
    code: str, channel: Channel, promoter: Promoter, at: datetime
) -> None:
    channel.faults = [f"refuse:{code}"]
    send_due(at=at)
    assert (only(promoter).status, only(promoter).fail_reason) == ("failed", code)
    assert standing(promoter) == (100_000, 0, 0)
    for n in range(3):
        query_transfers(at=at + n * 60 * MINUTE)
        send_due(at=at + n * 60 * MINUTE)
    assert (booked("return"), channel.bills) == ([100_000], {})
    assert standing(promoter) == (100_000, 0, 0)


def test_a_refusal_after_a_lost_success_does_not_return_the_money(
    channel: Channel, promoter: Promoter, at: datetime
) -> None:
    channel.faults = ["after", "refuse:INVALID_REQUEST"]
    send_due(at=at)
    query_transfers(at=at + MINUTE)
    row = only(promoter)
    assert (row.status, row.package_info) == ("awaiting_confirm", "")
    assert booked("return") == []
    query_transfers(at=at + 10 * MINUTE)
    assert only(promoter).package_info == f"package-{row.number}"


def test_a_refusal_soon_after_a_silent_sending_is_not_believed_yet(
    channel: Channel, promoter: Promoter, at: datetime
) -> None:
    """The first sending may still arrive although WeChat shows nothing of it."""
    channel.faults = ["before", *["refuse:INVALID_REQUEST"] * 9]
    send_due(at=at)
    query_transfers(at=at + MINUTE)
    query_transfers(at=at + 14 * MINUTE)
    assert (only(promoter).status, booked("return")) == ("paying", [])
    query_transfers(at=at + 40 * MINUTE)
    assert (only(promoter).status, booked("return")) == ("failed", [100_000])
    assert standing(promoter) == (100_000, 0, 0)


def test_a_first_sending_refused_for_a_number_in_use_is_asked_about(
    channel: Channel, promoter: Promoter, at: datetime
) -> None:
    """A database restored from a backup does not know what it has sent."""
    start_payout(withdrawal_id=only(promoter).pk, at=at)
    channel.transfer(only(promoter).body or {})
    channel.faults = ["refuse:INVALID_REQUEST"]
    query_transfers(at=at)
    assert (only(promoter).status, booked("return")) == ("awaiting_confirm", [])


def test_a_refusal_that_a_notice_overtook_returns_nothing(
    channel: Channel, promoter: Promoter, at: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = channel.transfer

    def pay_then_refuse(body: dict[str, Any], name: str = "") -> None:
        finish_transfer(state=replace(real(body), state="SUCCESS"), at=at)
        channel.bills.clear()
        raise WechatRefused("INVALID_REQUEST")

    monkeypatch.setattr(channel, "transfer", pay_then_refuse)
    send_due(at=at)
    assert (only(promoter).status, standing(promoter)) == ("paid", (0, 0, 0))
    assert booked("return") == []


@pytest.mark.parametrize("code", ["NOT_ENOUGH", "NO_AUTH", "SIGN_ERROR"])
def test_what_the_merchant_can_mend_is_tried_for_a_day(
    code: str, channel: Channel, promoter: Promoter, at: datetime, caplog: pytest.LogCaptureFixture
) -> None:
    channel.faults = [f"refuse:{code}"] * 3
    send_due(at=at)
    assert only(promoter).status == "paying"
    query_transfers(at=at + 10 * MINUTE)
    assert (only(promoter).status, standing(promoter)) == ("paying", (0, 100_000, 0))
    assert "ALARM payouts wait for the merchant" in caplog.text
    query_transfers(at=at + timedelta(hours=24))
    assert (only(promoter).status, standing(promoter)) == ("failed", (100_000, 0, 0))
    assert channel.bills == {}


def test_when_the_merchant_has_mended_it_the_money_goes_out(
    channel: Channel, promoter: Promoter, at: datetime
) -> None:
    channel.confirm, channel.faults = False, ["refuse:NOT_ENOUGH"]
    send_due(at=at)
    query_transfers(at=at + 10 * MINUTE)
    paid_once(channel, promoter)


def test_a_refused_query_proves_nothing(
    channel: Channel, promoter: Promoter, at: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(number: str) -> None:
        raise WechatRefused("SIGN_ERROR")

    channel.faults = ["before"]
    send_due(at=at)
    monkeypatch.setattr(channel, "query_transfer", refuse)
    query_transfers(at=at + MINUTE)
    assert (only(promoter).status, standing(promoter)) == ("paying", (0, 100_000, 0))


# --- Kills ----------------------------------------------------------------------------------


@pytest.mark.parametrize("fault", ["kill_before", "kill_after"])
def test_a_process_killed_while_sending_loses_and_doubles_nothing(
    fault: str, channel: Channel, promoter: Promoter, at: datetime
) -> None:
    channel.faults = [fault]
    with pytest.raises(Killed):
        send_due(at=at)
    assert (only(promoter).status, standing(promoter)) == ("paying", (0, 100_000, 0))
    assert send_due(at=at + MINUTE) == 0  # one in flight
    query_transfers(at=at + MINUTE)
    assert only(promoter).status == "paying"  # the dead sender's lease still holds
    free_lease(promoter)
    query_transfers(at=at + 2 * MINUTE)
    assert only(promoter).status == "awaiting_confirm"
    finish_transfer(state=channel.end(only(promoter).number), at=at + 3 * MINUTE)
    paid_once(channel, promoter)


def test_a_process_killed_before_sending_is_made_good_by_the_query_job(
    channel: Channel, promoter: Promoter, at: datetime
) -> None:
    assert start_payout(withdrawal_id=only(promoter).pk, at=at) is True
    assert (only(promoter).status, channel.calls) == ("paying", {})
    assert query_transfers(at=at) == 1
    assert channel.calls == {"transfer": 1}
    assert only(promoter).status == "awaiting_confirm"


def test_a_process_killed_while_booking_books_it_later_once(
    channel: Channel, promoter: Promoter, at: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = sent(channel, promoter, at)
    state = channel.end(row.number)

    def die(_: object) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(transferring, "tell_finished", die)
        with pytest.raises(Killed):
            finish_transfer(state=state, at=at)
    assert (only(promoter).status, standing(promoter)) == ("awaiting_confirm", (0, 100_000, 0))
    assert booked("pay_net") == []
    query_transfers(at=at + 10 * MINUTE)
    paid_once(channel, promoter)
    assert finish_transfer(state=state, at=at + 11 * MINUTE) == "already"


def test_one_withdrawal_that_breaks_does_not_stop_the_others(
    channel: Channel, promoter: Promoter, at: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = make_payee(at, available_fen=50_000)
    request_withdrawal(promoter_id=other.pk, amount_fen=50_000, at=at)
    real, first = transferring.finish_transfer, only(promoter).number

    def break_first(*, state, at):
        if state.out_bill_no == first:
            raise RuntimeError("broken")
        return real(state=state, at=at)

    monkeypatch.setattr(transferring, "finish_transfer", break_first)
    send_due(at=at)
    assert only(promoter).status == "paying"
    assert only(other).status == "awaiting_confirm"


def test_a_lease_keeps_a_second_sender_away(
    channel: Channel, promoter: Promoter, at: datetime
) -> None:
    start_payout(withdrawal_id=only(promoter).pk, at=at)
    assert transferring._lease(only(promoter).pk)
    assert deliver(withdrawal_id=only(promoter).pk, at=at) is False
    assert channel.calls == {}


@pytest.mark.django_db(transaction=True)
def test_no_call_is_made_inside_a_transaction_and_the_body_is_committed(
    channel: Channel, at: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_rules(at)
    promoter = make_payee(at, available_fen=100_000)
    request_withdrawal(promoter_id=promoter.pk, amount_fen=100_000, at=at)
    seen = []
    for name in ("transfer", "query_transfer"):
        real = getattr(channel, name)

        def call(*args, real=real, name=name):
            seen.append((name, connection.in_atomic_block, only(promoter).body is not None))
            return real(*args)

        monkeypatch.setattr(channel, name, call)
    channel.faults = ["before"]
    send_due(at=at)
    query_transfers(at=at + MINUTE)
    assert seen == [
        ("transfer", False, True), ("query_transfer", False, True), ("transfer", False, True),
    ]  # fmt: skip


# --- What the channel says ------------------------------------------------------------------


def test_words_about_another_sum_or_person_are_not_believed(
    channel: Channel, promoter: Promoter, at: datetime, caplog: pytest.LogCaptureFixture
) -> None:
    row = sent(channel, promoter, at)
    state = channel.end(row.number)
    wrong = [
        (replace(state, amount_fen=95_999), "mismatch"),
        (replace(state, amount_fen=100_000), "mismatch"),
        (replace(state, amount_fen=0), "mismatch"),
        (replace(state, openid="somebody"), "mismatch"),
        (replace(state, out_bill_no="unknown"), "unknown"),
    ]
    for lie, outcome in wrong:
        assert finish_transfer(state=lie, at=at) == outcome
        assert only(promoter).status == "awaiting_confirm"
    assert standing(promoter) == (0, 100_000, 0)
    assert caplog.text.count("ALARM") == len(wrong)


def test_a_word_about_what_was_never_sent_is_not_believed(
    channel: Channel, promoter: Promoter, at: datetime
) -> None:
    row = only(promoter)
    other = Channel(at).transfer(
        {"out_bill_no": row.number, "transfer_amount": 100_000, "openid": row.openid}
    )
    assert finish_transfer(state=replace(other, state="SUCCESS"), at=at) == "mismatch"
    assert (only(promoter).status, standing(promoter)) == ("approved", (0, 100_000, 0))


@pytest.mark.parametrize(
    ("first", "second", "outcomes", "status"),
    [
        ("SUCCESS", "SUCCESS", ("paid", "already"), "paid"),
        ("SUCCESS", "FAIL", ("paid", "conflict"), "paid"),
        ("SUCCESS", "CANCELLED", ("paid", "conflict"), "paid"),
        ("SUCCESS", "WAIT_USER_CONFIRM", ("paid", "already"), "paid"),
        ("SUCCESS", "TRANSFERING", ("paid", "already"), "paid"),
        ("FAIL", "FAIL", ("returned", "already"), "failed"),
        ("FAIL", "SUCCESS", ("returned", "conflict"), "failed"),
        ("CANCELLED", "FAIL", ("returned", "already"), "failed"),
        ("CANCELLED", "WAIT_USER_CONFIRM", ("returned", "already"), "failed"),
        ("TRANSFERING", "SUCCESS", ("in_progress", "paid"), "paid"),
        ("WAIT_USER_CONFIRM", "WAIT_USER_CONFIRM", ("awaiting", "awaiting"), "awaiting_confirm"),
        ("WAIT_USER_CONFIRM", "FAIL", ("awaiting", "returned"), "failed"),
    ],
)
def test_the_first_end_stands_whatever_comes_after(
    first: str, second: str, outcomes: tuple[str, str], status: str,
    channel: Channel, promoter: Promoter, at: datetime,
) -> None:  # fmt: skip
    row = sent(channel, promoter, at)
    found = tuple(
        finish_transfer(state=channel.end(row.number, state, "X"), at=at)
        for state in (first, second)
    )
    assert (found, only(promoter).status) == (outcomes, status)
    ended = {"paid": (0, 0, 0), "failed": (100_000, 0, 0)}
    assert standing(promoter) == ended.get(status, (0, 100_000, 0))


PAIRS = [(a, b) for a in Status.values for b in Status.values]


@pytest.mark.parametrize(("old", "new"), PAIRS)
def test_a_withdrawal_moves_only_as_the_map_says(
    old: str, new: str, promoter: Promoter, at: datetime
) -> None:
    pk = only(promoter).pk
    Withdrawal.objects.filter(pk=pk).update(
        status=old, body={}, tax_fen=0, net_fen=100_000, sent_at=at, finished_at=at
    )
    row = only(promoter)
    if new in Withdrawal.TRANSITIONS[old]:
        advance(row, new, by=SYSTEM, at=at)
        assert only(promoter).status == new
    else:
        with pytest.raises(IllegalTransition):
            advance(row, new, by=SYSTEM, at=at)
        assert only(promoter).status == old


def test_ended_and_sent_withdrawals_cannot_be_taken_back(
    channel: Channel, promoter: Promoter, at: datetime
) -> None:
    row = sent(channel, promoter, at)
    with pytest.raises(AlreadySent):
        cancel_withdrawal(withdrawal_id=row.pk, by=SYSTEM, at=at)
    assert standing(promoter) == (0, 100_000, 0)


# --- Messages, reminders --------------------------------------------------------------------


@pytest.fixture
def messages() -> Callable[[], list[str]]:
    return lambda: list(Message.objects.order_by("id").values_list("key", flat=True))


def test_the_promoter_reads_of_each_step_once(
    channel: Channel, promoter: Promoter, messages, at: datetime
) -> None:
    row = sent(channel, promoter, at)
    for _ in range(2):
        finish_transfer(state=channel.end(row.number), at=at)
    assert messages() == [f"withdrawal:{row.pk}:awaiting_confirm", f"withdrawal:{row.pk}:paid"]
    paid = Message.objects.get(key=f"withdrawal:{row.pk}:paid")
    assert (paid.member_id, paid.kind) == (promoter.member_id, "withdrawal")
    assert "960.00" in paid.body and "40.00" in paid.body


def test_a_failure_names_the_sum_and_the_reason(
    channel: Channel, promoter: Promoter, messages, at: datetime
) -> None:
    row = sent(channel, promoter, at)
    finish_transfer(state=channel.end(row.number, "FAIL", "BRAND_NEW_REASON"), at=at)
    failed = Message.objects.get(key=f"withdrawal:{row.pk}:failed")
    assert "1000.00" in failed.body and "BRAND_NEW_REASON" in failed.body


def test_who_takes_it_back_himself_needs_no_message(
    promoter: Promoter, messages, at: datetime
) -> None:
    cancel_withdrawal(withdrawal_id=only(promoter).pk, by=promoter.member.actor, at=at)
    assert messages() == []


def test_two_reminders_come_before_the_end_and_each_once(
    channel: Channel, promoter: Promoter, at: datetime
) -> None:
    row = sent(channel, promoter, at)
    hours = [0, 11, 12, 13, 21, 22, 23, 24, 30]
    counts = [remind_confirm(at=at + timedelta(hours=h)) for h in hours]
    assert counts == [0, 0, 1, 0, 0, 1, 0, 0, 0]
    assert remind_confirm(at=at + timedelta(hours=23)) == 0
    keys = list(Message.objects.order_by("id").values_list("key", flat=True))[1:]
    assert keys == [f"withdrawal:{row.pk}:remind:1", f"withdrawal:{row.pk}:remind:2"]


def test_late_reminders_are_not_sent_together(
    channel: Channel, promoter: Promoter, at: datetime
) -> None:
    sent(channel, promoter, at)
    assert remind_confirm(at=at + timedelta(hours=23)) == 1
    assert remind_confirm(at=at + timedelta(hours=23)) == 0


def test_nobody_is_reminded_of_what_has_ended(
    channel: Channel, promoter: Promoter, at: datetime
) -> None:
    row = sent(channel, promoter, at)
    finish_transfer(state=channel.end(row.number), at=at)
    assert remind_confirm(at=at + timedelta(hours=23)) == 0


def test_all_transfers_balance(channel: Channel, promoter: Promoter, at: datetime) -> None:
    row = sent(channel, promoter, at)
    finish_transfer(state=channel.end(row.number), at=at)
    own = {"promoter": promoter.pk}
    debits = Transfer.objects.filter(**{f"debit__{k}": v for k, v in own.items()})
    credits = Transfer.objects.filter(**{f"credit__{k}": v for k, v in own.items()})
    total = credits.aggregate(s=Sum("amount_fen"))["s"] - debits.aggregate(s=Sum("amount_fen"))["s"]
    assert total == sum(standing(promoter)[:2]) == 0
