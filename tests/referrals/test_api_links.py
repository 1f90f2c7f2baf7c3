"""Share links, wxacodes, visits and the binding over the API."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from django.db import connection

from distro.crypto import blind_index
from distro.wechat.errors import WechatUnknown
from referrals.models import Binding, ShareLink, Visit
from referrals.rules.codes import read_code
from tests.factories import make_link, make_member, make_policy, make_promoter

pytestmark = pytest.mark.django_db

VISIT = {"visit_key": "visit-0001", "device": "d-1", "scene": "1047"}


# --- Links ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"target": "nowhere"}, "target"),
        ({"channel": "pigeon"}, "channel"),
        ({"target": "product"}, "target_ref"),
        ({"target": "home", "target_ref": "P1"}, "target_ref"),
        ({"target": "product", "target_ref": "a b"}, "target_ref"),
        ({"target": "product", "target_ref": "x" * 65}, "target_ref"),
        ({"target": "home", "target_ref": "a b"}, "target_ref"),
        ({"expires_at": "2026-11-01T00:00:00Z"}, "expires_at"),
        ({"expires_at": "2026-11-02T02:00:00Z"}, "expires_at"),  # this very moment
        ({"expires_at": "soon"}, "expires_at"),
    ],
)
def test_a_link_of_wrong_shape_is_refused(as_member: Any, body: dict[str, Any], field: str) -> None:
    answer = as_member(make_member()).post("share-links", body)
    assert answer.status_code == 400
    assert list(answer.json()["fields"]) == [field]
    assert not ShareLink.objects.exists()


def test_a_member_makes_lists_and_revokes_links(as_member: Any, at: datetime) -> None:
    member = make_member()
    make_link()
    api = as_member(member)
    end = (at + timedelta(days=7)).isoformat()
    body = {"target": "product", "target_ref": "P-1", "channel": "poster", "expires_at": end}
    made = api.post("share-links", body).json()
    plain = api.post("share-links").json()
    assert read_code(made["code"]) == made["code"]
    assert (made["target"], made["target_ref"], made["channel"]) == ("product", "P-1", "poster")
    assert (plain["target"], plain["expires_at"]) == ("home", None)
    codes = [row["code"] for row in api.get("share-links").json()["results"]]
    assert codes == [plain["code"], made["code"]]
    first = api.post(f"share-links/{made['code']}/revoke").json()
    again = api.post(f"share-links/{made['code']}/revoke").json()
    assert first == again
    assert first["revoked_at"] is not None


def test_a_strangers_link_is_not_found(as_member: Any, mini: Any) -> None:
    link, api = make_link(), as_member(make_member())
    assert api.post(f"share-links/{link.code}/revoke").status_code == 404
    assert api.get(f"share-links/{link.code}/wxacode").status_code == 404
    link.refresh_from_db()
    assert link.revoked_at is None
    assert mini.asked == []


@pytest.mark.parametrize(
    ("change", "code"),
    [({"revoked_at": "at"}, "revoked_code"), ({"expires_at": "at"}, "expired_code")],
)
def test_a_dead_link_has_no_picture(
    as_member: Any, mini: Any, at: datetime, change: dict[str, str], code: str
) -> None:
    member = make_member()
    link = make_link(member, **dict.fromkeys(change, at))
    answer = as_member(member).get(f"share-links/{link.code}/wxacode")
    assert (answer.status_code, answer.json()["code"]) == (410, code)
    assert mini.asked == []


def test_a_link_has_a_picture_with_its_code_as_scene(as_member: Any, mini: Any) -> None:
    member = make_member()
    link = make_link(member, target="recruit")
    answer = as_member(member).get(f"share-links/{link.code}/wxacode")
    assert (answer.status_code, answer.headers["Content-Type"]) == (200, "image/png")
    assert answer.content.startswith(b"\x89PNG")
    assert mini.asked == [("wxacode", link.code, "pages/promoter/join")]
    mini.error = WechatUnknown("connection")
    assert as_member(member).get(f"share-links/{link.code}/wxacode").status_code == 503


# --- Visits ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("code", "status", "error"),
    [
        ("22222222", 404, "unknown_code"),
        ("22222223", 400, "mistyped_code"),
        ("P0001", 400, "mistyped_code"),
    ],
)
def test_a_wrong_code_is_no_visit(stranger: Any, code: str, status: int, error: str) -> None:
    answer = stranger.post("visits", VISIT | {"code": code})
    assert (answer.status_code, answer.json()["code"]) == (status, error)
    assert list(answer.json()["fields"]) == ["code"]
    assert not Visit.objects.exists()


@pytest.mark.parametrize("change", ["revoked_at", "expires_at"])
def test_a_dead_code_is_no_visit(stranger: Any, at: datetime, change: str) -> None:
    answer = stranger.post("visits", VISIT | {"code": make_link(**{change: at}).code})
    assert answer.status_code == 410
    assert not Visit.objects.exists()


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"visit_key": "short"}, "visit_key"),
        ({"visit_key": "x" * 65}, "visit_key"),
        ({"device": "a b"}, "device"),
        ({"scene": "x"}, "scene"),
        ({"code": None}, "code"),
    ],
)
def test_a_visit_of_wrong_shape_is_refused(
    stranger: Any, change: dict[str, Any], field: str
) -> None:
    answer = stranger.post("visits", VISIT | {"code": make_link().code} | change)
    assert (answer.status_code, list(answer.json()["fields"])) == (400, [field])
    assert not Visit.objects.exists()


def test_opening_ones_own_link_is_refused_and_not_recorded(as_member: Any) -> None:
    promoter = make_promoter()
    body = VISIT | {"code": make_link(promoter.member).code}
    answer = as_member(promoter.member).post("visits", body)
    assert (answer.status_code, answer.json()["code"]) == (409, "own_code")
    assert not Visit.objects.exists()
    assert not Binding.objects.exists()


def test_a_younger_inviter_gets_the_visit_but_not_the_customer(
    as_member: Any, at: datetime
) -> None:
    young = make_promoter(member=make_member(joined_at=at))
    customer = make_member(joined_at=at - timedelta(days=1))
    body = VISIT | {"code": make_link(young.member).code}
    answer = as_member(customer).post("visits", body)
    assert answer.json()["outcome"] == "younger_inviter"
    assert Visit.objects.count() == 1
    assert not Binding.objects.exists()


def test_a_strangers_visit_is_recorded_once_without_his_address(stranger: Any) -> None:
    link = make_link(target="product", target_ref="P-1")
    answers = [stranger.post("visits", VISIT | {"code": link.code}) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [201, 201]
    assert answers[0].json() == {"target": "product", "target_ref": "P-1", "outcome": ""}
    visit = Visit.objects.get()
    assert (visit.member, visit.scene, visit.ip_truncated) == (None, "1047", "127.0.0.0/24")
    assert visit.device_hmac == blind_index("device", "d-1")
    with connection.cursor() as cursor:
        cursor.execute("SELECT * FROM referrals_visit")
        assert "127.0.0.1" not in str(cursor.fetchall())


def test_a_members_visit_binds_him(as_member: Any) -> None:
    customer, link = make_member(), make_link()
    api = as_member(customer)
    assert api.post("visits", VISIT | {"code": link.code}).json()["outcome"] == "bound"
    other = VISIT | {"code": make_link().code, "visit_key": "visit-0002"}
    assert api.post("visits", other).json()["outcome"] == "kept"
    assert Binding.objects.get().link == link
    assert Visit.objects.filter(member=customer).count() == 2


def test_a_wrong_token_is_no_stranger(stranger: Any) -> None:
    stranger.client.credentials(HTTP_AUTHORIZATION="Bearer wrong")
    assert stranger.post("visits", VISIT | {"code": make_link().code}).status_code == 401
    assert not Visit.objects.exists()


# --- Binding --------------------------------------------------------------------------------


def test_a_free_customer_reads_that_he_is_bound_to_nobody(as_member: Any) -> None:
    data = as_member(make_member()).get("me/binding").json()
    assert (data["bound"], data["promoter"]) == (False, None)
    assert data["explanation"]


@pytest.mark.parametrize(
    ("policy", "sentence"),
    [
        (
            {"binding_mode": "first_touch", "binding_days": 90, "protection_days": 30},
            "Bound to 李** because of the first touch on 2026-11-02 (Poster, code %s); "
            "protected until 2026-12-02, ends on 2027-01-31.",
        ),
        (
            {"binding_mode": "last_touch", "binding_days": None, "protection_days": 30},
            "Bound to 李** because of the last touch on 2026-11-02 (Poster, code %s); "
            "protected until 2026-12-02, without an end.",
        ),
        (
            {"binding_mode": "last_touch", "binding_days": 90, "protection_days": 0},
            "Bound to 李** because of the last touch on 2026-11-02 (Poster, code %s); "
            "not protected, ends on 2027-01-31.",
        ),
    ],
)
def test_a_binding_is_explained_in_one_sentence(
    as_member: Any, policy: dict[str, Any], sentence: str
) -> None:
    make_policy(**policy)
    promoter = make_promoter(member=make_member(nickname="李四光"))
    api = as_member(make_member())
    code = make_link(promoter.member, channel="poster").code
    api.post("visits", VISIT | {"code": code})
    api.client.credentials(
        HTTP_AUTHORIZATION=api.client._credentials["HTTP_AUTHORIZATION"], HTTP_ACCEPT_LANGUAGE="en"
    )
    data = api.get("me/binding").json()
    assert (data["bound"], data["promoter"]) == (True, "李**")
    assert data["explanation"] == sentence % code
