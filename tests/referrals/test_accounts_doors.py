"""Blocking, and the doors to closing and merging: the API of members, the pages of staff."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from distro.actors import Actor
from distro.errors import IllegalTransition
from distro.models import AuditEntry
from referrals.errors import ReasonMissing
from referrals.models import Closure, Member, Merge
from referrals.services.closing import close_promoter
from referrals.services.standing import block_member, unblock_member
from tests.analytics.admin_world import make_staff
from tests.factories import make_member, make_promoter

pytestmark = pytest.mark.django_db

ANNA = Actor("staff", 1)
ALWAYS = {"promoter": ["tests.referrals.waiting.always"], "account": []}
NOTHING: dict[str, list[str]] = {"promoter": [], "account": []}


# --- Blocking -------------------------------------------------------------------------------


def test_who_is_blocked_is_kept_out_until_it_is_lifted(at: datetime, as_member: Any) -> None:
    member = make_member()
    api = as_member(member)
    block_member(member_id=member.pk, reason="fraud", by=ANNA, at=at)
    assert (api.get("me").status_code, api.get("me").json()["code"]) == (403, "member_blocked")
    unblock_member(member_id=member.pk, reason="cleared", by=ANNA, at=at)
    assert api.get("me").status_code == 200
    actions = [entry.action for entry in AuditEntry.objects.order_by("pk")]
    assert actions == ["member.block", "member.unblock"]


def test_blocking_wants_a_reason_and_a_member_who_is_active(at: datetime) -> None:
    member = make_member()
    with pytest.raises(ReasonMissing):
        block_member(member_id=member.pk, reason=" ", by=ANNA, at=at)
    with pytest.raises(IllegalTransition):
        unblock_member(member_id=member.pk, reason="r", by=ANNA, at=at)
    closed = make_member(status="closed")
    with pytest.raises(IllegalTransition):
        block_member(member_id=closed.pk, reason="r", by=ANNA, at=at)
    assert not AuditEntry.objects.exists()
    assert Member.objects.get(pk=member.pk).status == "active"


# --- The API --------------------------------------------------------------------------------


def test_a_member_sees_what_closing_waits_for_asks_and_takes_it_back(
    at: datetime, as_member: Any, settings: Any
) -> None:
    settings.CLOSING_CHECKS = ALWAYS
    promoter = make_promoter()
    api = as_member(promoter.member)
    seen = api.get("me/closing").json()
    assert [wait["kind"] for wait in seen["would_wait"]] == ["frozen"]
    assert seen["closing"] is None
    answer = api.post("me/closing", {"confirmed": True, "note": "bye"})
    assert answer.status_code == 201
    assert (answer.json()["status"], answer.json()["scope"]) == ("waiting", "account")
    assert answer.json()["waits"][0]["amount_fen"] == 100
    assert answer.json()["waits"][0]["text"]
    assert api.get("me/closing").json()["closing"]["status"] == "waiting"
    assert api.post("me/closing/withdraw").json()["status"] == "cancelled"
    assert api.post("me/closing/withdraw").status_code == 404


def test_an_empty_account_is_gone_with_the_answer(
    at: datetime, as_member: Any, settings: Any
) -> None:
    settings.CLOSING_CHECKS = NOTHING
    api = as_member(make_member())
    assert api.post("me/closing", {"confirmed": True}).json()["status"] == "done"
    assert api.get("me").status_code == 401


@pytest.mark.parametrize("body", [{}, {"confirmed": False}, {"confirmed": True, "note": "x" * 201}])
def test_a_bad_request_closes_nothing(at: datetime, as_member: Any, body: Any) -> None:
    assert as_member(make_member()).post("me/closing", body).status_code == 400
    assert not Closure.objects.exists()


def test_a_stranger_closes_nothing(stranger: Any) -> None:
    assert stranger.get("me/closing").status_code == 401
    assert stranger.post("me/closing", {"confirmed": True}).status_code == 401


def test_what_staff_asked_for_is_not_the_members_to_take_back(
    at: datetime, as_member: Any, settings: Any
) -> None:
    settings.CLOSING_CHECKS = ALWAYS
    promoter = make_promoter()
    close_promoter(promoter_id=promoter.pk, reason="breach", by=ANNA, at=at)
    api = as_member(promoter.member)
    assert api.post("me/closing/withdraw").json()["code"] == "not_closing"
    assert api.get("promoter").json()["state"] == "closing"


# --- The admin ------------------------------------------------------------------------------


def staff_client(role: str = "owner") -> Client:
    client = Client()
    client.force_login(make_staff(role))
    return client


def press(client: Client, row: Any, step: str, **form: str) -> Any:
    label = row._meta
    name = f"admin:{label.app_label}_{label.model_name}_{step}"
    return client.post(reverse(name, args=[row.pk]), {"_form_submitted": "on", **form})


def test_two_persons_merge_two_accounts(at: datetime) -> None:
    young, old = make_member(), make_member()
    first, second = staff_client("operator"), staff_client()
    press(first, young, "merge", no=old.no, reason="one person, by phone")
    row = Merge.objects.get()
    assert (row.status, row.merged, row.survivor) == ("proposed", young, old)
    press(first, row, "approve")
    assert Merge.objects.get().status == "proposed"
    press(second, row, "approve")
    assert (Merge.objects.get().status, Member.objects.get(pk=young.pk).merged_into) == (
        "done", old,
    )  # fmt: skip


def test_staff_close_a_promoter_and_take_it_back(at: datetime, settings: Any) -> None:
    settings.CLOSING_CHECKS = ALWAYS
    promoter, client = make_promoter(), staff_client("operator")
    press(client, promoter, "close", reason="he wishes")
    closure = Closure.objects.get()
    page = client.get(reverse("admin:referrals_closure_change", args=[closure.pk]))
    assert "1.00" in page.content.decode()
    press(client, closure, "cancel", reason="stays")
    assert Closure.objects.get().status == "cancelled"


def test_an_unknown_account_is_no_account_to_merge_into(at: datetime) -> None:
    member = make_member()
    press(staff_client(), member, "merge", no="M-none", reason="r")
    assert not Merge.objects.exists()


def test_finance_presses_none_of_it(at: datetime) -> None:
    member, client = make_member(), staff_client("finance")
    for step in ("merge", "block", "close"):
        assert press(client, member, step, no="M1", reason="r").status_code == 403
    assert not Merge.objects.exists()
    assert not Closure.objects.exists()
    assert Member.objects.get(pk=member.pk).status == "active"
