"""Becoming a promoter: refusals, both gates, the upline, evidence, suspension, imports."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.db import IntegrityError, connection, transaction
from django.test.utils import CaptureQueriesContext

from distro import outbox
from distro.actors import SYSTEM, Actor
from distro.errors import DomainError, IllegalTransition
from distro.models import OutboxMessage, StateChange
from distro.triggers import drop_triggers
from referrals import selectors
from referrals.errors import (
    AgreementOutdated,
    AgreementPublished,
    AgreementTextDiffers,
    AlreadyPromoter,
    ApplicationWaiting,
    MemberBlocked,
    MemberClosed,
    NoAgreement,
    ReasonMissing,
)
from referrals.errors_joining import OwnOtherAccount
from referrals.models import (
    Agreement,
    AgreementAcceptance,
    Application,
    Binding,
    Identity,
    Member,
    Message,
    Promoter,
)
from referrals.rules.codes import read_code
from referrals.rules.evidence import text_hash
from referrals.services.agreements import (
    Evidence,
    first_broken_acceptance,
    publish_agreement,
)
from referrals.services.promoters import (
    apply_to_promote,
    approve_application,
    ensure_promoters,
    reinstate_promoter,
    reject_application,
    suspend_promoter,
)
from referrals.signals import promoter_approved, promoter_changed
from tests.factories import make_agreement, make_member, make_policy, make_promoter

pytestmark = pytest.mark.django_db

STAFF = Actor("staff", 1)
DAY = timedelta(days=1)
EVIDENCE = Evidence(
    ip="203.0.113.77", user_agent="WeChat", client_time="2026-11-02T10:00:00+08:00",
    app_version="1.0", page_path="pages/promoter/join",
)  # fmt: skip


def apply(
    member: Member, at: datetime, agreement: Agreement | None = None, **kw: Any
) -> Application:
    agreement = agreement or selectors.current_agreement(at)
    facts: dict[str, Any] = {"agreement_id": agreement.pk, "body_sha256": agreement.body_sha256}
    return apply_to_promote(member=member, evidence=EVIDENCE, note="hello", at=at, **facts | kw)


def rows() -> tuple[int, int, int]:
    tables = (Application, AgreementAcceptance, Promoter)
    return tuple(table.objects.count() for table in tables)  # type: ignore[return-value]


@pytest.fixture
def facts() -> Any:
    heard: list[tuple[str, int]] = []

    def hear(signal: Any, promoter_id: int, **kw: object) -> None:
        heard.append((signal.name, promoter_id))

    for fact in (promoter_approved, promoter_changed):
        fact.connect(hear, weak=False, dispatch_uid="test")
    yield heard
    for fact in (promoter_approved, promoter_changed):
        fact.disconnect(dispatch_uid="test")


# --- Refusals -------------------------------------------------------------------------------


def test_an_unfit_application_writes_nothing(at: datetime) -> None:
    old = make_agreement(effective_from=at - 20 * DAY)
    now = make_agreement("New text.", effective_from=at - 10 * DAY)
    draft = make_agreement("Draft.", published_at=None)
    future = make_agreement("Later.", effective_from=at + DAY)
    waiting, promoter = make_member(), make_promoter()
    apply(waiting, at)
    before = rows()
    cases: list[tuple[type[DomainError], Member, dict[str, Any]]] = [
        (AgreementOutdated, make_member(), {"agreement": old}),
        (AgreementOutdated, make_member(), {"agreement": draft}),
        (AgreementOutdated, make_member(), {"agreement": future}),
        (AgreementTextDiffers, make_member(), {"body_sha256": text_hash("Another text.")}),
        (AgreementTextDiffers, make_member(), {"body_sha256": ""}),
        (ApplicationWaiting, waiting, {"agreement": now}),
        (AlreadyPromoter, promoter.member, {}),
        (MemberBlocked, make_member(status="blocked"), {}),
    ]
    for error, member, kw in cases:
        with pytest.raises(error):
            apply(member, at, **kw)
        assert rows() == before


@pytest.mark.parametrize("status", ["blocked", "closed"])
def test_an_applicant_shut_out_meanwhile_is_not_approved(at: datetime, status: str) -> None:
    make_agreement()
    application = apply(make_member(), at)
    Member.objects.filter(pk=application.member_id).update(status=status)
    with pytest.raises((MemberBlocked, MemberClosed)):
        approve_application(application_id=application.pk, by=STAFF, at=at)
    application.refresh_from_db()
    assert application.status == "pending"
    assert not Promoter.objects.exists()


def test_nobody_applies_before_there_is_an_agreement(at: datetime) -> None:
    with pytest.raises(NoAgreement):
        apply_to_promote(
            member=make_member(), agreement_id=1, body_sha256="", evidence=EVIDENCE, note="", at=at
        )
    assert rows() == (0, 0, 0)


def test_an_application_is_decided_once(at: datetime) -> None:
    make_agreement()
    rejected, approved = apply(make_member(), at), apply(make_member(), at)
    reject_application(application_id=rejected.pk, reason="spam", by=STAFF, at=at)
    approve_application(application_id=approved.pk, by=STAFF, at=at)
    before = rows()
    for pk in (rejected.pk, approved.pk):
        with pytest.raises(IllegalTransition):
            approve_application(application_id=pk, by=STAFF, at=at)
        with pytest.raises(IllegalTransition):
            reject_application(application_id=pk, reason="x", by=STAFF, at=at)
    assert rows() == before


def test_a_rejection_needs_a_reason(at: datetime) -> None:
    make_agreement()
    application = apply(make_member(), at)
    with pytest.raises(ReasonMissing):
        reject_application(application_id=application.pk, reason="  ", by=STAFF, at=at)
    application.refresh_from_db()
    assert application.status == "pending"


@pytest.mark.parametrize("act", [suspend_promoter, reinstate_promoter])
def test_suspending_and_reinstating_need_a_reason(at: datetime, act: Callable[..., Any]) -> None:
    promoter = make_promoter()
    with pytest.raises(ReasonMissing):
        act(promoter_id=promoter.pk, why="", by=STAFF, at=at)
    assert not StateChange.objects.exists()


# --- Becoming one ---------------------------------------------------------------------------


def test_with_review_an_application_waits_and_is_approved_by_staff(
    at: datetime, facts: list[Any]
) -> None:
    make_agreement()
    member = make_member()
    application = apply(member, at)
    assert (application.status, application.note) == ("pending", "hello")
    assert rows() == (1, 1, 0)
    promoter = Promoter.objects.get(
        pk=approve_application(application_id=application.pk, by=STAFF, at=at + DAY)
    )
    application.refresh_from_db()
    assert (application.status, application.decided_at) == ("approved", at + DAY)
    assert (promoter.member, promoter.approved_at, promoter.status) == (member, at + DAY, "active")
    assert read_code(promoter.code) == promoter.code
    assert facts == [("promoter_approved", promoter.pk)]
    step = StateChange.objects.get()
    assert (step.to_status, step.actor_kind, step.actor_id) == ("approved", "staff", 1)
    assert not Message.objects.exists()  # told after the commit
    outbox.deliver(at=at + DAY)
    assert Message.objects.get(member=member).kind == "promoter"


def test_with_the_gate_open_everyone_is_a_promoter_at_once(at: datetime) -> None:
    make_agreement()
    make_policy(gate="everyone")
    member = make_member()
    application = apply(member, at)
    assert application.status == "approved"
    assert Promoter.objects.get().member == member
    assert StateChange.objects.get().actor_kind == "system"


def test_who_was_rejected_reads_why_and_may_apply_again(at: datetime) -> None:
    make_agreement()
    member = make_member()
    first = apply(member, at)
    reject_application(application_id=first.pk, reason="no photo", by=STAFF, at=at)
    assert "no photo" in Message.objects.get(member=member).body
    again = apply(member, at + DAY)
    assert again.acceptance_id == first.acceptance_id
    assert again.status == "pending"


def test_the_upline_is_the_promoter_of_the_binding(at: datetime) -> None:
    make_agreement()
    inviter, bound_to = make_promoter(), make_promoter()
    member = make_member(inviter=inviter.member)
    Binding.objects.create(
        member=member, promoter=bound_to, mode="first_touch", started_at=at, made_by="test"
    )
    application = apply(member, at)
    promoter = Promoter.objects.get(
        pk=approve_application(application_id=application.pk, by=STAFF, at=at)
    )
    assert (promoter.parent_id, promoter.upline_1_id) == (bound_to.pk, bound_to.pk)


@pytest.mark.parametrize(
    ("change", "below"),
    [({}, True), ({"status": "suspended"}, True), ({"status": "closed"}, False)],
)
def test_else_the_upline_is_the_inviter_unless_closed(
    at: datetime, change: dict[str, Any], below: bool
) -> None:
    make_agreement()
    inviter = make_promoter(**change)
    application = apply(make_member(inviter=inviter.member), at)
    assert application.parent_id == (inviter.pk if below else None)


@pytest.mark.parametrize("same", ["phone", "unionid", "identity"])
@pytest.mark.parametrize("status", ["active", "suspended"])
def test_nobody_becomes_a_promoter_with_a_second_account(
    at: datetime, same: str, status: str
) -> None:
    make_agreement()
    marks = {"phone": {"phone_index": "p"}, "unionid": {"unionid": "u"}}.get(same, {})
    first, second = make_member(**marks), make_member(**marks)
    make_promoter(member=first, status=status)
    if same == "identity":
        for n, member in enumerate((first, second)):
            state = "pending" if n else "verified"
            Identity.objects.create(
                member=member, name="x", id_number="y", id_index="i", submitted_at=at, status=state
            )
    before = rows()
    with pytest.raises(OwnOtherAccount):
        apply(second, at)
    assert rows() == before


def test_who_closed_his_first_account_may_begin_anew_and_not_below_himself(at: datetime) -> None:
    make_agreement()
    old = make_promoter(member=make_member(phone_index="p"), status="closed")
    application = apply(make_member(inviter=old.member, phone_index="p"), at)
    assert application.parent_id is None


def test_an_upline_closed_while_one_waited_is_no_upline(at: datetime) -> None:
    make_agreement()
    inviter = make_promoter()
    application = apply(make_member(inviter=inviter.member), at)
    assert application.parent_id == inviter.pk
    bulk_close(inviter)
    promoter = Promoter.objects.get(
        pk=approve_application(application_id=application.pk, by=STAFF, at=at)
    )
    assert promoter.parent_id is None


def bulk_close(promoter: Promoter) -> None:
    Promoter.objects.filter(pk=promoter.pk).update(status="closed")


def test_an_inviter_who_is_no_promoter_is_no_upline(at: datetime) -> None:
    make_agreement()
    application = apply(make_member(inviter=make_member()), at)
    promoter = Promoter.objects.get(
        pk=approve_application(application_id=application.pk, by=SYSTEM, at=at)
    )
    assert (promoter.parent_id, promoter.tree_id) == (None, promoter.pk)


@pytest.mark.parametrize("has_upline", [True, False])
def test_an_approval_as_a_whole_takes_eight_statements_in_any_tree(
    at: datetime, has_upline: bool
) -> None:
    """Agreement, history, facts with all who hear them, savepoints: BEGIN and COMMIT too."""
    make_agreement()
    parent = make_promoter()
    for _ in range(10):
        make_promoter(parent)
    member = make_member(inviter=parent.member if has_upline else None)
    application = apply(member, at)
    with CaptureQueriesContext(connection) as queries:
        approve_application(application_id=application.pk, by=STAFF, at=at)
    statements = [query["sql"] for query in queries]
    roots_of_sqlite = 0 if has_upline or connection.vendor == "postgresql" else 1
    assert len(statements) <= 8 + roots_of_sqlite, "\n".join(statements)
    waiting = OutboxMessage.objects.filter(topic="fact", delivered_at=None)
    assert {row.payload["fact"] for row in waiting} == {"promoter_approved"}


# --- Evidence -------------------------------------------------------------------------------


def test_what_was_signed_is_kept_without_the_address(at: datetime) -> None:
    agreement = make_agreement()
    apply(make_member(), at)
    row = AgreementAcceptance.objects.get()
    assert (row.body_sha256, row.accepted_at) == (text_hash("Share honestly."), at)
    assert (row.agreement, row.action, row.app_version) == (agreement, "checkbox+button", "1.0")
    assert row.ip_truncated == "203.0.113.0/24"
    assert "203.0.113.77" not in str(AgreementAcceptance.objects.values().get())


def test_acceptances_form_a_chain_that_shows_the_altered_row(at: datetime) -> None:
    agreement = make_agreement()
    for _ in range(4):
        apply(make_member(), at)
    chain = list(AgreementAcceptance.objects.order_by("pk"))
    assert [row.prev_row_hash for row in chain] == ["", *[row.row_hash for row in chain[:-1]]]
    assert first_broken_acceptance(agreement_id=agreement.pk) is None
    drop_triggers(connection)
    AgreementAcceptance.objects.filter(pk=chain[2].pk).update(client_time="yesterday")
    assert first_broken_acceptance(agreement_id=agreement.pk) == chain[2].pk


def test_a_removed_acceptance_breaks_the_chain_at_its_place(at: datetime) -> None:
    agreement = make_agreement()
    for _ in range(3):
        apply(make_member(), at)
    chain = list(AgreementAcceptance.objects.order_by("pk"))
    Application.objects.all().delete()
    drop_triggers(connection)
    AgreementAcceptance.objects.filter(pk=chain[1].pk).delete()
    assert first_broken_acceptance(agreement_id=agreement.pk) == chain[2].pk


def test_an_acceptance_cannot_be_changed(at: datetime) -> None:
    make_agreement()
    apply(make_member(), at)
    with pytest.raises(IntegrityError), transaction.atomic():
        AgreementAcceptance.objects.update(client_time="x")


def test_a_new_text_has_to_be_signed_anew(at: datetime) -> None:
    make_agreement()
    member = make_member()
    first = apply(member, at)
    reject_application(application_id=first.pk, reason="x", by=STAFF, at=at)
    newer = make_agreement("Share very honestly.", effective_from=at)
    assert selectors.current_agreement(at) == newer
    assert not selectors.has_signed(member.pk, newer)
    assert apply(member, at).acceptance_id != first.acceptance_id


def test_a_text_is_fixed_once_published(at: datetime) -> None:
    draft = make_agreement("Draft.", published_at=None, body_sha256="")
    published = publish_agreement(agreement_id=draft.pk, by=STAFF, at=at)
    assert published.body_sha256 == text_hash("Draft.")
    with pytest.raises(AgreementPublished):
        publish_agreement(agreement_id=draft.pk, by=STAFF, at=at)
    with pytest.raises(IntegrityError), transaction.atomic():
        Agreement.objects.filter(pk=draft.pk).update(body="Other.")


# --- Suspension -----------------------------------------------------------------------------


def test_a_promoter_is_suspended_and_reinstated_with_history(
    at: datetime, facts: list[Any]
) -> None:
    promoter = make_promoter()
    suspended = suspend_promoter(promoter_id=promoter.pk, why="fraud?", by=STAFF, at=at)
    assert suspended.status == "suspended"
    with pytest.raises(IllegalTransition):
        suspend_promoter(promoter_id=promoter.pk, why="again", by=STAFF, at=at)
    back = reinstate_promoter(promoter_id=promoter.pk, why="cleared", by=STAFF, at=at)
    assert back.status == "active"
    assert [step.why for step in StateChange.objects.order_by("pk")] == ["fraud?", "cleared"]
    assert facts == [("promoter_changed", promoter.pk)] * 2


# --- Imports --------------------------------------------------------------------------------


def test_imported_promoters_are_roots_made_once(at: datetime, facts: list[Any]) -> None:
    known = make_promoter(code="P0001")
    made = ensure_promoters(codes=["P0001", "P0002", "P0003"], at=at)
    assert made["P0001"] == known.pk
    assert ensure_promoters(codes={"P0002", "P0003"}, at=at + DAY) == {
        code: made[code] for code in ("P0002", "P0003")
    }
    new = Promoter.objects.get(code="P0002")
    assert (new.member.external_no, new.parent_id) == ("promoter:P0002", None)
    assert (new.approved_at, new.status) == (at, "active")
    assert facts == []
    assert ensure_promoters(codes=[], at=at) == {}
