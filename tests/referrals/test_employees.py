"""Members who work for the shop, and the codes of their work."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

import pytest

from distro.actors import Actor
from distro.errors import DomainError
from distro.models import AuditEntry, StaffUser
from referrals.errors import MemberBlocked, MemberClosed
from referrals.errors_bindings import AlreadyEmployed, NotEmployed
from referrals.models import Employee, ShareLink
from referrals.services.employees import employ, employ_again, end_employment, make_employee_code
from tests.factories import make_link, make_member, make_promoter

pytestmark = pytest.mark.django_db

STAFF = Actor("staff", 1)
DAY = timedelta(days=1)


def hire(at: datetime, **kw: int | None) -> Employee:
    facts: dict[str, int | None] = {"member_id": make_member().pk, "staff_id": None}
    return employ(by=STAFF, at=at, **facts | kw)  # type: ignore[arg-type]


def test_refusals_write_nothing(at: datetime) -> None:
    user = StaffUser.objects.create_user("clerk", password="x")
    here = hire(at, staff_id=user.pk)
    left = end_employment(employee_id=hire(at).pk, by=STAFF, at=at)
    before = (list(Employee.objects.order_by("pk").values()), AuditEntry.objects.count())
    cases: list[tuple[type[DomainError], Callable[[], object]]] = [
        (AlreadyEmployed, lambda: hire(at, member_id=here.member_id)),
        (AlreadyEmployed, lambda: hire(at, staff_id=user.pk)),
        (AlreadyEmployed, lambda: employ_again(employee_id=here.pk, by=STAFF, at=at)),
        (MemberBlocked, lambda: hire(at, member_id=make_member(status="blocked").pk)),
        (MemberClosed, lambda: hire(at, member_id=make_member(status="closed").pk)),
        (NotEmployed, lambda: end_employment(employee_id=left.pk, by=STAFF, at=at)),
        (
            NotEmployed,
            lambda: make_employee_code(employee_id=left.pk, channel="store", by=STAFF, at=at),
        ),
    ]
    for error, act in cases:
        with pytest.raises(error):
            act()
    after = (list(Employee.objects.order_by("pk").values()), AuditEntry.objects.count())
    assert after == before
    assert not ShareLink.objects.exists()


def test_who_leaves_takes_only_the_codes_of_his_work_along(at: datetime) -> None:
    promoter = make_promoter()
    employee = hire(at, member_id=promoter.member_id)
    code = make_employee_code(employee_id=employee.pk, channel="store", by=STAFF, at=at)
    own = make_link(promoter.member)
    assert (code.member_id, code.channel, code.employee_only) == (
        promoter.member_id, "store", True,
    )  # fmt: skip
    end_employment(employee_id=employee.pk, by=STAFF, at=at + DAY)
    code.refresh_from_db()
    own.refresh_from_db()
    assert (code.revoked_at, code.revoked_by, own.revoked_at) == (at + DAY, "staff:1", None)
    again = employ_again(employee_id=employee.pk, by=STAFF, at=at + 2 * DAY)
    assert (again.since, again.left_at) == (at + 2 * DAY, None)
    code.refresh_from_db()
    assert code.revoked_at == at + DAY
    actions = list(AuditEntry.objects.order_by("pk").values_list("action", flat=True))
    assert actions == ["employee.add", "employee.code", "employee.leave", "employee.return"]
