"""Several at once about one member or one tree, with real transactions on PostgreSQL."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest

from distro.actors import Actor
from distro.models import AuditEntry, StateChange
from referrals.errors_exposure import AlreadyInvited, NothingToAcknowledge
from referrals.models import (
    ComplianceDay,
    ComplianceState,
    ExposureDecision,
    ExposureInvitation,
    ExposurePolicy,
)
from referrals.services.compliance import acknowledge_tree, check_trees
from referrals.services.exposure import decide_exposure, invite_to_promote
from tests.factories import make_member, make_promoter

pytestmark = [pytest.mark.postgres, pytest.mark.django_db(transaction=True)]

Threads = Callable[..., Any]
STAFF = Actor("staff", 7)


def test_eight_requests_of_one_member_are_written_once(run_threads: Threads, at: datetime) -> None:
    member = make_member()
    ExposurePolicy.objects.create(effective_from=at, holdout_bps=1_000, salt="s")
    rows = list(run_threads(8, lambda _: decide_exposure(member=member, at=at)))
    assert ExposureDecision.objects.count() == 1
    assert len({row.pk for row in rows}) == 1


def test_requests_on_both_sides_of_a_change_are_all_written(
    run_threads: Threads, at: datetime
) -> None:
    member, later = make_member(), at + timedelta(days=1)
    ExposurePolicy.objects.create(effective_from=at, holdout_bps=0)
    ExposurePolicy.objects.create(effective_from=later, segment="nobody", holdout_bps=0)
    run = run_threads(8, lambda n: decide_exposure(member=member, at=later if n % 2 else at))
    for number, row in enumerate(run):
        assert row.shown is (number % 2 == 0)
    numbers = ExposureDecision.objects.order_by("number").values_list("number", "shown")
    assert [number for number, _ in numbers] == list(range(1, len(numbers) + 1))
    assert {shown for _, shown in numbers} == {True, False}
    assert all(one[1] != two[1] for one, two in zip(numbers, list(numbers)[1:]))


def test_eight_invitations_of_one_member_make_one(run_threads: Threads, at: datetime) -> None:
    member = make_member()
    run = run_threads(
        8, lambda _: invite_to_promote(member_id=member.pk, reason="x", by=STAFF, at=at)
    )
    assert {type(error) for error in run.errors.values()} == {AlreadyInvited}
    assert len(run.errors) == 7
    assert ExposureInvitation.objects.count() == AuditEntry.objects.count() == 1


def test_runs_of_the_monitor_beside_one_another_agree(run_threads: Threads, at: datetime) -> None:
    flagged = make_promoter()
    make_promoter(parent=make_promoter(parent=flagged))
    assert list(run_threads(4, lambda _: check_trees(at=at))) == [1] * 4
    assert ComplianceState.objects.count() == ComplianceDay.objects.count() == 1
    below = make_promoter(parent=flagged)
    for _ in range(26):
        make_promoter(parent=below)
    assert list(run_threads(4, lambda _: check_trees(at=at))) == [1] * 4
    state = ComplianceState.objects.get()
    assert (state.status, state.people) == ("red", 30)
    assert StateChange.objects.filter(model="referrals.compliancestate").count() == 1


def test_of_eight_acknowledgements_one_stands(run_threads: Threads, at: datetime) -> None:
    make_promoter(parent=make_promoter(parent=make_promoter()))
    check_trees(at=at)
    state = ComplianceState.objects.get()
    run = run_threads(
        8,
        lambda n: acknowledge_tree(
            state_id=state.pk, reason=f"r{n}", by=Actor("staff", n + 1), at=at
        ),
    )
    assert {type(error) for error in run.errors.values()} == {NothingToAcknowledge}
    assert len(run.results) == AuditEntry.objects.count() == 1
