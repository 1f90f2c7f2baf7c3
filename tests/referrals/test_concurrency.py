"""Eight at once, with real transactions on PostgreSQL."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.db import transaction

from distro.actors import SYSTEM
from distro.errors import IllegalTransition
from referrals import bulk
from referrals.errors import ApplicationWaiting, IdentityTaken
from referrals.models import (
    AgreementAcceptance,
    Application,
    Binding,
    Member,
    MemberToken,
    Message,
    Promoter,
    SubscribeQuota,
)
from referrals.proofs import tree_faults
from referrals.services.agreements import Evidence, first_broken_acceptance
from referrals.services.bindings import expire_bindings, touch
from referrals.services.identities import submit_identity, verify_identity
from referrals.services.members import ensure_members, login
from referrals.services.messages import accept_templates, notify, templates
from referrals.services.promoters import apply_to_promote, approve_application
from tests.factories import make_agreement, make_link, make_member, make_policy, make_promoter

pytestmark = [pytest.mark.postgres, pytest.mark.django_db(transaction=True)]

Threads = Callable[..., Any]


def test_eight_first_logins_of_one_openid_make_one_member(
    run_threads: Threads, at: datetime
) -> None:
    link = make_link()
    run = run_threads(
        8, lambda _: login(openid="o", unionid=None, link_code=link.code, device="", at=at)
    )
    results = list(run)
    assert Member.objects.filter(openid="o").count() == 1
    assert [result.created for result in results].count(True) == 1
    assert {result.link_error for result in results} == {None}
    assert MemberToken.objects.count() == 8
    assert Binding.objects.count() == 1


@pytest.mark.parametrize("mode", ["first_touch", "last_touch"])
def test_eight_touches_leave_one_open_binding(
    run_threads: Threads, at: datetime, mode: str
) -> None:
    make_policy(binding_mode=mode, protection_days=0)
    customer, links = make_member(), [make_link() for _ in range(8)]
    list(run_threads(8, lambda n: touch(member_id=customer.pk, link=links[n], at=at)))
    assert Binding.objects.filter(ended_at=None).count() == 1
    assert Binding.objects.count() == (1 if mode == "first_touch" else 8)


def test_a_binding_expires_once(run_threads: Threads, at: datetime) -> None:
    make_policy(binding_days=1)
    for _ in range(5):
        touch(member_id=make_member().pk, link=make_link(), at=at)
    counts = list(run_threads(8, lambda _: expire_bindings(at=at + timedelta(days=2))))
    assert sum(counts) == 5


def test_eight_approvals_make_one_promoter(run_threads: Threads, at: datetime) -> None:
    agreement, member = make_agreement(), make_member()
    application = apply_to_promote(
        member=member, agreement_id=agreement.pk, body_sha256=agreement.body_sha256,
        evidence=Evidence(), note="", at=at,
    )  # fmt: skip
    run = run_threads(
        8, lambda _: approve_application(application_id=application.pk, by=SYSTEM, at=at)
    )
    assert len(run.results) == 1
    assert {type(error) for error in run.errors.values()} == {IllegalTransition}
    assert Promoter.objects.get().member == member
    assert Message.objects.count() == 1


def test_eight_applications_of_one_member_are_one(run_threads: Threads, at: datetime) -> None:
    agreement, member = make_agreement(), make_member()

    def apply(_: int) -> Application:
        return apply_to_promote(
            member=member, agreement_id=agreement.pk, body_sha256=agreement.body_sha256,
            evidence=Evidence(), note="", at=at,
        )  # fmt: skip

    run = run_threads(8, apply)
    assert len(run.results) == 1
    assert {type(error) for error in run.errors.values()} == {ApplicationWaiting}
    assert AgreementAcceptance.objects.count() == 1


def test_signatures_at_the_same_moment_form_one_chain(run_threads: Threads, at: datetime) -> None:
    make_policy(gate="everyone")
    agreement, members = make_agreement(), [make_member() for _ in range(8)]
    run = run_threads(
        8,
        lambda n: apply_to_promote(
            member=members[n], agreement_id=agreement.pk, body_sha256=agreement.body_sha256,
            evidence=Evidence(), note="", at=at,
        ),
    )  # fmt: skip
    assert [application.status for application in run] == ["approved"] * 8
    assert first_broken_acceptance(agreement_id=agreement.pk) is None
    assert AgreementAcceptance.objects.filter(prev_row_hash="").count() == 1


def test_imports_of_the_same_members_agree(run_threads: Threads, at: datetime) -> None:
    numbers = {f"N{n}": at for n in range(200)}
    first, *others = list(run_threads(8, lambda _: ensure_members(external_nos=numbers)))
    assert Member.objects.count() == 200
    assert all(other == first for other in others)


def test_one_person_is_verified_in_one_account_only(run_threads: Threads, at: datetime) -> None:
    rows = [
        submit_identity(
            member_id=make_member().pk, name="张三", id_number="11010519491231002X", at=at
        )
        for _ in range(8)
    ]
    run = run_threads(8, lambda n: verify_identity(identity_id=rows[n].pk, by=SYSTEM, at=at))
    assert len(run.results) == 1
    assert {type(error) for error in run.errors.values()} == {IdentityTaken}


def test_a_message_is_written_once_and_uses_one_acceptance(
    run_threads: Threads, at: datetime, mini: Any
) -> None:
    kind, member = next(iter(templates())), make_member()
    accept_templates(member_id=member.pk, kinds=[kind])
    accept_templates(member_id=member.pk, kinds=[kind])
    run = run_threads(
        8,
        lambda _: notify(member_id=member.pk, kind=kind, key="k", title="t", body="b", at=at),
    )
    assert len({message.pk for message in run}) == 1
    assert SubscribeQuota.objects.get().left == 1
    assert len(mini.asked) <= 1


# --- The tree -------------------------------------------------------------------------------


def join(parent_id: int | None, code: str, at: datetime) -> int:
    member = make_member()
    with transaction.atomic():
        return bulk.attach(member_id=member.pk, parent_id=parent_id, code=code, at=at)


def test_joins_under_one_parent_keep_the_tree_right(run_threads: Threads, at: datetime) -> None:
    root = make_promoter()

    def work(thread: int) -> None:
        for n in range(15):
            join(root.pk, f"T{thread}N{n}", at)

    list(run_threads(8, work))
    assert root.get_descendant_count() == 120
    assert not list(tree_faults())
    assert bulk.place_pending(at=at) == 120
    assert not list(tree_faults())


def test_roots_made_at_the_same_moment_have_trees_of_their_own(
    run_threads: Threads, at: datetime
) -> None:
    list(run_threads(8, lambda thread: [join(None, f"T{thread}N{n}", at) for n in range(10)]))
    assert Promoter.objects.values("tree_id").distinct().count() == 80
    assert not list(tree_faults())


def test_joining_beside_placing_and_relabelling_keeps_the_tree_right(
    run_threads: Threads, at: datetime
) -> None:
    root = make_promoter()

    def work(thread: int) -> None:
        parent = root.pk
        for n in range(20):
            if thread == 0:
                bulk.place_pending(at=at)
            elif thread == 1:
                bulk.rebuild_labels()
            else:
                pk = join(parent, f"T{thread}N{n}", at)
                parent = pk if n % 3 else root.pk  # chains below waiting newcomers too

    list(run_threads(8, work))
    assert not list(tree_faults())
    assert root.get_descendant_count() == 120
    bulk.place_pending(at=at)
    assert not list(tree_faults())


def test_a_team_is_counted_rightly_while_its_tree_is_relabelled(
    run_threads: Threads, at: datetime
) -> None:
    root = make_promoter()
    children = [make_promoter(root) for _ in range(10)]
    for child in children:
        for _ in range(5):
            make_promoter(child)
    bulk.place_pending(at=at)
    loaded = list(Promoter.objects.filter(pk__in=[child.pk for child in children]))

    def work(thread: int) -> set[int]:
        seen = set()
        for _ in range(15):
            if thread < 2:
                bulk.rebuild_labels()
                bulk.place_pending(at=at)
            else:
                seen |= {child.get_descendant_count() for child in loaded}
        return seen

    counts = set().union(*run_threads(8, work))
    assert counts == {5}
