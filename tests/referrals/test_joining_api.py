"""Gate, agreement, application and quitting over the API."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from referrals.models import AgreementAcceptance, Application, Identity, Promoter, Quitting
from tests.factories import make_agreement, make_member, make_order, make_policy, make_promoter
from tests.referrals.joining import DAY, invite, override
from tests.referrals.queries import own

pytestmark = pytest.mark.django_db


def signature(agreement: Any, **kw: Any) -> dict[str, Any]:
    given = {"version": agreement.version, "body_sha256": agreement.body_sha256, "accepted": True}
    return given | kw


# --- Gate -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("gate", "steps"),
    [
        ("everyone", {"agreement": False}),
        ("review", {"agreement": False, "review": False}),
        ("invite", {"agreement": False, "invite_code": False}),
        ("identity", {"agreement": False, "identity": False}),
    ],
)
def test_the_gate_says_what_is_needed(as_member: Any, gate: str, steps: dict[str, bool]) -> None:
    agreement = make_agreement()
    make_policy(gate=gate)
    data = as_member(make_member()).get("promoter/gate").json()
    assert (data["gate"], data["state"]) == (gate, "none")
    assert {step["kind"]: step["done"] for step in data["steps"]} == steps
    assert (data["sign_version"], data["next_version"]) == (agreement.version, None)


def test_the_gate_counts_what_one_has_done(as_member: Any, at: datetime) -> None:
    make_agreement()
    taken = override(at - 2 * DAY)
    make_policy(
        gate="purchase", min_purchase_to_join_fen=9_900, override=taken, effective_from=at - DAY
    )
    member = make_member()
    make_order(member, 4_000)
    api = as_member(member)
    data = api.get("promoter/gate").json()
    assert (data["min_purchase_fen"], data["bought_fen"]) == (9_900, 4_000)
    assert {"kind": "purchase", "done": False} in data["steps"]
    make_order(member, 6_000)
    assert {"kind": "purchase", "done": True} in api.get("promoter/gate").json()["steps"]


def test_a_verified_member_reads_that_his_identity_is_done(as_member: Any, at: datetime) -> None:
    make_policy(gate="identity")
    member = make_member()
    Identity.objects.create(
        member=member, name="x", id_number="y", id_index="i", submitted_at=at, status="verified"
    )
    data = as_member(member).get("promoter/gate").json()
    assert {"kind": "identity", "done": True} in data["steps"]
    assert data["sign_version"] is None  # there is no agreement yet


def test_a_promoter_reads_what_he_owes(as_member: Any, at: datetime) -> None:
    make_agreement(effective_from=at - 20 * DAY)
    now = make_agreement("New.", effective_from=at - DAY)
    later = make_agreement("Newer.", effective_from=at + DAY)
    promoter = make_promoter()
    api = as_member(promoter.member)
    data = api.get("promoter/gate").json()
    assert (data["state"], data["steps"], data["quitting_since"]) == ("active", [], None)
    assert (data["sign_version"], data["next_version"]) == (now.version, later.version)
    assert data["next_from"].startswith("2026-11-03")
    for agreement in (now, later):
        answer = api.post("agreements/promoter/sign", signature(agreement))
        assert (answer.status_code, answer.json()["version"]) == (201, agreement.version)
    data = api.get("promoter/gate").json()
    assert (data["sign_version"], data["next_version"], data["next_from"]) == (None, None, None)


def test_the_gate_takes_few_queries(as_member: Any) -> None:
    make_agreement()
    make_policy(gate="identity")
    api = as_member(make_member())
    api.get("promoter/gate")
    with CaptureQueriesContext(connection) as queries:
        api.get("promoter/gate")
    assert len(own(queries)) <= 8, "\n".join(own(queries))


# --- Agreement ------------------------------------------------------------------------------


def test_the_text_comes_with_its_clauses_and_the_next_version(as_member: Any, at: datetime) -> None:
    now = make_agreement("One.\nTwo.", highlights="One.\nTwo.")
    later = make_agreement("Three.", effective_from=at + DAY)
    data = as_member(make_member()).get("agreements/promoter").json()
    assert (data["version"], data["highlights"]) == (now.version, ["One.", "Two."])
    assert (data["next"]["version"], data["next"]["signed"]) == (later.version, False)


@pytest.mark.parametrize(
    ("change", "status", "code"),
    [
        ({"accepted": False}, 400, "invalid"),
        ({"highlighted": []}, 409, "highlights_differ"),
        ({"highlighted": [1]}, 409, "highlights_differ"),
        ({"highlighted": [0, 1]}, 400, "invalid"),
        ({"highlighted": "all"}, 400, "invalid"),
        ({"scene": "x"}, 400, "invalid"),
        ({"version": 10**6}, 409, "agreement_outdated"),
        ({"body_sha256": "0" * 64}, 409, "agreement_text_differs"),
    ],
)
def test_an_unfit_signature_is_refused(
    as_member: Any, change: dict[str, Any], status: int, code: str
) -> None:
    agreement = make_agreement("One.\nTwo.", highlights="One.\nTwo.")
    body = signature(agreement, highlighted=[1, 2]) | change
    answer = as_member(make_promoter().member).post("agreements/promoter/sign", body)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert [name.partition(".")[0] for name in answer.json()["fields"]] == list(change)
    assert not AgreementAcceptance.objects.exists()


def test_a_buyer_has_nothing_to_sign(as_member: Any) -> None:
    answer = as_member(make_member()).post("agreements/promoter/sign", signature(make_agreement()))
    assert (answer.status_code, answer.json()["code"]) == (403, "not_promoter")
    assert not AgreementAcceptance.objects.exists()


# --- Applying -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("code", "status", "refusal"),
    [
        ("", 400, "invite_missing"),
        ("AAAAAAAA", 400, "invite_mistyped"),
        ("A" * 33, 400, "invalid"),
        ("A\x00", 400, "invalid"),
    ],
)
def test_an_unfit_invite_code_is_refused(
    as_member: Any, code: str, status: int, refusal: str
) -> None:
    make_policy(gate="invite")
    body = signature(make_agreement(), invite_code=code)
    answer = as_member(make_member()).post("promoter/apply", body)
    assert (answer.status_code, answer.json()["code"]) == (status, refusal)
    assert list(answer.json()["fields"]) == ["invite_code"]
    assert not Application.objects.exists()


def test_one_applies_with_an_invite_code(as_member: Any, at: datetime) -> None:
    make_policy(gate="invite")
    api = as_member(make_member())
    body = signature(make_agreement(), invite_code=invite(at).code, scene="1047")
    assert api.post("promoter/apply", body).json()["status"] == "approved"
    assert AgreementAcceptance.objects.get().scene == "1047"
    assert api.get("promoter/gate").json()["state"] == "active"


def test_a_second_account_is_refused_with_a_reason(as_member: Any) -> None:
    make_promoter(member=make_member(unionid="u"))
    answer = as_member(make_member(unionid="u")).post("promoter/apply", signature(make_agreement()))
    assert (answer.status_code, answer.json()["code"]) == (409, "own_other_account")
    assert (Application.objects.count(), Promoter.objects.count()) == (0, 1)


# --- Quitting -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "body", [{}, {"confirmed": "perhaps"}, {"confirmed": True, "note": "a\nb"}]
)
def test_an_unfit_wish_to_quit_is_refused(as_member: Any, body: dict[str, Any]) -> None:
    answer = as_member(make_promoter().member).post("promoter/quitting", body)
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid")
    assert not Quitting.objects.exists()


def test_quitting_wants_a_promoter_and_his_confirmation(as_member: Any) -> None:
    answer = as_member(make_member()).post("promoter/quitting", {"confirmed": True})
    assert (answer.status_code, answer.json()["code"]) == (403, "not_promoter")
    answer = as_member(make_promoter().member).post("promoter/quitting", {"confirmed": False})
    assert (answer.status_code, answer.json()["code"]) == (400, "quitting_unconfirmed")
    assert not Quitting.objects.exists()


def test_one_quits_and_stays_after_all(as_member: Any) -> None:
    api = as_member(make_promoter().member)
    answer = api.post("promoter/quitting", {"confirmed": True, "note": "no time"})
    assert (answer.status_code, answer.json()["status"]) == (201, "requested")
    assert api.get("promoter/gate").json()["quitting_since"]
    again = api.post("promoter/quitting", {"confirmed": True})
    assert (again.status_code, again.json()["code"]) == (409, "already_quitting")
    answer = api.post("promoter/quitting/withdraw")
    assert (answer.status_code, answer.json()["status"]) == (200, "withdrawn")
    assert api.get("promoter/gate").json()["quitting_since"] is None
    assert api.post("promoter/quitting/withdraw").json()["code"] == "not_quitting"
