"""Binding and unbinding by hand, and the list of employees, in the admin."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from django.contrib.messages import get_messages
from django.test import Client
from django.urls import reverse

from distro.models import AuditEntry
from referrals.errors_bindings import HasOrdered, OwnCustomer
from referrals.models import Binding, Employee, ShareLink
from referrals.services.bindings import touch
from tests.analytics.admin_world import make_staff
from tests.factories import make_link, make_member, make_order, make_policy, make_promoter

pytestmark = pytest.mark.django_db

SUBMITTED = {"_form_submitted": "on"}
DAY = timedelta(days=1)


def client_of(role: str) -> Client:
    client = Client(headers={"accept-language": "en"})
    client.force_login(make_staff(role))
    return client


def do(client: Client, model: str, step: str, pk: int, **form: Any) -> Any:
    page = reverse(f"admin:referrals_{model}_{step}", args=[pk])
    return client.post(page, SUBMITTED | form)


def said(answer: Any) -> list[str]:
    return [str(message) for message in get_messages(answer.wsgi_request)]


@pytest.mark.parametrize(("role", "may"), [("operator", 1), ("support", 0), ("finance", 0)])
def test_only_who_may_changes_bindings(at: datetime, role: str, may: int) -> None:
    customer, promoter, client = make_member(), make_promoter(), client_of(role)
    form = {"code": promoter.code, "reason": "complaint 7"}
    answer = do(client, "member", "bind", customer.pk, **form)
    assert answer.status_code == (302 if may else 403)
    assert Binding.objects.count() == may
    if not may:
        return
    binding = Binding.objects.get()
    assert do(client_of("support"), "binding", "end", binding.pk, reason="x").status_code == 403
    do(client, "binding", "end", binding.pk, reason="withdrawn")
    binding.refresh_from_db()
    assert (binding.reason, binding.end_note) == ("complaint 7", "withdrawn")
    actions = AuditEntry.objects.order_by("pk").values_list("action", "reason")
    assert list(actions) == [("binding.make", "complaint 7"), ("binding.end", "withdrawn")]


def test_a_hard_rule_is_told_and_nothing_is_written(at: datetime) -> None:
    customer, promoter, client = make_member(), make_promoter(), client_of("operator")
    make_order(customer)
    answer = do(client, "member", "bind", customer.pk, code=promoter.code, reason="please")
    assert str(HasOrdered.message) in said(answer)
    answer = do(client, "member", "bind", promoter.member_id, code=promoter.code, reason="please")
    assert str(OwnCustomer.message) in said(answer)
    assert not (Binding.objects.exists() or AuditEntry.objects.exists())


def test_a_binding_is_explained_on_its_page(at: datetime) -> None:
    make_policy(binding_mode="first_touch", protection_days=30)
    promoter = make_promoter(member=make_member(nickname="李四光"), code="ANNA")
    link = make_link(promoter.member, channel="poster")
    touch(member_id=make_member().pk, link=link, at=at)
    page = reverse("admin:referrals_binding_change", args=[Binding.objects.get().pk])
    text = client_of("support").get(page).content.decode()
    assert "李** (ANNA)" in text
    assert link.code in text
    assert "李四光" not in text


# --- Employees --------------------------------------------------------------------------------


def test_the_owner_lists_employees_and_gives_them_codes(at: datetime) -> None:
    member, client = make_member(), client_of("owner")
    answer = client.post(reverse("admin:referrals_employee_add"), {"member": member.pk})
    assert answer.status_code == 302
    employee = Employee.objects.get()
    assert (employee.member, employee.staff, employee.left_at) == (member, None, None)
    do(client, "employee", "make_code", employee.pk, channel="store")
    link = ShareLink.objects.get()
    assert (link.member, link.employee_only, link.channel) == (member, True, "store")
    do(client, "employee", "end", employee.pk)
    employee.refresh_from_db()
    link.refresh_from_db()
    assert None not in {employee.left_at, link.revoked_at}
    do(client, "employee", "again", employee.pk)
    employee.refresh_from_db()
    assert employee.left_at is None


@pytest.mark.parametrize("case", ["twice", "blocked"])
def test_who_cannot_be_employed_is_refused_beside_his_name(at: datetime, case: str) -> None:
    member = make_member(status="blocked" if case == "blocked" else "active")
    client = client_of("owner")
    if case == "twice":
        Employee.objects.create(member=member, since=at, made_by="x")
    before = Employee.objects.count()
    answer = client.post(reverse("admin:referrals_employee_add"), {"member": member.pk})
    assert answer.status_code == 200
    assert answer.context["adminform"].form.errors["member"]
    assert (Employee.objects.count(), AuditEntry.objects.count()) == (before, 0)


def test_an_operator_reads_the_list_and_changes_nothing(at: datetime) -> None:
    employee = Employee.objects.create(member=make_member(), since=at, made_by="x")
    client = client_of("operator")
    assert client.get(reverse("admin:referrals_employee_changelist")).status_code == 200
    assert do(client, "employee", "end", employee.pk).status_code == 403
    assert client.get(reverse("admin:referrals_employee_add")).status_code == 403
    employee.refresh_from_db()
    assert employee.left_at is None
