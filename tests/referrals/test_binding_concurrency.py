"""Bindings, visits and the forgetting of devices under eight threads, on PostgreSQL."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.db import connection, transaction

from distro.actors import Actor
from distro.errors import DomainError
from referrals.models import Binding, Promoter, Visit
from referrals.proofs_bindings import binding_faults
from referrals.services.bindings import expire_bindings, touch
from referrals.services.bindings_staff import bind_by_staff, end_binding
from referrals.services.links import forget_visitors, open_link
from referrals.signals import binding_ended
from tests.factories import make_link, make_member, make_policy, make_promoter

pytestmark = [pytest.mark.postgres, pytest.mark.django_db(transaction=True)]

STAFF = Actor("staff", 1)
DAY = timedelta(days=1)
Threads = Callable[..., Any]


@pytest.fixture
def endings() -> Any:
    heard: list[int] = []

    def hear(binding_id: int, **kw: object) -> None:
        heard.append(binding_id)

    binding_ended.connect(hear, weak=False, dispatch_uid="test")
    yield heard
    binding_ended.disconnect(dispatch_uid="test")


def test_one_opening_sent_eight_times_is_one_visit_and_one_touch(
    run_threads: Threads, at: datetime
) -> None:
    make_policy(binding_mode="last_touch", protection_days=0)
    customer, link = make_member(), make_link()
    run = run_threads(
        8,
        lambda _: open_link(
            code=link.code, visit_key="visit-1", member=customer, device="d", ip="10.0.0.1",
            scene="", at=at,
        ),
    )  # fmt: skip
    assert {opening.outcome for opening in run} == {"bound"}
    assert (Visit.objects.count(), Binding.objects.count()) == (1, 1)
    assert Visit.objects.get().member == customer


def test_a_strangers_visit_is_taken_over_once(run_threads: Threads, at: datetime) -> None:
    link, customer = make_link(), make_member()
    facts: dict[str, Any] = {
        "code": link.code, "visit_key": "visit-1", "device": "", "ip": "", "scene": "", "at": at,
    }  # fmt: skip
    open_link(member=None, **facts)
    run = run_threads(8, lambda _: open_link(member=customer, **facts))
    assert {opening.outcome for opening in run} == {"bound"}
    assert Binding.objects.count() == 1


def test_two_links_of_one_key_leave_one_visit(run_threads: Threads, at: datetime) -> None:
    links, customer = [make_link() for _ in range(8)], make_member()
    run = run_threads(
        8,
        lambda n: open_link(
            code=links[n].code, visit_key="visit-1", member=customer, device="", ip="", scene="",
            at=at,
        ),
    )  # fmt: skip
    assert len(run.results) == 1
    assert {getattr(error, "code", error) for error in run.errors.values()} == {"visit_key_used"}
    assert (Visit.objects.count(), Binding.objects.count()) == (1, 1)


def test_a_binding_ends_once_whoever_ends_it(
    run_threads: Threads, at: datetime, endings: list[int]
) -> None:
    """Expiry, staff and touches of others reach for the same rows at the same moment."""
    make_policy(binding_mode="last_touch", protection_days=0, binding_days=10)
    customers = [make_member() for _ in range(6)]
    for customer in customers:
        touch(member_id=customer.pk, link=make_link(), at=at)
    ids, links = list(Binding.objects.values_list("pk", flat=True)), [make_link() for _ in range(8)]
    later = at + 10 * DAY

    def work(thread: int) -> None:
        for n, customer in enumerate(customers):
            try:
                if thread % 3 == 0:
                    expire_bindings(at=later)
                elif thread % 3 == 1:
                    touch(member_id=customer.pk, link=links[thread], at=later)
                else:
                    end_binding(binding_id=ids[n], reason="x", by=STAFF, at=later)
            except DomainError as refusal:
                assert refusal.code == "not_found"  # noqa: PT017 - somebody else was first

    list(run_threads(8, work))
    assert len(endings) == len(set(endings)) == Binding.objects.exclude(ended_at=None).count()
    assert set(ids) <= set(endings)
    assert Binding.objects.filter(ended_at=None).count() == len(customers)
    assert list(binding_faults()) == []


def test_a_touch_waits_for_who_is_ending_the_binding(
    run_threads: Threads, at: datetime, endings: list[int]
) -> None:
    """It would take over a binding that is ended already, and end it a second time."""
    make_policy(binding_mode="last_touch", protection_days=0)
    customer, link = make_member(), make_link()
    touch(member_id=customer.pk, link=make_link(), at=at)
    old, ended = Binding.objects.get(), threading.Event()

    def work(thread: int) -> str:
        if thread == 1:
            assert ended.wait(10)
            return touch(member_id=customer.pk, link=link, at=at + DAY).outcome
        with transaction.atomic():
            end_binding(binding_id=old.pk, reason="x", by=STAFF, at=at + DAY)
            ended.set()
            time.sleep(1)  # the touch is at the row meanwhile
        return "ended"

    assert list(run_threads(2, work)) == ["ended", "bound"]
    old.refresh_from_db()
    assert (old.end_reason, endings) == ("staff", [old.pk])


@pytest.mark.parametrize("door", ["touch", "staff"])
def test_two_promoters_who_bind_each_other_make_no_cycle(
    run_threads: Threads, at: datetime, door: str
) -> None:
    for _ in range(5):
        pair = [make_promoter(), make_promoter()]
        links = [make_link(one.member) for one in pair]

        def work(n: int, pair: list[Promoter] = pair, links: list[Any] = links) -> None:
            member_id = pair[1 - n].member_id
            if door == "touch":
                touch(member_id=member_id, link=links[n], at=at)
            else:
                bind_by_staff(
                    member_id=member_id, promoter_id=pair[n].pk, reason="x", by=STAFF, at=at
                )

        run = run_threads(2, work)
        assert [type(error).__name__ for error in run.errors.values()] == ["ReferralCycle"]
        assert Binding.objects.filter(promoter__in=pair).count() == 1


def test_staff_and_touches_leave_one_open_binding(run_threads: Threads, at: datetime) -> None:
    make_policy(binding_mode="last_touch", protection_days=0)
    customer, promoters = make_member(), [make_promoter() for _ in range(8)]
    links = [make_link(one.member) for one in promoters]

    def work(n: int) -> None:
        if n % 2:
            touch(member_id=customer.pk, link=links[n], at=at)
        else:
            bind_by_staff(
                member_id=customer.pk, promoter_id=promoters[n].pk, reason="x", by=STAFF, at=at
            )

    list(run_threads(8, work))
    assert Binding.objects.filter(ended_at=None).count() == 1
    assert Binding.objects.count() == 8


def test_visits_are_forgotten_by_any_number_of_workers(run_threads: Threads, at: datetime) -> None:
    link = make_link()
    for n in range(20):
        open_link(
            code=link.code, visit_key=f"visit-{n:03d}", member=None, device=f"d{n}", ip="10.0.0.1",
            scene="", at=at,
        )  # fmt: skip
    list(run_threads(8, lambda _: forget_visitors(at=at + 180 * DAY)))
    with connection.cursor() as cursor:
        cursor.execute("SELECT DISTINCT device_hmac, ip_hmac, ip_truncated FROM referrals_visit")
        assert cursor.fetchall() == [("", "", "")]
