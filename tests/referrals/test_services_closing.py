"""Closing an account: docs/accounts.md, "Closing"."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from django.db import IntegrityError, transaction

from distro.actors import Actor
from distro.crypto import blind_index
from distro.errors import IllegalTransition
from distro.models import AuditEntry
from distro.states import history
from referrals import selectors
from referrals.errors import MemberClosed, NotPromoter, ReasonMissing, RevokedCode
from referrals.errors_accounts import (
    AccountClosing,
    AccountMerged,
    AccountStillHolds,
    ClosingUnconfirmed,
    NotClosing,
)
from referrals.models import (
    Application,
    Binding,
    Closure,
    Hold,
    Identity,
    Member,
    MemberToken,
    Message,
    Promoter,
    Quitting,
    SubscribeQuota,
    Visit,
)
from referrals.rules.accounts import Waiting
from referrals.services.bindings import touch
from referrals.services.closing import (
    cancel_closing,
    close_account,
    close_accounts,
    close_promoter,
    request_closing,
    withdraw_closing,
)
from referrals.services.identities import submit_identity
from referrals.services.links import create_link
from referrals.services.members import login
from referrals.services.promoters import parent_of_new, reinstate_promoter, suspend_promoter
from referrals.services.quitting import request_quitting, withdraw_quitting
from tests.factories import make_link, make_member, make_policy, make_promoter

pytestmark = pytest.mark.django_db

ANNA = Actor("staff", 1)
WAITS: list[Waiting] = []
DONE = Closure.Status.DONE
OWING = [Waiting("owed", 500)]


def waits(member_id: int) -> list[Waiting]:
    return list(WAITS)


def refuse_to_close(*, promoter_id: int) -> None:
    raise AccountStillHolds


def let_close(*, promoter_id: int) -> None:
    """Find nothing."""


def paid(member_ids: Any) -> bool:
    return True


def never_paid(member_ids: Any) -> bool:
    return False


@pytest.fixture(autouse=True)
def _money(settings: Any) -> Any:
    """Ask this module instead of the packages that know of money and orders."""
    settings.CLOSING_CHECKS = {"promoter": [f"{__name__}.waits"], "account": []}
    settings.CLOSING_STEPS = [f"{__name__}.let_close"]
    settings.IDENTITY_KEPT_CHECKS = [f"{__name__}.never_paid"]
    WAITS.clear()
    yield
    WAITS.clear()


def ask(member: Member, at: datetime) -> Closure:
    return request_closing(member=member, confirmed=True, note="", at=at)


def log_in(openid: str, at: datetime) -> Any:
    return login(openid=openid, unionid=None, link_code="", device="d", at=at)


def bound(promoter: Promoter, at: datetime) -> Binding:
    customer = make_member(joined_at=at)
    touch(member_id=customer.pk, link=make_link(promoter.member), at=at)
    return Binding.objects.get(member=customer)


def fresh(row: Any) -> Any:
    return type(row)._base_manager.get(pk=row.pk)


# --- Done at once ---------------------------------------------------------------------------


def test_an_empty_account_is_closed_at_once(at: datetime) -> None:
    member = make_member(nickname="小王", phone="+8613800138000", phone_index="p", unionid="u")
    closure = ask(member, at)
    assert (closure.status, closure.ended_at, closure.waits) == (DONE, at, [])
    assert fresh(member).status == "closed"
    assert [step.to_status for step in history(closure)] == ["done"]


def test_the_person_is_erased_and_may_come_back_as_a_stranger(at: datetime) -> None:
    member = make_member(nickname="小王", phone="+8613800138000", phone_index="p", unionid="u")
    openid = member.openid or ""
    token = MemberToken.objects.get(member=log_in(openid, at).member)
    SubscribeQuota.objects.create(member=member, template="t", left=1)
    visit = Visit.objects.create(
        link=make_link(), visit_key="v", member=member, device_hmac="d", ip_hmac="i",
        ip_truncated="10.0.0.0/24", occurred_at=at,
    )  # fmt: skip
    ask(member, at)
    gone = fresh(member)
    assert (gone.openid, gone.unionid, gone.nickname, gone.phone, gone.phone_index) == (
        None, None, "", "", "",
    )  # fmt: skip
    assert gone.no == member.no
    assert (fresh(token).revoked_at, fresh(token).device) == (at, "")
    assert not SubscribeQuota.objects.exists()
    assert (fresh(visit).device_hmac, fresh(visit).ip_truncated) == ("", "")
    again = log_in(openid, at)
    assert again.created
    assert again.member != member


def test_a_name_that_is_no_tax_record_is_erased(at: datetime) -> None:
    make_policy(identity_review=False)
    member = make_member()
    submit_identity(member_id=member.pk, name="王小明", id_number="11010519491231002X", at=at)
    ask(member, at)
    assert not Identity.objects.exists()


def test_a_name_that_is_a_tax_record_stays_and_is_still_one_payee(
    at: datetime, settings: Any
) -> None:
    settings.IDENTITY_KEPT_CHECKS = [f"{__name__}.paid"]
    make_policy(identity_review=False)
    member, number = make_member(), "11010519491231002X"
    first = submit_identity(member_id=member.pk, name="王小明", id_number=number, at=at)
    ask(member, at)
    again = make_member()
    second = submit_identity(member_id=again.pk, name="王小明", id_number=number, at=at)
    assert (second.status, second.same_as) == ("verified", first)
    assert second.id_index == blind_index("id", number)


def test_a_promoter_leaves_with_his_team_in_place(at: datetime) -> None:
    upline = make_promoter()
    promoter = make_promoter(upline)
    child, binding, link = make_promoter(promoter), bound(promoter, at), make_link(promoter.member)
    ask(promoter.member, at)
    assert fresh(promoter).status == "closed"
    assert (fresh(child).parent_id, fresh(child).upline_2_id) == (promoter.pk, upline.pk)
    assert (fresh(binding).ended_at, fresh(binding).end_reason) == (at, "closed")
    assert fresh(link).revoked_at == at
    with pytest.raises(RevokedCode):
        selectors.find_link(code=link.code, at=at)
    assert Closure.objects.get().cleared_at == at


def test_his_own_binding_as_a_customer_ends_with_the_account(at: datetime) -> None:
    binding = bound(make_promoter(), at)
    ask(binding.member, at)
    assert (fresh(binding).ended_at, fresh(binding).end_reason) == (at, "closed")


def test_only_the_promoter_is_closed_when_he_quits(at: datetime) -> None:
    promoter = make_promoter()
    member = promoter.member
    request_quitting(member=member, confirmed=True, note="", at=at)
    close_promoter(promoter_id=promoter.pk, reason="as he wished", by=ANNA, at=at)
    assert (fresh(promoter).status, fresh(member).status) == ("closed", "active")
    assert fresh(member).openid == member.openid
    assert Quitting.objects.get().status == "done"
    assert [row.action for row in AuditEntry.objects.all()] == ["promoter.close"]
    assert Message.objects.get().title.endswith(("closed", "已注销"))


def test_many_customers_are_set_free_by_the_job(
    at: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("referrals.services.bindings.ENDED_AT_ONCE", 2)
    promoter = make_promoter()
    customers = [bound(promoter, at).member for _ in range(5)]
    closure = ask(promoter.member, at)
    assert closure.cleared_at is None
    assert Binding.objects.filter(ended_at=None).count() == 3
    for customer in customers:  # who is not yet free is attributed to nobody all the same
        assert selectors.attribution_of(customer.pk, at=at) == selectors.NOBODY
    close_accounts(at=at)
    assert not Binding.objects.filter(ended_at=None).exists()
    assert fresh(closure).cleared_at == at


# --- Waiting --------------------------------------------------------------------------------


def test_he_is_told_what_it_waits_for(at: datetime) -> None:
    promoter = make_promoter()
    WAITS.extend(OWING)
    closure = ask(promoter.member, at)
    assert closure.status == "waiting"
    assert closure.waits == [{"kind": "owed", "amount_fen": 500}]
    assert (fresh(promoter).status, fresh(promoter.member).status) == ("closing", "active")
    assert Message.objects.count() == 1


def test_the_job_closes_it_when_nothing_is_left(at: datetime) -> None:
    promoter = make_promoter()
    WAITS.extend(OWING)
    closure = ask(promoter.member, at)
    assert close_accounts(at=at + timedelta(minutes=10)) == 0
    WAITS.clear()
    assert close_accounts(at=at + timedelta(minutes=20)) == 1
    assert close_accounts(at=at + timedelta(minutes=30)) == 0
    assert fresh(closure).ended_at == at + timedelta(minutes=20)
    assert fresh(promoter).status == "closed"


def test_what_comes_in_at_the_last_moment_keeps_it_open(at: datetime, settings: Any) -> None:
    settings.CLOSING_STEPS = [f"{__name__}.refuse_to_close"]
    promoter = make_promoter()
    binding = bound(promoter, at)
    closure = ask(promoter.member, at)
    assert closure.status == "waiting"
    assert (fresh(promoter).status, fresh(promoter.member).status) == ("closing", "active")
    assert fresh(binding).ended_at is None
    assert fresh(promoter.member).openid


def test_one_account_in_trouble_keeps_no_other(at: datetime, settings: Any) -> None:
    WAITS.extend(OWING)
    first, second = make_promoter(), make_member()
    ask(first.member, at)
    ask(second, at)
    WAITS.clear()
    settings.CLOSING_STEPS = ["no.such.path"]
    assert close_accounts(at=at) == 1
    assert (fresh(first.member).status, fresh(second).status) == ("active", "closed")


@pytest.mark.parametrize("case", ["hold", "suspended"])
def test_a_case_is_decided_first(at: datetime, case: str) -> None:
    promoter = make_promoter(status="suspended" if case == "suspended" else "active")
    if case == "hold":
        Hold.objects.create(promoter=promoter, reason="r", opened_by="staff:1", opened_at=at)
    closure = ask(promoter.member, at)
    assert [wait["kind"] for wait in closure.waits] == [
        {"hold": "held", "suspended": "suspended"}[case]
    ]
    assert fresh(promoter).status == {"hold": "closing", "suspended": "suspended"}[case]


def test_who_is_reinstated_goes_on_being_closed(at: datetime) -> None:
    promoter = make_promoter()
    WAITS.extend(OWING)
    ask(promoter.member, at)
    suspend_promoter(promoter_id=promoter.pk, why="case", by=ANNA, at=at)
    assert fresh(promoter).status == "suspended"
    reinstate_promoter(promoter_id=promoter.pk, why="cleared", by=ANNA, at=at)
    assert fresh(promoter).status == "closing"
    WAITS.clear()
    assert close_accounts(at=at) == 1


def test_a_blocked_account_waits_for_a_decision(at: datetime) -> None:
    member = make_member(status="blocked")
    closure = close_account(member_id=member.pk, reason="asked by letter", by=ANNA, at=at)
    assert [wait["kind"] for wait in closure.waits] == ["blocked"]


def test_nobody_new_comes_below_who_leaves(at: datetime) -> None:
    promoter = make_promoter()
    customer = bound(promoter, at).member
    assert parent_of_new(customer, at=at) == promoter.pk
    WAITS.extend(OWING)
    ask(promoter.member, at)
    assert parent_of_new(customer, at=at) is None


def test_who_leaves_makes_no_new_links(at: datetime) -> None:
    promoter = make_promoter()
    WAITS.extend(OWING)
    ask(promoter.member, at)
    with pytest.raises(AccountClosing):
        create_link(
            member=promoter.member, target="home", target_ref="", channel="chat",
            expires_at=None, at=at,
        )  # fmt: skip


def test_a_waiting_application_is_rejected(at: datetime) -> None:
    from tests.referrals.test_services_merging import applied

    application = applied(make_member(), at)
    ask(application.member, at)
    assert fresh(application).status == Application.Status.REJECTED


# --- Taken back -----------------------------------------------------------------------------


def test_he_may_take_it_back_while_it_waits(at: datetime) -> None:
    promoter = make_promoter()
    WAITS.extend(OWING)
    ask(promoter.member, at)
    closure = withdraw_closing(member=promoter.member, at=at)
    assert (closure.status, fresh(promoter).status) == ("cancelled", "active")
    WAITS.clear()
    assert close_accounts(at=at) == 0
    with pytest.raises(NotClosing):
        withdraw_closing(member=promoter.member, at=at)


def test_a_closing_taken_back_lets_the_suspension_stand(at: datetime) -> None:
    promoter = make_promoter(status="suspended")
    ask(promoter.member, at)
    withdraw_closing(member=promoter.member, at=at)
    assert fresh(promoter).status == "suspended"


def test_only_staff_take_back_what_staff_asked_for(at: datetime) -> None:
    promoter = make_promoter()
    WAITS.extend(OWING)
    closure = close_promoter(promoter_id=promoter.pk, reason="breach", by=ANNA, at=at)
    with pytest.raises(NotClosing):
        withdraw_closing(member=promoter.member, at=at)
    with pytest.raises(ReasonMissing):
        cancel_closing(closure_id=closure.pk, reason=" ", by=ANNA, at=at)
    assert fresh(promoter).status == "closing"
    cancel_closing(closure_id=closure.pk, reason="mistake", by=ANNA, at=at)
    assert fresh(promoter).status == "active"
    with pytest.raises(IllegalTransition):
        cancel_closing(closure_id=closure.pk, reason="again", by=ANNA, at=at)


def test_a_wish_to_quit_taken_back_takes_the_closing_back(at: datetime) -> None:
    promoter = make_promoter()
    WAITS.extend(OWING)
    request_quitting(member=promoter.member, confirmed=True, note="", at=at)
    closure = close_promoter(promoter_id=promoter.pk, reason="wish", by=ANNA, at=at)
    withdraw_quitting(member=promoter.member, at=at)
    WAITS.clear()
    assert close_accounts(at=at) == 0
    assert (fresh(closure).status, fresh(promoter).status) == ("cancelled", "active")


def test_a_promoters_closing_grows_into_one_of_the_account(at: datetime) -> None:
    promoter = make_promoter()
    WAITS.extend(OWING)
    first = close_promoter(promoter_id=promoter.pk, reason="breach", by=ANNA, at=at)
    second = ask(promoter.member, at)
    assert (second, second.scope) == (first, "account")
    WAITS.clear()
    close_accounts(at=at)
    assert fresh(promoter.member).status == "closed"


# --- Refused --------------------------------------------------------------------------------


def test_closing_wants_to_be_confirmed(at: datetime) -> None:
    member = make_member()
    with pytest.raises(ClosingUnconfirmed):
        request_closing(member=member, confirmed=False, note="", at=at)
    assert not Closure.objects.exists()


def test_an_account_is_closed_once(at: datetime) -> None:
    promoter = make_promoter()
    WAITS.extend(OWING)
    ask(promoter.member, at)
    for again in (
        lambda: ask(promoter.member, at),
        lambda: close_account(member_id=promoter.member_id, reason="r", by=ANNA, at=at),
        lambda: close_promoter(promoter_id=promoter.pk, reason="r", by=ANNA, at=at),
    ):
        with pytest.raises(AccountClosing):
            again()
    assert Closure.objects.count() == 1
    assert not AuditEntry.objects.exists()


@pytest.mark.parametrize(("status", "error"), [("closed", MemberClosed), ("merged", AccountMerged)])
def test_what_is_gone_is_not_closed_again(at: datetime, status: str, error: type) -> None:
    into = {"merged_into": make_member()} if status == "merged" else {}
    member = make_member(status=status, **into)
    with pytest.raises(error):
        ask(member, at)
    with pytest.raises(error):
        close_account(member_id=member.pk, reason="r", by=ANNA, at=at)
    assert not Closure.objects.exists()


def test_staff_say_why(at: datetime) -> None:
    promoter = make_promoter()
    with pytest.raises(ReasonMissing):
        close_promoter(promoter_id=promoter.pk, reason=" ", by=ANNA, at=at)
    with pytest.raises(ReasonMissing):
        close_account(member_id=promoter.member_id, reason="", by=ANNA, at=at)
    assert not Closure.objects.exists()


def test_a_closed_promoter_is_not_closed_again(at: datetime) -> None:
    promoter = make_promoter(status="closed")
    with pytest.raises(NotPromoter):
        close_promoter(promoter_id=promoter.pk, reason="r", by=ANNA, at=at)
    assert not Closure.objects.exists()


# --- The database ---------------------------------------------------------------------------


def row(at: datetime, **changes: Any) -> Closure:
    fields = {"member": make_member(), "scope": "account", "requested_by": "staff:1"}
    return Closure.objects.create(**fields | {"requested_at": at} | changes)


@pytest.mark.parametrize(
    "changes",
    [
        {"status": "odd", "ended_at": "at"},
        {"scope": "odd"},
        {"ended_at": "at"},
        {"status": "done"},
        {"cleared_at": "at"},
    ],
)
def test_a_broken_closing_is_refused(at: datetime, changes: dict[str, Any]) -> None:
    changes = {name: at if value == "at" else value for name, value in changes.items()}
    with pytest.raises(IntegrityError), transaction.atomic():
        row(at, **changes)


def test_an_account_has_one_open_closing(at: datetime) -> None:
    first = row(at)
    with pytest.raises(IntegrityError), transaction.atomic():
        row(at, member=first.member)


def test_who_asked_and_why_never_changes(at: datetime) -> None:
    closure = row(at)
    for change in ({"reason": "other"}, {"requested_by": "staff:2"}, {"member": make_member()}):
        with pytest.raises(IntegrityError), transaction.atomic():
            Closure.objects.filter(pk=closure.pk).update(**change)


@pytest.mark.parametrize(
    "changes",
    [
        {"status": "merged"},
        {"status": "odd"},
        {"merged_into": "other"},
        {"status": "merged", "merged_into": "self"},
    ],
)
def test_a_member_is_merged_into_another_or_not_at_all(changes: dict[str, Any]) -> None:
    member, other = make_member(), make_member()
    known = {"other": other.pk, "self": member.pk}
    changes = {name: known.get(value, value) for name, value in changes.items()}
    with pytest.raises(IntegrityError), transaction.atomic():
        Member.objects.filter(pk=member.pk).update(**changes)


def test_nobody_is_merged_into_who_is_merged() -> None:
    last = make_member()
    middle = make_member(status="merged", merged_into=last)
    with pytest.raises(IntegrityError), transaction.atomic():
        make_member(status="merged", merged_into=middle)
