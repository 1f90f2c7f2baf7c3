"""The monitor over real trees: flags, groups of one organiser, acknowledgements, the command."""

from __future__ import annotations

from datetime import datetime, timedelta
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import IntegrityError, connection, transaction
from django.test.utils import CaptureQueriesContext

from distro import clock
from distro.actors import Actor
from distro.models import AuditEntry
from distro.states import history
from referrals import bulk
from referrals.errors import ReasonMissing
from referrals.errors_exposure import NothingToAcknowledge
from referrals.models import ComplianceDay, CompliancePolicy, ComplianceState, Identity, Promoter
from referrals.selectors_compliance import (
    organisers,
    trees_of_organiser,
    unacknowledged_trees,
)
from referrals.services.compliance import Rewards, acknowledge_tree, check_trees, note_rewards
from tests.factories import make_member, make_promoter

pytestmark = pytest.mark.django_db

STAFF = Actor("staff", 7)
DAY = timedelta(days=1)


def tree(*, below_root: int = 0, below_first: int = 0, **root: Any) -> Promoter:
    """Make A with direct children, and children below the first of them."""
    top = make_promoter(**root)
    children = [make_promoter(parent=top) for _ in range(below_root)]
    for _ in range(below_first):
        make_promoter(parent=children[0])
    return top


def states() -> dict[int, tuple[str, int, int]]:
    rows = ComplianceState.objects.values_list("root", "status", "people", "depth")
    return {root: (status, people, depth) for root, status, people, depth in rows}


def test_trees_are_flagged_as_the_vectors_say(at: datetime) -> None:
    tree()
    tree(below_root=1)
    chain = tree(below_root=1, below_first=1)
    wide = tree(below_root=29)
    both = tree(below_root=1, below_first=28)
    nearly = tree(below_root=1, below_first=27)
    assert check_trees(at=at) == 4
    assert states() == {
        chain.pk: ("amber", 3, 3),
        wide.pk: ("amber", 30, 2),
        both.pk: ("red", 30, 3),
        nearly.pk: ("amber", 29, 3),
    }
    day = ComplianceDay.objects.get()
    assert (day.promoters, day.trees, day.amber, day.red) == (95, 6, 3, 1)


@pytest.mark.parametrize("label", [True, False])
def test_nodes_without_labels_count_like_the_others(at: datetime, label: bool) -> None:
    root = tree(below_root=2)
    if label:
        bulk.place_pending(at=at)
    middle = make_promoter(parent=Promoter.objects.filter(parent=root).earliest("pk"))
    leaf = make_promoter(parent=middle)
    assert Promoter.objects.get(pk=leaf.pk).pending
    check_trees(at=at)
    assert states() == {root.pk: ("amber", 5, 4)}
    bulk.rebuild_labels()
    check_trees(at=at)
    assert states() == {root.pk: ("amber", 5, 4)}


def test_who_was_suspended_or_left_is_counted(at: datetime) -> None:
    root = tree(below_root=1, below_first=1)
    Promoter.objects.filter(parent=root).update(status="closed")
    check_trees(at=at)
    assert states() == {root.pk: ("amber", 3, 3)}


# --- One organiser --------------------------------------------------------------------------


def test_trees_of_one_person_are_added_up(at: datetime) -> None:
    one = tree(below_root=14, member=make_member(phone_index="p"))
    two = tree(below_root=1, below_first=13, member=make_member(phone_index="p", unionid="u"))
    small = tree(member=make_member(unionid="u"))
    other = tree(below_root=14, member=make_member(phone_index="q"))
    assert check_trees(at=at) == 3
    assert states() == {
        one.pk: ("red", 15, 2), two.pk: ("red", 15, 3), small.pk: ("red", 1, 1)
    }  # fmt: skip
    row = ComplianceState.objects.get(root=small)
    assert (row.organiser_trees, row.organiser_people, row.organiser_depth) == (3, 31, 3)
    assert [state.root_id for state in trees_of_organiser(row)] == [one.pk, two.pk, small.pk]
    assert other.pk not in states()


@pytest.mark.parametrize("mark", ["unionid", "phone_index", "id_index"])
def test_a_person_is_known_by_unionid_phone_or_id_number(mark: str) -> None:
    roots = [make_promoter() for _ in range(3)]
    for root in roots[:2]:
        if mark == "id_index":
            Identity.objects.create(
                member=root.member, name="x", id_number="x", id_index="same",
                submitted_at=root.approved_at,
            )  # fmt: skip
        else:
            type(root.member).objects.filter(pk=root.member_id).update(**{mark: "same"})
    assert organisers() == [[roots[0].pk, roots[1].pk]]


def test_accounts_that_were_merged_are_one_person() -> None:
    stays, goes, other = (make_promoter() for _ in range(3))
    rows = type(goes.member).objects.filter(pk=goes.member_id)
    rows.update(merged_into=stays.member, status="merged")
    assert organisers() == [[stays.pk, goes.pk]]
    assert other.pk


def test_unknown_persons_are_not_one_person() -> None:
    for _ in range(3):
        make_promoter(member=make_member(phone_index="", unionid=None))
    assert organisers() == []


# --- From day to day ------------------------------------------------------------------------


def test_a_flag_keeps_its_beginning_while_the_numbers_follow(at: datetime) -> None:
    root = tree(below_root=1, below_first=1)
    check_trees(at=at)
    make_promoter(parent=root)
    check_trees(at=at + DAY)
    row = ComplianceState.objects.get()
    assert (row.status, row.people, row.since) == ("amber", 4, at)
    assert list(ComplianceDay.objects.order_by("day").values_list("amber", flat=True)) == [1, 1]


def test_an_acknowledgement_lasts_until_the_flag_changes(at: datetime) -> None:
    root = tree(below_root=1, below_first=27)
    check_trees(at=at)
    state = ComplianceState.objects.get()
    acknowledge_tree(state_id=state.pk, reason="talked to him", by=STAFF, at=at)
    check_trees(at=at + DAY)
    state.refresh_from_db()
    assert (state.acknowledged_by, state.acknowledged_at) == ("staff:7", at)
    make_promoter(parent=root)
    check_trees(at=at + 2 * DAY)
    state.refresh_from_db()
    assert (state.status, state.since) == ("red", at + 2 * DAY)
    assert (state.acknowledged_by, state.acknowledged_at, state.acknowledged_why) == ("", None, "")
    steps = history(state).values_list("from_status", "to_status")
    assert list(steps) == [("amber", "red")]


def test_a_tree_that_is_no_longer_flagged_keeps_its_row(at: datetime) -> None:
    tree(below_root=2)
    CompliancePolicy.objects.create(effective_from=at, people_from=3)
    assert check_trees(at=at) == 1
    CompliancePolicy.objects.create(effective_from=at + DAY, people_from=30)
    assert check_trees(at=at + DAY) == 0
    row = ComplianceState.objects.get()
    assert (row.status, row.people, row.since) == ("none", 3, at + DAY)
    assert not unacknowledged_trees().exists()


def test_a_run_without_changes_writes_the_day_alone(at: datetime) -> None:
    tree(below_root=1, below_first=1)
    check_trees(at=at)
    with CaptureQueriesContext(connection) as queries:
        check_trees(at=at)
    written = [q["sql"].split()[:2] for q in queries if q["sql"].startswith(("INS", "UPD"))]
    assert [words[1].strip('"') for words in written] == ["referrals_complianceday"]


def test_a_run_asks_as_often_for_many_trees_as_for_few(at: datetime) -> None:
    counts = []
    for _ in range(2):
        for _ in range(4):
            tree(below_root=1, below_first=1, member=make_member(phone_index="p"))
        check_trees(at=at)
        make_promoter()
        with CaptureQueriesContext(connection) as queries:
            check_trees(at=at)
        counts.append(len(queries))
    assert counts[0] == counts[1]


# --- Acknowledging --------------------------------------------------------------------------


def test_an_acknowledgement_says_who_and_why_and_is_audited(at: datetime) -> None:
    tree(below_root=1, below_first=1)
    check_trees(at=at)
    state = ComplianceState.objects.get()
    with pytest.raises(ReasonMissing):
        acknowledge_tree(state_id=state.pk, reason=" ", by=STAFF, at=at)
    assert not AuditEntry.objects.exists()
    acknowledge_tree(state_id=state.pk, reason="three friends", by=STAFF, at=at)
    entry = AuditEntry.objects.get()
    assert (entry.action, entry.reason) == ("compliance.acknowledge", "three friends")
    assert entry.detail == {"flag": "amber", "people": 3, "levels": 3}
    with pytest.raises(NothingToAcknowledge):
        acknowledge_tree(state_id=state.pk, reason="again", by=STAFF, at=at)
    assert AuditEntry.objects.count() == 1


# --- The database ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    "fields",
    [
        {"status": "green"},
        {"depth": 4},
        {"organiser_people": 2},
        {"organiser_depth": 2},
        {"organiser_trees": 0},
        {"acknowledged_by": "staff:1"},
        {"acknowledged_by": "staff:1", "acknowledged_why": "x"},
    ],
)
def test_the_database_refuses_a_state_that_contradicts_itself(
    at: datetime, fields: dict[str, Any]
) -> None:
    root = make_promoter()
    row = {
        "root": root, "first_root": root, "status": "amber", "people": 3, "depth": 3,
        "organiser_people": 3, "organiser_depth": 3, "since": at,
    }  # fmt: skip
    with pytest.raises(IntegrityError), transaction.atomic():
        ComplianceState.objects.create(**row | fields)
    ComplianceState.objects.create(**row)


@pytest.mark.parametrize(
    "fields",
    [
        {"people_from": 31},
        {"people_from": 1},
        {"depth_from": 4},
        {"depth_from": 1},
        {"reward_days": 0},
        {"reward_limit_bps": 10_001},
        {"ghost_limit_bps": 10_001},
        {"reward_gate_fen": 0},
    ],
)
def test_the_law_can_be_tightened_but_not_loosened(at: datetime, fields: dict[str, int]) -> None:
    with pytest.raises(IntegrityError), transaction.atomic():
        CompliancePolicy.objects.create(effective_from=at, **fields)


def test_a_compliance_policy_that_applies_stays_as_it_is(at: datetime) -> None:
    row = CompliancePolicy.objects.create(effective_from=at)
    row.people_from = 20
    with pytest.raises(IntegrityError), transaction.atomic():
        row.save()
    with pytest.raises(IntegrityError), transaction.atomic():
        row.delete()


@pytest.mark.parametrize(
    "fields",
    [
        {"rewards_fen": 10, "cash_fen": 6, "coupons_fen": 5},
        {"rewards_fen": 10, "cash_fen": -1, "coupons_fen": 5},
        {"sellers": 1, "ghosts": 2},
    ],
)
def test_a_day_with_a_part_above_the_whole_is_refused(at: datetime, fields: dict[str, int]) -> None:
    with pytest.raises(IntegrityError), transaction.atomic():
        ComplianceDay.objects.create(day=at.date(), **fields)


# --- The command ----------------------------------------------------------------------------


def run(monkeypatch: pytest.MonkeyPatch, at: datetime) -> tuple[str, int]:
    monkeypatch.setattr(clock, "now", lambda: at)
    out = StringIO()
    try:
        call_command("check_compliance", stdout=out)
    except CommandError as error:
        return out.getvalue(), error.returncode
    return out.getvalue(), 0


def test_the_command_fails_only_for_red_that_nobody_acknowledged(
    monkeypatch: pytest.MonkeyPatch, at: datetime
) -> None:
    assert run(monkeypatch, at) == (
        "compliance: 0 trees, 0 promoters, 0 amber, 0 red\nrewards: not looked at yet\n", 0
    )  # fmt: skip
    amber = tree(below_root=1, below_first=1)
    out, code = run(monkeypatch, at)
    assert code == 0
    assert f"amber tree {amber.pk}: 3 people, 3 levels, since 2026-11-02, open" in out
    red = tree(below_root=1, below_first=28, member=make_member(nickname="欧阳明日"))
    out, code = run(monkeypatch, at)
    assert code == 1
    assert out.splitlines()[0].startswith(f"red tree {red.pk}: 30 people, 3 levels")
    assert "欧阳" not in out
    state = ComplianceState.objects.get(root=red)
    acknowledge_tree(state_id=state.pk, reason="lawyer asked", by=STAFF, at=at)
    out, code = run(monkeypatch, at)
    assert code == 0
    assert "acknowledged by staff:7" in out


def test_the_command_says_what_was_found_about_rewards(
    monkeypatch: pytest.MonkeyPatch, at: datetime
) -> None:
    found = Rewards(at - 30 * DAY, 500, 0, 100, 1_000, 4, 3)
    note_rewards(rewards=found, at=at)
    out, _code = run(monkeypatch, at)
    assert "rewards: 500 fen, without a paid order 0 in cash, 100 in coupons" in out
    assert "3 of 4 promoters sold only the minimum" in out
    note_rewards(rewards=Rewards(at - 30 * DAY, 0, 0, 0, None, None, None), at=at)
    assert "no purchase opens a reward" in run(monkeypatch, at)[0]
