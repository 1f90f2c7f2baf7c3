"""Identities: refusals, review, one payee per person."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from django.db import connection

from distro.actors import Actor
from distro.errors import DomainError, IllegalTransition
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
from referrals.services.identities import reject_identity, submit_identity, verify_identity
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
