"""The self-check of share links: what is broken, since when, and what nobody can say."""

from __future__ import annotations

from collections.abc import Callable, Collection
from datetime import datetime, timedelta
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from distro.actors import Actor
from distro.errors import DomainError, NotFound
from distro.models import AuditEntry
from distro.wechat.mini import SCENE
from referrals.errors import ReasonMissing, RevokedCode
from referrals.models import Agreement, Binding, ShareLink, Visit
from referrals.selectors_links import links_by_target, with_statistics
from referrals.services.bindings import touch
from referrals.services.checking_links import check_links
from referrals.services.links import PAGES, record_visit, revoke_link_by_staff
from tests.analytics.admin_world import make_staff
from tests.factories import make_agreement, make_link, make_member, make_promoter

pytestmark = pytest.mark.django_db

STAFF = Actor("staff", 1)
DAY = timedelta(days=1)
SUBMITTED = {"_form_submitted": "on"}
FAULTS: dict[str, str] = {}
ASKED: list[list[str]] = []


def faults_of(refs: Collection[str], at: datetime) -> dict[str, str]:
    ASKED.append(sorted(refs))
    return {ref: FAULTS[ref] for ref in refs if ref in FAULTS}


@pytest.fixture(autouse=True)
def _targets(settings: Any) -> Any:
    settings.LINK_TARGETS = {
        "home": "referrals.selectors_links.home_faults",
        "recruit": "referrals.selectors_links.recruit_faults",
        "product": f"{__name__}.faults_of",
    }
    yield
    FAULTS.clear()
    ASKED.clear()


def product(ref: str, **kw: Any) -> ShareLink:
    return make_link(target="product", target_ref=ref, **kw)


def state(link: ShareLink) -> tuple[datetime | None, str]:
    link.refresh_from_db()
    return link.broken_since, link.broken_reason


def test_a_fault_keeps_its_first_moment_until_it_is_mended(at: datetime) -> None:
    link, fine = product("P1"), product("P2")
    FAULTS["P1"] = "ended"
    assert check_links(at=at) == 1
    FAULTS["P1"] = "gone"
    assert check_links(at=at + DAY) == 1
    assert (state(link), state(fine)) == ((at, "gone"), (None, ""))
    FAULTS.clear()
    assert check_links(at=at + 2 * DAY) == 0
    assert state(link) == (None, "")


def test_objects_are_asked_about_once_and_in_bulk(
    at: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("referrals.services.checking_links.ASKED_AT_ONCE", 2)
    owner = make_promoter().member
    for n in range(5):
        product(f"P{n}", member=owner), product(f"P{n}", member=owner)
    FAULTS.update({"P0": "gone", "P4": "ended"})
    assert check_links(at=at) == 4
    assert ASKED == [["P0", "P1"], ["P2", "P3"], ["P4"]]


def test_the_number_of_queries_does_not_grow_with_the_links(at: datetime) -> None:
    owner = make_promoter().member

    def queries() -> int:
        with CaptureQueriesContext(connection) as found:
            check_links(at=at)
        return len(found)

    product("P0", member=owner), product("P1", member=owner)
    FAULTS["P0"] = "gone"
    few = queries()
    for n in range(30):
        product(f"P{n % 10}", member=owner)
    assert queries() <= few


@pytest.mark.parametrize(
    "dead", [{"revoked_at": "at"}, {"expires_at": "at"}, {"member": "closed"}], ids=str
)
def test_only_active_links_are_checked(at: datetime, dead: dict[str, Any]) -> None:
    if "member" in dead:
        link = product("P1", member=make_member(status="closed"))
    else:
        link = product("P1", **dict.fromkeys(dead, at))
    ShareLink.objects.filter(pk=link.pk).update(broken_since=at, broken_reason="gone")
    FAULTS["P1"] = "gone"
    assert check_links(at=at) == 0
    assert ASKED == []
    assert state(link) == (None, "")


def test_what_nobody_can_check_is_neither_broken_nor_fine(at: datetime) -> None:
    link = make_link(target="live", target_ref="L1")
    ShareLink.objects.filter(pk=link.pk).update(broken_since=at, broken_reason="gone")
    make_link(target="material", target_ref="M1"), product("P1"), make_link()
    FAULTS["P1"] = "gone"
    assert check_links(at=at) == 1
    found = {row.target: (row.links, row.broken) for row in links_by_target(at)}
    assert found == {"home": (1, 0), "live": (1, None), "material": (1, None), "product": (1, 1)}
    assert state(link) == (None, "")


def test_nobody_can_be_recruited_without_an_agreement(at: datetime) -> None:
    Agreement.objects.update(effective_from=at + DAY)
    link = make_link(target="recruit")
    assert check_links(at=at) == 1
    assert state(link) == (at, "not_open")
    make_agreement()
    assert check_links(at=at) == 0


def test_the_command_lists_the_broken_and_fails(at: datetime) -> None:
    link, _, _ = product("P1"), make_link(target="live", target_ref="L1"), make_link()
    out = StringIO()
    call_command("check_links", stdout=out)
    assert out.getvalue().splitlines() == [
        "home: 1 links, 0 broken", "live: 1 links, not checkable", "product: 1 links, 0 broken",
    ]  # fmt: skip
    FAULTS["P1"] = "gone"
    out = StringIO()
    with pytest.raises(CommandError, match="1 broken links"):
        call_command("check_links", stdout=out)
    assert f"{link.code} product P1: gone, 2026-11-02" in out.getvalue()


def test_every_target_has_a_page_and_every_code_is_a_scene(at: datetime) -> None:
    assert set(PAGES) == set(ShareLink.Target)
    for target in ShareLink.Target:
        ref = "X1" if target in ShareLink.WITH_OBJECT else ""
        code = make_link(target=target, target_ref=ref).code
        assert len(code) <= 32
        assert SCENE.fullmatch(code)


# --- Revoking by staff ------------------------------------------------------------------------


def test_staff_revokes_a_code_once_with_a_reason(at: datetime) -> None:
    link = make_link()
    cases: list[tuple[type[DomainError], Callable[[], object]]] = [
        (ReasonMissing, lambda: revoke_link_by_staff(link_id=link.pk, reason=" ", by=STAFF, at=at)),
        (NotFound, lambda: revoke_link_by_staff(link_id=404, reason="x", by=STAFF, at=at)),
    ]
    for error, act in cases:
        with pytest.raises(error):
            act()
    link.refresh_from_db()
    assert (link.revoked_at, AuditEntry.objects.count()) == (None, 0)
    customer = make_member()
    touch(member_id=customer.pk, link=link, at=at)
    revoked = revoke_link_by_staff(link_id=link.pk, reason="spam", by=STAFF, at=at + DAY)
    assert (revoked.revoked_at, revoked.revoked_by, revoked.revoke_reason) == (
        at + DAY, "staff:1", "spam",
    )  # fmt: skip
    with pytest.raises(RevokedCode):
        revoke_link_by_staff(link_id=link.pk, reason="again", by=STAFF, at=at + 2 * DAY)
    assert Binding.objects.get().ended_at is None
    assert AuditEntry.objects.get().action == "link.revoke"


# --- In the admin -----------------------------------------------------------------------------


def brought(link: ShareLink, at: datetime) -> None:
    """One who only looked, and one who joined by the link and was bound."""
    facts: dict[str, Any] = {"link": link, "device": "", "ip": "", "scene": "", "at": at}
    record_visit(visit_key=f"look-{link.code}", member_id=None, **facts)
    record_visit(visit_key=f"again-{link.code}", member_id=None, **facts)
    member = make_member()
    record_visit(visit_key=f"login/{member.pk}", member_id=member.pk, **facts)
    touch(member_id=member.pk, link=link, at=at)


def test_a_link_counts_what_it_brought(at: datetime) -> None:
    link, idle = make_link(), make_link()
    brought(link, at)
    found = {
        row.pk: (row.visit_count, row.joined_count, row.bound_count)  # type: ignore[attr-defined]
        for row in with_statistics(ShareLink.objects.all())
    }
    assert found == {link.pk: (2, 1, 1), idle.pk: (0, 0, 0)}


def test_the_list_asks_as_often_for_many_links_as_for_few(at: datetime) -> None:
    client, page = Client(), reverse("admin:referrals_sharelink_changelist")
    client.force_login(make_staff("operator"))

    def queries() -> int:
        with CaptureQueriesContext(connection) as found:
            assert client.get(page).status_code == 200
        return len(found)

    brought(make_link(), at)
    client.get(page)
    few = queries()
    for _ in range(5):
        brought(make_link(), at)
    assert queries() <= few


@pytest.mark.parametrize("health", ["broken", "fine", "unknown"])
def test_the_list_is_filtered_by_what_opens(at: datetime, health: str) -> None:
    links = {
        "broken": product("P1"), "fine": product("P2"),
        "unknown": make_link(target="live", target_ref="L1"),
    }  # fmt: skip
    product("P1", revoked_at=at)
    FAULTS["P1"] = "gone"
    check_links(at=at)
    client = Client()
    client.force_login(make_staff("operator"))
    answer = client.get(reverse("admin:referrals_sharelink_changelist"), {"health": health})
    assert [row.pk for row in answer.context["cl"].result_list] == [links[health].pk]


def test_support_sees_links_but_revokes_none(at: datetime) -> None:
    link, client = make_link(), Client()
    page = reverse("admin:referrals_sharelink_change", args=[link.pk])
    step = reverse("admin:referrals_sharelink_revoke", args=[link.pk])
    client.force_login(make_staff("support"))
    assert client.get(page).status_code == 200
    assert client.post(step, SUBMITTED | {"reason": "x"}).status_code == 403
    link.refresh_from_db()
    assert link.revoked_at is None
    client.force_login(make_staff("operator"))
    client.post(step, SUBMITTED | {"reason": "spam"})
    link.refresh_from_db()
    assert link.revoke_reason == "spam"
    assert Visit.objects.count() == 0
