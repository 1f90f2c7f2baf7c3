"""What the database itself refuses about bindings, links, visits and employees."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.db import IntegrityError, connection, transaction

from referrals.models import Binding, Employee, ShareLink, Visit
from tests.factories import AT, make_link, make_member, make_promoter

pytestmark = pytest.mark.django_db

DAY = timedelta(days=1)
LATER, EARLIER = AT + DAY, AT - DAY


def make_binding(**kw: Any) -> Binding:
    facts = {"mode": "first_touch", "started_at": AT, "made_by": "system:0"}
    promoter = kw.pop("promoter", None) or make_promoter()
    member = kw.pop("member", None) or make_member()
    return Binding.objects.create(member=member, promoter=promoter, **facts | kw)


def make_visit(**kw: Any) -> Visit:
    facts = {
        "link": make_link(), "visit_key": "visit-1", "device_hmac": "d", "ip_hmac": "i",
        "ip_truncated": "10.0.0.0/24", "occurred_at": AT,
    }  # fmt: skip
    return Visit.objects.create(**facts | kw)


def make_employee(**kw: Any) -> Employee:
    return Employee.objects.create(
        **{"member": make_member(), "since": AT, "made_by": "staff:1"} | kw
    )


ENDED = {"ended_at": LATER, "end_reason": "staff"}


@pytest.mark.parametrize(
    ("make", "name"),
    [
        (lambda: make_binding(mode="guess"), "binding_mode_known"),
        (lambda: make_binding(expires_at=AT), "binding_expires_after_start"),
        (lambda: make_binding(protected_until=AT), "binding_protected_while_valid"),
        (
            lambda: make_binding(protected_until=AT + 2 * DAY, expires_at=LATER),
            "binding_protected_while_valid",
        ),
        (lambda: make_binding(ended_at=LATER), "binding_end_has_reason"),
        (lambda: make_binding(end_reason="staff"), "binding_end_has_reason"),
        (lambda: make_binding(**ENDED | {"ended_at": EARLIER}), "binding_ends_after_start"),
        (lambda: make_binding(mode="manual"), "binding_manual_has_reason"),
        (lambda: make_link(target="product"), "share_link_target_fits_object"),
        (lambda: make_link(target="live"), "share_link_target_fits_object"),
        (lambda: make_link(target="material"), "share_link_target_fits_object"),
        (lambda: make_link(target="home", target_ref="P1"), "share_link_target_fits_object"),
        (lambda: make_link(target="moon", target_ref="P1"), "share_link_target_fits_object"),
        (lambda: make_link(channel="pigeon"), "share_link_channel_known"),
        (lambda: make_link(broken_since=AT), "share_link_broken_has_reason"),
        (lambda: make_link(broken_reason="gone"), "share_link_broken_has_reason"),
        (lambda: make_visit(forgotten_at=LATER), "visit_forgotten_is_empty"),
        (lambda: make_employee(left_at=EARLIER), "employee_leaves_after_start"),
    ],
)
def test_the_database_refuses(make: Callable[[], object], name: str) -> None:
    with pytest.raises(IntegrityError, match=name), transaction.atomic():
        make()
    assert not (Binding.objects.exists() or Visit.objects.exists() or Employee.objects.exists())


def test_a_member_has_one_open_binding_at_a_time() -> None:
    first = make_binding()
    with pytest.raises(IntegrityError), transaction.atomic():
        make_binding(member=first.member)
    make_binding(member=make_member())
    Binding.objects.filter(pk=first.pk).update(**ENDED)
    assert make_binding(member=first.member, started_at=LATER).pk


@pytest.mark.parametrize(
    "change",
    [
        {"mode": "last_touch"},
        {"started_at": EARLIER},
        {"expires_at": LATER},
        {"protected_until": LATER},
        {"made_by": "staff:1"},
        {"reason": "x"},
        {"link_id": None},
    ],
    ids=str,
)
def test_how_a_binding_began_never_changes(change: dict[str, Any]) -> None:
    promoter = make_promoter()
    binding = make_binding(promoter=promoter, link=make_link(promoter.member))
    before = Binding.objects.values().get()
    with pytest.raises(IntegrityError, match="frozen"), transaction.atomic():
        Binding.objects.filter(pk=binding.pk).update(**change)
    with pytest.raises(IntegrityError, match="frozen"), transaction.atomic():
        Binding.objects.filter(pk=binding.pk).update(promoter=make_promoter())
    with pytest.raises(IntegrityError, match="frozen"), transaction.atomic():
        Binding.objects.all()._raw_delete("default")
    assert Binding.objects.values().get() == before


def test_what_a_link_says_never_changes() -> None:
    link = make_link(target="product", target_ref="P1")
    changes: list[dict[str, Any]] = [
        {"code": "22222222"}, {"target": "campaign"}, {"target_ref": "P2"}, {"channel": "poster"},
        {"member": make_member()}, {"employee_only": True}, {"created_at": LATER},
    ]  # fmt: skip
    before = ShareLink.objects.values().get(pk=link.pk)
    for change in changes:
        with pytest.raises(IntegrityError, match="frozen"), transaction.atomic():
            ShareLink.objects.filter(pk=link.pk).update(**change)
    assert ShareLink.objects.values().get(pk=link.pk) == before


def test_a_visit_stays_as_it_was_written() -> None:
    visit = make_visit(member=make_member(), outcome="bound")
    changes: list[dict[str, Any]] = [
        {"link": make_link()}, {"visit_key": "visit-2"}, {"scene": "1"}, {"occurred_at": LATER},
        {"member": make_member()}, {"member": None}, {"outcome": "kept"}, {"key_version": "2"},
        {"device_hmac": "e"}, {"ip_hmac": "e"}, {"ip_truncated": "10.0.1.0/24"},
    ]  # fmt: skip
    before = Visit.objects.values().get()
    for change in changes:
        with pytest.raises(IntegrityError), transaction.atomic():
            Visit.objects.filter(pk=visit.pk).update(**change)
    with pytest.raises(IntegrityError), transaction.atomic():
        Visit.objects.all()._raw_delete("default")
    assert Visit.objects.values().get() == before


@pytest.mark.postgres
def test_the_tables_of_evidence_are_not_emptied() -> None:
    make_binding(), make_visit()
    connection.check_constraints()  # nothing else may stand in the way
    for table in ("binding", "visit"):
        emptying = pytest.raises(IntegrityError, match="frozen")
        with emptying, transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(f"TRUNCATE referrals_{table} CASCADE")


def test_a_stranger_gets_his_member_once(at: datetime) -> None:
    visit, member = make_visit(), make_member()
    Visit.objects.filter(pk=visit.pk).update(member=member, outcome="bound")
    with pytest.raises(IntegrityError), transaction.atomic():
        Visit.objects.filter(pk=visit.pk).update(outcome="rebound")
    assert Visit.objects.get().outcome == "bound"
