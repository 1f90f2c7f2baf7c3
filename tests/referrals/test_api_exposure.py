"""The promoter entry over the API."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest

from distro.actors import Actor
from referrals.models import Application, ExposureDecision, ExposurePolicy
from referrals.services.invites import make_invite
from tests.factories import make_agreement, make_member, make_policy, make_promoter

pytestmark = pytest.mark.django_db


def hide(at: datetime, **kw: Any) -> None:
    fields = {"segment": "promoters", "holdout_bps": 0}
    ExposurePolicy.objects.create(effective_from=at, **fields | kw)


def signature() -> dict[str, Any]:
    agreement = make_agreement()
    return {"version": agreement.version, "body_sha256": agreement.body_sha256, "accepted": True}


def test_a_stranger_is_told_nothing(stranger: Any) -> None:
    assert stranger.get("promoter/entry").status_code == 401


def test_a_member_is_told_whether_to_show_the_entry_and_why(as_member: Any, at: datetime) -> None:
    api = as_member(make_member())
    assert api.get("promoter/entry").json() == {"shown": True, "reason": "everyone"}
    hide(at)
    for _ in range(3):
        answer = api.get("promoter/entry").json()
    assert answer == {"shown": False, "reason": "promoters_only"}
    assert ExposureDecision.objects.count() == 2
    promoter = as_member(make_promoter().member)
    assert promoter.get("promoter/entry").json() == {"shown": True, "reason": "is_promoter"}


def test_a_hidden_entry_cannot_be_walked_around(as_member: Any, at: datetime) -> None:
    make_policy(gate="everyone")
    hide(at, segment="everyone", holdout_bps=10_000, salt="s")
    answer = as_member(make_member()).post("promoter/apply", signature())
    assert (answer.status_code, answer.json()["code"]) == (403, "promoter_entry_hidden")
    assert not Application.objects.exists()
    assert not ExposureDecision.objects.exists()


def test_where_it_is_shown_an_application_goes_through(as_member: Any, at: datetime) -> None:
    make_policy(gate="everyone")
    hide(at, segment="everyone")
    answer = as_member(make_member()).post("promoter/apply", signature())
    assert (answer.status_code, answer.json()["status"]) == (201, "approved")


def test_an_invite_code_of_staff_opens_a_hidden_entry(as_member: Any, at: datetime) -> None:
    make_policy(gate="invite")
    hide(at, segment="everyone", holdout_bps=10_000, salt="s")
    member = make_member()
    code = make_invite(note="club", uses_max=1, expires_at=None, by=Actor("staff", 1), at=at)
    body = signature() | {"invite_code": code.code}
    assert as_member(member).post("promoter/apply", body).status_code == 201
    answer = as_member(member).get("promoter/entry").json()
    assert answer == {"shown": True, "reason": "is_promoter"}
    assert ExposureDecision.objects.get().in_holdout
