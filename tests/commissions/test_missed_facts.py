"""Facts that were missed, heard twice, or heard in another order come to the same money."""

from __future__ import annotations

import itertools
from datetime import datetime, timedelta
from typing import Any

import pytest

from analytics.books import faults
from commissions.models import Accrual, Commission, Transfer
from commissions.receivers import (
    accrue_on_payment,
    reverse_on_refund,
    set_release_on_receipt,
)
from commissions.services import accruing
from commissions.services.accruing import accrue, accrue_missing
from commissions.services.settling import settle_due
from distro import facts
from distro.models import MissedFact
from orders.models import Order
from referrals.models import Identity, Member
from tests.commissions.builders import (
    make_attributed,
    make_chain,
    make_plan,
    receive,
    refund_line,
    stands,
)
from tests.factories import AT, make_member
from tests.flows.shop import buy, deliver, join, open_shop, pay, promote, refund

pytestmark = pytest.mark.django_db
STEPS = ("accrue", "release", "refund 1", "refund 2")


@pytest.mark.parametrize("order_of_steps", list(itertools.permutations(STEPS)))
def test_facts_heard_in_any_order_and_twice_come_to_the_same(
    order_of_steps: tuple[str, ...], at: datetime
) -> None:
    make_plan(1500, 700)
    chain = make_chain(2)
    order = make_attributed(chain, 19_999, 3_333)
    due_at = receive(order)
    first, second = order.lines.order_by("line_no")
    refunds = [refund_line(first, 5_000), refund_line(second, 3_333)]
    hear: dict[str, Any] = {
        "accrue": lambda: accrue_on_payment(order_id=order.pk),
        "release": lambda: set_release_on_receipt(order_id=order.pk),
        "refund 1": lambda: reverse_on_refund(order_id=order.pk, refund_id=refunds[0].pk),
        "refund 2": lambda: reverse_on_refund(order_id=order.pk, refund_id=refunds[1].pk),
    }
    for step in (*order_of_steps, *order_of_steps):
        hear[step]()
    assert [stands(who) for who in chain] == [(2_249, 0, 0, 0), (1_049, 0, 0, 0)]
    assert settle_due(at=due_at) == 2
    assert list(faults(at=due_at)) == []


def test_all_receivers_fail_once_and_the_sweeps_bring_everything(
    at: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The buyer pays, receives and gets money back while commissions are down."""
    agreement = open_shop(at, 1000)
    seller = promote(join(at), agreement, at)
    order = buy(join(at, by=seller), 19_999, at)

    def down(**ids: object) -> None:
        raise RuntimeError("down")

    with monkeypatch.context() as patch:
        for uid in ("commissions.accrue", "commissions.set_release", "commissions.reverse"):
            patch.setitem(facts.receivers, uid, down)
        assert pay(order, at) == "paid"
        over = deliver(order, at)
        refund(order, 5_000, over)
    assert stands(seller) == (0, 0, 0, 0)
    assert MissedFact.objects.filter(done_at=None).count() == 3
    later = over + timedelta(days=30)
    assert settle_due(at=later) == 0
    assert accrue_missing(at=later) == 1
    assert settle_due(at=later) == 0, "no settlement while a fact of the order is missed"
    assert facts.repeat_missed(at=later) == 3
    assert settle_due(at=later) == 1
    assert stands(seller) == (0, 1_499, 0, 0)
    assert list(faults(at=later)) == []


def test_one_order_that_cannot_be_accrued_keeps_no_other_from_its_own(
    at: datetime, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    make_plan(1000)
    chain = make_chain(1)
    orders = [make_attributed(chain, 10_000) for _ in range(3)]
    real = accruing._line

    def broken(line: Any, found: Any) -> Any:
        assert line.order_id != orders[1].pk, "broken"
        return real(line, found)

    with monkeypatch.context() as patch:
        patch.setattr(accruing, "_line", broken)
        assert accrue_missing(at=at + timedelta(minutes=2)) == 2
    assert "ALARM" in caplog.text
    assert stands(chain[0]) == (2_000, 0, 0, 0)
    assert accrue_missing(at=at + timedelta(minutes=2)) == 1


def test_a_refund_that_was_missed_is_taken_once_with_the_next(at: datetime) -> None:
    make_plan(1500)
    chain = make_chain(1)
    order = make_attributed(chain, 19_999)
    accrue(order_id=order.pk, at=at)
    missed, heard = (refund_line(order.lines.get(), 3_333) for _ in range(2))
    reverse_on_refund(order_id=order.pk, refund_id=heard.pk)
    reverse_on_refund(order_id=order.pk, refund_id=missed.pk)
    assert stands(chain[0]) == (1_999, 0, 0, 0)
    assert Transfer.objects.filter(code="claw_frozen").count() == 1


# --- Who bought ------------------------------------------------------------------------------


def _same(promoter: Member, buyer: Member, how: str) -> None:
    both = Member.objects.filter(pk__in=[promoter.pk, buyer.pk])
    if how == "unionid":
        both.update(unionid="u" * 28)
    if how == "phone":
        both.update(phone_index="f" * 64)
    if how.startswith("identity"):
        for member, status in ((promoter, "verified"), (buyer, how.partition(" ")[2])):
            Identity.objects.create(
                member=member, name="甲", id_number="x", id_index="e" * 64, status=status,
                submitted_at=AT,
            )  # fmt: skip


@pytest.mark.parametrize("how", ["unionid", "phone", "identity pending", "identity rejected"])
def test_a_promoter_known_as_the_buyer_only_after_placing_earns_nothing(
    how: str, at: datetime
) -> None:
    make_plan(1000, 500)
    chain, buyer = make_chain(2), make_member()
    order = make_attributed(chain, 10_000, member=buyer)
    _same(chain[0].member, buyer, how)
    assert accrue(order_id=order.pk, at=at).outcome == "self_purchase"
    assert not Commission.objects.exists()


@pytest.mark.parametrize("how", ["unionid", "phone", "identity pending"])
def test_an_upline_in_disguise_leaves_his_share_with_the_platform(how: str, at: datetime) -> None:
    make_plan(1000, 500)
    chain, buyer = make_chain(2), make_member()
    order = make_attributed(chain, 10_000, member=buyer)
    _same(chain[1].member, buyer, how)
    accrue(order_id=order.pk, at=at)
    assert list(Commission.objects.values_list("level", "amount_fen")) == [(1, 1_000)]


def test_two_persons_of_whom_nothing_is_known_are_two(at: datetime) -> None:
    make_plan(1000)
    order = make_attributed(make_chain(1), 10_000)
    assert accrue(order_id=order.pk, at=at).outcome == "accrued"


# --- When ------------------------------------------------------------------------------------


def test_the_release_edge_is_the_second_itself(at: datetime) -> None:
    make_plan(1000, release_days=15)
    order = make_attributed(make_chain(1), 10_000)
    accrue(order_id=order.pk, at=at)
    receive(order, at)
    set_release_on_receipt(order_id=order.pk)
    edge = at + timedelta(days=15)
    assert settle_due(at=edge - timedelta(microseconds=1)) == 0
    assert settle_due(at=edge) == 1


def test_the_plan_of_the_second_of_the_payment_rules(at: datetime) -> None:
    make_plan(1000, code="old", effective_from=at - timedelta(days=30))
    make_plan(500, code="new", effective_from=at)
    chain = make_chain(1)
    for paid_at in (at - timedelta(microseconds=1), at):
        order = make_attributed(chain, 10_000)
        Order.objects.filter(pk=order.pk).update(placed_at=AT - timedelta(1), paid_at=paid_at)
        accrue(order_id=order.pk, at=at + timedelta(days=3))
    assert list(Accrual.objects.order_by("pk").values_list("plan__code", flat=True)) == [
        "old",
        "new",
    ]


def test_a_suspended_promoter_keeps_what_is_frozen_and_nothing_settles(at: datetime) -> None:
    make_plan(1000)
    chain = make_chain(1)
    order = make_attributed(chain, 10_000)
    accrue(order_id=order.pk, at=at)
    due_at = receive(order)
    set_release_on_receipt(order_id=order.pk)
    type(chain[0]).objects.filter(pk=chain[0].pk).update(status="suspended")
    assert settle_due(at=due_at) == 0
    assert stands(chain[0]) == (1_000, 0, 0, 0)
    type(chain[0]).objects.filter(pk=chain[0].pk).update(status="active")
    assert settle_due(at=due_at) == 1


def test_a_margin_plan_takes_the_cost_of_all_pieces_once(at: datetime) -> None:
    """The line keeps the cost of all its pieces, as the line's price is that of all."""
    make_plan(1000, base="margin")
    order = make_attributed(make_chain(1), 30_000)
    order.lines.update(quantity=3, price_fen=10_000, cost_fen=12_000)
    assert accrue(order_id=order.pk, at=at).base_fen == 18_000
