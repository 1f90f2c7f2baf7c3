"""Identities: refusals, review, one payee per person."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, ClassVar

import pytest
from django.db import IntegrityError, connection, transaction

from distro.actors import Actor
from distro.errors import DomainError, IllegalTransition
from distro.models import AuditEntry
from referrals import selectors
from referrals.errors import (
    BadIdNumber,
    BadName,
    IdentityTaken,
    IdentityVerified,
    IdentityWaiting,
    ReasonMissing,
    TooYoung,
)
from referrals.models import Identity, Member, Message
from referrals.services.identities import (
    IdentityProvider,
    StaffReview,
    provider,
    recheck_identity,
    reject_identity,
    reveal_identity,
    submit_identity,
    verify_identity,
)
from tests.factories import make_member, make_policy

pytestmark = pytest.mark.django_db

STAFF = Actor("staff", 1)
NUMBER = "11010519491231002X"


def submit(member: Member, at: datetime, **kw: Any) -> Identity:
    return submit_identity(member_id=member.pk, at=at, **{"name": "张三", "id_number": NUMBER} | kw)


def checked(body: str) -> str:
    weights = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
    return body + "10X98765432"[sum(w * int(d) for w, d in zip(weights, body)) % 11]


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"name": ""}, BadName),
        ({"name": "=A1"}, BadName),
        ({"id_number": "1"}, BadIdNumber),
        ({"id_number": "110105194912310021"}, BadIdNumber),
        ({"id_number": checked("11010520101231001")}, TooYoung),
        ({"id_number": checked("11010520081103001")}, TooYoung),  # 18 tomorrow, in Beijing
        ({"id_number": checked("11010519490229001")}, BadIdNumber),  # no such day
        ({"id_number": checked("11010520270101001")}, BadIdNumber),  # not born yet
    ],
)
def test_an_unfit_identity_writes_nothing(
    at: datetime, change: dict[str, str], error: type[DomainError]
) -> None:
    with pytest.raises(error):
        submit(make_member(), at, **change)
    assert not Identity.objects.exists()


def test_an_identity_is_reviewed_once(at: datetime) -> None:
    member = make_member()
    identity = submit(member, at)
    with pytest.raises(IdentityWaiting):
        submit(member, at)
    verified = verify_identity(identity_id=identity.pk, by=STAFF, at=at + timedelta(days=1))
    assert (verified.status, verified.decided_at) == ("verified", at + timedelta(days=1))
    with pytest.raises(IdentityVerified):
        submit(member, at)
    with pytest.raises(IllegalTransition):
        verify_identity(identity_id=identity.pk, by=STAFF, at=at)


def test_a_rejection_needs_a_reason_that_the_member_reads(at: datetime) -> None:
    member = make_member()
    identity = submit(member, at)
    with pytest.raises(ReasonMissing):
        reject_identity(identity_id=identity.pk, reason=" ", by=STAFF, at=at)
    reject_identity(identity_id=identity.pk, reason="blurred", by=STAFF, at=at)
    assert "blurred" in Message.objects.get(member=member).body
    again = submit(member, at, name="李四")
    assert (again.status, again.name, again.reason) == ("pending", "李四", "")
    assert Identity.objects.count() == 1


def test_one_person_is_verified_in_one_account(at: datetime) -> None:
    first, second = submit(make_member(), at), submit(make_member(), at)
    verify_identity(identity_id=first.pk, by=STAFF, at=at)
    with pytest.raises(IdentityTaken):
        verify_identity(identity_id=second.pk, by=STAFF, at=at)
    with pytest.raises(IdentityTaken):
        submit(make_member(), at)
    assert Identity.objects.filter(status="verified").count() == 1
    assert Identity.objects.count() == 2


def test_without_review_a_well_formed_identity_is_verified_at_once(at: datetime) -> None:
    make_policy(identity_review=False)
    assert submit(make_member(), at).status == "verified"


def test_a_payee_has_the_key_of_the_person(at: datetime) -> None:
    member = make_member()
    assert selectors.payee_of(member.pk) is None
    identity = submit(member, at, id_number=NUMBER.lower())
    payee = selectors.payee_of(member.pk)
    assert payee == selectors.Payee(identity.id_index, "张三", verified=False)
    verify_identity(identity_id=identity.pk, by=STAFF, at=at)
    payee = selectors.payee_of(member.pk)
    assert payee is not None
    assert payee.verified


def test_neither_name_nor_number_can_be_read_in_the_table(at: datetime) -> None:
    submit(make_member(), at)
    with connection.cursor() as cursor:
        cursor.execute("SELECT * FROM referrals_identity")
        row = str(cursor.fetchall())
    assert "张三" not in row
    assert NUMBER not in row


def test_who_is_eighteen_today_in_beijing_is_old_enough(at: datetime) -> None:
    midnight = at.replace(hour=0, minute=0)
    number = checked("11010520081102001")
    with pytest.raises(TooYoung):
        submit(make_member(), midnight - timedelta(seconds=1), id_number=number)
    assert submit(make_member(), midnight, id_number=number).status == "pending"


# --- One person, one payee ------------------------------------------------------------------


@pytest.mark.parametrize(("mine", "other"), [(None, None), ("u1", "u2"), ("", ""), (None, "u2")])
def test_a_number_of_another_person_is_refused(
    at: datetime, mine: str | None, other: str | None
) -> None:
    first = submit(make_member(unionid=mine), at)
    waiting = submit(make_member(unionid=other), at)
    verify_identity(identity_id=first.pk, by=STAFF, at=at)
    with pytest.raises(IdentityTaken):
        submit(make_member(unionid=other), at)
    with pytest.raises(IdentityTaken):
        verify_identity(identity_id=waiting.pk, by=STAFF, at=at)
    assert Identity.objects.filter(status="verified").count() == 1


def test_two_accounts_of_one_person_are_one_payee(at: datetime) -> None:
    old, new = make_member(unionid="u"), make_member(unionid="u")
    first = submit(old, at)
    verify_identity(identity_id=first.pk, by=STAFF, at=at)
    further = submit(new, at)
    verify_identity(identity_id=further.pk, by=STAFF, at=at)
    further.refresh_from_db()
    assert (further.status, further.same_as) == ("verified", first)
    payees = [selectors.payee_of(member.pk) for member in (old, new)]
    assert payees[0] == payees[1]


def test_who_is_rechecked_is_out_in_all_accounts_and_may_submit_again(at: datetime) -> None:
    old, new = make_member(unionid="u"), make_member(unionid="u")
    rows = [submit(member, at) for member in (old, new)]
    for row in rows:
        verify_identity(identity_id=row.pk, by=STAFF, at=at)
    with pytest.raises(ReasonMissing):
        recheck_identity(identity_id=rows[0].pk, reason=" ", by=STAFF, at=at)
    recheck_identity(identity_id=rows[0].pk, reason="forged card", by=STAFF, at=at)
    assert set(Identity.objects.values_list("status", "same_as")) == {("rejected", None)}
    assert Message.objects.filter(body__contains="forged card").count() == 2
    assert submit(new, at).status == "pending"


def test_a_verified_identity_is_not_rejected_by_the_first_review(at: datetime) -> None:
    row = submit(make_member(), at)
    verify_identity(identity_id=row.pk, by=STAFF, at=at)
    with pytest.raises(IdentityVerified):
        reject_identity(identity_id=row.pk, reason="x", by=STAFF, at=at)
    row.refresh_from_db()
    assert row.status == "verified"


@pytest.mark.parametrize("fault", ["another number", "not verified", "a copy of a copy"])
def test_the_database_lets_no_account_follow_another_person(at: datetime, fault: str) -> None:
    first = identity_row(at, "i1", status="verified")
    index, same_as = {
        "another number": ("i2", first),
        "not verified": ("i3", identity_row(at, "i3", status="pending")),
        "a copy of a copy": ("i1", identity_row(at, "i1", status="verified", same_as=first)),
    }[fault]
    with pytest.raises(IntegrityError), transaction.atomic():
        identity_row(at, index, status="verified", same_as=same_as)


def test_no_identity_follows_itself(at: datetime) -> None:
    row = identity_row(at, "i1")
    with pytest.raises(IntegrityError), transaction.atomic():
        Identity.objects.filter(pk=row.pk).update(same_as=row)


def identity_row(at: datetime, index: str, **kw: Any) -> Identity:
    return Identity.objects.create(
        member=make_member(), name="x", id_number="y", id_index=index, submitted_at=at, **kw
    )


# --- Providers, reading ---------------------------------------------------------------------


class Notebook:
    """A provider that remembers what it was asked."""

    asked: ClassVar[list[int]] = []

    def begin(self, *, identity_id: int) -> None:
        self.asked.append(identity_id)


def test_staff_are_the_provider_unless_the_settings_name_another(at: datetime) -> None:
    made: IdentityProvider = provider()
    assert isinstance(made, StaffReview)
    assert submit(make_member(), at).status == "pending"


def test_another_provider_is_told_of_what_waits_and_answers_by_the_services(
    at: datetime, settings: Any
) -> None:
    settings.IDENTITY_PROVIDER = "tests.referrals.test_services_identities.Notebook"
    Notebook.asked.clear()
    row = submit(make_member(), at)
    assert Notebook.asked == [row.pk]
    machine = Actor("system", 0)
    assert verify_identity(identity_id=row.pk, by=machine, at=at).status == "verified"
    with pytest.raises(IllegalTransition):  # a second answer comes too late
        verify_identity(identity_id=row.pk, by=machine, at=at)


def test_reading_in_clear_is_on_record_with_its_reason(at: datetime) -> None:
    row = submit(make_member(), at)
    with pytest.raises(ReasonMissing):
        reveal_identity(identity_id=row.pk, reason="", by=STAFF, at=at)
    assert not AuditEntry.objects.exists()
    reveal_identity(identity_id=row.pk, reason="review", by=STAFF, at=at)
    entry = AuditEntry.objects.get()
    assert (entry.action, entry.target) == ("identity.reveal", f"referrals.identity:{row.pk}")
    assert (entry.reason, entry.detail) == ("review", {})
