"""The decision about the promoter entry: its log, its policies, invitations by staff."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from django.db import IntegrityError, connection, transaction
from django.test import override_settings
from django.test.utils import CaptureQueriesContext

from distro.actors import Actor
from distro.errors import DomainError, NotFound
from distro.models import AuditEntry
from referrals.errors import AlreadyPromoter, MemberBlocked, ReasonMissing
from referrals.errors_exposure import (
    AlreadyInvited,
    EntryHidden,
    HoldoutFixed,
    PolicyRules,
    SaltMissing,
    TagMisplaced,
    UnknownTag,
)
from referrals.explanations_exposure import decision_explained, exposure_explained
from referrals.models import (
    ExposureDecision,
    ExposureInvitation,
    ExposurePolicy,
    Member,
    Visit,
)
from referrals.rules.exposure import bucket_of
from referrals.selectors_exposure import (
    exposure_of,
    exposure_policy_at,
    first_shown_at,
    told_under,
)
from referrals.services.exposure import (
    decide_exposure,
    end_invitation,
    invite_to_promote,
    refuse_hidden,
    save_policy,
)
from tests.factories import make_link, make_member, make_order, make_promoter

pytestmark = pytest.mark.django_db

STAFF = Actor("staff", 7)
DAY = timedelta(days=1)


def policy(at: datetime, segment: str = "everyone", **kw: Any) -> ExposurePolicy:
    fields = {"effective_from": at, "segment": segment, "holdout_bps": 0}
    return ExposurePolicy.objects.create(**fields | kw)


def told(member: Member) -> list[tuple[int, bool, str]]:
    rows = ExposureDecision.objects.filter(member=member).order_by("number")
    return list(rows.values_list("number", "shown", "reason"))


def drawn(salt: str, *, below: int) -> Member:
    """Make a member whom a salt puts below a place."""
    while bucket_of(salt, (member := make_member()).openid or "") >= below:
        pass
    return member


# --- Decisions ------------------------------------------------------------------------------


def test_before_the_first_policy_everybody_sees_the_entry(at: datetime) -> None:
    row = decide_exposure(member=make_member(), at=at)
    assert (row.shown, row.reason, row.policy_id, row.bucket) == (True, "everyone", None, None)


def test_the_policy_of_the_moment_decides(at: datetime) -> None:
    member = make_member()
    policy(at - DAY, "nobody")
    policy(at + DAY, "everyone")
    assert decide_exposure(member=member, at=at).reason == "nobody"
    assert decide_exposure(member=member, at=at + DAY).reason == "everyone"
    assert exposure_policy_at(at - 2 * DAY).pk is None


@pytest.mark.parametrize(
    ("status", "reason"),
    [("paid", "not_received"), ("shipped", "not_received"), ("completed", "has_received"),
     ("refunded", "not_received")],
)  # fmt: skip
def test_a_received_order_opens_the_entry(at: datetime, status: str, reason: str) -> None:
    policy(at, "received")
    order = make_order(status=status)
    assert decide_exposure(member=order.member, at=at).reason == reason
    assert decide_exposure(member=make_member(), at=at).reason == "not_received"


def test_a_tag_is_asked_of_the_package_that_knows_it(at: datetime) -> None:
    policy(at, "tag", tag="repeat_buyer")
    once, twice = make_member(), make_member()
    for member in (once, twice, twice):
        make_order(member, status="completed")
    assert decide_exposure(member=once, at=at).reason == "no_tag"
    assert decide_exposure(member=twice, at=at).reason == "has_tag"


@override_settings(EXPOSURE_TAGS={})
def test_a_tag_that_no_package_knows_any_more_hides_the_entry(at: datetime) -> None:
    policy(at, "tag", tag="gone")
    assert decide_exposure(member=make_member(), at=at).reason == "no_tag"


def test_a_promoter_sees_it_unless_nobody_does(at: datetime) -> None:
    promoter = make_promoter(status="suspended")
    policy(at, "promoters", holdout_bps=10_000, salt="s")
    row = decide_exposure(member=promoter.member, at=at)
    assert (row.shown, row.reason, row.in_holdout) == (True, "is_promoter", True)
    policy(at + DAY, "nobody")
    assert not decide_exposure(member=promoter.member, at=at + DAY).shown


def test_the_draw_hides_its_share_and_shows_the_rest(at: datetime) -> None:
    policy(at, holdout_bps=1_000, salt="s")
    inside, outside = drawn("s", below=1_000), make_member(openid="person-outside")
    row = decide_exposure(member=inside, at=at)
    assert (row.shown, row.reason, row.in_holdout) == (False, "holdout", True)
    assert row.bucket == bucket_of("s", inside.openid or "") < 1_000
    row = decide_exposure(member=outside, at=at)
    assert row.bucket == bucket_of("s", "person-outside") >= 1_000
    assert (row.shown, row.in_holdout) == (True, False)


# --- The log --------------------------------------------------------------------------------


def test_the_same_answer_is_written_once(at: datetime) -> None:
    member = make_member()
    first = decide_exposure(member=member, at=at)
    again = decide_exposure(member=member, at=at + DAY)
    assert (again.pk, again.decided_at) == (first.pk, at)
    assert told(member) == [(1, True, "everyone")]


def test_every_change_is_a_row_also_back_to_what_was(at: datetime) -> None:
    member = make_member()
    policy(at, "received")
    decide_exposure(member=member, at=at)
    order = make_order(member, status="completed")
    decide_exposure(member=member, at=at)
    type(order).objects.filter(pk=order.pk).update(paid_at=at, status="refunded")
    decide_exposure(member=member, at=at)
    policy(at + DAY, "received")
    decide_exposure(member=member, at=at + DAY)
    assert told(member) == [
        (1, False, "not_received"),
        (2, True, "has_received"),
        (3, False, "not_received"),
        (4, False, "not_received"),  # another policy
    ]


def test_an_answer_that_is_known_costs_reading_only(at: datetime) -> None:
    member = make_member(unionid="u")
    policy(at, "received", holdout_bps=1_000, salt="s")
    decide_exposure(member=member, at=at)
    with CaptureQueriesContext(connection) as queries:
        decide_exposure(member=member, at=at)
    assert not [q["sql"] for q in queries if not q["sql"].startswith("SELECT")]
    assert len(queries) == 6


def test_a_row_of_the_log_never_changes(at: datetime) -> None:
    row = decide_exposure(member=make_member(), at=at)
    for change in (
        lambda: ExposureDecision.objects.filter(pk=row.pk).update(shown=False),
        lambda: ExposureDecision.objects.filter(pk=row.pk).delete(),
    ):
        with pytest.raises(IntegrityError), transaction.atomic():
            change()


def test_the_first_time_shown_is_since_when_somebody_is_exposed(at: datetime) -> None:
    member = make_member()
    policy(at, "nobody")
    decide_exposure(member=member, at=at)
    assert first_shown_at(member.pk) is None
    policy(at + DAY, "everyone")
    decide_exposure(member=member, at=at + DAY)
    policy(at + 2 * DAY, "nobody")
    decide_exposure(member=member, at=at + 2 * DAY)
    assert first_shown_at(member.pk) == at + DAY


@pytest.mark.parametrize(
    "fields",
    [
        {"shown": True, "reason": "holdout"},
        {"shown": False, "reason": "everyone"},
        {"shown": True, "reason": "unheard_of"},
        {"shown": False, "reason": "holdout", "in_holdout": True},  # no place in the draw
        {"shown": False, "reason": "holdout", "bucket": 3},  # not marked as drawn
    ],
)
def test_the_database_refuses_a_row_that_contradicts_itself(
    at: datetime, fields: dict[str, Any]
) -> None:
    row = {"member": make_member(), "number": 1, "in_holdout": False, "decided_at": at} | fields
    with pytest.raises(IntegrityError), transaction.atomic():
        ExposureDecision.objects.create(**row)


# --- A person keeps his place ---------------------------------------------------------------


def test_the_draw_is_the_same_under_every_policy_with_its_salt(at: datetime) -> None:
    members = [make_member() for _ in range(40)]
    policy(at, holdout_bps=5_000, salt="s")
    first = {m.pk: decide_exposure(member=m, at=at).bucket for m in members}
    policy(at + DAY, "received", holdout_bps=5_000, salt="s")
    second = {m.pk: decide_exposure(member=m, at=at + DAY).bucket for m in members}
    assert first == second
    policy(at + 2 * DAY, holdout_bps=5_000, salt="other")
    third = {m.pk: decide_exposure(member=m, at=at + 2 * DAY).bucket for m in members}
    assert third != first
    policy(at + 3 * DAY, holdout_bps=5_000, salt="s")
    again = {m.pk: decide_exposure(member=m, at=at + 3 * DAY).bucket for m in members}
    assert again == first


def test_a_unionid_that_becomes_known_later_moves_nobody(at: datetime) -> None:
    policy(at, holdout_bps=1_000, salt="s")
    member = drawn("s", below=1_000)
    place = decide_exposure(member=member, at=at).bucket
    Member.objects.filter(pk=member.pk).update(unionid="person-outside")
    member.refresh_from_db()
    assert bucket_of("s", "person-outside") >= 1_000
    assert decide_exposure(member=member, at=at).bucket == place


def test_all_accounts_of_a_person_have_the_place_of_the_oldest(at: datetime) -> None:
    policy(at, holdout_bps=1_000, salt="s")
    member = drawn("s", below=1_000)
    place = decide_exposure(member=member, at=at).bucket
    Member.objects.filter(pk=member.pk).update(unionid="u")
    second = make_member(unionid="u")
    row = decide_exposure(member=second, at=at)
    assert (row.bucket, row.reason) == (place, "holdout")


def test_an_account_that_stays_keeps_the_place_and_standing_of_the_merged_one(
    at: datetime,
) -> None:
    policy(at, holdout_bps=1_000, salt="s")
    gone, stays = drawn("s", below=1_000), make_member(openid="person-outside")
    place = decide_exposure(member=gone, at=at).bucket
    merged = {"status": "merged", "merged_into": stays}
    Member.objects.filter(pk=gone.pk).update(**merged)
    assert decide_exposure(member=stays, at=at).bucket == place
    make_promoter(member=gone)
    assert decide_exposure(member=stays, at=at).reason == "is_promoter"


def test_new_accounts_of_one_unionid_are_drawn_as_one_person(at: datetime) -> None:
    policy(at, holdout_bps=1_000, salt="s")
    one, two = make_member(unionid="u1"), make_member(unionid="u1")
    assert exposure_of(one, at=at).bucket == exposure_of(two, at=at).bucket == bucket_of("s", "u1")


def test_a_person_without_an_openid_is_drawn_by_his_number(at: datetime) -> None:
    policy(at, holdout_bps=1_000, salt="s")
    member = make_member(openid=None)
    assert exposure_of(member, at=at).bucket == bucket_of("s", member.no)


# --- Refusing who does not see it -----------------------------------------------------------


def test_who_does_not_see_the_entry_does_not_become_a_promoter(at: datetime) -> None:
    policy(at, holdout_bps=1_000, salt="s")
    member = drawn("s", below=1_000)
    with pytest.raises(EntryHidden), transaction.atomic():
        refuse_hidden(member=member, at=at)
    assert told(member) == []
    invite_to_promote(member_id=member.pk, reason="runs our club", by=STAFF, at=at)
    refuse_hidden(member=member, at=at)
    row = decide_exposure(member=member, at=at)
    assert (row.shown, row.reason, row.in_holdout) == (True, "invited", True)


# --- Policies -------------------------------------------------------------------------------


def test_a_policy_is_stored_with_who_made_it_and_audited(at: datetime) -> None:
    row = ExposurePolicy(effective_from=at + DAY, segment="received", holdout_bps=0)
    save_policy(policy=row, by=STAFF, at=at)
    assert (row.made_by, row.effective_from) == ("staff:7", at + DAY)
    entry = AuditEntry.objects.get(action="exposure.policy")
    assert entry.detail["segment"] == "received"


def test_a_policy_never_reaches_back(at: datetime) -> None:
    row = ExposurePolicy(effective_from=at - DAY, holdout_bps=0)
    assert save_policy(policy=row, by=STAFF, at=at).effective_from == at


@pytest.mark.parametrize(
    ("fields", "refusal"),
    [
        ({"segment": "tag"}, TagMisplaced),
        ({"segment": "everyone", "tag": "repeat_buyer"}, TagMisplaced),
        ({"segment": "tag", "tag": "unheard_of"}, UnknownTag),
        ({"holdout_bps": 1_000}, SaltMissing),
    ],
)
def test_a_policy_that_says_nonsense_is_refused(
    at: datetime, fields: dict[str, Any], refusal: type[DomainError]
) -> None:
    row = ExposurePolicy(**{"effective_from": at + DAY, "holdout_bps": 0} | fields)
    with pytest.raises(refusal):
        save_policy(policy=row, by=STAFF, at=at)
    assert not ExposurePolicy.objects.exists()
    assert not AuditEntry.objects.exists()


@pytest.mark.parametrize(
    "fields",
    [
        {"segment": "unheard_of"},
        {"segment": "tag"},
        {"tag": "repeat_buyer"},
        {"holdout_bps": 1_000},
        {"holdout_bps": 10_001, "salt": "s"},
    ],
)
def test_the_database_refuses_such_a_policy_too(at: datetime, fields: dict[str, Any]) -> None:
    with pytest.raises(IntegrityError), transaction.atomic():
        ExposurePolicy.objects.create(**{"effective_from": at, "holdout_bps": 0} | fields)


def test_a_policy_that_applies_stays_as_it_is(at: datetime) -> None:
    row = policy(at)
    row.segment = "nobody"
    with pytest.raises(PolicyRules):
        save_policy(policy=row, by=STAFF, at=at)
    with pytest.raises(IntegrityError), transaction.atomic():
        row.save()
    with pytest.raises(IntegrityError), transaction.atomic():
        row.delete()
    assert ExposurePolicy.objects.get().segment == "everyone"


def test_a_policy_still_to_come_may_change_and_go(at: datetime) -> None:
    row = policy(at + 4_000 * DAY)
    row.segment = "nobody"
    save_policy(policy=row, by=STAFF, at=at)
    assert ExposurePolicy.objects.get().segment == "nobody"
    row.delete()


@pytest.mark.parametrize("change", [{"salt": "new"}, {"holdout_bps": 500}, {"holdout_bps": 0}])
def test_a_holdout_stays_for_twelve_months_or_says_why_not(
    at: datetime, change: dict[str, Any]
) -> None:
    policy(at, holdout_bps=1_000, salt="s")
    fields = {"effective_from": at + 100 * DAY, "holdout_bps": 1_000, "salt": "s"} | change
    with pytest.raises(HoldoutFixed) as refused:
        save_policy(policy=ExposurePolicy(**fields), by=STAFF, at=at)
    assert "2027" in str(refused.value)
    assert ExposurePolicy.objects.count() == 1
    row = save_policy(policy=ExposurePolicy(**fields, why="Court order"), by=STAFF, at=at)
    assert AuditEntry.objects.get().reason == row.why


@pytest.mark.parametrize(
    ("salt", "why", "planned_why"),
    [("later", "", ""), ("sooner", "Court order", ""), ("sooner", "", "Court order")],
)
def test_a_holdout_may_come_before_a_planned_draw(
    at: datetime, salt: str, why: str, planned_why: str
) -> None:
    """The same draw goes on without a reason; for another one either policy says why."""
    for begins, fields in (
        (at + 30 * DAY, {"salt": "later", "why": planned_why}),
        (at + DAY, {"salt": salt, "why": why}),
    ):
        row = ExposurePolicy(effective_from=begins, holdout_bps=1_000, **fields)
        save_policy(policy=row, by=STAFF, at=at)
    assert ExposurePolicy.objects.count() == 2


def test_the_segment_may_change_while_the_draw_stays(at: datetime) -> None:
    policy(at, holdout_bps=1_000, salt="s")
    row = ExposurePolicy(effective_from=at + DAY, segment="received", holdout_bps=1_000, salt="s")
    save_policy(policy=row, by=STAFF, at=at)
    later = ExposurePolicy(effective_from=at + 367 * DAY, holdout_bps=2_000, salt="new")
    save_policy(policy=later, by=STAFF, at=at)
    assert ExposurePolicy.objects.count() == 3


def test_the_page_of_a_policy_counts_what_was_told(at: datetime) -> None:
    row = policy(at, "received", holdout_bps=1_000, salt="s")
    held, late = drawn("s", below=1_000), make_member(openid="person-outside")
    for member in (held, late):
        decide_exposure(member=member, at=at)
    make_order(late, status="completed")
    decide_exposure(member=late, at=at + DAY)
    Visit.objects.create(link=make_link(held), visit_key="own", member=held, occurred_at=at + DAY)
    found = told_under(row)
    assert (found.members, found.shown, found.hidden) == (2, 1, 1)
    assert (found.holdout, found.contaminated) == (1, 0)
    Visit.objects.create(link=make_link(), visit_key="v", member=held, occurred_at=at + DAY)
    assert told_under(row).contaminated == 1


# --- Invitations ----------------------------------------------------------------------------


def test_an_invitation_opens_the_entry_and_can_be_taken_back(at: datetime) -> None:
    policy(at, "promoters")
    member = make_member()
    invitation = invite_to_promote(member_id=member.pk, reason="good seller", by=STAFF, at=at)
    assert decide_exposure(member=member, at=at).reason == "invited"
    end_invitation(invitation_id=invitation.pk, reason="moved away", by=STAFF, at=at + DAY)
    assert decide_exposure(member=member, at=at + DAY).reason == "promoters_only"
    actions = AuditEntry.objects.order_by("id").values_list("action", "reason")
    assert list(actions) == [
        ("exposure.invite", "good seller"),
        ("exposure.uninvite", "moved away"),
    ]
    with pytest.raises(NotFound):
        end_invitation(invitation_id=invitation.pk, reason="again", by=STAFF, at=at)
    invite_to_promote(member_id=member.pk, reason="is back", by=STAFF, at=at + DAY)


def test_who_cannot_be_invited_is_not(at: datetime) -> None:
    member, blocked = make_member(), make_member(status="blocked")
    promoter = make_promoter()
    cases: list[tuple[int, str, type[DomainError]]] = [
        (member.pk, " ", ReasonMissing),
        (blocked.pk, "x", MemberBlocked),
        (promoter.member_id, "x", AlreadyPromoter),
    ]
    for member_id, reason, refusal in cases:
        with pytest.raises(refusal):
            invite_to_promote(member_id=member_id, reason=reason, by=STAFF, at=at)
    assert not ExposureInvitation.objects.exists()
    invitation = invite_to_promote(member_id=member.pk, reason="x", by=STAFF, at=at)
    with pytest.raises(AlreadyInvited):
        invite_to_promote(member_id=member.pk, reason="x", by=STAFF, at=at)
    with pytest.raises(ReasonMissing):
        end_invitation(invitation_id=invitation.pk, reason="", by=STAFF, at=at)
    assert ExposureInvitation.objects.get().ended_at is None
    assert AuditEntry.objects.count() == 1


@pytest.mark.parametrize("ended", [{}, {"ended_by": "staff:1"}, {"end_reason": "x"}])
def test_the_database_keeps_who_ended_an_invitation_and_why(
    at: datetime, ended: dict[str, str]
) -> None:
    row = {"member": make_member(), "reason": "x", "made_by": "staff:1", "made_at": at}
    with pytest.raises(IntegrityError), transaction.atomic():
        ExposureInvitation.objects.create(**row, ended_at=at, **ended)
    ExposureInvitation.objects.create(**row)
    with pytest.raises(IntegrityError), transaction.atomic():
        ExposureInvitation.objects.create(**row)


# --- In one sentence ------------------------------------------------------------------------


def test_every_decision_is_explained(at: datetime) -> None:
    rule = policy(at, holdout_bps=1_000, salt="s")
    for reason in ExposureDecision.Reason:
        shown = reason in {"everyone", "is_promoter", "invited", "has_received", "has_tag"}
        row = ExposureDecision(
            member=make_member(), policy=rule, shown=shown, reason=reason, in_holdout=True,
            bucket=12, decided_at=at,
        )  # fmt: skip
        assert decision_explained(row)
    hidden = exposure_explained(exposure_of(drawn("s", below=1_000), at=at))
    assert "10.00" in hidden
    assert "10000" in hidden
