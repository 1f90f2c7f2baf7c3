"""The last use, the last signature, the first verification: given once, on PostgreSQL."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

import pytest

from distro.actors import Actor
from distro.errors import IllegalTransition
from referrals.errors import IdentityTaken
from referrals.errors_joining import AlreadyQuitting, InviteUsedUp, SecondPersonNeeded
from referrals.models import (
    AgreementAcceptance,
    Application,
    Identity,
    LegalOverride,
    Message,
    Promoter,
    Quitting,
)
from referrals.services.agreements import first_broken_acceptance, sign_version
from referrals.services.announcing import announce_agreements
from referrals.services.identities import submit_identity, verify_identity
from referrals.services.overrides import approve_override
from referrals.services.quitting import request_quitting
from tests.factories import make_agreement, make_member, make_policy, make_promoter
from tests.referrals.joining import EVIDENCE, STAFF, apply, asked, invite

pytestmark = [pytest.mark.postgres, pytest.mark.django_db(transaction=True)]

Threads = Callable[..., Any]


@pytest.mark.parametrize("uses", [1, 3])
def test_the_last_use_of_an_invite_code_is_given_once(
    run_threads: Threads, at: datetime, uses: int
) -> None:
    agreement = make_agreement()
    make_policy(gate="invite")
    code, members = invite(at, uses_max=uses), [make_member() for _ in range(8)]
    run = run_threads(8, lambda n: apply(members[n], at, agreement, invite_code=code.code))
    assert len(run.results) == uses
    assert {type(error) for error in run.errors.values()} == {InviteUsedUp}
    code.refresh_from_db()
    assert (code.used, Promoter.objects.count(), Application.objects.count()) == (uses,) * 3
    assert AgreementAcceptance.objects.count() == uses
    assert first_broken_acceptance(agreement_id=agreement.pk) is None


def test_eight_signatures_of_one_promoter_are_one(run_threads: Threads, at: datetime) -> None:
    agreement, promoter = make_agreement(), make_promoter()
    run = run_threads(
        8,
        lambda _: sign_version(
            member=promoter.member, version=agreement.version,
            body_sha256=agreement.body_sha256, evidence=EVIDENCE, at=at,
        ),
    )  # fmt: skip
    assert len({row.pk for row in run}) == 1


def test_eight_wishes_to_quit_are_one(run_threads: Threads, at: datetime) -> None:
    member = make_promoter().member
    run = run_threads(8, lambda _: request_quitting(member=member, confirmed=True, note="", at=at))
    assert len(run.results) == 1
    assert {type(error) for error in run.errors.values()} == {AlreadyQuitting}
    assert Quitting.objects.count() == 1


def test_an_override_is_approved_by_one_other_person(run_threads: Threads, at: datetime) -> None:
    row = asked(at)
    run = run_threads(
        8, lambda n: approve_override(override_id=row.pk, by=Actor("staff", n // 2 + 1), at=at)
    )
    assert len(run.results) == 1
    kinds = {type(error) for error in run.errors.values()}
    assert kinds == {IllegalTransition, SecondPersonNeeded}
    assert LegalOverride.objects.get().approved_by != str(STAFF)


def test_strangers_with_one_number_are_verified_once_one_person_in_all_accounts(
    run_threads: Threads, at: datetime
) -> None:
    number = "11010519491231002X"
    unionids = ["u", "u", "u", "v", "w", None, None, ""]
    members = [make_member(unionid=unionid) for unionid in unionids]
    rows = [
        submit_identity(member_id=member.pk, name="张三", id_number=number, at=at)
        for member in members
    ]
    run = run_threads(8, lambda n: verify_identity(identity_id=rows[n].pk, by=STAFF, at=at))
    assert {type(error) for error in run.errors.values()} == {IdentityTaken}
    verified = Identity.objects.filter(status="verified")
    assert verified.filter(same_as=None).count() == 1
    assert len(set(verified.values_list("member__unionid", flat=True))) == 1


def test_two_runs_of_telling_tell_once(run_threads: Threads, at: datetime) -> None:
    make_agreement()
    make_agreement("New.", effective_from=at)
    promoters = [make_promoter() for _ in range(30)]
    list(run_threads(4, lambda _: announce_agreements(at=at)))
    assert Message.objects.count() == len(promoters)
