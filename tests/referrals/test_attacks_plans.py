"""Kept plans: any type, failed transactions, cut connections, threads."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import DataError, IntegrityError, connection, transaction

from distro.prepared import keeping_plans
from referrals import bulk, selectors_teams
from referrals.models import Promoter
from tests.factories import AT, make_promoter
from tests.referrals.attack_world import Threads


def ask(*values: Any) -> Any:
    with keeping_plans() as cursor:
        cursor.execute("SELECT CAST(%s AS numeric), CAST(%s AS text)", values)
        return cursor.fetchone()


@pytest.mark.postgres
@pytest.mark.django_db
def test_a_kept_plan_takes_any_type_at_its_place() -> None:
    for _ in range(4):
        for value in (1, None, 2**15, 2**31, 2**62, 2**70, -1):
            found = ask(value, None)[0]
            assert found == value


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
def test_a_kept_plan_outlives_a_failed_transaction_and_a_closed_connection() -> None:
    root = make_promoter()
    for round_ in range(3):
        for n in range(4):
            selectors_teams.team_count(root.pk)
            with pytest.raises(IntegrityError), transaction.atomic():
                bulk.attach(member_id=root.member_id, parent_id=root.pk, code=f"{round_}{n}", at=AT)
            with pytest.raises(DataError), transaction.atomic():
                bulk.attach(member_id=2**63 - 1, parent_id=root.pk, code="x" * 99, at=AT)
        connection.close()
    assert selectors_teams.team_count(root.pk) == 0
    assert Promoter.objects.count() == 1


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("way", ["orm", "kept"])
def test_a_connection_cut_by_the_server_is_noticed_before_the_next_statement(way: str) -> None:
    # prepared.py: "Yield a cursor of the usual connection"; the usual one checks its health first.
    root = make_promoter()
    selectors_teams.team_count(root.pk)
    pid = connection.connection.info.backend_pid
    other = connection.copy()
    try:
        with other.cursor() as cursor:
            cursor.execute("SELECT pg_terminate_backend(%s)", [pid])
    finally:
        other.close()
    # As at the beginning of a request with CONN_HEALTH_CHECKS, which database_of_site() sets.
    connection.health_check_enabled, connection.health_check_done = True, False
    try:
        count = Promoter.objects.count if way == "orm" else selectors_teams.team_count
        assert count(*([root.pk] if way == "kept" else [])) == (way == "orm")
    finally:
        connection.close()


@pytest.mark.postgres
def test_threads_keep_their_own_plans(run_threads: Threads) -> None:
    root = make_promoter()
    for _ in range(3):
        make_promoter(root)
    run = run_threads(6, lambda _: [selectors_teams.team_count(root.pk) for _ in range(8)])
    assert list(run) == [[3] * 8] * 6
