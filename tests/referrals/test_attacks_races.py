"""Steps that promoters, closings, moves and relabels take at the same moment."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from django.db import transaction

from orders.selectors_teams import TeamQuery, TeamSort, team_levels, team_page
from referrals import bulk, selectors_teams
from referrals.models import Closure, Promoter
from referrals.proofs import tree_faults
from referrals.services.closing import cancel_closing, close_account, close_accounts, close_promoter
from referrals.services.merging import approve_merge, propose_merge
from referrals.services.promoters import approve_application, reinstate_promoter, suspend_promoter
from tests.factories import AT, make_agreement, make_member, make_policy, make_promoter
from tests.referrals.attack_world import (
    ANNA,
    BORIS,
    DAY,
    SECONDS,
    Threads,
    fresh,
    merge,
    waiting_below,
)
from tests.referrals.joining import apply
from tests.referrals.locks import somebody_waits

pytestmark = pytest.mark.usefixtures("no_money")


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
def test_who_is_approved_while_his_upline_begins_to_close_becomes_a_root(
    run_threads: Threads,
) -> None:
    # accounts.md, closing: "nobody new below him: newcomers become roots".
    parent = make_promoter()
    row, begun = waiting_below(parent, AT), threading.Event()

    def work(thread: int) -> int:
        if thread == 1:
            assert begun.wait(SECONDS)
            return approve_application(application_id=row.pk, by=ANNA, at=AT)
        with transaction.atomic():
            close_promoter(promoter_id=parent.pk, reason="r", by=ANNA, at=AT)
            begun.set()
            somebody_waits()
        return 0

    newcomer = list(run_threads(2, work))[1]
    assert fresh(parent).status == "closing"
    assert Promoter.objects.get(pk=newcomer).parent_id is None
    assert not list(tree_faults())


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
def test_who_is_reinstated_while_he_begins_to_close_is_closing(run_threads: Threads) -> None:
    # accounts.md: "reinstated, it is being closed again, not active".
    promoter = make_promoter()
    suspend_promoter(promoter_id=promoter.pk, why="w", by=ANNA, at=AT)
    begun, reinstated = threading.Event(), threading.Event()

    def work(thread: int) -> None:
        if thread == 1:
            assert begun.wait(SECONDS)
            reinstate_promoter(promoter_id=promoter.pk, why="w", by=ANNA, at=AT)
            reinstated.set()
            return
        with transaction.atomic():
            close_promoter(promoter_id=promoter.pk, reason="r", by=ANNA, at=AT)
            begun.set()
            reinstated.wait(2)  # or the other one waits for this transaction

    run_threads(2, work)
    assert Closure.objects.get().status == "waiting"
    assert fresh(promoter).status in ("closing", "suspended")


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
def test_who_was_reinstated_while_he_began_to_close_is_closed_when_nothing_is_left(
    run_threads: Threads, settings: Any
) -> None:
    # accounts.md, Closing, 3: "Done ... by the job close_accounts every ten minutes".
    promoter = make_promoter()
    suspend_promoter(promoter_id=promoter.pk, why="w", by=ANNA, at=AT)
    begun, reinstated = threading.Event(), threading.Event()

    def work(thread: int) -> None:
        if thread == 1:
            assert begun.wait(SECONDS)
            reinstate_promoter(promoter_id=promoter.pk, why="w", by=ANNA, at=AT)
            reinstated.set()
            return
        with transaction.atomic():
            close_promoter(promoter_id=promoter.pk, reason="r", by=ANNA, at=AT)
            begun.set()
            reinstated.wait(2)

    run_threads(2, work)
    settings.CLOSING_CHECKS = {"promoter": [], "account": []}
    close_accounts(at=AT)
    assert fresh(promoter).status == "closed"


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("how", ["close", "merge"])
def test_who_applies_while_his_account_goes_is_no_promoter_of_an_account_that_is_gone(
    run_threads: Threads, how: str, settings: Any
) -> None:
    settings.CLOSING_CHECKS = {"promoter": [], "account": []}
    make_policy(gate="everyone")
    older, goes, agreement = make_member(joined_at=AT - DAY), make_member(), make_agreement()
    row = propose_merge(merged_id=goes.pk, survivor_id=older.pk, reason="r", by=ANNA, at=AT)
    applied, gone = threading.Event(), threading.Event()

    def work(thread: int) -> None:
        if thread == 1:
            assert applied.wait(SECONDS)
            if how == "close":
                close_account(member_id=goes.pk, reason="r", by=ANNA, at=AT)
            else:
                approve_merge(merge_id=row.pk, by=BORIS, at=AT)
            gone.set()
            return
        with transaction.atomic():
            apply(goes, AT, agreement)
            applied.set()
            gone.wait(2)

    run_threads(2, work)
    promoter = Promoter.objects.filter(member=goes).first()
    is_gone = fresh(goes).status in ("closed", "merged")
    assert not (is_gone and promoter and promoter.status == "active")


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
def test_who_is_reinstated_while_his_closing_is_taken_back_is_active(run_threads: Threads) -> None:
    # accounts.md: suspended "leads on to active, closing"; closing only while an account closes.
    promoter = make_promoter()
    suspend_promoter(promoter_id=promoter.pk, why="w", by=ANNA, at=AT)
    closure = close_promoter(promoter_id=promoter.pk, reason="r", by=ANNA, at=AT)
    begun, reinstated = threading.Event(), threading.Event()

    def work(thread: int) -> None:
        if thread == 1:
            assert begun.wait(SECONDS)
            reinstate_promoter(promoter_id=promoter.pk, why="w", by=ANNA, at=AT)
            reinstated.set()
            return
        with transaction.atomic():
            cancel_closing(closure_id=closure.pk, reason="r", by=ANNA, at=AT)
            begun.set()
            reinstated.wait(2)

    run_threads(2, work)
    assert fresh(closure).status == "cancelled"
    assert fresh(promoter).status in ("active", "suspended")


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
def test_joins_moves_relabels_merges_and_closings_at_once_never_deadlock(
    run_threads: Threads, monkeypatch: pytest.MonkeyPatch
) -> None:
    roots = [make_promoter() for _ in range(3)]
    heads = [make_promoter(roots[n % 3]) for n in range(6)]
    pairs = [(make_promoter(heads[n % 6]), make_promoter(roots[n % 3])) for n in range(6)]
    leaving = [make_promoter(heads[n % 6]) for n in range(6)]

    def work(thread: int) -> None:
        for n in range(6):
            if thread == 0:
                bulk.place_pending(at=AT)
                bulk.rebuild_labels()
            elif thread == 1:
                with transaction.atomic():
                    bulk.move(nodes=[heads[n].pk], to=roots[(n + 1) % 3].pk)
            elif thread == 2:
                merge(pairs[n][0].member, pairs[n][1].member, AT)
            elif thread == 3:
                close_promoter(promoter_id=leaving[n].pk, reason="r", by=ANNA, at=AT)
                close_accounts(at=AT)
            else:
                parent = (heads + leaving)[(n * 5 + thread) % 12]
                make_promoter(make_promoter(parent))

    list(run_threads(6, work))
    assert not list(tree_faults())
    assert sum(root.get_descendant_count() for root in roots) == 6 + 12 + 6 + 24


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
def test_levels_and_pages_of_a_team_are_exact_while_it_is_relabelled_and_moved(
    run_threads: Threads,
) -> None:
    here, there = make_promoter(), make_promoter()
    head = make_promoter(here)
    for _ in range(4):
        make_promoter(make_promoter(head))
    time = {"start": AT - DAY, "end": AT + DAY}
    query = TeamQuery(head.pk, **time, sort=TeamSort.GMV)

    def work(thread: int) -> set[Any]:
        seen = set()
        for n in range(15):
            if thread == 0:
                with transaction.atomic():
                    bulk.move(nodes=[head.pk], to=(here if n % 2 else there).pk)
            elif thread == 1:
                bulk.place_pending(at=AT)
                bulk.rebuild_labels()
            else:
                levels = team_levels(head.pk, **time)
                seen.add(tuple((row.level, row.promoters) for row in levels))
                seen.add(tuple(sorted(m.level for m in team_page(query, after=None, limit=9))))
                assert selectors_teams.team_count(head.pk) == 8
        return seen

    seen = set().union(*filter(None, run_threads(4, work)))
    assert seen == {((1, 4), (2, 4)), (1, 1, 1, 1, 2, 2, 2, 2)}
