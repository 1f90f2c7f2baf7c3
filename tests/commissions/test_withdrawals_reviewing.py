"""People decide: two different ones for large sums, never who asked, and money moves once."""

from __future__ import annotations

from datetime import datetime

import pytest

from commissions.errors_withdrawals import (
    AlreadyApproved,
    MakerCannotApprove,
    NothingToDecide,
    OnlyStaffDecides,
)
from commissions.models import Withdrawal, WithdrawalApproval, WithdrawalRequest
from commissions.selectors_withdrawals import requests_to_review
from commissions.services.reviewing import (
    approve_request,
    hold_request,
    reject_request,
    release_request,
)
from commissions.services.withdrawals import cancel_withdrawal, request_withdrawal
from distro.actors import SYSTEM, Actor
from distro.errors import DomainError, NotFound
from distro.models import AuditEntry
from referrals.errors import ReasonMissing
from referrals.models import Promoter
from tests.commissions.payout_world import (
    ANNA,
    BORIS,
    CARL,
    booked,
    make_payee,
    make_rules,
    standing,
    statuses,
)

pytestmark = pytest.mark.django_db


@pytest.fixture
def promoter(at: datetime) -> Promoter:
    make_rules(at, review_first=True, two_persons_day_fen=50_000, channel_single_max_fen=20_000,
               channel_day_max_fen=200_000)  # fmt: skip
    return make_payee(at, available_fen=100_000)


@pytest.fixture
def small(promoter: Promoter, at: datetime) -> WithdrawalRequest:
    """A request that one person decides on."""
    return request_withdrawal(promoter_id=promoter.pk, amount_fen=30_000, at=at)


@pytest.fixture
def large(promoter: Promoter, at: datetime) -> WithdrawalRequest:
    """A request of three transfers that two persons decide on."""
    return request_withdrawal(promoter_id=promoter.pk, amount_fen=60_000, at=at)


def refused(call, error: type[DomainError], promoter: Promoter) -> None:
    before = standing(promoter), statuses(promoter), WithdrawalApproval.objects.count()
    audits = AuditEntry.objects.count()
    with pytest.raises(error):
        call()
    assert before == (standing(promoter), statuses(promoter), WithdrawalApproval.objects.count())
    assert audits == AuditEntry.objects.count()


def test_one_approval_is_enough_for_a_small_sum(
    small: WithdrawalRequest, promoter: Promoter, at: datetime
) -> None:
    assert statuses(promoter) == ["reviewing", "reviewing"]
    assert list(requests_to_review()) == [small]
    approve_request(request_id=small.pk, by=ANNA, at=at)
    assert statuses(promoter) == ["approved", "approved"]
    assert list(requests_to_review()) == []
    assert standing(promoter) == (70_000, 30_000, 0)


def test_a_large_sum_needs_two_different_persons(
    large: WithdrawalRequest, promoter: Promoter, at: datetime
) -> None:
    assert (large.review_reasons, large.approvals_needed) == (["first", "day_sum"], 2)
    approve_request(request_id=large.pk, by=ANNA, at=at)
    assert statuses(promoter) == ["reviewing"] * 3
    refused(lambda: approve_request(request_id=large.pk, by=ANNA, at=at), AlreadyApproved, promoter)
    approve_request(request_id=large.pk, by=BORIS, at=at)
    assert statuses(promoter) == ["approved"] * 3
    refused(lambda: approve_request(request_id=large.pk, by=CARL, at=at), NothingToDecide, promoter)
    people = large.approvals.order_by("id").values_list("approved_by", flat=True)
    assert list(people) == ["staff:1", "staff:2"]


def test_who_made_a_request_never_approves_it(promoter: Promoter, at: datetime) -> None:
    request = request_withdrawal(promoter_id=promoter.pk, amount_fen=30_000, at=at, by=ANNA)
    refused(
        lambda: approve_request(request_id=request.pk, by=ANNA, at=at),
        MakerCannotApprove, promoter,
    )  # fmt: skip
    approve_request(request_id=request.pk, by=BORIS, at=at)
    assert statuses(promoter) == ["approved", "approved"]


@pytest.mark.parametrize("by", [SYSTEM, Actor("member", 1), Actor("wechat", 0)])
def test_only_staff_decides(
    by: Actor, small: WithdrawalRequest, promoter: Promoter, at: datetime
) -> None:
    for call in (
        lambda: approve_request(request_id=small.pk, by=by, at=at),
        lambda: reject_request(request_id=small.pk, reason="no", by=by, at=at),
        lambda: hold_request(request_id=small.pk, reason="wait", by=by, at=at),
        lambda: release_request(request_id=small.pk, by=by, at=at),
    ):
        refused(call, OnlyStaffDecides, promoter)


def test_an_unknown_request_is_not_found(promoter: Promoter, at: datetime) -> None:
    refused(lambda: approve_request(request_id=77, by=ANNA, at=at), NotFound, promoter)
    refused(lambda: reject_request(request_id=77, reason="x", by=ANNA, at=at), NotFound, promoter)


def test_a_rejection_returns_every_piece_once(
    large: WithdrawalRequest, promoter: Promoter, at: datetime
) -> None:
    approve_request(request_id=large.pk, by=ANNA, at=at)
    assert standing(promoter) == (40_000, 60_000, 0)
    reject_request(request_id=large.pk, reason="Unclear orders", by=BORIS, at=at)
    assert statuses(promoter) == ["rejected"] * 3
    assert standing(promoter) == (100_000, 0, 0)
    refused(
        lambda: reject_request(request_id=large.pk, reason="again", by=BORIS, at=at),
        NothingToDecide, promoter,
    )  # fmt: skip
    refused(lambda: approve_request(request_id=large.pk, by=CARL, at=at), NothingToDecide, promoter)
    assert booked("return") == [20_000] * 3
    rows = Withdrawal.objects.filter(promoter=promoter)
    assert set(rows.values_list("fail_reason", flat=True)) == {"Unclear orders"}


@pytest.mark.parametrize("reason", ["", "   "])
def test_a_refusal_needs_a_reason(
    reason: str, small: WithdrawalRequest, promoter: Promoter, at: datetime
) -> None:
    for call in (reject_request, hold_request):
        refused(
            lambda call=call: call(request_id=small.pk, reason=reason, by=ANNA, at=at),
            ReasonMissing, promoter,
        )  # fmt: skip


def test_a_hold_stops_a_request_and_a_release_lets_it_go_on(
    small: WithdrawalRequest, promoter: Promoter, at: datetime
) -> None:
    hold_request(request_id=small.pk, reason="Ask the promoter", by=ANNA, at=at)
    assert statuses(promoter) == ["held", "held"]
    refused(
        lambda: approve_request(request_id=small.pk, by=BORIS, at=at), NothingToDecide, promoter
    )
    refused(
        lambda: hold_request(request_id=small.pk, reason="more", by=BORIS, at=at),
        NothingToDecide, promoter,
    )  # fmt: skip
    release_request(request_id=small.pk, by=BORIS, at=at)
    assert statuses(promoter) == ["reviewing", "reviewing"]
    approve_request(request_id=small.pk, by=BORIS, at=at)
    hold_request(request_id=small.pk, reason="Stop", by=ANNA, at=at)
    release_request(request_id=small.pk, by=ANNA, at=at)
    assert statuses(promoter) == ["approved", "approved"]  # it was approved before
    assert standing(promoter) == (70_000, 30_000, 0)


def test_a_released_request_still_needs_both_approvals(
    large: WithdrawalRequest, promoter: Promoter, at: datetime
) -> None:
    approve_request(request_id=large.pk, by=ANNA, at=at)
    hold_request(request_id=large.pk, reason="Ask", by=ANNA, at=at)
    release_request(request_id=large.pk, by=ANNA, at=at)
    assert statuses(promoter) == ["reviewing"] * 3


def test_a_held_request_can_be_rejected(
    small: WithdrawalRequest, promoter: Promoter, at: datetime
) -> None:
    hold_request(request_id=small.pk, reason="Ask", by=ANNA, at=at)
    reject_request(request_id=small.pk, reason="No answer", by=ANNA, at=at)
    assert standing(promoter) == (100_000, 0, 0)


def test_one_piece_taken_back_leaves_the_decision_on_the_others(
    large: WithdrawalRequest, promoter: Promoter, at: datetime
) -> None:
    first = large.withdrawals.order_by("id").first()
    assert first is not None
    cancel_withdrawal(withdrawal_id=first.pk, by=promoter.member.actor, at=at)
    approve_request(request_id=large.pk, by=ANNA, at=at)
    approve_request(request_id=large.pk, by=BORIS, at=at)
    assert statuses(promoter) == ["cancelled", "approved", "approved"]
    assert standing(promoter) == (60_000, 40_000, 0)


def test_every_decision_is_in_the_audit_trail(
    small: WithdrawalRequest, promoter: Promoter, at: datetime
) -> None:
    hold_request(request_id=small.pk, reason="Ask", by=ANNA, at=at)
    release_request(request_id=small.pk, by=ANNA, at=at)
    approve_request(request_id=small.pk, by=BORIS, at=at)
    reject_request(request_id=small.pk, reason="Second thoughts", by=CARL, at=at)
    trail = AuditEntry.objects.order_by("id").values_list("action", "actor_id", "reason")
    assert list(trail) == [
        ("withdrawal.hold", 1, "Ask"),
        ("withdrawal.release", 1, ""),
        ("withdrawal.approve", 2, ""),
        ("withdrawal.reject", 3, "Second thoughts"),
    ]
