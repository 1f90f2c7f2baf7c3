"""Log-in, tokens, a member's own data, imported members."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from distro import clock
from distro.crypto import blind_index
from referrals import selectors
from referrals.errors import BadPhone, MemberBlocked, MemberClosed
from referrals.models import Binding, Member, MemberToken, Visit
from referrals.services.members import (
    LoginResult,
    ensure_members,
    login,
    rename,
    revoke_token,
    revoke_tokens_of,
    set_phone,
)
from referrals.signals import member_joined
from tests.factories import make_link, make_member, make_policy, make_promoter
from tests.referrals.queries import own

pytestmark = pytest.mark.django_db


def log_in(at: datetime, openid: str = "o-new", **kw: Any) -> LoginResult:
    facts = {"unionid": None, "link_code": "", "device": "", "at": at}
    return login(openid=openid, **facts | kw)


@pytest.fixture
def joined() -> Any:
    heard: list[int] = []

    def hear(sender: object, member_id: int, **kw: object) -> None:
        heard.append(member_id)

    member_joined.connect(hear, weak=False, dispatch_uid="test")
    yield heard
    member_joined.disconnect(dispatch_uid="test")


# --- Refusals -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "error"), [("blocked", MemberBlocked), ("closed", MemberClosed)]
)
def test_a_blocked_or_closed_member_gets_no_token(
    at: datetime, status: str, error: type[Exception]
) -> None:
    make_member(openid="o-1", status=status)
    with pytest.raises(error):
        log_in(at, "o-1", link_code=make_link().code)
    assert not MemberToken.objects.exists()
    assert not Binding.objects.exists()


@pytest.mark.parametrize(
    ("kw", "code"),
    [
        ({"revoked_at": clock.real_now()}, "revoked_code"),
        ({"expires_at": datetime(2026, 11, 1, tzinfo=clock.BEIJING)}, "expired_code"),
        ({"expires_at": datetime(2026, 11, 2, 10, tzinfo=clock.BEIJING)}, "expired_code"),
    ],
)
def test_an_unusable_share_code_is_reported_and_the_login_succeeds(
    at: datetime, kw: dict[str, Any], code: str
) -> None:
    result = log_in(at, link_code=make_link(**kw).code)
    assert result.link_error is not None
    assert (result.link_error.code, result.created) == (code, True)
    assert result.member.inviter_id is None
    assert not Binding.objects.exists()


@pytest.mark.parametrize(
    ("text", "code"),
    [("ABCDEFGH", "mistyped_code"), ("x" * 500, "mistyped_code"), ("22222222", "unknown_code")],
)
def test_a_share_code_that_does_not_exist_is_reported(at: datetime, text: str, code: str) -> None:
    result = log_in(at, link_code=text)
    assert result.link_error is not None
    assert result.link_error.code == code
    assert result.token


def test_a_blocked_owners_code_counts_as_revoked(at: datetime) -> None:
    link = make_link()
    Member.objects.filter(pk=link.member_id).update(status="blocked")
    result = log_in(at, link_code=link.code)
    assert result.link_error is not None
    assert result.link_error.code == "revoked_code"


def test_an_own_code_is_reported_and_binds_nobody(at: datetime) -> None:
    promoter = make_promoter()
    link = make_link(promoter.member)
    result = log_in(at, promoter.member.openid or "", link_code=link.code)
    assert result.link_error is not None
    assert result.link_error.code == "own_code"
    assert not Binding.objects.exists()


def test_the_owner_who_comes_with_another_openid_is_not_brought_by_himself(at: datetime) -> None:
    owner = make_promoter(member=make_member(unionid="u-1")).member
    result = log_in(at, unionid="u-1", link_code=make_link(owner).code)
    assert result.link_error is not None
    assert (result.link_error.code, result.created) == ("own_code", False)
    assert (result.member, result.member.inviter_id) == (owner, None)
    assert not Binding.objects.exists()


def test_an_inviter_younger_than_the_first_visit_is_refused(at: datetime) -> None:
    young = make_promoter(member=make_member(joined_at=at - timedelta(days=1)))
    Visit.objects.create(
        link=make_link(), visit_key="v", device_hmac=blind_index("device", "phone-1"),
        occurred_at=at - timedelta(days=2),
    )  # fmt: skip
    result = log_in(at, link_code=make_link(young.member).code, device="phone-1")
    assert result.link_error is not None
    assert result.link_error.code == "younger_inviter"
    assert result.member.inviter_id is None
    assert not Binding.objects.exists()


def test_a_number_that_is_no_phone_is_refused(at: datetime) -> None:
    member = make_member()
    with pytest.raises(BadPhone):
        set_phone(member_id=member.pk, phone="12")
    member.refresh_from_db()
    assert (member.phone, member.phone_index) == ("", "")


# --- It works -------------------------------------------------------------------------------


def test_the_first_login_makes_a_member_brought_and_bound_by_the_links_owner(
    at: datetime, joined: list[int]
) -> None:
    promoter = make_promoter()
    link = make_link(promoter.member)
    result = log_in(at, unionid="u", link_code=link.code.lower(), device="phone-1")
    member = result.member
    assert (result.created, result.link_error, joined) == (True, None, [member.pk])
    assert (member.unionid, member.inviter_id, member.joined_at) == ("u", promoter.member_id, at)
    binding = Binding.objects.get()
    assert (binding.member_id, binding.promoter_id, binding.link_id) == (
        member.pk, promoter.pk, link.pk,
    )  # fmt: skip


def test_somebody_who_is_no_promoter_still_brings_a_member(at: datetime) -> None:
    friend = make_member()
    result = log_in(at, link_code=make_link(friend).code)
    assert (result.member.inviter_id, result.link_error) == (friend.pk, None)
    assert not Binding.objects.exists()


def test_nobody_takes_the_place_of_a_newcomers_visit_beforehand(
    at: datetime, stranger: Any
) -> None:
    """The visit of a first log-in has a key that no phone can send."""
    link, foreign = make_link(make_member()), make_link()
    visit = Visit.objects.get(member=log_in(at, link_code=link.code).member)
    for later in range(3):
        key = f"{visit.visit_key}000{later}"  # of a member to come
        answer = stranger.post("visits", {"code": foreign.code, "visit_key": key})
        assert (answer.status_code, list(answer.json()["fields"])) == (400, ["visit_key"])
    assert Visit.objects.count() == 1


def test_where_only_registration_binds_the_first_login_does(at: datetime) -> None:
    make_policy(binding_mode="register_only")
    log_in(at, link_code=make_link().code)
    assert Binding.objects.get().mode == "register_only"
    log_in(at, "o-late")
    log_in(at, "o-late", link_code=make_link().code)
    assert Binding.objects.count() == 1


def test_the_inviter_never_changes(at: datetime, joined: list[int]) -> None:
    first = log_in(at, link_code=make_link().code)
    again = log_in(at + timedelta(days=1), link_code=make_link().code)
    assert (again.created, again.member.pk) == (False, first.member.pk)
    assert again.member.inviter_id == first.member.inviter_id is not None
    assert Binding.objects.count() == 1
    assert joined == [first.member.pk]


def test_a_member_without_inviter_gets_none_later_but_is_bound(at: datetime) -> None:
    log_in(at)
    again = log_in(at + timedelta(days=1), link_code=make_link().code)
    assert again.member.inviter_id is None
    assert Binding.objects.count() == 1


def test_only_the_hash_of_a_token_is_kept(at: datetime) -> None:
    result = log_in(at, device="d" * 80)
    row = MemberToken.objects.get()
    assert len(result.token) == 43
    assert row.digest == hashlib.sha256(result.token.encode()).hexdigest()
    assert row.expires_at - row.created_at == timedelta(days=30)
    assert row.device == "d" * 64


def test_a_token_is_good_until_it_is_revoked_or_too_old(at: datetime) -> None:
    result = log_in(at)
    now = clock.real_now()
    row = selectors.live_token(result.token, at=now)
    assert row is not None
    assert row.member == result.member
    assert selectors.live_token(result.token, at=now + timedelta(days=31)) is None
    assert selectors.live_token(result.token + "x", at=now) is None
    assert selectors.live_token("", at=now) is None
    assert revoke_token(token_id=row.pk, at=now) == 1
    assert selectors.live_token(result.token, at=now) is None
    assert revoke_token(token_id=row.pk, at=now) == 0


def test_all_devices_are_logged_out_at_once(at: datetime) -> None:
    one, two = log_in(at, device="a"), log_in(at, device="b")
    assert revoke_tokens_of(member_id=one.member.pk, at=clock.real_now()) == 2
    assert selectors.live_token(two.token, at=clock.real_now()) is None


def test_a_unionid_that_wechat_gives_later_is_kept(at: datetime) -> None:
    log_in(at)
    assert log_in(at, unionid="u-9").member.unionid == "u-9"


@pytest.mark.parametrize(("new", "linked", "most"), [(True, True, 12), (False, False, 5)])
def test_a_login_takes_few_queries(at: datetime, new: bool, linked: bool, most: int) -> None:
    if not new:
        log_in(at)
    code = make_link().code if linked else ""
    with CaptureQueriesContext(connection) as queries:
        log_in(at, link_code=code, device="phone")
    ours = own(queries)
    assert len(ours) <= most, "\n".join(ours)


def test_a_phone_is_kept_encrypted_and_found_by_its_index() -> None:
    member = make_member()
    set_phone(member_id=member.pk, phone="138 0013 8000")
    found = Member.objects.get(phone_index=blind_index("phone", "+8613800138000"))
    assert found.phone == "+8613800138000"
    with connection.cursor() as cursor:
        cursor.execute("SELECT phone FROM referrals_member WHERE id = %s", [member.pk])
        assert "13800138000" not in cursor.fetchone()[0]


def test_a_member_is_renamed() -> None:
    assert rename(member_id=make_member().pk, nickname="小王").nickname == "小王"


# --- Imports --------------------------------------------------------------------------------


def test_imported_members_are_made_once(at: datetime, joined: list[int]) -> None:
    first = ensure_members(external_nos={"A": at, "B": at - timedelta(days=1)})
    again = ensure_members(external_nos={"B": at, "C": at})
    assert first["B"] == again["B"]
    assert Member.objects.get(pk=first["B"]).joined_at == at - timedelta(days=1)
    assert Member.objects.count() == 3
    assert joined == []


def test_imported_members_are_told_only_on_request(at: datetime, joined: list[int]) -> None:
    known = ensure_members(external_nos={"A": at})
    made = ensure_members(external_nos={"A": at, "B": at}, tell_facts=True)
    assert joined == [made["B"]]
    assert made["A"] == known["A"]


def test_an_import_of_many_members_takes_few_queries(
    at: datetime, django_assert_max_num_queries: Callable[..., Any]
) -> None:
    with django_assert_max_num_queries(45):  # SQLite takes 90 rows at once
        assert len(ensure_members(external_nos={f"N{n}": at for n in range(3_000)})) == 3_000
