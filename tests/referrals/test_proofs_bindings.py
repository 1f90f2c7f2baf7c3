"""The proof of bindings finds what no constraint can refuse."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from referrals.models import Binding
from referrals.proofs_bindings import FAULTS_MAX, binding_faults
from referrals.services.bindings import touch
from tests.factories import AT, make_link, make_member, make_policy, make_promoter

pytestmark = pytest.mark.django_db

DAY = timedelta(days=1)


def bind(**kw: Any) -> Binding:
    facts = {"mode": "first_touch", "started_at": AT, "made_by": "system:0"}
    member = kw.pop("member", None) or make_member()
    promoter = kw.pop("promoter", None) or make_promoter()
    return Binding.objects.create(member=member, promoter=promoter, **facts | kw)


def through(**link: Any) -> Binding:
    promoter = make_promoter()
    return bind(promoter=promoter, link=make_link(promoter.member, **link))


def himself() -> Binding:
    promoter = make_promoter()
    return bind(promoter=promoter, member=promoter.member)


def of_a_younger_promoter() -> Binding:
    promoter = make_promoter(member=make_member(joined_at=AT + DAY))
    return bind(promoter=promoter, link=make_link(promoter.member))


def beside_an_open_one() -> Binding:
    first = bind()
    ended = {"started_at": AT + DAY, "ended_at": AT + 2 * DAY, "end_reason": "staff"}
    bind(member=first.member, **ended)
    return first


def beside_an_ended_one() -> Binding:
    first = bind(ended_at=AT + 2 * DAY, end_reason="staff")
    bind(member=first.member, started_at=AT + DAY)
    return first


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (himself, "its customer is the promoter himself"),
        (lambda: bind(link=make_link()), "its link is not the promoter's"),
        (lambda: through(employee_only=True), "an employee's code made it"),
        (lambda: through(created_at=AT + DAY), "it began before its link was made"),
        (lambda: through(revoked_at=AT - DAY), "it began when its link was over"),
        (lambda: through(expires_at=AT), "it began when its link was over"),
        (of_a_younger_promoter, "its promoter joined after the customer"),
        (beside_an_open_one, "another one of its customer began before it ended"),
        (beside_an_ended_one, "another one of its customer began before it ended"),
    ],
)
def test_a_fault_is_found(make: Callable[[], Binding], text: str) -> None:
    binding = make()
    assert list(binding_faults()) == [f"binding {binding.pk}: {text}"]


def test_nothing_is_found_where_all_is_right() -> None:
    make_policy(binding_mode="last_touch", protection_days=0, binding_days=5)
    customer, links = make_member(), [make_link() for _ in range(4)]
    for n, link in enumerate([*links, links[0]]):
        touch(member_id=customer.pk, link=link, at=AT + (n // 2) * 4 * DAY)
    assert Binding.objects.count() == 5
    bind(mode="import", ended_at=AT + 2 * DAY, end_reason="rebound", member=customer)
    assert list(binding_faults()) == []


def test_a_hundred_faults_of_a_kind_are_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("referrals.proofs_bindings.FAULTS_MAX", 2)
    for _ in range(4):
        himself()
    assert len(list(binding_faults())) == 2
    assert FAULTS_MAX == 100
