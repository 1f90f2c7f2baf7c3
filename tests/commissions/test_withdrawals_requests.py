"""Asking for money: every refusal writes nothing, every request moves exactly its sum."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest

from commissions import receivers_withdrawals
from commissions.errors_withdrawals import (
    AlreadySent,
    IdentityNotVerified,
    NoPayoutPolicy,
    NotEnoughAvailable,
    NoWechatAccount,
    PayeeUnderAge,
    PromoterOnHold,
    SplitImpossible,
    StillOwes,
    WithdrawalTooSmall,
)
from commissions.models import Transfer, Withdrawal, WithdrawalRequest
from commissions.services.returning import return_unsent
from commissions.services.withdrawals import cancel_withdrawal, quote, request_withdrawal
from commissions.signals import withdrawal_finished, withdrawal_requested
from distro.clock import beijing_day
from distro.errors import AmountOutOfRange, DomainError, NotFound
from distro.facts import unhear
from distro.states import history
from referrals.errors import PromoterNotActive
from referrals.models import Hold, Identity, Promoter
from tests.commissions.payout_world import (
    ANNA,
    booked,
    earn,
    make_payee,
    make_rules,
    only,
    owe,
    standing,
    statuses,
)

pytestmark = pytest.mark.django_db


def ask(promoter: Promoter, fen: Any, at: datetime) -> WithdrawalRequest:
    return request_withdrawal(promoter_id=promoter.pk, amount_fen=fen, at=at)


def refused(promoter: Promoter, fen: Any, error: type[DomainError], at: datetime) -> DomainError:
    """Ask in vain, by quote and by request, and prove that nothing was written."""
    before = standing(promoter), Transfer.objects.count(), Withdrawal.objects.count()
    with pytest.raises(error):
        quote(promoter_id=promoter.pk, amount_fen=fen, at=at)
    with pytest.raises(error) as raised:
        ask(promoter, fen, at)
    after = standing(promoter), Transfer.objects.count(), Withdrawal.objects.count()
    assert before == after
    assert WithdrawalRequest.objects.count() == len(set(Withdrawal.objects.values_list("request")))
    return raised.value


# --- Refusals -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fen", "error"),
    [
        (0, AmountOutOfRange),
        (-1, AmountOutOfRange),
        (-10_000, AmountOutOfRange),
        (10_000_000_001, AmountOutOfRange),
        (True, AmountOutOfRange),
        (100.0, AmountOutOfRange),
        ("100", AmountOutOfRange),
        (99, WithdrawalTooSmall),
        (1, WithdrawalTooSmall),
        (50_001, NotEnoughAvailable),
        (10_000_000_000, NotEnoughAvailable),
    ],
)
def test_a_wrong_sum_is_refused(fen: Any, error: type[DomainError], at: datetime) -> None:
    make_rules(at)
    refusal = refused(make_payee(at, available_fen=50_000), fen, error, at)
    assert refusal.field == "amount_fen"


@pytest.mark.parametrize("status", ["suspended", "closed"])
def test_only_an_active_promoter_withdraws(status: str, at: datetime) -> None:
    make_rules(at)
    promoter = make_payee(at, available_fen=50_000)
    Promoter.objects.filter(pk=promoter.pk).update(status=status)
    refused(promoter, 10_000, PromoterNotActive, at)


@pytest.mark.parametrize("status", ["pending", "rejected", ""])
def test_nobody_is_paid_before_his_identity_is_verified(status: str, at: datetime) -> None:
    make_rules(at)
    promoter = make_payee(at, available_fen=50_000, verified=bool(status))
    Identity.objects.filter(member=promoter.member_id).update(status=status or "pending")
    refused(promoter, 10_000, IdentityNotVerified, at)


def test_nobody_is_paid_before_the_eighteenth_birthday(at: datetime) -> None:
    make_rules(at)
    minor = make_payee(at, available_fen=50_000, born="20081103")
    refused(minor, 10_000, PayeeUnderAge, at)
    ask(minor, 10_000, at + timedelta(days=1))
    assert standing(minor) == (40_000, 10_000, 0)


def test_an_imported_promoter_without_wechat_cannot_be_paid(at: datetime) -> None:
    make_rules(at)
    refused(make_payee(at, available_fen=50_000, openid=None), 10_000, NoWechatAccount, at)


def test_a_hold_stops_withdrawals_until_it_is_lifted(at: datetime) -> None:
    make_rules(at)
    promoter = make_payee(at, available_fen=50_000)
    hold = Hold.objects.create(promoter=promoter, reason="?", opened_by="staff:1", opened_at=at)
    refused(promoter, 10_000, PromoterOnHold, at)
    Hold.objects.filter(pk=hold.pk).update(lifted_at=at)
    ask(promoter, 10_000, at)
    assert standing(promoter) == (40_000, 10_000, 0)


def test_who_owes_pays_that_off_first(at: datetime) -> None:
    make_rules(at)
    promoter = make_payee(at)
    owe(promoter, 3_000, at)
    refused(promoter, 1_000, StillOwes, at)
    earn(promoter, 5_000, at)
    assert standing(promoter) == (2_000, 0, 0)
    ask(promoter, 2_000, at)
    assert standing(promoter) == (0, 2_000, 0)


def test_nothing_is_withdrawn_before_limits_are_set(at: datetime) -> None:
    promoter = make_payee(at, available_fen=50_000)
    refused(promoter, 10_000, NoPayoutPolicy, at)
    make_rules(at)
    refused(promoter, 10_000, NoPayoutPolicy, at - timedelta(days=366))


def test_a_sum_that_the_channel_cannot_take_names_the_nearest_ones(at: datetime) -> None:
    make_rules(
        at, channel_single_min_fen=15_000, channel_single_max_fen=20_000,
        channel_day_max_fen=200_000,
    )  # fmt: skip
    promoter = make_payee(at, available_fen=50_000)
    refusal = refused(promoter, 21_000, SplitImpossible, at)
    assert refusal.params == {"nearest": "200.00 / 300.00"}


def test_an_unknown_promoter_is_not_found(at: datetime) -> None:
    make_rules(at)
    with pytest.raises(NotFound):
        request_withdrawal(promoter_id=999, amount_fen=10_000, at=at)


def test_the_whole_balance_is_withdrawn_once(at: datetime) -> None:
    make_rules(at)
    promoter = make_payee(at, available_fen=50_000)
    ask(promoter, 50_000, at)
    refused(promoter, 50_000, NotEnoughAvailable, at)
    refused(promoter, 100, NotEnoughAvailable, at)
    assert standing(promoter) == (0, 50_000, 0)
    assert booked("request") == [50_000]


# --- The request ----------------------------------------------------------------------------


def test_a_small_sum_is_approved_at_once_and_leaves_a_history(at: datetime) -> None:
    make_rules(at)
    promoter = make_payee(at, available_fen=50_000)
    request = ask(promoter, 30_000, at)
    row = only(promoter)
    assert (row.status, row.amount_fen, row.approved_at) == ("approved", 30_000, at)
    assert (row.tax_fen, row.net_fen, row.body) == (None, None, None)
    assert row.openid == promoter.member.openid
    assert row.number.isalnum() and len(row.number) <= 32
    assert (request.made_by, request.approvals_needed) == (f"member:{promoter.member_id}", 0)
    assert [(h.from_status, h.to_status) for h in history(row)] == [("requested", "approved")]


def test_a_large_sum_is_split_and_what_passes_the_day_goes_out_later(at: datetime) -> None:
    make_rules(at, channel_single_max_fen=20_000, channel_day_max_fen=50_000)
    promoter = make_payee(at, available_fen=100_000)
    found = quote(promoter_id=promoter.pk, amount_fen=100_000, at=at)
    request = ask(promoter, 100_000, at)
    rows = list(request.withdrawals.order_by("id"))
    assert [row.amount_fen for row in rows] == [20_000] * 5
    assert [piece.tax_fen for piece in found.pieces] == [0, 0, 0, 0, 4_000]
    assert (found.net_fen, request.estimated_tax_fen) == (96_000, 4_000)
    today = beijing_day(at)
    assert [(day - today).days for day in found.days] == [0, 0, 1, 1, 2]
    days = [(beijing_day(row.not_before) - today).days if row.not_before else 0 for row in rows]
    assert days == [0, 0, 1, 1, 2]
    assert standing(promoter) == (0, 100_000, 0)
    assert booked("request") == [20_000] * 5
    assert len({row.number for row in rows}) == 5


def test_a_second_request_plans_around_the_first(at: datetime) -> None:
    make_rules(at, channel_single_max_fen=20_000, channel_day_max_fen=50_000)
    promoter = make_payee(at, available_fen=100_000)
    ask(promoter, 40_000, at)
    found = quote(promoter_id=promoter.pk, amount_fen=20_000, at=at)
    assert [(day - beijing_day(at)).days for day in found.days] == [1]


def test_the_estimate_counts_what_is_already_on_its_way(at: datetime) -> None:
    make_rules(at)
    promoter = make_payee(at, available_fen=200_000)
    ask(promoter, 80_000, at)
    assert quote(promoter_id=promoter.pk, amount_fen=80_000, at=at).tax_fen == 16_000


def test_the_facts_are_told_once_each(at: datetime) -> None:
    make_rules(at, review_first=True)
    promoter = make_payee(at, available_fen=50_000)
    heard: list[Any] = []

    def hear_it(**ids: Any) -> None:
        heard.append({k: v for k, v in ids.items() if k not in {"signal", "sender"}})

    for fact in (withdrawal_requested, withdrawal_finished):
        fact.connect(hear_it, weak=False, dispatch_uid="test")
    try:
        request = ask(promoter, 10_000, at)
        cancel_withdrawal(withdrawal_id=only(promoter).pk, by=promoter.member.actor, at=at)
    finally:
        for fact in (withdrawal_requested, withdrawal_finished):
            unhear(fact, "test")
    assert heard == [
        {"request_id": request.pk, "promoter_id": promoter.pk},
        {"withdrawal_id": only(promoter).pk, "promoter_id": promoter.pk, "status": "cancelled"},
    ]


# --- Why people look ------------------------------------------------------------------------

RULES = {
    "review_first": True, "review_from_fen": 200_000, "two_persons_day_fen": 500_000,
    "two_persons_month_fen": 2_000_000,
}  # fmt: skip


def paid_before(promoter: Promoter, fen: int, when: datetime) -> None:
    """Put a finished withdrawal into the past, as a row."""
    request = WithdrawalRequest.objects.create(
        number=f"WR{Withdrawal.objects.count()}", promoter=promoter, amount_fen=fen,
        estimated_tax_fen=0, made_by="member:1", requested_at=when,
    )  # fmt: skip
    identity = Identity.objects.get(member=promoter.member_id)
    Withdrawal.objects.create(
        request=request, promoter=promoter, number=f"WD{Withdrawal.objects.count()}",
        amount_fen=fen, tax_fen=0, net_fen=fen, status="paid", payee_key=identity.id_index,
        openid=promoter.member.openid, body={}, requested_at=when, sent_at=when, finished_at=when,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("before", "fen", "reasons", "approvals"),
    [
        ([], 10_000, ["first"], 1),
        ([(40, 10_000)], 10_000, [], 0),
        ([(40, 10_000)], 199_999, [], 0),
        ([(40, 10_000)], 200_000, ["large"], 1),
        ([], 200_000, ["first", "large"], 1),
        ([(0, 300_000)], 199_999, [], 0),
        ([(0, 300_000)], 200_000, ["large", "day_sum"], 2),
        ([(0, 400_000)], 100_000, ["day_sum"], 2),
        ([(1, 400_000)], 100_000, [], 0),
        ([(1, 1_900_000)], 100_000, ["month_sum"], 2),
        ([(3, 1_900_000)], 100_000, [], 0),
        ([(1, 199_000), (1, 199_000)], 199_000, ["just_below"], 1),
        ([(1, 199_000), (8, 199_000)], 199_000, [], 0),
        ([(1, 199_000), (1, 189_000)], 199_000, [], 0),
    ],
)
def test_reasons_go_by_the_sum_of_the_request(
    before: list[tuple[int, int]], fen: int, reasons: list[str], approvals: int, at: datetime
) -> None:
    make_rules(at - timedelta(days=60), **RULES)
    promoter = make_payee(at, available_fen=1_000_000)
    for days, amount in before:  # 2 November: one day ago is this month, three are the last one
        paid_before(promoter, amount, at - timedelta(days=days))
    request = ask(promoter, fen, at)
    assert (request.review_reasons, request.approvals_needed) == (reasons, approvals)
    assert statuses(promoter)[-1] == ("reviewing" if approvals else "approved")
    assert standing(promoter) == (1_000_000 - fen, fen, 0)


def test_pieces_do_not_hide_a_large_sum(at: datetime) -> None:
    make_rules(at, **{**RULES, "review_first": False}, channel_single_max_fen=20_000,
               channel_day_max_fen=200_000)  # fmt: skip
    promoter = make_payee(at, available_fen=600_000)
    request = ask(promoter, 600_000, at)
    assert request.review_reasons == ["large", "day_sum"]
    assert statuses(promoter) == ["reviewing"] * 30


def test_what_was_given_back_does_not_count(at: datetime) -> None:
    make_rules(at, **{**RULES, "review_first": False})
    promoter = make_payee(at, available_fen=600_000)
    ask(promoter, 450_000, at)
    cancel_withdrawal(withdrawal_id=only(promoter).pk, by=promoter.member.actor, at=at)
    assert ask(promoter, 100_000, at).review_reasons == []


def test_a_new_person_behind_the_account_waits_three_days(at: datetime) -> None:
    make_rules(at)
    promoter = make_payee(at, available_fen=100_000)
    paid_before(promoter, 10_000, at - timedelta(days=40))
    decided = at - timedelta(hours=10)
    Identity.objects.filter(member=promoter.member_id).update(id_index="x" * 64, decided_at=decided)
    request = ask(promoter, 10_000, at)
    row = request.withdrawals.get()
    assert request.review_reasons == ["payee_changed"]
    assert row.not_before == decided + timedelta(hours=72)


def test_a_person_paid_through_another_account_is_looked_at(at: datetime) -> None:
    make_rules(at)
    first = make_payee(at, available_fen=10_000, person="110101199003070011")
    paid_before(first, 10_000, at - timedelta(days=40))
    Identity.objects.filter(member=first.member_id).update(status="rejected")
    second = make_payee(at, available_fen=10_000, person="110101199003070011")
    assert ask(second, 10_000, at).review_reasons == ["payee_shared"]


# --- Taking it back -------------------------------------------------------------------------


def test_a_withdrawal_that_is_not_sent_is_taken_back_once(at: datetime) -> None:
    make_rules(at, review_first=True)
    promoter = make_payee(at, available_fen=50_000)
    ask(promoter, 30_000, at)
    row = only(promoter)
    assert standing(promoter) == (20_000, 30_000, 0)
    cancel_withdrawal(withdrawal_id=row.pk, by=promoter.member.actor, at=at)
    assert standing(promoter) == (50_000, 0, 0)
    with pytest.raises(AlreadySent):
        cancel_withdrawal(withdrawal_id=row.pk, by=promoter.member.actor, at=at)
    assert standing(promoter) == (50_000, 0, 0)
    assert booked("return") == [30_000]
    assert only(promoter).status == "cancelled"


def test_what_does_not_exist_cannot_be_taken_back(at: datetime) -> None:
    with pytest.raises(NotFound):
        cancel_withdrawal(withdrawal_id=7, by=ANNA, at=at)


@pytest.mark.parametrize(
    ("needed", "returned", "left"),
    [(0, 0, 3), (1, 3_000, 2), (3_000, 3_000, 2), (3_001, 5_000, 1), (99_000, 6_000, 0)],
)
def test_a_clawback_takes_the_newest_unsent_withdrawals(
    needed: int, returned: int, left: int, at: datetime
) -> None:
    make_rules(at)
    promoter, other = make_payee(at, available_fen=6_000), make_payee(at, available_fen=9_000)
    for fen in (1_000, 2_000, 3_000):
        ask(promoter, fen, at)
    ask(other, 9_000, at)
    got = return_unsent(promoter_id=promoter.pk, needed_fen=needed, why="Refund 7", at=at)
    assert got == returned
    assert standing(promoter) == (returned, 6_000 - returned, 0)
    assert statuses(promoter) == ["approved"] * left + ["cancelled"] * (3 - left)
    assert standing(other) == (0, 9_000, 0)


def test_the_promoter_reads_why_a_clawback_took_it(at: datetime) -> None:
    make_rules(at)
    promoter = make_payee(at, available_fen=6_000)
    ask(promoter, 6_000, at)
    return_unsent(promoter_id=promoter.pk, needed_fen=10, why="Refund 7", at=at)
    row = only(promoter)
    assert row.fail_reason == "Refund 7"
    text = receivers_withdrawals.text_for(row, row.status)
    assert text is not None and "Refund 7" in text.body and "60.00" in text.body


def test_money_that_comes_back_pays_debts_first(at: datetime) -> None:
    make_rules(at)
    promoter = make_payee(at, available_fen=6_000)
    ask(promoter, 6_000, at)
    owe(promoter, 2_500, at)
    assert standing(promoter) == (0, 6_000, 2_500)
    cancel_withdrawal(withdrawal_id=only(promoter).pk, by=promoter.member.actor, at=at)
    assert standing(promoter) == (3_500, 0, 0)
