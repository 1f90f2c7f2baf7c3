"""Settlement and clawback: what is due, when it may not be, and what a refund takes."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from analytics.books import faults
from commissions.models import Commission, Reversal, Settlement, Transfer, Withdrawal
from commissions.services.accruing import accrue, set_release
from commissions.services.reversing import reverse_for_refund
from commissions.services.settling import settle_chunk, settle_due
from distro.models import MissedFact
from orders.models import Order, Refund, RefundLine
from referrals.models import Hold, Promoter
from tests.commissions.builders import (
    make_attributed,
    make_chain,
    make_plan,
    receive,
    refund_line,
    stands,
)
from tests.factories import AT, counter

pytestmark = pytest.mark.django_db


@pytest.fixture
def chain() -> list[Promoter]:
    make_plan(1500, 500)
    return make_chain(2)


def earn(chain: list[Promoter], *paid: int) -> tuple[Order, datetime]:
    """Return an accrued and received order, and when it may settle."""
    order = make_attributed(chain, *(paid or (19_999,)))
    accrue(order_id=order.pk, at=AT)
    due_at = receive(order)
    set_release(order_id=order.pk)
    return order, due_at


def books_are_clean(at: datetime) -> bool:
    return list(faults(at=at)) == []


def test_what_is_due_becomes_available(chain: list[Promoter]) -> None:
    _order, due_at = earn(chain)
    assert settle_due(at=due_at - timedelta(days=1, seconds=1)) == 0
    assert settle_due(at=due_at) == 2
    assert [stands(who) for who in chain] == [(0, 2999, 0, 0), (0, 999, 0, 0)]
    assert settle_due(at=due_at) == 0
    row = Commission.objects.get(level=1)
    assert (row.status, row.settled_fen) == ("settled", 2999)
    assert books_are_clean(due_at)


def test_a_settlement_books_one_transfer_a_promoter(chain: list[Promoter]) -> None:
    for _ in range(3):
        _order, due_at = earn(chain)
    assert settle_due(at=due_at) == 6
    settled = Transfer.objects.filter(code="settle").order_by("amount_fen")
    assert [row.amount_fen for row in settled] == [3 * 999, 3 * 2999]
    assert Settlement.objects.count() == 1
    assert books_are_clean(due_at)


def test_chunks_add_up(chain: list[Promoter]) -> None:
    for _ in range(3):
        _order, due_at = earn(chain)
    assert settle_due(at=due_at, chunk=2) == 6
    assert Settlement.objects.count() == 3
    assert stands(chain[0]) == (0, 3 * 2999, 0, 0)
    assert books_are_clean(due_at)


def not_matured(order: Order, chain: list[Promoter]) -> None:
    Order.objects.filter(pk=order.pk).update(matured_at=None)


def open_refund(order: Order, chain: list[Promoter]) -> None:
    refund = Refund.objects.create(
        order=order, out_refund_no=f"X{next(counter)}", goods_fen=1, reason="x", requested_at=AT
    )
    RefundLine.objects.create(refund=refund, line=order.lines.get(), amount_fen=1)


def missed(order: Order, chain: list[Promoter]) -> None:
    MissedFact.objects.create(
        fact="order_refunded", uid="x", ids={}, order_id=order.pk, attempts=1, created_at=AT,
        next_at=AT,
    )  # fmt: skip


def held(order: Order, chain: list[Promoter]) -> None:
    for who in chain:
        Hold.objects.create(promoter=who, reason="x", opened_by="staff:1", opened_at=AT)


def suspended(order: Order, chain: list[Promoter]) -> None:
    Promoter.objects.update(status="suspended")


@pytest.mark.parametrize("stop", [not_matured, open_refund, missed, held, suspended])
def test_nothing_settles_while(stop: object, chain: list[Promoter]) -> None:
    order, due_at = earn(chain)
    stop(order, chain)  # type: ignore[operator]
    assert settle_due(at=due_at) == 0
    assert [stands(who) for who in chain] == [(2999, 0, 0, 0), (999, 0, 0, 0)]
    assert not Settlement.objects.exists()


def test_a_refund_takes_frozen_commission_to_the_fen(chain: list[Promoter]) -> None:
    order, due_at = earn(chain)
    refund = refund_line(order.lines.get(), 5_000)
    assert reverse_for_refund(refund_id=refund.pk, at=AT) == 750 + 250
    assert reverse_for_refund(refund_id=refund.pk, at=AT) == 0
    assert [stands(who) for who in chain] == [(2249, 0, 0, 0), (749, 0, 0, 0)]
    assert settle_due(at=due_at) == 2
    assert [stands(who) for who in chain] == [(0, 2249, 0, 0), (0, 749, 0, 0)]
    assert books_are_clean(due_at)


def test_a_full_refund_leaves_nothing_and_settles_nothing(chain: list[Promoter]) -> None:
    order, due_at = earn(chain)
    refund = refund_line(order.lines.get(), 19_999)
    assert reverse_for_refund(refund_id=refund.pk, at=AT) == 2999 + 999
    assert set(Commission.objects.values_list("status", flat=True)) == {"reversed"}
    assert settle_due(at=due_at) == 0
    assert [stands(who) for who in chain] == [(0, 0, 0, 0)] * 2
    assert books_are_clean(due_at)


def test_a_refund_after_settlement_takes_what_is_available(chain: list[Promoter]) -> None:
    order, due_at = earn(chain)
    settle_due(at=due_at)
    refund = refund_line(order.lines.get(), 5_000)
    reverse_for_refund(refund_id=refund.pk, at=due_at)
    assert [stands(who) for who in chain] == [(0, 2249, 0, 0), (0, 749, 0, 0)]
    assert books_are_clean(due_at)


def spend(promoter: Promoter, amount_fen: int, at: datetime) -> Withdrawal:
    """Let a withdrawal be paid at once, as far as the ledger is concerned."""
    from commissions.models import WithdrawalRequest
    from commissions.services.ledger import Entry, Kind, Ref, post

    number = f"W{next(counter):07d}"
    request = WithdrawalRequest.objects.create(
        number=number, promoter=promoter, amount_fen=amount_fen, estimated_tax_fen=0,
        requested_at=at,
    )  # fmt: skip
    row = Withdrawal.objects.create(
        request=request, promoter=promoter, number=number, amount_fen=amount_fen, tax_fen=0,
        net_fen=amount_fen, body={}, status="paid", payee_key="k", openid="o", requested_at=at,
        finished_at=at,
        sent_at=at,
    )  # fmt: skip
    available, withdrawing = (Ref(k, promoter.pk) for k in (Kind.AVAILABLE, Kind.WITHDRAWING))
    clearing, source = Ref(Kind.CLEARING, None, "wechat"), f"withdrawal:{number}"
    post([Entry(available, withdrawing, amount_fen, "request", f"request:{row.pk}", source)], at=at)
    post([Entry(withdrawing, clearing, amount_fen, "pay_net", f"pay_net:{row.pk}", source)], at=at)
    return row


def test_what_was_already_paid_out_becomes_a_debt(chain: list[Promoter]) -> None:
    order, due_at = earn(chain)
    settle_due(at=due_at)
    spend(chain[0], 2_900, due_at)
    refund = refund_line(order.lines.get(), 19_999)
    reverse_for_refund(refund_id=refund.pk, at=due_at)
    assert [stands(who) for who in chain] == [(0, 0, 0, 2_900), (0, 0, 0, 0)]
    row = Reversal.objects.get(commission__level=1)
    assert (row.from_frozen_fen, row.from_available_fen, row.as_debt_fen) == (0, 99, 2_900)
    assert books_are_clean(due_at)


def test_the_next_settlement_pays_the_debt(chain: list[Promoter]) -> None:
    order, due_at = earn(chain)
    settle_due(at=due_at)
    spend(chain[0], 2_999, due_at)
    reverse_for_refund(refund_id=refund_line(order.lines.get(), 10_000).pk, at=due_at)
    owed = stands(chain[0])[3]
    assert owed == 2_999 - (9_999 * 1500 // 10_000)
    _order, later = earn(chain)
    settle_due(at=later)
    assert stands(chain[0]) == (0, 2_999 - owed, 0, 0)
    assert books_are_clean(later)


def test_two_lines_of_one_promoter_share_what_is_available(chain: list[Promoter]) -> None:
    order, due_at = earn(chain, 10_000, 10_000)
    settle_due(at=due_at)
    spend(chain[0], 2_000, due_at)
    lines = list(order.lines.order_by("line_no"))
    for line in lines:
        reverse_for_refund(refund_id=refund_line(line, 10_000).pk, at=due_at)
    assert stands(chain[0]) == (0, 0, 0, 2_000)
    assert books_are_clean(due_at)


def test_a_refund_that_has_not_succeeded_takes_nothing(chain: list[Promoter]) -> None:
    order, _due_at = earn(chain)
    open_refund(order, chain)
    assert reverse_for_refund(refund_id=Refund.objects.get().pk, at=AT) == 0
    assert not Reversal.objects.exists()


def test_refunds_that_are_heard_in_the_wrong_order_take_the_same(chain: list[Promoter]) -> None:
    order, due_at = earn(chain)
    first, second = (refund_line(order.lines.get(), part) for part in (3_333, 4_444))
    reverse_for_refund(refund_id=second.pk, at=AT)
    reverse_for_refund(refund_id=first.pk, at=AT)
    left = 19_999 - 7_777
    assert stands(chain[0]) == (left * 1500 // 10_000, 0, 0, 0)
    assert books_are_clean(due_at)


def test_a_chunk_of_nothing_writes_no_settlement(chain: list[Promoter]) -> None:
    assert settle_chunk(at=AT) == 0
    assert not Settlement.objects.exists()
