"""Commissions and clawbacks, to the fen, against a model in fractions written from the rules.

The model knows no code of the product: docs/architecture.md, "How a commission is computed".
"""

from __future__ import annotations

import random
from datetime import timedelta
from fractions import Fraction
from math import floor

import pytest

from analytics.books import faults
from commissions.models import Commission, Plan, PlanRate
from commissions.services.accruing import accrue, set_release
from commissions.services.reversing import reverse_for_refund
from commissions.services.settling import settle_due
from orders.models import Order, OrderLine
from tests.commissions.builders import (
    make_attributed,
    make_chain,
    publish,
    receive,
    refund_line,
    stands,
)
from tests.factories import AT

pytestmark = pytest.mark.django_db
PAID = [1, 2, 99, 100, 101, 3_333, 9_999, 19_999, 33_333, 10_000_000_000]
Share = tuple[str, int]  # ("bps", share of the base) or ("fen", a unit)


def earned(
    bases: list[int], units: list[int], shares: list[Share], cap_bps: int
) -> list[list[int]]:
    """Return what each level gets of each line."""
    cap, wanted = Fraction(cap_bps, 10_000), []
    for base, count in zip(bases, units, strict=True):
        most, row = floor(base * cap), []
        for kind, value in shares:
            own = floor(base * Fraction(value, 10_000)) if kind == "bps" else value * count
            most = min(most, own)
            row.append(most)
        wanted.append(row)
    limit, total = floor(sum(bases) * cap), sum(map(sum, wanted))
    if total <= limit:
        return wanted
    exact = [Fraction(fen * limit, total) for row in wanted for fen in row]
    parts = [floor(part) for part in exact]
    by_rest = sorted(range(len(exact)), key=lambda i: (parts[i] - exact[i], i))
    for index in by_rest[: limit - sum(parts)]:
        parts[index] += 1
    return [parts[i : i + len(shares)] for i in range(0, len(parts), len(shares))]


def left_of(amount: int, own: int, share: Share, base: int, paid: int, back: int) -> int:
    """Return what is kept of an amount when so much of its line was refunded."""
    left = floor(base * Fraction(paid - back, paid))
    if share[0] == "bps" and amount == own:
        return floor(left * Fraction(share[1], 10_000))
    return floor(amount * Fraction(left, base))


def make(rng: random.Random, shares: list[Share], *, margin: bool, cap_bps: int) -> Order:
    """Make a plan and an order of up to five lines, some with several pieces and a cost."""
    plan = Plan.objects.create(
        code=f"m{rng.random()}"[:12].replace(".", ""), name="m", effective_from=AT,
        level_max=len(shares), cap_bps=cap_bps, base="margin" if margin else "goods_paid",
    )  # fmt: skip
    for level, (kind, value) in enumerate(shares, start=1):
        what = {"rate_bps": value} if kind == "bps" else {"fixed_fen": value}
        PlanRate.objects.create(plan=plan, level=level, **what)
    publish(plan)
    count = rng.randint(1, 5)
    paid = [rng.choice(PAID[:-1]) for _ in range(count)] if count > 1 else [rng.choice(PAID)]
    order = make_attributed(make_chain(3), *paid)
    for line in order.lines.order_by("pk"):
        pieces = rng.choice([d for d in (1, 2, 3, 7) if line.paid_fen % d == 0])
        cost = rng.randint(0, line.paid_fen) if margin else 0
        OrderLine.objects.filter(pk=line.pk).update(
            quantity=pieces, price_fen=line.paid_fen // pieces, cost_fen=cost
        )
    return order


@pytest.mark.parametrize("seed", range(40))
def test_any_refunds_at_any_time_leave_what_the_rules_say(seed: int) -> None:
    rng = random.Random(seed)
    cap_bps = rng.choice([500, 1_000, 2_000, 3_000])
    shares: list[Share] = sorted((("bps", rng.choice([0, 1, 33, 333, 1_000, 1_500, 3_000]))
                                  for _ in range(rng.randint(1, 3))), reverse=True)  # fmt: skip
    if rng.random() < 0.3:
        shares[rng.randrange(len(shares))] = ("fen", rng.choice([1, 37, 500]))
    margin = rng.random() < 0.4
    order = make(rng, shares, margin=margin, cap_bps=cap_bps)
    lines = list(order.lines.order_by("pk"))
    bases = [max(0, ln.paid_fen - ln.cost_fen) if margin else ln.paid_fen for ln in lines]
    due_at, back = receive(order), dict.fromkeys([ln.pk for ln in lines], 0)

    def give_back() -> None:
        line = rng.choice(lines)
        if room := line.paid_fen - back[line.pk]:
            amount = rng.choice([1, room, rng.randint(1, room)])
            back[line.pk] += amount
            reverse_for_refund(refund_id=refund_line(line, amount).pk, at=due_at)

    for _ in range(rng.choice([0, 2])):
        give_back()  # before the accrual
    accrue(order_id=order.pk, at=AT)
    for _ in range(rng.randint(0, 4)):
        give_back()
    set_release(order_id=order.pk)
    settle_due(at=due_at)
    for _ in range(rng.randint(0, 4)):
        give_back()

    amounts = earned(bases, [ln.quantity for ln in lines], shares, cap_bps)
    wanted = {}
    for line, base, row in zip(lines, bases, amounts, strict=True):
        for level, (share, amount) in enumerate(zip(shares, row, strict=True), start=1):
            kind, value = share
            own = base * value // 10_000 if kind == "bps" else value * line.quantity
            if amount:
                kept = left_of(amount, own, share, base, line.paid_fen, back[line.pk])
                wanted[line.pk, level] = (amount, kept)
    found = {(row.line_id, row.level): (row.amount_fen, row.kept_fen)
             for row in Commission.objects.filter(order=order)}  # fmt: skip
    assert found == wanted
    for level, who in enumerate((order.promoter_1, order.promoter_2, order.promoter_3), start=1):
        assert who is not None
        kept = sum(fen for (_line, at), (_amount, fen) in wanted.items() if at == level)
        assert sum(stands(who)[:2]) - stands(who)[3] == kept
    assert list(faults(at=due_at + timedelta(days=1))) == []
