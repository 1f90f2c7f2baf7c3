"""Attacks on agreement, identity, exposure, evidence and grades that must fail."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.db import connection
from django.test import Client
from django.urls import reverse

from commissions.services import grading
from commissions.services.grade_rules import Draft, draft_rule, publish_rule
from distro import clock
from distro.actors import Actor
from distro.errors import DomainError
from distro.models import IdempotentRequest
from referrals.errors import IdentityTaken
from referrals.errors_exposure import HoldoutFixed
from referrals.exports_timeline import Request, is_unchanged, write_timeline
from referrals.models import (
    Agreement,
    ExposurePolicy,
    InviteCode,
    Member,
    Message,
    Visit,
)
from referrals.services.agreements import publish_agreement, sign_version
from referrals.services.announcing import announce_agreements
from referrals.services.bindings import touch
from referrals.services.exposure import save_policy
from referrals.services.grades import set_grade_by_hand
from referrals.services.identities import submit_identity, verify_identity
from referrals.services.links import forget_visitors
from referrals.services.members import login, set_phone
from tests.analytics.admin_world import make_staff
from tests.commissions.builders import make_chain, make_plan
from tests.commissions.grade_world import LONG_AGO, at_least, grade_of, make_grade, make_rule, sell
from tests.factories import (
    make_agreement,
    make_link,
    make_member,
    make_policy,
    make_promoter,
)
from tests.referrals.disguises import NUMBER, merged
from tests.referrals.joining import DAY, DOCUMENT, EVIDENCE, STAFF, apply, asked, invite

pytestmark = pytest.mark.django_db

BEIJING = ZoneInfo("Asia/Shanghai")
Threads = Callable[[int, Callable[[int], Any]], Any]


# --- Agreement ----------------------------------------------------------------------------------


def version(at: datetime, **kw: Any) -> Agreement:
    row = make_agreement(**{"published_at": None, "body_sha256": ""} | kw)
    return publish_agreement(agreement_id=row.pk, by=STAFF, at=at)


def test_a_worsening_version_is_told_seven_days_ahead_behind_another_one(at: datetime) -> None:
    """docs/rules.md: "Everybody is told of a new version when it is published"."""
    make_agreement()
    promoter = make_promoter()
    version(at, worsening=False, effective_from=at + 6 * DAY)
    worse = version(at, worsening=True, effective_from=at + 7 * DAY)
    announce_agreements(at=at)
    told = Message.objects.filter(member=promoter.member, key__startswith=f"agreement:{worse.pk}:")
    assert told.exists()


def test_a_published_version_can_be_signed_behind_another_one(at: datetime) -> None:
    """docs/rules.md: a new version "can be signed from then on"."""
    make_agreement()
    promoter = make_promoter()
    version(at, worsening=False, effective_from=at + 6 * DAY)
    worse = version(at, worsening=True, effective_from=at + 7 * DAY)
    assert sign_version(
        member=promoter.member, version=worse.version, body_sha256=worse.body_sha256,
        evidence=EVIDENCE, at=at,
    )  # fmt: skip


@pytest.mark.parametrize("clauses", [40, 51])
def test_a_published_version_can_be_signed_however_many_clauses_are_marked(
    at: datetime, as_member: Any, clauses: int
) -> None:
    """Either publishing refuses so many clauses, or they can be signed."""
    promoter = make_promoter()
    lines = "\n".join(f"Clause {n:03d}." for n in range(clauses))
    try:
        text = version(at, body=lines, highlights=lines, effective_from=at)
    except DomainError:
        return
    body = {
        "version": text.version, "body_sha256": text.body_sha256, "accepted": True,
        "highlighted": list(range(1, clauses + 1)),
    }  # fmt: skip
    answer = as_member(promoter.member).post("agreements/promoter/sign", body)
    assert answer.status_code == 201


# --- Identity -----------------------------------------------------------------------------------


def test_the_number_of_a_closed_account_serves_one_living_person(at: datetime) -> None:
    """docs/rules.md: "anybody else with that number is refused until the accounts are merged"."""
    closed, back, stranger = (make_member() for _ in range(3))
    for account in (closed, back):
        row = submit_identity(member_id=account.pk, name="张三", id_number=NUMBER, at=at)
        verify_identity(identity_id=row.pk, by=STAFF, at=at)
        if account == closed:
            Member.objects.filter(pk=closed.pk).update(status="closed", openid=None)
    with pytest.raises(IdentityTaken):
        submit_identity(member_id=stranger.pk, name="李四", id_number=NUMBER, at=at)


@pytest.mark.parametrize(
    "spelling", [NUMBER.lower(), f" {NUMBER} ", "１１０１０５１９４９１２３１００２ｘ"]
)
def test_a_number_is_taken_in_every_spelling(at: datetime, spelling: str) -> None:
    first, other = make_member(), make_member()
    row = submit_identity(member_id=first.pk, name="张三", id_number=NUMBER, at=at)
    verify_identity(identity_id=row.pk, by=STAFF, at=at)
    with pytest.raises(IdentityTaken):
        submit_identity(member_id=other.pk, name="张三", id_number=spelling, at=at)


def test_no_plain_hash_of_an_id_number_is_stored(as_member: Any) -> None:
    """docs/rules.md: "Stored encrypted; found by a keyed hash only"; rules.md 4.6."""
    body = {"name": "张三", "id_number": NUMBER}
    assert as_member(make_member()).post("me/identity", body).status_code == 201
    guess = json.dumps(["/api/v1/me/identity", body], sort_keys=True)
    stored = IdempotentRequest.objects.values_list("content_hash", flat=True)
    assert hashlib.sha256(guess.encode()).hexdigest() not in stored


def test_one_verified_number_opens_the_gate_for_the_account_that_stays(at: datetime) -> None:
    """docs/accounts.md: "one verified number serves all accounts of the person"."""
    make_agreement()
    make_policy(gate="identity")
    former, stays = make_member(), make_member()
    row = submit_identity(member_id=former.pk, name="张三", id_number=NUMBER, at=at)
    verify_identity(identity_id=row.pk, by=STAFF, at=at)
    assert apply(merged(former, stays, at), at).status == "approved"


# --- Exposure -----------------------------------------------------------------------------------


def test_a_holdout_cut_short_by_a_policy_already_planned_is_refused(at: datetime) -> None:
    """rules.md 3.5: "Fixed for >= 12 months"; the later draw would end this one after 20 days."""
    planned = ExposurePolicy(effective_from=at + 30 * DAY, holdout_bps=1_000, salt="later")
    save_policy(policy=planned, by=STAFF, at=at)
    between = ExposurePolicy(effective_from=at + 10 * DAY, holdout_bps=1_000, salt="sooner")
    with pytest.raises(HoldoutFixed):
        save_policy(policy=between, by=STAFF, at=at)


# --- Evidence file ------------------------------------------------------------------------------


@pytest.mark.parametrize("reason", ["dispute 9", "核对以上内容的SHA-256,见附件"])
def test_a_file_as_it_was_made_is_unchanged_whatever_the_reason(at: datetime, reason: str) -> None:
    out = io.BytesIO()
    asked = Request(by=STAFF, maker="clerk", reason=reason, clear=False, at=at)
    write_timeline(make_member(), request=asked, write=out.write)
    assert is_unchanged(out.getvalue())


def test_no_nickname_gets_into_the_masked_file(at: datetime) -> None:
    inviter, promoter = make_member(nickname="王小明"), make_promoter()
    Member.objects.filter(pk=promoter.member_id).update(nickname="=cmd|calc")
    customer = make_member(nickname="+赵钱孙", inviter=inviter)
    touch(member_id=customer.pk, link=make_link(promoter.member), at=at)
    out = io.BytesIO()
    asked = Request(by=STAFF, maker="=clerk", reason="-1", clear=False, at=at)
    write_timeline(customer, request=asked, write=out.write)
    text = out.getvalue().decode("utf-8-sig")
    assert not any(name in text for name in ("小明", "cmd", "赵钱孙"))
    cells = [cell for line in text.splitlines() for cell in line.split(",")]
    assert not [cell for cell in cells if cell.startswith(("=", "+", "-", "@"))]


@pytest.mark.parametrize(
    "beyond", ["0001-01-01T00:00:00+14:00|0|1", f"2026-11-02T00:00:00+08:00|0|{10**30}"]
)
def test_a_forged_mark_breaks_no_page(beyond: str) -> None:
    client = Client()
    client.force_login(make_staff("owner"))
    page = reverse("admin:referrals_timeline", args=[make_member().pk])
    assert client.get(page, {"beyond": beyond}).status_code == 200


# --- Grades -------------------------------------------------------------------------------------


def test_a_protection_given_while_the_month_closes_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """grading.py: "each change is decided again under the promoter's lock"; staff's decision
    protects the grade "until the last Beijing day on which the rule leaves it alone"."""
    make_plan(1000, 500, effective_from=LONG_AGO)
    silver = make_grade("Silver", 1)
    make_rule(at_least(silver, 1_000))
    (promoter,) = make_chain(1)
    sell([promoter], 6_000, datetime(2026, 8, 15, 12, tzinfo=BEIJING))
    grading.raise_grades(at=datetime(2026, 8, 16, 12, tzinfo=BEIJING))
    grading.close_grades(at=datetime(2026, 10, 1, 12, tzinfo=BEIJING))  # warned
    closing = datetime(2026, 11, 1, 12, tzinfo=BEIJING)
    looked = grading.reviews

    def beside(*args: Any) -> Any:
        for review in looked(*args):
            set_grade_by_hand(
                promoter_id=promoter.pk, grade_id=silver.pk, reason="illness",
                protected_until=(closing + 90 * DAY).date(), by=STAFF, at=closing,
            )  # fmt: skip
            yield review

    monkeypatch.setattr(grading, "reviews", beside)
    grading.close_grades(at=closing)
    assert grade_of(promoter) == "Silver"


def test_a_rule_put_before_a_planned_one_shortens_no_notice(at: datetime) -> None:
    """grade_rules.py, NOTICE: whoever earned a grade by the easy rule loses it a day later."""
    silver = make_grade("Silver", 1)
    make_rule(at_least(silver, 1_000))
    for bar, begins in ((1_000, at + 2 * DAY), (100, at + DAY)):
        draft = Draft("Next", begins, [at_least(silver, bar)])
        rule = draft_rule(draft=draft, by=STAFF, at=at)
        if bar == 100:
            with pytest.raises(DomainError):
                publish_rule(rule_id=rule.pk, by=STAFF, at=at)
        else:
            publish_rule(rule_id=rule.pk, by=STAFF, at=at)


# --- Doors --------------------------------------------------------------------------------------


@pytest.mark.parametrize(("method", "step"), [("post", "revoke"), ("get", "wxacode")])
def test_a_code_with_a_nul_is_not_found(as_member: Any, method: str, step: str) -> None:
    api = as_member(make_member())
    assert getattr(api, method)(f"share-links/%00/{step}").status_code == 404


@pytest.mark.parametrize(("language", "chinese"), [("zh-hans", True), ("en", False)])
@pytest.mark.parametrize("code", ["K7PQ2MX", "２" * 8, "2" * 33, "ß" * 4, "\u202e2345678"])
def test_a_senseless_code_has_one_shape_of_refusal(
    stranger: Any, language: str, chinese: bool, code: str
) -> None:
    answer = stranger.client.post(
        "/api/v1/visits", {"code": code, "visit_key": "v-12345678"}, format="json",
        HTTP_ACCEPT_LANGUAGE=language,
    )  # fmt: skip
    error = answer.json().get("error", answer.json())
    assert answer.status_code == 400
    assert {"code", "message", "fields"} <= error.keys()
    assert any("\u4e00" <= char <= "\u9fff" for char in error["message"]) == chinese
    assert not Visit.objects.exists()


@pytest.mark.parametrize(
    "moment", ["9999-12-31T23:59:59-12:00", "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59Z"]
)
def test_a_moment_at_the_edge_of_time_breaks_nothing(as_member: Any, moment: str) -> None:
    body = {"target": "home", "channel": "chat", "expires_at": moment}
    assert as_member(make_member()).post("share-links", body).status_code in {201, 400}


def test_a_policy_that_would_break_every_login_is_not_saved(at: datetime) -> None:
    """members.login: "An unusable share code never stops the log-in"."""
    client = Client()
    client.force_login(make_staff("owner"))
    client.post(
        reverse("admin:referrals_referralpolicy_add"),
        {
            "effective_from_0": f"{at - DAY:%Y-%m-%d}", "effective_from_1": "00:00:00",
            "gate": "review", "min_purchase_to_join_fen": "0", "binding_mode": "first_touch",
            "binding_days": "2000000000", "protection_days": "30", "identity_review": "on",
        },
    )  # fmt: skip
    link = make_link()
    assert login(openid="o-new", unionid=None, link_code=link.code, device="", at=at).created


def test_staff_find_a_member_by_his_whole_phone_number() -> None:
    """MemberAdmin: "Find a member by his whole phone number too"."""
    member = set_phone(member_id=make_member().pk, phone="13812345678")
    client = Client()
    client.force_login(make_staff("owner"))
    answer = client.get(reverse("admin:referrals_member_changelist"), {"q": "13812345678"})
    assert member.no in answer.content.decode()


@pytest.mark.postgres
def test_the_device_of_a_visit_is_nowhere_in_clear_after_180_days(
    at: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    """docs/rules.md: "kept as HMAC-SHA256 ...; all of it is forgotten after 180 days"."""
    device = "d-very-own-device"
    monkeypatch.setattr(clock, "real_now", lambda: at)  # by which a log-in lives
    login(openid="o-new", unionid=None, link_code=make_link().code, device=device, at=at)
    forget_visitors(at=at + 181 * DAY)
    with connection.cursor() as cursor:
        for table in connection.introspection.table_names(cursor):
            cursor.execute(
                f'SELECT COUNT(*) FROM "{table}" t WHERE t::text LIKE %s', [f"%{device}%"]
            )
            assert cursor.fetchone()[0] == 0, table


STEPS: list[tuple[str, str, set[str]]] = [
    ("identity", "verify", {"owner", "finance"}),
    ("identity", "recheck", {"owner", "finance"}),
    ("identity", "reveal", {"owner", "finance"}),
    ("invitecode", "revoke", {"owner", "operator"}),
    ("legaloverride", "approve", {"owner"}),
    ("agreement", "publish", {"owner"}),
    ("sharelink", "revoke", {"owner", "operator"}),
]


@pytest.mark.parametrize("role", ["operator", "finance", "support"])
@pytest.mark.parametrize(("model", "step", "may"), STEPS)
def test_a_step_is_closed_to_who_may_not(
    at: datetime, model: str, step: str, may: set[str], role: str
) -> None:
    if role in may:
        return
    rows: dict[str, Callable[[], Any]] = {
        "identity": lambda: submit_identity(
            member_id=make_member().pk, name="张三", id_number=NUMBER, at=at
        ),
        "invitecode": lambda: invite(at),
        "legaloverride": _asked(at),
        "agreement": lambda: make_agreement(published_at=None, body_sha256=""),
        "sharelink": make_link,
    }
    row = rows[model]()
    before = type(row).objects.values().get(pk=row.pk)
    client = Client()
    client.force_login(make_staff(role))
    page = reverse(f"admin:referrals_{model}_{step}", args=[row.pk])
    answer = client.post(page, {"_form_submitted": "on", "reason": "x"})
    assert answer.status_code == 403
    assert type(row).objects.values().get(pk=row.pk) == before


def _asked(at: datetime) -> Callable[[], Any]:
    return lambda: asked(at, by=Actor("staff", 900), document_sha256=DOCUMENT)


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
def test_a_code_with_three_uses_lets_three_of_eight_through(
    run_threads: Threads, at: datetime
) -> None:
    make_agreement()
    make_policy(gate="invite")
    code = invite(at, uses_max=3)
    members = [make_member() for _ in range(8)]
    outcome = run_threads(8, lambda n: apply(members[n], at, invite_code=code.code))
    assert len(outcome.results) == 3
    assert {error.code for error in outcome.errors.values()} == {"invite_used_up"}  # type: ignore[attr-defined]
    assert InviteCode.objects.get(pk=code.pk).used == 3


@pytest.mark.parametrize("seconds", [-1, 0])
def test_the_window_ends_at_its_very_second(at: datetime, seconds: int) -> None:
    """A policy that changes meanwhile moves no window that is open already."""
    make_policy(binding_mode="last_touch", protection_days=1, binding_days=None)
    member, first, second = make_member(), make_promoter(), make_promoter()
    touch(member_id=member.pk, link=make_link(first.member), at=at)
    make_policy(binding_mode="last_touch", protection_days=60, effective_from=at)
    moment = at + DAY + timedelta(seconds=seconds)
    result = touch(member_id=member.pk, link=make_link(second.member), at=moment)
    assert result.outcome == ("rebound" if seconds == 0 else "protected")
