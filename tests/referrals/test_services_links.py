"""Share links and visits below the API, and holds."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from distro.actors import Actor
from distro.errors import DomainError, NotFound
from distro.models import AuditEntry
from distro.wechat.mini import SCENE
from referrals import selectors
from referrals.errors import (
    BadTarget,
    ExpiredCode,
    ExpiryInPast,
    MistypedCode,
    ReasonMissing,
    RevokedCode,
    UnknownCode,
)
from referrals.models import Hold, ShareLink, Visit
from referrals.services.holds import lift_hold, open_hold
from referrals.services.links import PAGES, create_link, find_link, record_visit
from tests.factories import make_link, make_member, make_promoter

pytestmark = pytest.mark.django_db

STAFF = Actor("staff", 1)


def create(at: datetime, target: str = "home", ref: str = "", days: int | None = None) -> ShareLink:
    end = at + timedelta(days=days) if days is not None else None
    return create_link(
        member=make_member(), target=target, target_ref=ref, channel="chat", expires_at=end, at=at
    )


@pytest.mark.parametrize(
    ("target", "ref", "days", "error"),
    [
        ("product", "", None, BadTarget),
        ("campaign", "", None, BadTarget),
        ("home", "P1", None, BadTarget),
        ("recruit", "P1", None, BadTarget),
        ("product", "../x", None, BadTarget),
        ("home", "", 0, ExpiryInPast),
        ("home", "", -1, ExpiryInPast),
    ],
)
def test_an_unfit_link_is_not_made(
    at: datetime, target: str, ref: str, days: int | None, error: type[DomainError]
) -> None:
    with pytest.raises(error):
        create(at, target, ref, days)
    assert not ShareLink.objects.exists()


def test_each_way_a_code_can_be_wrong_has_its_own_error(at: datetime) -> None:
    good = make_link()
    swapped = good.code[1] + good.code[0] + good.code[2:]
    cases: list[tuple[str, type[DomainError]]] = [
        ("22222222", UnknownCode),
        (swapped if swapped != good.code else "ABC", MistypedCode),
        (make_link(revoked_at=at).code, RevokedCode),
        (make_link(expires_at=at).code, ExpiredCode),
        (make_link(make_member(status="closed")).code, RevokedCode),
    ]
    for code, error in cases:
        with pytest.raises(error) as caught:
            find_link(code=code, at=at)
        assert caught.value.field == "code"
    assert len({error.code for _, error in cases}) == 4
    assert find_link(code=good.code.lower(), at=at) == good


def test_a_link_lives_until_its_very_end(at: datetime) -> None:
    link = create(at, days=1)
    assert find_link(code=link.code, at=at + timedelta(hours=23, minutes=59)) == link
    with pytest.raises(ExpiredCode):
        find_link(code=link.code, at=at + timedelta(days=1))


def test_every_target_has_a_page_and_every_code_is_a_scene(at: datetime) -> None:
    assert set(PAGES) == set(ShareLink.Target)
    assert SCENE.fullmatch(create(at, "product", "P-1").code)


def test_a_visit_is_recorded_once_per_key(at: datetime) -> None:
    link, other = make_link(), make_link()
    facts = {"visit_key": "visit-1", "member_id": None, "device": "d", "scene": "", "at": at}
    first = record_visit(link=link, ip="2001:db8:1:2::3", **facts)  # type: ignore[arg-type]
    again = record_visit(link=other, ip="", **facts)  # type: ignore[arg-type]
    assert (again.pk, again.link) == (first.pk, link)
    assert Visit.objects.get().ip_truncated == "2001:db8:1::/48"


@pytest.mark.parametrize("reason", ["", "  "])
def test_a_hold_needs_a_reason(at: datetime, reason: str) -> None:
    promoter = make_promoter()
    with pytest.raises(ReasonMissing):
        open_hold(promoter_id=promoter.pk, reason=reason, by=STAFF, at=at)
    assert not Hold.objects.exists()


def test_a_promoter_is_held_until_the_last_hold_is_lifted(at: datetime) -> None:
    promoter = make_promoter()
    one, two = (
        open_hold(promoter_id=promoter.pk, reason=reason, by=STAFF, at=at) for reason in "ab"
    )
    lift_hold(hold_id=one.pk, reason="ok", by=STAFF, at=at)
    assert promoter.pk in selectors.held_promoter_ids()
    with pytest.raises(ReasonMissing):
        lift_hold(hold_id=two.pk, reason="", by=STAFF, at=at)
    with pytest.raises(NotFound):
        lift_hold(hold_id=one.pk, reason="again", by=STAFF, at=at)
    assert promoter.pk in selectors.held_promoter_ids()
    lift_hold(hold_id=two.pk, reason="ok", by=STAFF, at=at)
    assert not selectors.held_promoter_ids()
    actions = list(AuditEntry.objects.order_by("pk").values_list("action", flat=True))
    assert actions == ["hold.open", "hold.open", "hold.lift", "hold.lift"]
