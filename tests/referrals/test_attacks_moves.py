"""Moves: who decides them, below whom nobody moves, which upline was meant."""

from __future__ import annotations

import threading
from datetime import datetime, timedelta

import pytest
from django.db import transaction
from django.test import Client
from django.urls import reverse

from distro.actors import Actor
from distro.errors import DomainError
from referrals.errors_tree import UplineLeaving
from referrals.models import PromoterMove
from referrals.selectors_bindings import leads_up_to
from referrals.services.closing import close_promoter
from referrals.services.merging import propose_merge
from referrals.services.moving import approve_move, request_move
from tests.analytics.admin_world import make_staff
from tests.factories import AT, make_member, make_promoter
from tests.referrals.attack_world import ANNA, BORIS, DAY, SECONDS, Threads, bind, fresh
from tests.referrals.locks import somebody_waits

pytestmark = pytest.mark.usefixtures("no_money")


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
def test_a_move_waits_for_the_closing_of_its_new_upline_and_is_refused(
    run_threads: Threads,
) -> None:
    promoter, upline = make_promoter(), make_promoter()
    row = request_move(promoter_id=promoter.pk, to_parent_id=upline.pk, reason="r", by=ANNA, at=AT)
    begun = threading.Event()

    def work(thread: int) -> None:
        if thread == 1:
            assert begun.wait(SECONDS)
            approve_move(move_id=row.pk, by=BORIS, at=AT)
            return
        with transaction.atomic():
            close_promoter(promoter_id=upline.pk, reason="r", by=ANNA, at=AT)
            begun.set()
            somebody_waits()

    run = run_threads(2, work)
    assert [type(error) for error in run.errors.values()] == [UplineLeaving]
    assert fresh(promoter).parent_id is None
    assert fresh(row).status == "requested"


@pytest.mark.django_db
@pytest.mark.parametrize("deep", [False, True])
def test_nobody_moves_below_who_is_a_customer_of_his_or_of_his_team(
    at: datetime, deep: bool
) -> None:
    # rules.md H2: "referral edge would make a cycle ...: edge refused"; refuse_cycle() refuses the
    # other half, a binding to a promoter below the customer.
    head = make_promoter(member=make_member(joined_at=at - 9 * DAY))
    seller = make_promoter(head, member=make_member(joined_at=at - 9 * DAY)) if deep else head
    upline = make_promoter(member=make_member(joined_at=at - 9 * DAY))
    bind(upline.member, seller, at - timedelta(hours=1))
    try:
        row = request_move(promoter_id=head.pk, to_parent_id=upline.pk, reason="r", by=ANNA, at=at)
        approve_move(move_id=row.pk, by=BORIS, at=at)
    except DomainError:
        pass
    assert not leads_up_to(seller.pk, upline.pk)


@pytest.mark.django_db
@pytest.mark.parametrize("role", ["finance", "support", ""])
@pytest.mark.parametrize("step", ["approve", "reject", "cancel"])
def test_a_move_is_decided_by_no_other_role(role: str, step: str) -> None:
    a, b = make_promoter(), make_promoter()
    row = request_move(promoter_id=a.pk, to_parent_id=b.pk, reason="r", by=ANNA, at=AT)
    client = Client()
    client.force_login(make_staff(role))
    url = reverse(f"admin:referrals_promotermove_{step}", args=[row.pk])
    answer = client.post(url, {"_form_submitted": "on", "reason": "r"})
    assert (answer.status_code, fresh(row).status) == (403, "requested")


@pytest.mark.django_db
@pytest.mark.parametrize("role", ["finance", "support", ""])
def test_no_other_role_closes_merges_or_blocks(role: str) -> None:
    one, other = make_member(), make_promoter()
    row = propose_merge(merged_id=one.pk, survivor_id=other.member_id, reason="r", by=ANNA, at=AT)
    closure = close_promoter(promoter_id=other.pk, reason="r", by=ANNA, at=AT)
    client = Client()
    client.force_login(make_staff(role))
    for page, step in [
        (one, "merge"), (one, "block"), (one, "unblock"), (one, "close"), (other, "close"),
        (row, "approve"), (row, "refuse"), (closure, "cancel"),
    ]:  # fmt: skip
        url = reverse(f"admin:referrals_{page._meta.model_name}_{step}", args=[page.pk])
        answer = client.post(url, {"_form_submitted": "on", "reason": "r", "no": "M1"})
        assert answer.status_code == 403, url
    assert (fresh(row).status, fresh(closure).status) == ("proposed", "waiting")


@pytest.mark.django_db
def test_who_asked_does_not_approve_with_another_role() -> None:
    staff = make_staff("operator")
    by = Actor("staff", staff.pk)
    a, b = make_promoter(), make_promoter()
    row = request_move(promoter_id=a.pk, to_parent_id=b.pk, reason="r", by=by, at=AT)
    staff.is_superuser = True
    staff.save()
    client = Client()
    client.force_login(staff)
    url = reverse("admin:referrals_promotermove_approve", args=[row.pk])
    client.post(url, {"_form_submitted": "on"})
    assert fresh(row).status == "requested"


@pytest.mark.django_db
def test_the_upline_is_the_promoter_whose_number_was_typed() -> None:
    # moves.py: "New upline: promoter no. or member no."; numbers of an import keep their case.
    make_promoter(code="AB1")
    typed, promoter = make_promoter(code="ab1"), make_promoter()
    client = Client()
    client.force_login(make_staff("owner"))
    url = reverse("admin:referrals_promotermove_new", args=[promoter.pk])
    client.post(url, {"upline": "ab1", "reason": "r", "ask": "1"})
    assert PromoterMove.objects.get().to_parent == typed
