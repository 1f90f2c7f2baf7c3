"""Visits: once per key, under keys that are rotated, forgotten in time."""

from __future__ import annotations

import base64
from datetime import datetime, timedelta
from typing import Any

import pytest

from distro.crypto import blind_index, signal_hash, signal_hashes, signal_key_version
from referrals import selectors
from referrals.errors import OwnCode
from referrals.errors_bindings import VisitKeyUsed
from referrals.models import Binding, Member, MemberToken, ShareLink, Visit
from referrals.services.links import SINGLE_PAGE, Opening, forget_visitors, open_link
from referrals.services.members import login
from tests.factories import make_link, make_member, make_policy, make_promoter

pytestmark = pytest.mark.django_db

DAY = timedelta(days=1)
OLD, NEW = (base64.b64encode(bytes([n]) * 32).decode() for n in (1, 2))


def look(link: ShareLink, at: datetime, member: Member | None = None, **kw: Any) -> Opening:
    facts = {"visit_key": "visit-1", "device": "phone", "ip": "203.0.113.7", "scene": "1007"}
    return open_link(code=link.code, member=member, at=at, **facts | kw)  # type: ignore[arg-type]


# --- Once per key -----------------------------------------------------------------------------


def test_a_repeat_answers_the_same_and_touches_nobody_again(at: datetime) -> None:
    """The network sends an old opening again: it must not take the customer back."""
    make_policy(binding_mode="last_touch", protection_days=0)
    customer, first, second = make_member(), make_link(), make_link()
    assert look(first, at, customer).outcome == "bound"
    assert look(second, at + DAY, customer, visit_key="visit-2").outcome == "rebound"
    before = list(Binding.objects.order_by("pk").values())
    assert look(first, at + 2 * DAY, customer).outcome == "bound"
    assert list(Binding.objects.order_by("pk").values()) == before
    assert Visit.objects.count() == 2


def test_a_strangers_visit_becomes_the_members_who_sends_it_again(at: datetime) -> None:
    customer, link = make_member(), make_link()
    assert look(link, at).outcome == ""
    assert look(link, at + DAY, customer).outcome == "bound"
    assert look(link, at + 2 * DAY).outcome == ""
    visit = Visit.objects.get()
    assert (visit.member, visit.outcome, visit.occurred_at) == (customer, "bound", at)
    assert Binding.objects.get().started_at == at + DAY


@pytest.mark.parametrize("whose", ["another link", "another member"])
def test_a_key_belongs_to_one_opening(at: datetime, whose: str) -> None:
    link, customer = make_link(), make_member()
    look(link, at, customer)
    before = (list(Visit.objects.values()), list(Binding.objects.values()))
    other = (make_link(), customer) if whose == "another link" else (link, make_member())
    with pytest.raises(VisitKeyUsed) as caught:
        look(other[0], at, other[1])
    assert caught.value.field == "visit_key"
    assert (list(Visit.objects.values()), list(Binding.objects.values())) == before


def test_an_own_code_is_no_visit(at: datetime) -> None:
    promoter = make_promoter()
    with pytest.raises(OwnCode):
        look(make_link(promoter.member), at, promoter.member)
    assert not Visit.objects.exists()


@pytest.mark.parametrize("outcome", ["younger_inviter", "referral_cycle"])
def test_a_refused_edge_is_noted_on_the_visit(at: datetime, outcome: str) -> None:
    top = make_promoter()
    if outcome == "younger_inviter":
        owner, customer = make_member(joined_at=at), make_member(joined_at=at - DAY)
        make_promoter(member=owner)
    else:
        owner, customer = make_promoter(top).member, top.member
    assert look(make_link(owner), at, customer).outcome == outcome
    assert Visit.objects.get().outcome == outcome
    assert not Binding.objects.exists()


def test_a_page_seen_in_moments_binds_nobody_until_the_app_is_entered(at: datetime) -> None:
    customer, link = make_member(), make_link(channel="moments")
    assert look(link, at, customer, scene=SINGLE_PAGE).outcome == ""
    assert not Binding.objects.exists()
    assert look(link, at, customer, scene="1155").outcome == "bound"


# --- Keys and retention -----------------------------------------------------------------------


def test_without_rotation_the_one_index_key_hashes(settings: Any) -> None:
    settings.SIGNAL_KEYS = []
    assert signal_key_version() == ""
    assert signal_hash("ip", "10.0.0.1") == blind_index("ip", "10.0.0.1")
    assert signal_hashes("device", "d") == [blind_index("device", "d")]
    assert (signal_hash("ip", ""), signal_hashes("ip", "")) == ("", [])


def test_a_person_is_known_again_across_a_rotation(settings: Any, at: datetime) -> None:
    settings.SIGNAL_KEYS = [f"2025:{OLD}"]
    look(make_link(), at - 20 * DAY)
    first = Visit.objects.get()
    settings.SIGNAL_KEYS = [f"2026:{NEW}", f"2025:{OLD}"]
    look(make_link(), at - 10 * DAY, visit_key="visit-2")
    second = Visit.objects.get(visit_key="visit-2")
    assert (first.key_version, second.key_version) == ("2025", "2026")
    assert first.device_hmac != second.device_hmac
    assert first.ip_hmac != second.ip_hmac
    seen = selectors.first_seen(None, device="phone", joined_at=at)
    assert seen == first.occurred_at
    settings.SIGNAL_KEYS = [f"2026:{NEW}"]  # the overlap is over
    assert selectors.first_seen(None, device="phone", joined_at=at) == second.occurred_at


def test_device_and_address_are_forgotten_after_180_days(
    at: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("referrals.services.links.FORGOTTEN_AT_ONCE", 2)
    customer = make_member()
    for n in range(5):
        look(make_link(), at, customer, visit_key=f"old-{n:05d}")
    look(make_link(), at + DAY, customer, visit_key="young-01")
    before = Visit.objects.values("link", "member", "outcome", "scene", "occurred_at")
    kept = list(before.order_by("pk"))
    assert forget_visitors(at=at + 180 * DAY - timedelta(seconds=1)) == 0
    assert forget_visitors(at=at + 180 * DAY) == 5
    assert forget_visitors(at=at + 180 * DAY) == 0
    forgotten = Visit.objects.exclude(forgotten_at=None)
    empty = {("", "", "", at + 180 * DAY)}
    columns = ("device_hmac", "ip_hmac", "ip_truncated", "forgotten_at")
    assert set(forgotten.values_list(*columns)) == empty
    assert Visit.objects.get(visit_key="young-01").device_hmac != ""
    assert list(before.order_by("pk")) == kept


def test_a_log_in_keeps_its_device_until_it_is_over(at: datetime) -> None:
    login(openid="o-1", unionid=None, link_code="", device="phone", at=at)
    token = MemberToken.objects.get()
    forget_visitors(at=token.expires_at - timedelta(seconds=1))
    assert MemberToken.objects.get().device == "phone"
    forget_visitors(at=token.expires_at)
    assert MemberToken.objects.get().device == ""
