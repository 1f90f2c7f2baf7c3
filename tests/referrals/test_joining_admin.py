"""The screens of joining: the queue, identities in clear, codes, overrides, evidence."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Group
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from distro import clock
from distro.models import AuditEntry, StaffUser
from referrals.models import Agreement, Application, Identity, InviteCode, LegalOverride
from referrals.services.agreements import sign_version
from referrals.services.promoters import reject_application
from tests.factories import make_agreement, make_link, make_member, make_promoter
from tests.referrals.joining import (
    DAY,
    DOCUMENT,
    EVIDENCE,
    STAFF,
    apply,
    asked,
    invite,
    override,
)

pytestmark = pytest.mark.django_db

NUMBER, NAME = "11010519491231002X", "欧阳明日"


@pytest.fixture
def staff() -> Callable[[str], Client]:
    """Return `staff(role)`: a client of a new staff user with that role, in English."""

    def log_in(role: str) -> Client:
        count = StaffUser.objects.count()
        user = StaffUser.objects.create_user(f"{role}{count}", password="x", is_staff=True)
        user.groups.add(Group.objects.get(name=role))
        client = Client()
        client.force_login(user)
        client.post(reverse("set_language"), {"language": "en"})
        return client

    return log_in


def page(name: str, *args: Any) -> str:
    return reverse(f"admin:referrals_{name}", args=args)


def take(client: Client, step: str, pk: int, **answers: str) -> Any:
    """Confirm the dialog of a step, and follow it back to the page."""
    form = {"_form_submitted": "on", **answers}
    return client.post(page(step, pk), form, follow=True)


def text_of(client: Client, address: str) -> str:
    answer = client.get(address)
    assert answer.status_code == 200
    return answer.content.decode()


# --- Applications ---------------------------------------------------------------------------


def test_the_queue_shows_what_a_reviewer_asks(staff: Any, at: datetime) -> None:
    make_agreement()
    upline = make_promoter()
    twin = make_member(phone_index="p")
    twin.inviter = upline.member
    twin.save()
    make_member(phone_index="p")
    apply(twin, at - DAY)
    reject_application(
        application_id=Application.objects.get().pk, reason="x", by=STAFF, at=at - DAY
    )
    link = make_link(upline.member)
    for n, member in enumerate((twin, upline.member)):
        link.visits.create(visit_key=f"v{n}", member=member, device_hmac="d", occurred_at=at)
    apply(twin, at, note="I know many people")
    type(upline).objects.filter(pk=upline.pk).update(status="suspended")
    shown = text_of(staff("operator"), page("application_changelist") + "?status__exact=pending")
    for risk in (
        "Has another account?", "Same device as upline", "Rejected before",
        "Upline not active", "Joined just before", "I know many people",
    ):  # fmt: skip
        assert risk in shown, risk


def test_a_plain_applicant_raises_no_risk(staff: Any, at: datetime) -> None:
    make_agreement()
    member = make_member(joined_at=at - 3 * DAY, inviter=make_promoter().member)
    Identity.objects.create(
        member=member, name=NAME, id_number=NUMBER, id_index="i", submitted_at=at
    )
    apply(member, at)
    shown = text_of(staff("operator"), page("application_changelist"))
    assert "pill-risk" not in shown
    assert "pill-watch" not in shown
    assert "Waiting" in shown
    assert NUMBER not in shown


def test_an_outdated_signature_is_marked_and_the_approval_refused(
    staff: Any, at: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = make_agreement()
    application = apply(make_member(), at)
    make_agreement("New.", effective_from=at)
    client = staff("operator")
    assert f"v{first.version}, outdated" in text_of(client, page("application_changelist"))
    answer = take(client, "application_approve", application.pk)
    assert "must accept version" in answer.content.decode()
    application.refresh_from_db()
    assert application.status == "pending"


def test_the_queue_asks_as_often_for_many_as_for_few(staff: Any, at: datetime) -> None:
    make_agreement()
    client, address = staff("operator"), page("application_changelist")

    def queries(more: int) -> int:
        for _ in range(more):
            apply(make_member(inviter=make_promoter().member), at)
        text_of(client, address)
        with CaptureQueriesContext(connection) as captured:
            text_of(client, address)
        return len(captured)

    assert queries(2) == queries(8)


# --- Identities -----------------------------------------------------------------------------


def test_a_name_is_read_in_clear_for_five_minutes_and_on_record(
    staff: Any, at: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = Identity.objects.create(
        member=make_member(), name=NAME, id_number=NUMBER, id_index="i", submitted_at=at
    )
    client, other = staff("owner"), staff("owner")
    address = page("identity_change", row.pk)
    assert NUMBER not in text_of(client, address)
    take(client, "identity_reveal", row.pk, reason=" ")
    assert NUMBER not in text_of(client, address)
    take(client, "identity_reveal", row.pk, reason="to compare the card")
    entry = AuditEntry.objects.get(action="identity.reveal")
    assert entry.reason == "to compare the card"
    shown = text_of(client, address)
    assert (NUMBER in shown, NAME in shown) == (True, True)
    assert NUMBER not in text_of(other, address)
    assert NUMBER not in text_of(client, page("identity_changelist"))
    monkeypatch.setattr(clock, "now", lambda: at + timedelta(minutes=5))
    assert NUMBER not in text_of(client, address)


def test_who_may_not_read_cannot_reveal(staff: Any, at: datetime) -> None:
    row = Identity.objects.create(
        member=make_member(), name=NAME, id_number=NUMBER, id_index="i", submitted_at=at
    )
    client = staff("finance")
    assert take(client, "identity_reveal", row.pk, reason="x").status_code == 403
    assert not AuditEntry.objects.exists()
    assert NUMBER not in text_of(client, page("identity_change", row.pk))


def test_the_second_look_needs_its_own_right(staff: Any, at: datetime) -> None:
    row = Identity.objects.create(
        member=make_member(), name=NAME, id_number=NUMBER, id_index="i", submitted_at=at,
        status="verified",
    )  # fmt: skip
    assert take(staff("finance"), "identity_recheck", row.pk, reason="forged").status_code == 403
    take(staff("owner"), "identity_recheck", row.pk, reason="forged")
    row.refresh_from_db()
    assert (row.status, row.reason) == ("rejected", "forged")


# --- Invite codes, overrides, policies ------------------------------------------------------


def test_staff_make_a_code_with_a_form(staff: Any, at: datetime) -> None:
    client, address = staff("operator"), page("invitecode_add")
    form = {"note": "Fair", "uses_max": "20", "expires_at_0": "2026-11-01", "expires_at_1": "10:00"}
    assert "must be in the future" in client.post(address, form).content.decode()
    assert not InviteCode.objects.exists()
    answer = client.post(address, form | {"expires_at_0": "2026-12-01"})
    assert answer.status_code == 302
    code = InviteCode.objects.get()
    assert (code.note, code.uses_max, code.used) == ("Fair", 20, 0)
    assert code.made_by.startswith("staff:")
    assert code.code in text_of(client, page("invitecode_change", code.pk))
    take(client, "invitecode_revoke", code.pk, reason="leaked")
    code.refresh_from_db()
    assert code.revoked_at == at


def test_a_made_code_is_not_edited(staff: Any, at: datetime) -> None:
    code = invite(at)
    answer = staff("owner").post(page("invitecode_change", code.pk), {"uses_max": "999"})
    assert answer.status_code == 403
    code.refresh_from_db()
    assert code.uses_max == 1


def test_two_owners_make_an_override_and_every_page_shows_it(staff: Any, at: datetime) -> None:
    first, second = staff("owner"), staff("owner")
    form = {
        "subject": "purchase_gate", "reason": "Opinion", "document_sha256": DOCUMENT,
        "expires_at_0": "2027-06-01", "expires_at_1": "10:00",
    }  # fmt: skip
    assert "180 days" in first.post(page("legaloverride_add"), form).content.decode()
    assert not LegalOverride.objects.exists()
    first.post(page("legaloverride_add"), form | {"expires_at_0": "2027-03-01"})
    row = LegalOverride.objects.get()
    take(first, "legaloverride_approve", row.pk)
    row.refresh_from_db()
    assert row.status == "requested"
    assert "Legal override in force" not in text_of(second, reverse("admin:index"))
    take(second, "legaloverride_approve", row.pk)
    row.refresh_from_db()
    assert row.status == "approved"
    assert "Legal override in force" in text_of(staff("support"), reverse("admin:index"))


def test_the_policy_form_refuses_a_purchase_gate_without_its_override(
    staff: Any, at: datetime
) -> None:
    client, address = staff("owner"), page("referralpolicy_add")
    form = {
        "effective_from_0": "2026-12-01", "effective_from_1": "10:00", "gate": "purchase",
        "min_purchase_to_join_fen": "99.00", "override": "", "binding_mode": "first_touch",
        "protection_days": "30", "identity_review": "on",
    }  # fmt: skip
    waiting, running = asked(at), override(at)
    for override_id in ("", waiting.pk):
        answer = client.post(address, form | {"override": override_id})
        assert answer.status_code == 200
        assert "override" in answer.content.decode()
    answer = client.post(address, form | {"override": running.pk})
    assert answer.status_code == 302
    assert running.policies.get().min_purchase_to_join_fen == 9_900


# --- Agreements -----------------------------------------------------------------------------


def test_a_new_version_counts_as_worse_until_somebody_says_otherwise(staff: Any) -> None:
    shown = text_of(staff("owner"), page("agreement_add"))
    field = next(part for part in shown.split("<input") if 'name="worsening"' in part)
    assert "checked" in field.split(">")[0]


def test_publishing_too_late_says_until_when(staff: Any, at: datetime) -> None:
    make_agreement()
    row = make_agreement("New.", published_at=None, worsening=True, effective_from=at + DAY)
    client = staff("owner")
    answer = take(client, "agreement_publish", row.pk)
    assert "2026-11-09 10:00" in answer.content.decode()
    assert Agreement.objects.get(pk=row.pk).published_at is None


def test_the_evidence_of_a_member_is_a_file(staff: Any, at: datetime) -> None:
    make_agreement()
    member = make_member()
    apply(member, at)
    address = page("member_evidence", member.pk)
    assert staff("operator").get(address).status_code == 403
    answer = staff("owner").get(address)
    assert f"agreements-{member.no}.json" in answer.headers["Content-Disposition"]
    assert len(json.loads(answer.content)["acceptances"]) == 1
    assert AuditEntry.objects.get(action="agreement.evidence").actor_kind == "staff"


def test_a_published_text_shows_its_highlighted_clauses_and_nothing_of_its_own(
    staff: Any, at: datetime
) -> None:
    row = make_agreement("Be <b>honest</b>.\nYou may quit.", highlights="You may quit.\nBe <b>h")
    shown = text_of(staff("owner"), page("agreement_change", row.pk))
    assert "<mark>You may quit.</mark>" in shown
    assert "<mark>Be &lt;b&gt;h</mark>onest&lt;/b&gt;.<br>" in shown


def test_the_queue_shows_who_signed_the_new_version_and_the_oldest_first(
    staff: Any, at: datetime
) -> None:
    make_agreement()
    applications = [apply(make_member(), at + n * timedelta(minutes=1)) for n in range(2)]
    second = make_agreement("New.", effective_from=at)
    sign_version(
        member=applications[0].member, version=second.version, body_sha256=second.body_sha256,
        evidence=EVIDENCE, at=at,
    )  # fmt: skip
    shown = text_of(staff("operator"), page("application_changelist") + "?status__exact=pending")
    assert shown.count("outdated") == 1
    first, last = (shown.index(row.member.no) for row in applications)
    assert first < last
