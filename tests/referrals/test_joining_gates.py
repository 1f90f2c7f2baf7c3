"""The gates as policies, invite codes and legal overrides: refusals first, nothing written."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.utils import translation

from distro.errors import DomainError, IllegalTransition
from distro.models import AuditEntry, StateChange
from referrals import selectors_joining
from referrals.errors import ExpiryInPast, ReasonMissing
from referrals.errors_joining import (
    IdentityNeeded,
    InviteExpired,
    InviteMissing,
    InviteMistyped,
    InviteRevoked,
    InviteUnknown,
    InviteUsedUp,
    OverrideTooLong,
    PurchaseNeeded,
    SecondPersonNeeded,
)
from referrals.models import (
    AgreementAcceptance,
    Application,
    Identity,
    InviteCode,
    LegalOverride,
    Promoter,
    ReferralPolicy,
)
from referrals.rules.codes import ALPHABET, check_character, read_code
from referrals.rules.gates import Gate
from referrals.services.invites import revoke_invite
from referrals.services.overrides import approve_override, refuse_override, revoke_override
from tests.factories import make_agreement, make_member, make_order, make_policy
from tests.referrals.joining import DAY, SECOND, STAFF, apply, asked, invite, override

pytestmark = pytest.mark.django_db

PURCHASE = {"gate": "purchase", "min_purchase_to_join_fen": 9_900}


def written() -> tuple[int, ...]:
    uses = sum(InviteCode.objects.values_list("used", flat=True))
    tables = (Application, AgreementAcceptance, Promoter)
    return (uses, *(table.objects.count() for table in tables))


# --- Invite codes ---------------------------------------------------------------------------


def test_without_a_usable_invite_code_nothing_is_written(at: datetime) -> None:
    make_agreement()
    make_policy(gate="invite")
    revoked, used = invite(at), invite(at)
    revoke_invite(invite_id=revoked.pk, reason="leaked", by=STAFF, at=at)
    expired = invite(at - 3 * DAY, expires_at=at)
    apply(make_member(), at, invite_code=used.code)
    right = invite(at).code
    other = next(c for c in ALPHABET if c != right[0])
    unknown = "2" * 7 + check_character("2" * 7)
    before = written()
    cases: list[tuple[type[DomainError], str]] = [
        (InviteMissing, ""),
        (InviteMistyped, other + right[1:]),
        (InviteMistyped, right[:-1]),
        (InviteMistyped, "优惠码优惠码优惠"),
        (InviteUnknown, unknown),
        (InviteRevoked, revoked.code),
        (InviteExpired, expired.code),
        (InviteUsedUp, used.code),
    ]
    codes = set()
    for error, code in cases:
        with pytest.raises(error) as caught:
            apply(make_member(), at, invite_code=code)
        assert caught.value.field == "invite_code"
        assert written() == before
        codes.add((error.code, str(error.message)))
    assert len(codes) == 6  # each has a text of its own


def test_an_invite_code_lets_through_at_once_and_counts(at: datetime) -> None:
    make_agreement()
    make_policy(gate="invite")
    code = invite(at, uses_max=2)
    for member in (make_member(), make_member()):
        spaced = f" {code.code[:4].lower()}-{code.code[4:]} "
        application = apply(member, at, invite_code=spaced)
        assert (application.status, application.invite) == ("approved", code)
    code.refresh_from_db()
    assert code.used == 2
    with pytest.raises(InviteUsedUp):
        apply(make_member(), at, invite_code=code.code)


def test_a_use_comes_back_when_the_application_is_refused(at: datetime) -> None:
    make_agreement()
    make_policy(gate="invite")
    code = invite(at)
    with pytest.raises(DomainError):
        apply(make_member(), at, invite_code=code.code, body_sha256="0" * 64)
    code.refresh_from_db()
    assert code.used == 0


@pytest.mark.parametrize("gate", ["everyone", "review"])
def test_no_other_gate_uses_a_code_up(at: datetime, gate: str) -> None:
    make_agreement()
    make_policy(gate=gate)
    code = invite(at)
    assert apply(make_member(), at, invite_code=code.code).invite is None
    assert apply(make_member(), at, invite_code="nonsense").invite is None
    code.refresh_from_db()
    assert code.used == 0


def test_an_invite_code_is_made_with_a_check_character_and_on_record(at: datetime) -> None:
    code = invite(at, uses_max=3, note="Autumn fair")
    assert read_code(code.code) == code.code
    assert (code.used, code.uses_max, code.made_by) == (0, 3, "staff:1")
    assert AuditEntry.objects.get().action == "invite.make"
    with pytest.raises(ExpiryInPast):
        invite(at, expires_at=at)
    assert InviteCode.objects.count() == 1


def test_a_code_is_revoked_once_with_a_reason(at: datetime) -> None:
    code = invite(at)
    with pytest.raises(ReasonMissing):
        revoke_invite(invite_id=code.pk, reason=" ", by=STAFF, at=at)
    revoke_invite(invite_id=code.pk, reason="leaked", by=STAFF, at=at)
    with pytest.raises(InviteRevoked):
        revoke_invite(invite_id=code.pk, reason="again", by=STAFF, at=at)
    assert AuditEntry.objects.filter(action="invite.revoke").count() == 1


@pytest.mark.parametrize("change", [{"used": 2}, {"uses_max": 0}, {"uses_max": 10_001}])
def test_the_database_refuses_impossible_uses(at: datetime, change: dict[str, int]) -> None:
    code = invite(at)
    with pytest.raises(IntegrityError), transaction.atomic():
        InviteCode.objects.filter(pk=code.pk).update(**change)


# --- Identity -------------------------------------------------------------------------------


@pytest.mark.parametrize("status", ["", "pending", "rejected"])
def test_the_identity_gate_refuses_who_is_not_verified(at: datetime, status: str) -> None:
    make_agreement()
    make_policy(gate="identity")
    member = make_member()
    if status:
        Identity.objects.create(
            member=member, name="x", id_number="y", id_index="i", submitted_at=at, status=status
        )
    with pytest.raises(IdentityNeeded):
        apply(member, at)
    assert written() == (0, 0, 0, 0)


def test_the_identity_gate_opens_at_once_for_who_is_verified(at: datetime) -> None:
    make_agreement()
    make_policy(gate="identity")
    member = make_member()
    Identity.objects.create(
        member=member, name="x", id_number="y", id_index="i", submitted_at=at, status="verified"
    )
    assert apply(member, at).status == "approved"


# --- Purchase, entry fee --------------------------------------------------------------------


def purchase_gate(at: datetime) -> LegalOverride:
    taken = override(at - 2 * DAY)
    make_policy(**PURCHASE, override=taken, effective_from=at - DAY)
    return taken


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"paid_fen": 9_899},
        {"paid_fen": 9_899, "freight_fen": 800},
        {"refunded_fen": 1},
        {"status": "placed", "paid_at": None},
    ],
)
def test_the_purchase_gate_counts_what_was_paid_for_goods_and_kept(
    at: datetime, change: dict[str, Any]
) -> None:
    make_agreement()
    purchase_gate(at)
    member = make_member()
    if change:
        make_order(member, **{"paid_fen": 9_900} | change)
    with pytest.raises(PurchaseNeeded):
        apply(member, at)
    assert written() == (0, 0, 0, 0)
    make_order(member, 9_900)
    assert apply(member, at).status == "approved"


@pytest.mark.parametrize("end", ["revoked", "expired"])
def test_when_the_override_ends_applications_are_reviewed(at: datetime, end: str) -> None:
    make_agreement()
    taken = purchase_gate(at)
    assert selectors_joining.gate_at(at) == Gate("purchase", 9_900)
    later = at + DAY if end == "revoked" else taken.expires_at
    if end == "revoked":
        revoke_override(override_id=taken.pk, reason="new opinion", by=STAFF, at=at)
    assert selectors_joining.gate_at(later) == Gate("review")
    assert apply(make_member(), later).status == "pending"


@pytest.mark.parametrize(
    "fields",
    [
        {"entry_fee_fen": 1},
        {"gate": "lottery"},
        {"gate": "purchase"},
        {**PURCHASE},
        {"gate": "everyone", "min_purchase_to_join_fen": 1},
        {"gate": "purchase", "min_purchase_to_join_fen": -1},
    ],
)
def test_no_policy_asks_for_money_without_an_override(at: datetime, fields: dict[str, Any]) -> None:
    with pytest.raises(IntegrityError), transaction.atomic():
        make_policy(**fields)
    assert not ReferralPolicy.objects.exists()


@pytest.mark.parametrize("state", ["requested", "refused", "revoked", "expired"])
def test_only_an_override_in_force_carries_a_purchase_gate(at: datetime, state: str) -> None:
    row = asked(at - 100 * DAY)
    if state == "refused":
        refuse_override(override_id=row.pk, reason="no", by=SECOND, at=at)
    elif state != "requested":
        approve_override(override_id=row.pk, by=SECOND, at=at - 100 * DAY)
    if state == "revoked":
        revoke_override(override_id=row.pk, reason="no", by=SECOND, at=at - 99 * DAY)
    start = at if state == "expired" else at - 50 * DAY
    policy = ReferralPolicy(**PURCHASE, override=row, effective_from=start)
    row.refresh_from_db()
    with pytest.raises(ValidationError):
        policy.full_clean()
    with pytest.raises(IntegrityError), transaction.atomic():
        make_policy(**PURCHASE, override=row, effective_from=start)
    assert not ReferralPolicy.objects.exists()


def test_the_form_says_why_a_purchase_gate_is_refused(at: datetime) -> None:
    with translation.override("en"), pytest.raises(ValidationError, match="legal override"):
        ReferralPolicy(effective_from=at, min_purchase_to_join_fen=1).full_clean()


# --- Legal overrides ------------------------------------------------------------------------


def test_one_person_alone_cannot_override(at: datetime) -> None:
    row = asked(at)
    with pytest.raises(SecondPersonNeeded):
        approve_override(override_id=row.pk, by=STAFF, at=at)
    row.refresh_from_db()
    assert (row.status, row.approved_by) == ("requested", "")
    assert not StateChange.objects.exists()
    assert not selectors_joining.overrides_in_force(at).exists()


def test_two_persons_are_on_record_with_reason_document_and_end(at: datetime) -> None:
    row = override(at)
    assert (row.opened_by, row.approved_by, row.approved_at) == ("staff:1", "staff:2", at)
    actions = AuditEntry.objects.order_by("pk").values_list("action", flat=True)
    assert list(actions) == ["override.open", "override.approve"]
    assert list(selectors_joining.overrides_in_force(at)) == [row]
    assert not selectors_joining.overrides_in_force(row.expires_at).exists()


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"reason": " "}, ReasonMissing),
        ({"expires_at": timedelta()}, OverrideTooLong),
        ({"expires_at": timedelta(days=180, seconds=1)}, OverrideTooLong),
    ],
)
def test_an_unfit_override_is_refused(
    at: datetime, change: dict[str, Any], error: type[DomainError]
) -> None:
    if "expires_at" in change:
        change = {"expires_at": at + change["expires_at"]}
    with pytest.raises(error):
        asked(at, **change)
    assert not LegalOverride.objects.exists()


def test_an_override_is_decided_once(at: datetime) -> None:
    row = override(at, expires_at=at + 180 * DAY)
    with pytest.raises(IllegalTransition):
        approve_override(override_id=row.pk, by=SECOND, at=at)
    with pytest.raises(IllegalTransition):
        refuse_override(override_id=row.pk, reason="no", by=SECOND, at=at)
    with pytest.raises(ReasonMissing):
        revoke_override(override_id=row.pk, reason="", by=SECOND, at=at)


@pytest.mark.parametrize(
    "change",
    [
        {"approved_by": "staff:1"},
        {"approved_by": ""},
        {"approved_at": None},
        {"reason": "another"},
        {"document_sha256": "0" * 64},
        {"expires_at": timedelta(days=10)},
        {"opened_by": "staff:9"},
    ],
)
def test_the_database_keeps_the_two_persons_and_their_reason(
    at: datetime, change: dict[str, Any]
) -> None:
    row = override(at)
    if "expires_at" in change:
        change = {"expires_at": at + change["expires_at"]}
    with pytest.raises(IntegrityError), transaction.atomic():
        LegalOverride.objects.filter(pk=row.pk).update(**change)


@pytest.mark.parametrize(
    "change",
    [
        {"status": "odd"},
        {"status": "approved"},
        {"reason": ""},
        {"opened_by": ""},
        {"document_sha256": ""},
        {"expires_at": timedelta(days=181)},
        {"expires_at": timedelta(0)},
    ],
)
def test_the_database_refuses_an_unfit_override(at: datetime, change: dict[str, Any]) -> None:
    if "expires_at" in change:
        change = {"expires_at": at + change["expires_at"]}
    fields = {
        "subject": "purchase_gate", "reason": "x", "document_sha256": "ab" * 32,
        "opened_by": "staff:1", "opened_at": at, "expires_at": at + DAY,
    }  # fmt: skip
    with pytest.raises(IntegrityError), transaction.atomic():
        LegalOverride.objects.create(**fields | change)
