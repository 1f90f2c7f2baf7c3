"""The timeline of one customer, in pages, and the evidence file of a dispute."""

from __future__ import annotations

import csv
import hashlib
import io
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from distro.actors import Actor
from distro.models import AuditEntry
from referrals.errors import ReasonMissing
from referrals.exports_timeline import BOM, Request, is_unchanged, write_timeline
from referrals.models import Member
from referrals.selectors_timeline import Mark, all_moments, timeline
from referrals.services.bindings_staff import bind_by_staff, end_binding
from referrals.services.links import open_link
from referrals.services.members import login
from tests.analytics.admin_world import make_staff
from tests.factories import make_link, make_member, make_order, make_policy, make_promoter

pytestmark = pytest.mark.django_db

STAFF = Actor("staff", 7)
DAY = timedelta(days=1)


@pytest.fixture
def customer(at: datetime) -> Member:
    """Return one who came by A's poster, saw B's link, was given to B by staff, and bought."""
    make_policy(binding_mode="first_touch", protection_days=1)
    one = make_promoter(member=make_member(nickname="李四光"), code="ANNA")
    other = make_promoter(member=make_member(nickname="王五"), code="BORIS")
    poster = make_link(one.member, channel="poster")
    member = login(openid="o-new", unionid=None, link_code=poster.code, device="", at=at).member
    look(make_link(other.member, channel="group"), member, at + DAY)
    binding = bind_by_staff(
        member_id=member.pk, promoter_id=other.pk, reason="complaint 7", by=STAFF, at=at + 2 * DAY
    )
    make_order(member, promoter_1=other, binding=binding, placed_at=at + 3 * DAY, number="D-1")
    end_binding(binding_id=binding.pk, reason="withdrawn", by=STAFF, at=at + 4 * DAY)
    return member


def look(link: Any, member: Member, at: datetime) -> None:
    open_link(
        code=link.code, visit_key=f"v-{member.pk}-{link.pk}-{at:%d%H%M%S}", member=member,
        device="", ip="", scene="", at=at,
    )  # fmt: skip


STORY = [
    ("joined", ""), ("login_by_link", "ANNA"), ("bound", "ANNA"), ("visit", "BORIS"),
    ("ended", "ANNA"), ("bound", "BORIS"), ("order", "BORIS"), ("ended", "BORIS"),
]  # fmt: skip


def told(moments: Any) -> list[tuple[str, str]]:
    return [(one.kind, one.promoter.code if one.promoter else "") for one in moments]


# --- Moments ----------------------------------------------------------------------------------


def test_everything_that_happened_is_told_in_order(customer: Member) -> None:
    assert told(all_moments(customer.pk)) == STORY
    assert told(timeline(customer.pk).moments) == STORY[::-1]


def test_each_moment_says_who_why_and_through_what(customer: Member) -> None:
    joined, came, bound, visit, ended, manual, order, over = all_moments(customer.pk)
    assert (joined.who, came.who) == (f"member:{customer.pk}", f"member:{customer.pk}")
    assert bound.link is not None
    assert (bound.who, bound.link.channel, bound.link) == ("system:0", "poster", came.link)
    assert str(visit.text) != ""
    assert (ended.who, ended.why) == ("staff:7", "complaint 7")
    assert (manual.who, manual.why, manual.link) == ("staff:7", "complaint 7", None)
    assert (order.ref, order.binding_id) == ("D-1", manual.binding_id)
    assert (over.who, over.why) == ("staff:7", "withdrawn")


@pytest.mark.parametrize("newest_first", [True, False])
@pytest.mark.parametrize("limit", [1, 2, 3, 7, 8, 50])
def test_pages_of_any_size_tell_the_same_story(
    customer: Member, limit: int, newest_first: bool
) -> None:
    found, beyond = [], None
    while True:
        page = timeline(customer.pk, beyond=beyond, newest_first=newest_first, limit=limit)
        found += page.moments
        assert len(page.moments) <= limit
        beyond = page.beyond
        if beyond is None:
            break
    assert told(found) == (STORY[::-1] if newest_first else STORY)
    marks = [moment.mark for moment in found]
    assert all((a > b) == newest_first for a, b in pairwise(marks))


def test_things_of_one_moment_are_not_lost_between_pages(at: datetime) -> None:
    member = make_member(joined_at=at)
    for _ in range(7):
        look(make_link(make_member()), member, at)
    found: list[Mark] = []
    beyond = None
    for _ in range(8):
        page = timeline(member.pk, beyond=beyond, limit=1)
        found += [moment.mark for moment in page.moments]
        beyond = page.beyond
    assert len(set(found)) == 8
    assert beyond is None


def test_a_page_takes_a_fixed_number_of_queries(customer: Member, at: datetime) -> None:
    def queries() -> int:
        with CaptureQueriesContext(connection) as found:
            timeline(customer.pk)
        return len(found)

    few = queries()
    for n in range(20):
        look(make_link(), customer, at + timedelta(days=5, seconds=n))
        make_order(customer)
    assert queries() == few == 6


def test_nobody_elses_story_is_told(customer: Member) -> None:
    other = make_member()
    assert told(all_moments(other.pk)) == [("joined", "")]


def test_a_merged_account_belongs_to_the_story(customer: Member, at: datetime) -> None:
    other = make_member(joined_at=at - DAY)
    Member.objects.filter(pk=other.pk).update(status="merged", merged_into=customer)
    assert told(all_moments(customer.pk)) == [("joined", ""), *STORY]


# --- The evidence file ------------------------------------------------------------------------


def file_of(member: Member, at: datetime, clear: bool = False) -> tuple[bytes, dict[str, Any]]:
    out = io.BytesIO()
    asked = Request(by=STAFF, maker="clerk", reason="dispute 9", clear=clear, at=at + 9 * DAY)
    manifest = write_timeline(member, request=asked, write=out.write)
    return out.getvalue(), manifest


def rows_of(data: bytes) -> list[list[str]]:
    return list(csv.reader(io.StringIO(data.decode("utf-8-sig"))))


def test_a_file_without_a_reason_is_not_written(customer: Member, at: datetime) -> None:
    out, before = io.BytesIO(), AuditEntry.objects.count()
    asked = Request(by=STAFF, maker="clerk", reason="  ", clear=False, at=at)
    with pytest.raises(ReasonMissing):
        write_timeline(customer, request=asked, write=out.write)
    assert (out.getvalue(), AuditEntry.objects.count()) == (b"", before)


def test_the_file_tells_the_story_and_ends_with_its_hash(customer: Member, at: datetime) -> None:
    data, manifest = file_of(customer, at)
    titles, *lines, footer = rows_of(data)
    assert data.startswith(BOM)
    assert (titles[1], titles[-1]) == ("时间（北京时间）", "订单号")
    assert [line[3] for line in lines] == [code for _kind, code in STORY]
    assert [line[0] for line in lines] == [str(n) for n in range(1, 9)]
    assert lines[0][1] == "2026-11-02 10:00:00"
    assert lines[6][-1] == "D-1"
    body = data[: data.rindex("以上内容的SHA-256".encode())]
    assert footer[1] == hashlib.sha256(body).hexdigest() == manifest["sha256"]
    assert manifest["rows"] == 8
    assert "理由：dispute 9" in footer


def test_names_are_masked_unless_the_reader_may_see_them(customer: Member, at: datetime) -> None:
    masked, clear = (file_of(customer, at, clear=clear)[0].decode() for clear in (False, True))
    assert ("李四光" in masked, "李**" in masked) == (False, True)
    assert "李四光" in clear


def test_a_changed_file_gives_itself_away(customer: Member, at: datetime) -> None:
    data, _ = file_of(customer, at)
    assert is_unchanged(data)
    assert not is_unchanged(data.replace(b"BORIS", b"DORIS", 1))
    assert not is_unchanged(data[:-400] + b"\r\n")
    assert not is_unchanged(b"")


def test_a_reason_that_begins_like_a_formula_is_none(at: datetime) -> None:
    member, promoter = make_member(), make_promoter()
    bind_by_staff(
        member_id=member.pk, promoter_id=promoter.pk, reason="=HYPERLINK(1)", by=STAFF, at=at
    )
    data, _ = file_of(member, at)
    assert b"'=HYPERLINK(1)" in data
    assert b",=HYPERLINK" not in data


def test_the_download_is_recorded_with_its_reason(customer: Member, at: datetime) -> None:
    _, manifest = file_of(customer, at)
    entry = AuditEntry.objects.latest("pk")
    assert (entry.action, entry.reason) == ("timeline.export", "dispute 9")
    assert (entry.target, entry.detail) == (f"referrals.member:{customer.pk}", manifest)


# --- In the admin -----------------------------------------------------------------------------


def client_of(role: str) -> Client:
    client = Client()
    client.force_login(make_staff(role))
    return client


def page_of(member: Member) -> str:
    return reverse("admin:referrals_timeline", args=[member.pk])


def file_page(member: Member) -> str:
    return reverse("admin:referrals_timeline_file", args=[member.pk])


@pytest.mark.parametrize(
    ("role", "sees", "downloads"),
    [("owner", 1, 1), ("operator", 1, 1), ("finance", 1, 0), ("support", 1, 0), ("", 0, 0)],
)
def test_the_rights_decide_who_reads_and_who_downloads(
    customer: Member, role: str, sees: int, downloads: int
) -> None:
    client = client_of(role)
    before = AuditEntry.objects.count()
    assert client.get(page_of(customer)).status_code == (200 if sees else 403)
    answer = client.post(file_page(customer), {"reason": "dispute 9"})
    assert answer.status_code == (200 if downloads else 403)
    assert AuditEntry.objects.count() == before + downloads
    if downloads:
        assert is_unchanged(b"".join(answer.streaming_content))  # type: ignore[attr-defined]
        assert f"timeline-{customer.no}" in answer.headers["Content-Disposition"]


@pytest.mark.parametrize("method", ["get", "post"])
def test_no_file_leaves_without_a_reason(customer: Member, method: str) -> None:
    before = AuditEntry.objects.count()
    answer = getattr(client_of("owner"), method)(file_page(customer), {})
    assert (answer.status_code, answer.headers["Location"]) == (302, page_of(customer))
    assert AuditEntry.objects.count() == before


def test_the_page_masks_names_without_the_right(customer: Member) -> None:
    support = client_of("support").get(page_of(customer)).content.decode()
    owner = client_of("owner").get(page_of(customer)).content.decode()
    assert ("李四光" in support, "李**" in support, "李四光" in owner) == (False, True, True)
    assert "complaint 7" in support


def test_the_page_goes_on_where_it_ended(customer: Member, monkeypatch: pytest.MonkeyPatch) -> None:
    client, page = client_of("owner"), page_of(customer)
    monkeypatch.setattr("referrals.selectors_timeline.timeline.__kwdefaults__", {
        "beyond": None, "newest_first": True, "limit": 5,
    })  # fmt: skip
    first = client.get(page)
    rest = client.get(page, {"beyond": first.context["next"]})
    kinds = [row["moment"].kind for answer in (first, rest) for row in answer.context["rows"]]
    assert kinds == [kind for kind, _ in STORY[::-1]]
    assert rest.context["next"] == ""


@pytest.mark.parametrize("beyond", ["", "x", "2026-11-02|1|2", "2026-11-02T00:00:00+08:00|a|b"])
def test_a_wrong_mark_begins_with_the_newest(customer: Member, beyond: str) -> None:
    answer = client_of("owner").get(page_of(customer), {"beyond": beyond})
    assert len(answer.context["rows"]) == len(STORY)


def test_a_members_page_leads_to_his_timeline(customer: Member) -> None:
    page = reverse("admin:referrals_member_change", args=[customer.pk])
    assert page_of(customer) in client_of("support").get(page).content.decode()


def test_an_unknown_member_has_no_timeline() -> None:
    assert (
        client_of("owner").get(reverse("admin:referrals_timeline", args=[404])).status_code == 404
    )


def test_the_admin_page_takes_a_fixed_number_of_queries(customer: Member, at: datetime) -> None:
    client = client_of("owner")

    def queries() -> int:
        with CaptureQueriesContext(connection) as found:
            assert client.get(page_of(customer)).status_code == 200
        return len(found)

    queries()
    few = queries()
    for n in range(20):
        look(make_link(), customer, at + timedelta(days=5, seconds=n))
    assert queries() <= few
