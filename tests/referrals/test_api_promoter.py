"""Agreement, application, standing, team and identity over the API."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest

from referrals.models import AgreementAcceptance, Application, Binding, Identity, Promoter
from referrals.services.promoters import reject_application
from tests.factories import make_agreement, make_member, make_policy, make_promoter

pytestmark = pytest.mark.django_db


def signature(**kw: Any) -> dict[str, Any]:
    agreement = make_agreement()
    given = {"version": agreement.version, "body_sha256": agreement.body_sha256, "accepted": True}
    return given | kw


# --- Agreement, application -----------------------------------------------------------------


def test_without_an_agreement_there_is_nothing_to_sign(as_member: Any) -> None:
    api = as_member(make_member())
    assert api.get("agreements/promoter").json()["code"] == "no_agreement"
    body = {"version": 1, "body_sha256": "a" * 64, "accepted": True}
    assert api.post("promoter/apply", body).status_code == 404
    assert not Application.objects.exists()


@pytest.mark.parametrize(
    ("change", "status", "code"),
    [
        ({"accepted": False}, 400, "invalid"),
        ({"accepted": None}, 400, "invalid"),
        ({"version": 10**6}, 409, "agreement_outdated"),
        ({"version": 0}, 400, "invalid"),
        ({"body_sha256": "0" * 64}, 409, "agreement_text_differs"),
        ({"body_sha256": "short"}, 400, "invalid"),
        ({"note": "n" * 201}, 400, "invalid"),
        ({"note": "a\x00b"}, 400, "invalid"),
    ],
)
def test_an_unfit_application_is_refused(
    as_member: Any, change: dict[str, Any], status: int, code: str
) -> None:
    answer = as_member(make_member()).post("promoter/apply", signature(**change))
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert list(answer.json()["fields"]) == list(change)
    assert not Application.objects.exists()
    assert not AgreementAcceptance.objects.exists()


def test_one_waits_for_the_decision_before_applying_again(as_member: Any) -> None:
    api, body = as_member(make_member()), signature()
    assert api.post("promoter/apply", body).status_code == 201
    answer = api.post("promoter/apply", body)
    assert (answer.status_code, answer.json()["code"]) == (409, "application_waiting")
    assert Application.objects.count() == 1


def test_an_application_without_a_key_is_refused(as_member: Any) -> None:
    api = as_member(make_member())
    answer = api.client.post("/api/v1/promoter/apply", signature(), format="json")
    assert answer.json()["code"] == "idempotency_key_missing"
    assert not Application.objects.exists()


def test_a_repeated_application_is_the_same(as_member: Any) -> None:
    api, body = as_member(make_member()), signature()
    first, again = (api.post("promoter/apply", body, key="request-x") for _ in range(2))
    assert first.json() == again.json()
    assert again.headers["Idempotency-Replayed"] == "true"


def test_the_text_is_read_signed_and_evidence_kept(as_member: Any) -> None:
    api, body = as_member(make_member()), signature(note="hello", app_version="2.1")
    text = api.get("agreements/promoter").json()
    assert (text["signed"], text["version"]) == (False, body["version"])
    answer = api.post("promoter/apply", body)
    assert (answer.status_code, answer.json()["status"]) == (201, "pending")
    assert api.get("agreements/promoter").json()["signed"] is True
    row = AgreementAcceptance.objects.get()
    assert (row.app_version, row.ip_truncated) == ("2.1", "127.0.0.0/24")


# --- Standing -------------------------------------------------------------------------------


def test_a_buyer_is_no_promoter(as_member: Any) -> None:
    api = as_member(make_member())
    assert api.get("promoter").json()["state"] == "none"
    answer = api.get("promoter/team")
    assert (answer.status_code, answer.json()["code"]) == (403, "not_promoter")


def test_an_applicant_sees_the_decision(as_member: Any, at: datetime) -> None:
    member = make_member()
    api = as_member(member)
    api.post("promoter/apply", signature())
    assert api.get("promoter").json()["state"] == "pending"
    pk = Application.objects.get().pk
    reject_application(application_id=pk, reason="no photo", by=member.actor, at=at)
    data = api.get("promoter").json()
    assert (data["state"], data["application"]["reason"]) == ("rejected", "no photo")


def test_with_the_gate_open_one_is_a_promoter_at_once(as_member: Any) -> None:
    make_policy(gate="everyone")
    api = as_member(make_member())
    assert api.post("promoter/apply", signature()).json()["status"] == "approved"
    assert api.get("promoter").json()["state"] == "active"


def test_a_promoter_sees_his_numbers_and_a_masked_upline(as_member: Any, at: datetime) -> None:
    upline = make_promoter(member=make_member(nickname="李四光"))
    promoter = make_promoter(upline)
    for days in (1, None):
        end = at + timedelta(days=days) if days else None
        Binding.objects.create(
            member=make_member(), promoter=promoter, mode="first_touch", started_at=at,
            expires_at=end, made_by="test",
        )  # fmt: skip
    Binding.objects.create(
        member=make_member(), promoter=promoter, mode="first_touch", started_at=at,
        ended_at=at, end_reason="staff", made_by="test",
    )  # fmt: skip
    make_promoter(make_promoter(promoter))
    data = as_member(promoter.member).get("promoter").json()
    assert (data["state"], data["code"], data["upline"]) == ("active", promoter.code, "李**")
    assert (data["customers"], data["direct_team"]) == (2, 1)


def test_a_suspended_promoter_is_told_so(as_member: Any) -> None:
    promoter = make_promoter(status="suspended")
    assert as_member(promoter.member).get("promoter").json()["state"] == "suspended"


# --- Identity -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "number", "code"),
    [
        ("张三", "110105194912310021", "bad_id_number"),
        ("张三", "", "invalid"),
        ("", "11010519491231002X", "invalid"),
        ("=cmd()", "11010519491231002X", "bad_name"),
        ("张三", "110105201412310015", "bad_id_number"),
    ],
)
def test_an_unfit_identity_is_refused(as_member: Any, name: str, number: str, code: str) -> None:
    api = as_member(make_member())
    answer = api.post("me/identity", {"name": name, "id_number": number})
    assert answer.json()["code"] == code
    assert answer.json()["fields"]
    assert not Identity.objects.exists()
    assert api.get("me/identity").status_code == 404


def test_an_identity_is_shown_masked(as_member: Any) -> None:
    api = as_member(make_member())
    body = {"name": "张三丰", "id_number": "11010519491231002x"}
    answer = api.post("me/identity", body)
    assert answer.status_code == 201
    data = api.get("me/identity").json()
    assert (data["name"], data["id_number"]) == ("张**", "110***********002X")
    assert data["status"] == "pending"
    assert api.post("me/identity", body).json()["code"] == "identity_waiting"
    assert Promoter.objects.count() == 0
