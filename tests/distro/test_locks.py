from __future__ import annotations

import time

import pytest
from django.db import connection, transaction

from distro.locks import Lock, advisory


def test_the_numbers_never_change():
    numbers = {lock.name: lock.value for lock in Lock}
    assert numbers == {
        "TREE_MOVE": 1, "SEAL": 2, "PERIOD": 3, "DEMO_LOAD": 4, "ROOT_COUNTER": 5,
        "BINDING_CYCLE": 6, "APPROVAL": 7, "PERSON": 20,
    }  # fmt: skip


def test_a_lock_needs_a_transaction(transactional_db):
    with pytest.raises(RuntimeError):
        advisory(Lock.SEAL)


@pytest.mark.parametrize("key", [2**31, -(2**31) - 1])
def test_a_key_must_fit(db, key):
    with pytest.raises(AssertionError):
        advisory(Lock.SEAL, key)


def test_sqlite_needs_none(db, django_assert_num_queries):
    queries = 1 if connection.vendor == "postgresql" else 0
    with django_assert_num_queries(queries):
        advisory(Lock.SEAL, -(2**31))


@pytest.mark.postgres
def test_one_holder_at_a_time_for_each_key(run_threads):
    held, together = [], []

    def hold(number):
        with transaction.atomic():
            advisory(Lock.SEAL, key=number % 2)
            mine = [n for n in held if n % 2 == number % 2]
            together.extend(mine)
            held.append(number)
            time.sleep(0.02)
            held.remove(number)

    list(run_threads(6, hold))
    assert together == []
