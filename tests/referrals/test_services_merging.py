"""Merging two accounts of one person: docs/accounts.md, "Merging"."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from django.db import IntegrityError, transaction

from distro import facts
from distro.actors import Actor
from distro.errors import DomainError, IllegalTransition
from distro.models import AuditEntry
from referrals import selectors, selectors_accounts
from referrals.errors import MemberBlocked, MemberClosed, ReasonMissing, TokenInvalid
from referrals.errors_accounts import (
    AccountClosing,
    AccountMerged,
    MergeProposed,
    OtherAccountStays,
    PromoterUnderReview,
    SameAccount,
    TwoIdentities,
)
from referrals.errors_joining import SecondPersonNeeded
from referrals.models import (
    Application,
    Binding,
    Closure,
    Hold,
    Identity,
    Member,
    MemberToken,
    Merge,
    Message,
    Promoter,
)
from referrals.proofs_bindings import binding_faults
from referrals.services.agreements import Evidence
from referrals.services.bindings import touch
from referrals.services.closing import cancel_closing, close_accounts, request_closing
from referrals.services.identities import submit_identity, verify_identity
from referrals.services.members import LoginResult, login
from referrals.services.merging import (
    approve_merge,
    carry_customers,
    propose_merge,
    refuse_merge,
)
from referrals.services.messages import notify
from referrals.services.promoters import apply_to_promote
from referrals.signals import members_merged
from tests.factories import make_agreement, make_link, make_member, make_policy, make_promoter

pytestmark = pytest.mark.django_db

ANNA, BORIS = Actor("staff", 1), Actor("staff", 2)
DAY = timedelta(days=1)
NUMBERS = ["11010519491231002X", "440524188001010014"]


@pytest.fixture(autouse=True)
def _no_money(settings: Any) -> None:
    """Leave money and orders to the stories of the packages that have them."""
    settings.CLOSING_CHECKS = {"promoter": [], "account": []}
    settings.CLOSING_STEPS = []


@pytest.fixture
def told() -> Any:
    heard: list[dict[str, Any]] = []
    facts.hear(members_merged, lambda **ids: heard.append(ids), "test.members_merged")
    yield heard
    facts.unhear(members_merged, "test.members_merged")


def merge(merged: Member, survivor: Member, at: datetime) -> Merge:
    row = propose_merge(
        merged_id=merged.pk, survivor_id=survivor.pk, reason="one person", by=ANNA, at=at
    )
    return approve_merge(merge_id=row.pk, by=BORIS, at=at)


def log_in(openid: str, at: datetime, unionid: str | None = None, code: str = "") -> LoginResult:
    return login(openid=openid, unionid=unionid, link_code=code, device="", at=at)


def bind(customer: Member, promoter: Promoter, at: datetime) -> Binding:
    link = make_link(promoter.member, created_at=at - 30 * DAY)
    touch(member_id=customer.pk, link=link, at=at)
    return Binding.objects.get(member=customer, ended_at=None)


def applied(member: Member, at: datetime) -> Application:
    agreement = make_agreement()
    return apply_to_promote(
        member=member, agreement_id=agreement.pk, body_sha256=agreement.body_sha256,
        evidence=Evidence(), note="", at=at,
    )  # fmt: skip


def verified(member: Member, number: str, at: datetime) -> Identity:
    row = submit_identity(member_id=member.pk, name="王小明", id_number=number, at=at)
    return verify_identity(identity_id=row.pk, by=ANNA, at=at)


def fresh(row: Any) -> Any:
    return type(row)._base_manager.get(pk=row.pk)


def two(at: datetime) -> tuple[Member, Member]:
    """Return the younger and the older account of a person."""
    return make_member(joined_at=at - DAY), make_member(joined_at=at - 9 * DAY)


# --- Leading to the account that stays ------------------------------------------------------


def test_log_in_tokens_and_messages_lead_to_the_account_that_stays(
    at: datetime, told: list[Any]
) -> None:
    young, old = two(at)
    before = log_in(young.openid or "", at)
    row = merge(young, old, at)
    assert (row.status, fresh(young).status, fresh(young).merged_into) == ("done", "merged", old)
    after = log_in(young.openid or "", at)
    assert (after.member, after.created) == (old, False)
    token = selectors.live_token(before.token, at=at)
    assert token is not None
    assert token.member.living == old
    notify(member_id=young.pk, kind="promoter", key="k", title="t", body="b", at=at)
    assert Message.objects.get().member == old
    assert told == [{"member_id": young.pk, "survivor_id": old.pk}]


def test_the_api_answers_a_merged_token_for_the_account_that_stays(
    at: datetime, as_member: Any
) -> None:
    young, old = two(at)
    api = as_member(young)
    merge(young, old, at)
    assert api.get("me").json()["no"] == old.no


def test_the_account_that_stays_learns_what_it_did_not_know(at: datetime) -> None:
    young, old = two(at)
    Member.objects.filter(pk=young.pk).update(phone_index="p", nickname="小王", unionid="u")
    Member.objects.filter(pk=old.pk).update(nickname="老王")
    merge(fresh(young), fresh(old), at)
    kept = fresh(old)
    assert (kept.phone_index, kept.nickname, kept.unionid) == ("p", "老王", "u")


def test_a_person_is_as_old_as_his_older_account(at: datetime) -> None:
    young, old = two(at)
    make_promoter(member=young)
    merge(old, young, at)
    assert fresh(young).joined_at == at - 9 * DAY


def test_who_was_merged_before_leads_on_in_one_step(at: datetime) -> None:
    first, second = two(at)
    third = make_member(joined_at=at - 20 * DAY)
    merge(first, second, at)
    merge(second, third, at)
    assert {fresh(first).merged_into, fresh(second).merged_into} == {third}
    assert log_in(first.openid or "", at).member == third
    with pytest.raises(AccountMerged):
        merge(third, first, at)


def test_the_same_merge_again_is_the_same_row(at: datetime, told: list[Any]) -> None:
    young, old = two(at)
    row = merge(young, old, at)
    again = propose_merge(merged_id=young.pk, survivor_id=old.pk, reason="r", by=ANNA, at=at)
    assert again == row
    with pytest.raises(AccountMerged):
        approve_merge(merge_id=row.pk, by=BORIS, at=at)
    assert (Merge.objects.count(), len(told)) == (1, 1)


# --- Log-in ---------------------------------------------------------------------------------


def test_a_new_openid_of_a_known_person_is_his_account(at: datetime, told: list[Any]) -> None:
    known = make_member(unionid="u", openid="old")
    result = log_in("new", at, "u", make_link().code)
    assert (result.member, result.created) == (known, False)
    assert fresh(known).openid == "new"
    alias = Member.objects.get(openid="old")
    assert (alias.merged_into, alias.status) == (known, "merged")
    assert log_in("old", at, "u").member == known
    assert len(told) == 1
    assert Binding.objects.get().member == known  # the link touched the person, as any link would


def test_a_new_openid_of_a_blocked_person_is_no_way_in(at: datetime) -> None:
    make_member(unionid="u", status="blocked")
    with pytest.raises(MemberBlocked):
        log_in("new", at, "u")
    assert Member.objects.count() == 1
    assert not MemberToken.objects.exists()


@pytest.mark.parametrize("state", ["closing", "suspended"])
def test_a_new_openid_is_let_in_whatever_is_being_decided(
    at: datetime, settings: Any, state: str
) -> None:
    settings.CLOSING_CHECKS = {"promoter": [], "account": ["tests.referrals.waiting.always"]}
    known = make_member(unionid="u", openid="old")
    promoter = make_promoter(member=known)
    if state == "closing":
        request_closing(member=known, confirmed=True, note="", at=at)
    else:
        Promoter.objects.filter(pk=promoter.pk).update(status="suspended")
    assert log_in("new", at, "u").member == known


def test_an_account_that_learns_its_unionid_joins_the_other(at: datetime) -> None:
    young, old = two(at)
    Member.objects.filter(pk=old.pk).update(unionid="u")
    result = log_in(young.openid or "", at, "u")
    assert (result.member, fresh(young).merged_into) == (old, old)
    assert fresh(old).openid == young.openid
    assert fresh(young).openid == old.openid


def test_the_promoters_account_stays_though_it_is_younger(at: datetime) -> None:
    young, old = two(at)
    make_promoter(member=young)
    Member.objects.filter(pk=old.pk).update(unionid="u")
    assert log_in(young.openid or "", at, "u").member == young
    assert fresh(old).merged_into == young


def test_two_promoters_are_left_to_staff(at: datetime, told: list[Any]) -> None:
    young, old = two(at)
    make_promoter(member=young)
    make_promoter(member=old)
    Member.objects.filter(pk=old.pk).update(unionid="u")
    assert log_in(young.openid or "", at, "u").member == young
    row = Merge.objects.get()
    assert (row.status, row.merged, row.survivor) == ("proposed", young, old)
    assert log_in(young.openid or "", at, "u").member == young
    assert (Merge.objects.count(), told) == (1, [])
    approve_merge(merge_id=row.pk, by=ANNA, at=at)
    assert log_in(young.openid or "", at, "u").member == old


# --- Bindings: whose customer he is ---------------------------------------------------------


def test_his_binding_is_carried_over_if_the_account_that_stays_has_none(at: datetime) -> None:
    make_policy(binding_days=90, protection_days=30)
    promoter = make_promoter(member=make_member(joined_at=at - 30 * DAY))
    young, old = two(at)
    own = bind(young, promoter, at - DAY)
    merge(young, old, at)
    assert (fresh(own).ended_at, fresh(own).end_reason) == (at, "merged")
    now = Binding.objects.get(ended_at=None)
    assert (now.member, now.promoter, now.mode) == (old, promoter, own.mode)
    assert (now.expires_at, now.protected_until) == (own.expires_at, own.protected_until)
    assert (now.started_at, now.link) == (at, None)
    assert list(binding_faults()) == []


def test_the_binding_of_the_account_that_stays_wins(at: datetime) -> None:
    promoters = [make_promoter(member=make_member(joined_at=at - 30 * DAY)) for _ in range(2)]
    young, old = two(at)
    bind(young, promoters[0], at - DAY)
    kept = bind(old, promoters[1], at - DAY)
    merge(young, old, at)
    assert Binding.objects.get(ended_at=None) == kept


@pytest.mark.parametrize("why", ["bought", "older than the promoter", "promoter himself", "cycle"])
def test_his_binding_ends_where_the_hard_rules_say_so(
    at: datetime, settings: Any, why: str
) -> None:
    joined = at - (5 if why == "older than the promoter" else 30) * DAY
    promoter = make_promoter(member=make_member(joined_at=joined))
    young, old = make_member(joined_at=at - DAY), make_member(joined_at=at - 9 * DAY)
    bind(young, promoter, at - DAY)
    stays = old
    if why == "bought":
        settings.PAID_ORDER_CHECKS = ["tests.referrals.waiting.always"]
    if why == "promoter himself":
        stays = promoter.member
    if why == "cycle":
        own = make_promoter(member=old)
        Binding.objects.create(
            member=promoter.member, promoter=own, mode="import", started_at=at, made_by="t"
        )
    merge(young, stays, at)
    assert not Binding.objects.filter(member__in=[young, stays], ended_at=None).exists()


def test_nobody_stays_the_customer_of_his_own_former_account(at: datetime) -> None:
    young = make_promoter(member=make_member(joined_at=at - 9 * DAY))
    stays = make_promoter(member=make_member(joined_at=at - DAY))
    own = bind(stays.member, young, at - DAY)
    merge(young.member, stays.member, at)
    assert fresh(own).end_reason == "merged"
    assert selectors.attribution_of(stays.member_id, at=at) == selectors.NOBODY


# --- Bindings: his customers ----------------------------------------------------------------


def both_promoters(at: datetime) -> tuple[Promoter, Promoter]:
    young, old = two(at)
    return make_promoter(member=young), make_promoter(member=old)


def test_his_customers_are_carried_over_row_by_row(
    at: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("referrals.services.carrying.CARRIED_AT_ONCE", 2)
    former, stays = both_promoters(at)
    customers = [make_member() for _ in range(5)]
    rows = [bind(customer, former, at) for customer in customers]
    row = merge(former.member, stays.member, at)
    assert row.carried_at == at
    assert {fresh(old).end_reason for old in rows} == {"merged"}
    now = Binding.objects.filter(ended_at=None)
    assert {(one.member, one.promoter) for one in now} == {(c, stays) for c in customers}
    assert list(binding_faults()) == []


def test_an_expired_customer_is_not_carried_over(at: datetime) -> None:
    make_policy(binding_days=1)
    former, stays = both_promoters(at)
    old = bind(make_member(), former, at)
    merge(former.member, stays.member, at + 2 * DAY)
    assert (fresh(old).end_reason, fresh(old).ended_at) == ("expired", at + DAY)
    assert Binding.objects.count() == 1


def test_a_customer_who_brought_him_is_set_free(at: datetime) -> None:
    former, stays = both_promoters(at)
    customer = make_promoter()
    Binding.objects.create(
        member=stays.member, promoter=customer, mode="import", started_at=at, made_by="t"
    )
    own = Binding.objects.create(
        member=customer.member, promoter=former, mode="import", started_at=at, made_by="t"
    )
    merge(former.member, stays.member, at)
    assert fresh(own).end_reason == "merged"
    assert not Binding.objects.filter(member=customer.member, ended_at=None).exists()


def test_the_job_goes_on_where_a_merge_was_interrupted(
    at: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    former, stays = both_promoters(at)
    bind(make_member(), former, at)
    with monkeypatch.context() as patch:
        patch.setattr("referrals.services.merging._carried", lambda merge, at: True)
        row = merge(former.member, stays.member, at)
    assert (fresh(row).carried_at, fresh(former).status) == (None, "active")
    assert carry_customers(at=at) == 1
    assert carry_customers(at=at) == 0
    assert Binding.objects.get(ended_at=None).promoter == stays


# --- The former promoter --------------------------------------------------------------------


def test_the_former_promoter_runs_out_and_his_team_stays(at: datetime, settings: Any) -> None:
    settings.CLOSING_CHECKS = {"promoter": ["tests.referrals.waiting.always"], "account": []}
    former, stays = both_promoters(at)
    child, link = make_promoter(former), make_link(former.member)
    merge(former.member, stays.member, at)
    assert (fresh(former).status, fresh(stays).status) == ("closing", "active")
    assert (fresh(child).parent_id, fresh(link).revoked_at) == (former.pk, at)
    closure = Closure.objects.get()
    with pytest.raises(AccountMerged):
        cancel_closing(closure_id=closure.pk, reason="r", by=ANNA, at=at)
    settings.CLOSING_CHECKS = {"promoter": [], "account": []}
    assert close_accounts(at=at) == 1
    assert (fresh(former).status, fresh(former.member).status) == ("closed", "merged")


def test_the_whole_account_waits_for_its_former_promoters(at: datetime, settings: Any) -> None:
    settings.CLOSING_CHECKS = {"promoter": ["tests.referrals.waiting.always"], "account": []}
    former, stays = both_promoters(at)
    merge(former.member, stays.member, at)
    closure = request_closing(member=fresh(stays.member), confirmed=True, note="", at=at)
    assert "former" in [wait["kind"] for wait in closure.waits]
    settings.CLOSING_CHECKS = {"promoter": [], "account": []}
    assert close_accounts(at=at) == 2
    assert fresh(former.member).openid is None
    assert fresh(stays.member).status == "closed"


def test_a_waiting_application_is_rejected_with_the_account(at: datetime) -> None:
    young, old = two(at)
    application = applied(young, at)
    merge(young, old, at)
    assert fresh(application).status == "rejected"


# --- One person for the rules ---------------------------------------------------------------


def test_all_his_accounts_are_one_for_self_purchase(at: datetime) -> None:
    former, stays = both_promoters(at)
    stranger = make_member()
    merge(former.member, stays.member, at)
    people = selectors.people([former.member_id, stays.member_id, stranger.pk])
    assert people[former.member_id].is_same_as(people[stays.member_id])
    assert not people[stranger.pk].is_same_as(people[stays.member_id])


def test_one_verified_number_serves_all_his_accounts(at: datetime) -> None:
    former, stays = both_promoters(at)
    identity = verified(former.member, NUMBERS[0], at)
    merge(former.member, stays.member, at)
    found = [selectors_accounts.payee_identity(fresh(row.member)) for row in (former, stays)]
    assert found == [identity, identity]
    own = verified(stays.member, NUMBERS[0], at)
    assert (own.status, own.same_as) == ("verified", identity)


# --- Refused --------------------------------------------------------------------------------


def case_of(name: str, at: datetime) -> tuple[Member, Member]:
    young, old = two(at)
    if name == "same":
        return young, young
    if name in {"blocked", "closed"}:
        Member.objects.filter(pk=old.pk).update(status=name)
    if name == "merged":
        merge(young, make_member(), at)
    if name == "promoter gives way":
        make_promoter(member=young)
    if name in {"suspended", "hold"}:
        former = make_promoter(
            member=young, status="suspended" if name == "suspended" else "active"
        )
        make_promoter(member=old)
        if name == "hold":
            Hold.objects.create(promoter=former, reason="r", opened_by="staff:1", opened_at=at)
    if name == "two identities":
        verified(young, NUMBERS[0], at)
        verified(old, NUMBERS[1], at)
    if name == "closing":
        Closure.objects.create(member=old, scope="account", requested_by="t", requested_at=at)
    return fresh(young), fresh(old)


CASES: list[tuple[str, type[DomainError]]] = [
    ("same", SameAccount),
    ("blocked", MemberBlocked),
    ("closed", MemberClosed),
    ("merged", AccountMerged),
    ("promoter gives way", OtherAccountStays),
    ("suspended", PromoterUnderReview),
    ("hold", PromoterUnderReview),
    ("two identities", TwoIdentities),
    ("closing", AccountClosing),
]


@pytest.mark.parametrize(("name", "error"), CASES)
def test_what_is_no_case_for_a_merge(
    at: datetime, told: list[Any], name: str, error: type[DomainError]
) -> None:
    merged, survivor = case_of(name, at)
    before = Merge.objects.count(), len(told), Member.objects.filter(status="merged").count()
    with pytest.raises(error):
        propose_merge(merged_id=merged.pk, survivor_id=survivor.pk, reason="r", by=ANNA, at=at)
    after = Merge.objects.count(), len(told), Member.objects.filter(status="merged").count()
    assert after == before


@pytest.mark.parametrize(("name", "error"), CASES[1:])
def test_what_changed_since_it_was_proposed_counts(
    at: datetime, name: str, error: type[DomainError]
) -> None:
    merged, survivor = case_of(name, at)
    row = Merge.objects.create(
        merged=merged, survivor=survivor, reason="r", requested_by=str(ANNA), requested_at=at
    )
    with pytest.raises(error):
        approve_merge(merge_id=row.pk, by=BORIS, at=at)
    assert fresh(row).status == "proposed"


def test_a_merge_wants_two_persons_and_a_reason(at: datetime, told: list[Any]) -> None:
    young, old = two(at)
    with pytest.raises(ReasonMissing):
        propose_merge(merged_id=young.pk, survivor_id=old.pk, reason=" ", by=ANNA, at=at)
    assert not Merge.objects.exists()
    row = propose_merge(merged_id=young.pk, survivor_id=old.pk, reason="r", by=ANNA, at=at)
    with pytest.raises(SecondPersonNeeded):
        approve_merge(merge_id=row.pk, by=ANNA, at=at)
    with pytest.raises(MergeProposed):
        propose_merge(merged_id=young.pk, survivor_id=old.pk, reason="r", by=BORIS, at=at)
    assert (fresh(row).status, fresh(young).status, told) == ("proposed", "active", [])


def test_a_proposal_may_be_refused(at: datetime) -> None:
    young, old = two(at)
    row = propose_merge(merged_id=young.pk, survivor_id=old.pk, reason="r", by=ANNA, at=at)
    with pytest.raises(ReasonMissing):
        refuse_merge(merge_id=row.pk, reason="", by=BORIS, at=at)
    refuse_merge(merge_id=row.pk, reason="two persons", by=BORIS, at=at)
    with pytest.raises(IllegalTransition):
        approve_merge(merge_id=row.pk, by=BORIS, at=at)
    assert [entry.action for entry in AuditEntry.objects.order_by("pk")] == [
        "merge.propose", "merge.refuse",
    ]  # fmt: skip
    assert fresh(young).status == "active"


def test_a_token_of_nobody_stays_a_token_of_nobody(at: datetime, stranger: Any) -> None:
    stranger.client.credentials(HTTP_AUTHORIZATION="Bearer none")
    assert stranger.get("me").status_code == TokenInvalid.status


# --- The database ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    "changes",
    [
        {"status": "odd"},
        {"reason": ""},
        {"survivor": "same"},
        {"status": "done"},
        {"decided_by": "staff:2"},
        {"status": "done", "decided_by": "staff:1", "decided_at": "at"},
        {"carried_at": "at"},
    ],
)
def test_a_broken_merge_is_refused(at: datetime, changes: dict[str, Any]) -> None:
    merged = make_member()
    known = {"at": at, "same": merged}
    changes = {name: known.get(value, value) for name, value in changes.items()}
    fields = {"survivor": make_member(), "reason": "r", "requested_by": "staff:1"}
    with pytest.raises(IntegrityError), transaction.atomic():
        Merge.objects.create(**{"merged": merged} | fields | {"requested_at": at} | changes)


def test_an_account_gives_way_once(at: datetime) -> None:
    young, old = two(at)
    done = {"status": "done", "decided_by": "staff:2", "decided_at": at}
    fields = {"reason": "r", "requested_by": "staff:1", "requested_at": at, "merged": young}
    for extra in (done, {}):
        Merge.objects.create(**fields | extra | {"survivor": old})
        with pytest.raises(IntegrityError), transaction.atomic():
            Merge.objects.create(**fields | extra | {"survivor": make_member()})
