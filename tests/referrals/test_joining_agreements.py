"""Versions of the agreement: notice, highlighted clauses, signing anew, evidence, telling."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.db import IntegrityError, connection, transaction
from django.test.utils import CaptureQueriesContext

from distro.errors import DomainError
from distro.models import AuditEntry
from distro.triggers import drop_triggers
from referrals import selectors_joining
from referrals.errors import (
    AgreementOutdated,
    AgreementTextDiffers,
    MemberBlocked,
    NoAgreement,
    NotPromoter,
)
from referrals.errors_joining import (
    AgreementUnsigned,
    ApplicationOutdated,
    HighlightNotInText,
    HighlightsDiffer,
    NoticeTooShort,
    TooManyHighlights,
)
from referrals.exports_evidence import agreement_evidence
from referrals.models import (
    Agreement,
    AgreementAcceptance,
    Member,
    Message,
    Promoter,
    ShareLink,
)
from referrals.models.agreements import CLAUSES_MAX
from referrals.rules.evidence import row_hash, text_hash
from referrals.services.agreements import (
    Evidence,
    first_broken_acceptance,
    publish_agreement,
    sign_version,
)
from referrals.services.announcing import announce_agreements
from referrals.services.links import create_link
from referrals.services.messages import accept_templates
from referrals.services.promoters import approve_application, reject_application
from referrals.services.quitting import request_quitting
from tests.factories import make_agreement, make_member, make_policy, make_promoter
from tests.referrals.joining import DAY, EVIDENCE, STAFF, apply

pytestmark = pytest.mark.django_db

TEXT = "1 Share honestly.\n2 Commission is paid after the return period.\n3 You may quit."
CLAUSE = "Commission is paid after the return period."


def draft(at: datetime, **kw: Any) -> Agreement:
    return make_agreement(
        **{"body": TEXT, "published_at": None, "body_sha256": "", "worsening": True}
        | {"effective_from": at + 7 * DAY}
        | kw
    )


def publish(agreement: Agreement, at: datetime) -> Agreement:
    return publish_agreement(agreement_id=agreement.pk, by=STAFF, at=at)


def sign(member: Member, agreement: Agreement, at: datetime, **kw: Any) -> AgreementAcceptance:
    facts: dict[str, Any] = {"version": agreement.version, "body_sha256": agreement.body_sha256}
    return sign_version(member=member, at=at, **{"evidence": EVIDENCE} | facts | kw)


# --- Notice ---------------------------------------------------------------------------------


@pytest.mark.parametrize("early", [timedelta(seconds=1), 7 * DAY, 30 * DAY])
def test_a_change_for_the_worse_is_published_seven_days_ahead(
    at: datetime, early: timedelta
) -> None:
    make_agreement()
    text = draft(at, effective_from=at + 7 * DAY - early)
    with pytest.raises(NoticeTooShort, match="2026-11-09 10:00"):
        publish(text, at)
    text.refresh_from_db()
    assert (text.published_at, text.body_sha256) == (None, "")
    assert not AuditEntry.objects.exists()
    Agreement.objects.filter(pk=text.pk).update(effective_from=at + 7 * DAY)
    assert publish(text, at).published_at == at


def test_what_worsens_nothing_takes_effect_at_once(at: datetime) -> None:
    make_agreement()
    published = publish(draft(at, worsening=False, effective_from=at), at)
    assert selectors_joining.ruling_agreement(at) == published


def test_the_first_version_of_all_needs_no_notice(at: datetime) -> None:
    published = publish(draft(at, effective_from=at), at)
    assert not published.worsening
    assert Agreement().worsening  # whoever writes another one has to say that it does not


def test_the_database_holds_the_notice(at: datetime) -> None:
    text = draft(at, effective_from=at + 6 * DAY)
    with pytest.raises(IntegrityError), transaction.atomic():
        Agreement.objects.filter(pk=text.pk).update(published_at=at)
    published = publish(draft(at), at)
    for change in ({"worsening": True}, {"highlights": "x"}, {"effective_from": at}):
        with pytest.raises(IntegrityError), transaction.atomic():
            Agreement.objects.filter(pk=published.pk).update(**change)


# --- Highlighted clauses --------------------------------------------------------------------


def test_only_passages_of_the_text_can_be_highlighted(at: datetime) -> None:
    text = draft(at, highlights=f"{CLAUSE}\n\nYou may never quit.")
    with pytest.raises(HighlightNotInText, match="never"):
        publish(text, at)
    text.refresh_from_db()
    assert text.published_at is None


@pytest.mark.parametrize("shown", [(), (1,), (1, 3), (1, 2, 3)])
def test_a_page_that_did_not_mark_them_all_is_no_evidence(
    at: datetime, shown: tuple[int, ...]
) -> None:
    publish(draft(at, effective_from=at, highlights=f"{CLAUSE}\nYou may quit."), at)
    with pytest.raises(HighlightsDiffer):
        apply(make_member(), at, evidence=replace(EVIDENCE, highlighted=shown))
    assert not AgreementAcceptance.objects.exists()


def test_the_evidence_keeps_which_clauses_were_highlighted(at: datetime) -> None:
    publish(draft(at, effective_from=at, highlights=f"{CLAUSE}\nYou may quit."), at)
    apply(make_member(), at, evidence=replace(EVIDENCE, highlighted=(2, 1)))
    assert AgreementAcceptance.objects.get().highlighted == "1,2"


@pytest.mark.parametrize("extra", [0, 1])
def test_no_more_clauses_are_published_than_a_signature_keeps(at: datetime, extra: int) -> None:
    lines = "\n".join(f"Clause {n:03d}." for n in range(CLAUSES_MAX + extra))
    text = draft(at, effective_from=at, body=lines, highlights=lines)
    if extra:
        with pytest.raises(TooManyHighlights):
            publish(text, at)
        return
    publish(text, at)
    numbers = tuple(range(1, CLAUSES_MAX + 1))
    apply(make_member(), at, evidence=replace(EVIDENCE, highlighted=numbers))
    row = AgreementAcceptance.objects.get()
    row.clean_fields(exclude=["openid_hmac", "prev_row_hash"])
    assert row.highlighted == ",".join(map(str, numbers))


# --- Signing anew ---------------------------------------------------------------------------


def next_version(at: datetime) -> Agreement:
    """Publish a version that rules in seven days."""
    return publish(draft(at), at)


def test_a_promoter_signs_the_next_version_before_it_rules(at: datetime) -> None:
    now = make_agreement()
    member = make_member()
    make_policy(gate="everyone")
    apply(member, at)
    upcoming = next_version(at)
    rules = upcoming.effective_from
    selectors_joining.refuse_unsigned(member.pk, at=rules - DAY)
    with pytest.raises(AgreementUnsigned) as caught:
        selectors_joining.refuse_unsigned(member.pk, at=rules)
    assert caught.value.params == {"version": upcoming.version}
    sign(member, upcoming, at + DAY)
    selectors_joining.refuse_unsigned(member.pk, at=rules)
    assert member.acceptances.count() == 2
    assert sign(member, upcoming, at + 2 * DAY).accepted_at == at + DAY  # once only
    with pytest.raises(AgreementOutdated):
        sign(member, now, rules)


def test_who_never_signed_anything_owes_it_too(at: datetime) -> None:
    imported = make_promoter()
    selectors_joining.refuse_unsigned(imported.member_id, at=at)  # nothing to sign yet
    make_agreement()
    with pytest.raises(AgreementUnsigned):
        selectors_joining.refuse_unsigned(imported.member_id, at=at)


def test_an_unfit_signature_writes_nothing(at: datetime) -> None:
    old = make_agreement(effective_from=at - 20 * DAY)
    now = make_agreement("New.", effective_from=at - 10 * DAY)
    unpublished = draft(at)
    promoter, stranger = make_promoter().member, make_member()
    closed = make_promoter(status="closed").member
    blocked = make_promoter(member=make_member(status="blocked")).member
    rejected = make_member()
    application = apply(rejected, at)
    reject_application(application_id=application.pk, reason="x", by=STAFF, at=at)
    before = AgreementAcceptance.objects.count()
    cases: list[tuple[type[DomainError], Member, Agreement, dict[str, Any]]] = [
        (NotPromoter, stranger, now, {}),
        (NotPromoter, closed, now, {}),
        (NotPromoter, rejected, now, {}),
        (MemberBlocked, blocked, now, {}),
        (AgreementOutdated, promoter, old, {}),
        (AgreementOutdated, promoter, unpublished, {}),
        (AgreementTextDiffers, promoter, now, {"body_sha256": old.body_sha256}),
        (HighlightsDiffer, promoter, now, {"evidence": Evidence(highlighted=(1,))}),
    ]
    for error, member, agreement, kw in cases:
        with pytest.raises(error):
            sign(member, agreement, at, **kw)
        assert AgreementAcceptance.objects.count() == before


def test_without_any_version_there_is_nothing_to_sign(at: datetime) -> None:
    with pytest.raises(NoAgreement):
        sign_version(
            member=make_promoter().member, version=1, body_sha256="", evidence=EVIDENCE, at=at
        )


def test_an_application_signed_under_an_old_version_is_not_approved(at: datetime) -> None:
    first = make_agreement()
    member = make_member()
    application = apply(member, at)
    second = next_version(at)
    rules = second.effective_from
    assert application.acceptance.agreement == first
    with pytest.raises(ApplicationOutdated) as caught:
        approve_application(application_id=application.pk, by=STAFF, at=rules)
    assert caught.value.params == {"version": second.version}
    application.refresh_from_db()
    assert (application.status, Promoter.objects.count()) == ("pending", 0)
    acceptance = sign(member, second, rules)
    promoter = Promoter.objects.get(
        pk=approve_application(application_id=application.pk, by=STAFF, at=rules)
    )
    application.refresh_from_db()
    assert (promoter.member, application.acceptance) == (member, acceptance)


def test_until_the_new_version_rules_the_old_signature_is_enough(at: datetime) -> None:
    make_agreement()
    application = apply(make_member(), at)
    second = next_version(at)
    before = second.effective_from - timedelta(seconds=1)
    assert approve_application(application_id=application.pk, by=STAFF, at=before)


# --- Telling --------------------------------------------------------------------------------


def test_each_promoter_and_applicant_is_told_once_of_a_new_version(at: datetime) -> None:
    make_agreement()
    promoters = [make_promoter() for _ in range(5)]
    closed = make_promoter(status="closed")
    waiting = make_member()
    apply(waiting, at)
    assert announce_agreements(at=at) == 0  # nobody is told of the first one
    upcoming = next_version(at)
    sign(promoters[0].member, upcoming, at)
    assert announce_agreements(at=at) == 5
    told = set(Message.objects.values_list("member", flat=True))
    assert told == {waiting.pk, *(row.member_id for row in promoters[1:])}
    assert closed.member_id not in told
    text = Message.objects.filter(member=promoters[1].member_id).get().body
    assert (str(upcoming.version) in text, "2026-11-09" in text) == (True, True)
    upcoming.refresh_from_db()
    assert upcoming.announced_at == at
    assert announce_agreements(at=at + DAY) == 0


def test_who_becomes_a_promoter_during_the_notice_is_told_later(at: datetime) -> None:
    make_agreement()
    make_promoter()
    next_version(at)
    assert announce_agreements(at=at) == 1
    late = make_promoter(at=at + DAY)
    assert announce_agreements(at=at + 2 * DAY) == 1
    assert Message.objects.filter(member=late.member_id).count() == 1


def test_telling_goes_on_where_a_killed_run_stopped(at: datetime) -> None:
    make_agreement()
    first, second = make_promoter(), make_promoter()
    upcoming = next_version(at)
    Message.objects.create(
        member=first.member, kind="agreement", key=f"agreement:{upcoming.pk}:{first.member_id}",
        title="x", body="x", created_at=at,
    )  # fmt: skip
    assert announce_agreements(at=at) == 1
    assert Message.objects.filter(member=second.member_id).count() == 1


def test_telling_a_page_takes_few_queries_however_many_there_are(at: datetime) -> None:
    make_agreement()
    next_version(at)

    def queries(promoters: int) -> int:
        for _ in range(promoters):
            make_promoter(at=at)
        with CaptureQueriesContext(connection) as captured:
            announce_agreements(at=at)
        return len(captured)

    queries(1)
    assert queries(20) == queries(2)


def test_who_accepts_messages_of_wechat_gets_one(at: datetime, settings: Any) -> None:
    settings.SUBSCRIBE_TEMPLATES = {"agreement": "tpl"}
    make_agreement()
    accepting, other = make_promoter().member, make_promoter().member
    accept_templates(member_id=accepting.pk, kinds=["agreement"])
    next_version(at)
    assert announce_agreements(at=at) == 2
    assert Message.objects.filter(member__in=[accepting, other]).count() == 2
    assert accepting.quotas.get().left == 0


# --- Evidence -------------------------------------------------------------------------------


def test_the_evidence_row_has_every_field_of_the_rule(at: datetime) -> None:
    agreement = make_agreement()
    apply(make_member(openid="o-1"), at)
    row = AgreementAcceptance.objects.get()
    assert (row.agreement_id, row.agreement.code, row.agreement.version) == (
        agreement.pk, "promoter", agreement.version,
    )  # fmt: skip
    assert row.body_sha256 == text_hash(agreement.body)
    assert (row.member.openid, len(row.openid_hmac), len(row.ip_hmac)) == ("o-1", 64, 64)
    assert (row.accepted_at, row.client_time) == (at, EVIDENCE.client_time)
    assert (row.ip_truncated, row.user_agent) == ("203.0.113.0/24", "WeChat")
    assert (row.app_version, row.scene, row.page_path) == ("1.0", "1001", EVIDENCE.page_path)
    assert (row.action, row.checkbox_default_off) == ("checkbox+button", True)
    assert (row.prev_row_hash, len(row.row_hash), row.form) == ("", 64, 2)


@pytest.mark.parametrize(
    "change", [{"scene": "9"}, {"highlighted": "1"}, {"page_path": "x"}, {"form": 1}]
)
def test_the_hash_covers_every_field(at: datetime, change: dict[str, Any]) -> None:
    agreement = make_agreement()
    apply(make_member(), at)
    drop_triggers(connection)
    AgreementAcceptance.objects.update(**change)
    pk = AgreementAcceptance.objects.get().pk
    assert first_broken_acceptance(agreement_id=agreement.pk) == pk


def test_the_box_was_off_says_the_database(at: datetime) -> None:
    make_agreement()
    apply(make_member(), at)
    drop_triggers(connection)
    with pytest.raises(IntegrityError), transaction.atomic():
        AgreementAcceptance.objects.update(checkbox_default_off=False)


def test_rows_of_the_first_form_still_prove_themselves(at: datetime) -> None:
    agreement, member = make_agreement(), make_member()
    content: dict[str, str | int] = {
        "agreement_code": "promoter", "version": agreement.version,
        "body_sha256": agreement.body_sha256, "member_id": member.pk, "openid_hmac": "",
        "accepted_at": "2026-11-02T02:00:00.000000+00:00", "client_time": "", "ip_truncated": "",
        "ip_hmac": "", "user_agent": "", "app_version": "", "page_path": "",
        "action": "checkbox+button", "checkbox_default_off": 1, "prev_row_hash": "",
    }  # fmt: skip
    AgreementAcceptance.objects.create(
        agreement=agreement, member=member, body_sha256=agreement.body_sha256, accepted_at=at,
        form=1, row_hash=row_hash(content),
    )  # fmt: skip
    apply(make_member(), at)
    assert first_broken_acceptance(agreement_id=agreement.pk) is None


def test_a_members_evidence_file_holds_text_fields_and_proofs(at: datetime) -> None:
    first = make_agreement()
    other, member = make_member(), make_member()
    apply(other, at)
    apply(member, at)
    second = next_version(at)
    sign(member, second, at + DAY)
    file = agreement_evidence(member_id=member.pk, by=STAFF, at=at + DAY)
    content = json.loads(file)
    assert content["member"] == member.no
    rows = content["acceptances"]
    assert [row["agreement"]["version"] for row in rows] == [first.version, second.version]
    for row in rows:
        assert row["checks"] == {"text": True, "row": True, "row_before": True}
        canonical = json.dumps(
            row["hashed"], sort_keys=True, ensure_ascii=False, separators=(",", ":")
        )
        assert text_hash(canonical) == row["row_hash"]
        assert text_hash(row["agreement"]["body"]) == row["agreement"]["body_sha256"]
    assert other.no not in file.decode()
    entry = AuditEntry.objects.get(action="agreement.evidence")
    assert (entry.target, entry.detail["rows"]) == (f"referrals.member:{member.pk}", 2)


def test_the_file_shows_which_proof_fails(at: datetime) -> None:
    make_agreement()
    member = make_member()
    apply(member, at)
    drop_triggers(connection)
    AgreementAcceptance.objects.update(page_path="elsewhere")
    Agreement.objects.update(body="Another text.")
    content = json.loads(agreement_evidence(member_id=member.pk, by=STAFF, at=at))
    assert content["acceptances"][0]["checks"] == {"text": False, "row": False, "row_before": True}


# --- What waits for a signature -------------------------------------------------------------


def test_without_the_signature_a_promoter_makes_no_links_and_a_buyer_does(at: datetime) -> None:
    promoter, buyer = make_promoter(), make_member()
    agreement = make_agreement()
    share: dict[str, Any] = {
        "target": "home",
        "target_ref": "",
        "channel": "chat",
        "expires_at": None,
        "at": at,
    }
    with pytest.raises(AgreementUnsigned):
        create_link(member=promoter.member, **share)
    assert not ShareLink.objects.exists()
    create_link(member=buyer, **share)
    sign(promoter.member, agreement, at)
    create_link(member=promoter.member, **share)
    assert ShareLink.objects.count() == 2


def test_who_leaves_need_not_sign_to_get_his_money(at: datetime) -> None:
    make_agreement()
    quitting, closing, staying = make_promoter(), make_promoter(status="closing"), make_promoter()
    request_quitting(member=quitting.member, confirmed=True, note="", at=at)
    for promoter in (quitting, closing):
        selectors_joining.refuse_unsigned(promoter.member_id, at=at)
    with pytest.raises(AgreementUnsigned):
        selectors_joining.refuse_unsigned(staying.member_id, at=at)
