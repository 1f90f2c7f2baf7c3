"""Members who work for the shop, and the codes they show at work (rule H9)."""

from __future__ import annotations

from datetime import datetime

from django.db import transaction
from django.db.models import Q

from distro import audit
from distro.actors import Actor
from distro.errors import NotFound
from referrals import selectors
from referrals.errors_bindings import AlreadyEmployed, NotEmployed
from referrals.models import Employee, Member, ShareLink
from referrals.services.links import create_link


def employ(*, member_id: int, staff_id: int | None, by: Actor, at: datetime) -> Employee:
    """Put a member into the list of employees.

    Raises MemberBlocked, MemberClosed, AlreadyEmployed.
    """
    with transaction.atomic():
        selectors.refuse_inactive(Member.objects.select_for_update().get(pk=member_id))
        taken = Q(member=member_id) | Q(staff__isnull=False, staff=staff_id)
        if Employee.objects.filter(taken).exists():
            raise AlreadyEmployed(field="member")
        employee = Employee.objects.create(
            member_id=member_id, staff_id=staff_id, since=at, made_by=str(by)
        )
        audit.record(by=by, action="employee.add", target=employee, at=at)
        return employee


def employ_again(*, employee_id: int, by: Actor, at: datetime) -> Employee:
    """Take back who left; his old codes stay revoked. Raises NotFound, AlreadyEmployed."""
    with transaction.atomic():
        employee = _lock(employee_id)
        if employee.left_at is None:
            raise AlreadyEmployed
        selectors.refuse_inactive(employee.member)
        employee.since, employee.left_at = at, None
        employee.save(update_fields=["since", "left_at"])
        audit.record(by=by, action="employee.return", target=employee, at=at)
        return employee


def end_employment(*, employee_id: int, by: Actor, at: datetime) -> Employee:
    """Take a member off the list; the codes of his work are of no use any more.

    Raises NotEmployed.
    """
    with transaction.atomic():
        employee = _lock_employed(employee_id)
        employee.left_at = at
        employee.save(update_fields=["left_at"])
        codes = ShareLink.objects.filter(member=employee.member_id, employee_only=True)
        codes.filter(revoked_at=None).update(revoked_at=at, revoked_by=str(by))
        audit.record(by=by, action="employee.leave", target=employee, at=at)
        return employee


def make_employee_code(*, employee_id: int, channel: str, by: Actor, at: datetime) -> ShareLink:
    """Make a code of the home page that an employee shows at work; raise NotEmployed."""
    with transaction.atomic():
        employee = _lock_employed(employee_id)
        link = create_link(
            member=employee.member,
            target=ShareLink.Target.HOME,
            target_ref="",
            channel=channel,
            expires_at=None,
            employee_only=True,
            at=at,
        )
        audit.record(by=by, action="employee.code", target=link, at=at)
        return link


def _lock(employee_id: int) -> Employee:
    rows = Employee.objects.select_for_update(of=("self",)).select_related("member")
    employee = rows.filter(pk=employee_id).first()
    if employee is None:
        raise NotFound
    return employee


def _lock_employed(employee_id: int) -> Employee:
    employee = _lock(employee_id)
    if employee.left_at:
        raise NotEmployed
    return employee
