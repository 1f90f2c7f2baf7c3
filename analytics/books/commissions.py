"""Commissions: each follows from its order, its plan and its refunds, and is booked so."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta

from django.db.models import (
    BigIntegerField,
    Case,
    CharField,
    Exists,
    ExpressionWrapper,
    F,
    OuterRef,
    Q,
    QuerySet,
    Value,
    When,
)
from django.db.models.functions import Cast, Coalesce, Concat, Greatest

from analytics.books.comparing import Sums, differ, each, sums
from analytics.books.ledger import by_promoter
from commissions.models import Accrual, Commission, Plan, Reversal, Transfer
from commissions.services.reversing import keeps
from orders.models import Order, OrderLine

ACCRUE_WITHIN = timedelta(minutes=5)
Outcome, Status = Accrual.Outcome, Commission.Status
NOTHING_DUE = [Outcome.NO_PROMOTER, Outcome.NO_PLAN, Outcome.SELF_PURCHASE, Outcome.BELOW_MINIMUM,
               Outcome.BOUND_LATER, Outcome.IMPORTED, Outcome.ZERO_BASE]  # fmt: skip


def live() -> QuerySet[Commission]:
    """Return the commissions of the accruals that count."""
    return Commission.objects.filter(voided_at=None)


# --- Booked ---------------------------------------------------------------------------------


def commissions_are_booked() -> Iterator[str]:
    """What was accrued and taken back per promoter is what the ledger shows."""
    earned = sums(Commission.objects.all(), "promoter_id", "amount_fen")
    yield from differ("accrued by promoter", by_promoter("credit", ["accrue"]), earned)
    back = sums(Commission.objects.all(), "promoter_id", "reversed_fen")
    booked = by_promoter("debit", ["claw_frozen", "claw_available", "claw_debt"])
    yield from differ("taken back from promoter", booked, back)
    rows = Commission.objects.filter(reversed_fen__gt=0)
    noted = sums(Reversal.objects.all(), "commission_id", "amount_fen")
    yield from differ("reversals of commission", noted, sums(rows, "pk", "reversed_fen"))


def each_commission_is_booked_once() -> Iterator[str]:
    """Each commission has its own transfer, to its own promoter, and there are no others."""
    transfers = Transfer.objects.filter(code=Transfer.Code.ACCRUE)
    own = transfers.filter(
        idempotency_key=OuterRef("key"),
        amount_fen=OuterRef("amount_fen"),
        credit__promoter=OuterRef("promoter"),
    )
    key = Concat(Value("accrue:"), Cast("pk", CharField()))
    rows = Commission.objects.annotate(key=key)
    yield from each("not booked as it is", rows.filter(~Exists(own)))
    found = {"accruals": transfers.count()}
    yield from differ("transfers of", found, {"accruals": rows.count()})


def reversals_are_booked() -> Iterator[str]:
    """Each part of a reversal was taken from the account it names, by one transfer."""
    wanted: Sums = {}
    parts = ("from_frozen_fen", "from_available_fen", "as_debt_fen")
    codes = ("claw_frozen", "claw_available", "claw_debt")
    rows = Reversal.objects.filter(cause=Reversal.Cause.REFUND)
    for commission, refund, *amounts in rows.values_list("commission_id", "refund_id", *parts):
        for code, amount in zip(codes, amounts, strict=True):
            wanted[f"{code}:refund:{refund}:{commission}"] = amount
    yield from differ("transfer", _keyed(list(codes)), wanted)
    strange = rows.exclude(refund__order=F("commission__order"), refund__status="succeeded")
    yield from each("taken back without a refund", strange)


def _keyed(codes: list[str]) -> Sums:
    rows = Transfer.objects.filter(code__in=codes)
    return dict(rows.values_list("idempotency_key", "amount_fen").iterator())


def settled_is_what_was_left() -> Iterator[str]:
    """A row was settled with what no refund had taken from frozen before, not before its time."""
    rows = Commission.objects.filter(settlement__isnull=False)
    taken = sums(Reversal.objects.filter(from_frozen_fen__gt=0), "commission_id", "from_frozen_fen")
    for pk, amount, settled in rows.values_list("pk", "amount_fen", "settled_fen").iterator():
        if settled != amount - taken.get(pk, 0):
            yield f"commission {pk}: settled with {settled} instead of {amount - taken.get(pk, 0)}"
    early = Q(settlement__settled_at__lt=F("release_at")) | Q(release_at=None)
    yield from each("settled too early", rows.filter(early))
    half = Commission.objects.filter(settlement=None).exclude(settled_fen=None)
    yield from each("settled without a settlement", half)


def wholly_taken_back_is_reversed() -> Iterator[str]:
    """Reversed is the status of the rows that keep nothing, and of no others."""
    rows = Commission.objects.filter(reversed_fen=F("amount_fen")).exclude(status=Status.REVERSED)
    yield from each("keeps nothing", rows)
    voided = Commission.objects.filter(voided_at__isnull=False)
    yield from each("voided and kept", voided.exclude(status=Status.REVERSED))
    mixed = Q(voided_at=None, accrual__voided_at__isnull=False) | Q(
        voided_at__isnull=False, accrual__voided_at=None
    )
    yield from each("voided without its accrual", Commission.objects.filter(mixed))


# --- Computed -------------------------------------------------------------------------------


def orders_keep_their_cap() -> Iterator[str]:
    """No accrual's live commissions pass its cap, and the cap is the plan's share of the base."""
    paid = sums(live(), "accrual_id", "amount_fen")
    caps = dict(Accrual.objects.filter(pk__in=paid).values_list("pk", "cap_fen"))
    for key, amount in paid.items():
        if amount > caps[key]:
            yield f"accrual {key}: {amount} paid above its cap of {caps[key]}"
    rows = Accrual.objects.filter(outcome=Outcome.ACCRUED).exclude(
        cap_fen=F("base_fen") * F("plan__cap_bps") / 10_000
    )
    yield from each("cap is not the plan's", rows)


def margin_of(line: str) -> Greatest:
    """Return the margin of the line at this path, in SQL."""
    left = ExpressionWrapper(F(f"{line}paid_fen") - F(f"{line}cost_fen"), BigIntegerField())
    return Greatest(left, Value(0, BigIntegerField()))


BOTH_SIDES = {
    "share": Coalesce("rate_bps", -1),
    "rate_share": Coalesce("rate__rate_bps", -1),
    "fixed": Coalesce("fixed_fen", -1),
    "rate_fixed": Coalesce("rate__fixed_fen", -1),
    "of_grade": Coalesce("grade_id", 0),
    "rate_grade": Coalesce("rate__grade_id", 0),
}


def commissions_follow_their_plan() -> Iterator[str]:
    """Base, rate and amount of each row are what its line, its plan and its rate say."""
    rows = live().annotate(
        due=Case(
            When(plan__base=Plan.Base.MARGIN, then=margin_of("line__")),
            default=F("line__paid_fen"),
            output_field=BigIntegerField(),
        ),
        rated=Case(
            When(rate_bps__isnull=False, then=F("base_fen") * F("rate_bps") / 10_000),
            default=F("fixed_fen") * F("line__quantity"),
            output_field=BigIntegerField(),
        ),
    )
    yield from each("base is not its line's", rows.exclude(base_fen=F("due")))
    yield from each("amount is not its rate's", rows.exclude(uncapped_fen=F("rated")))
    strange = (
        ~Q(level=F("rate__level"))
        | ~Q(plan=F("rate__plan"))
        | ~Q(share=F("rate_share"))
        | ~Q(fixed=F("rate_fixed"))
        | ~Q(rate_grade=0) & ~Q(of_grade=F("rate_grade"))
    )
    yield from each("another rate than its row", rows.annotate(**BOTH_SIDES).filter(strange))
    cut = Q(capped=True, amount_fen=F("uncapped_fen")) | Q(
        capped=False, amount_fen__lt=F("uncapped_fen")
    )
    yield from each("cut without a cap", rows.filter(cut))


def commissions_follow_their_order() -> Iterator[str]:
    """Each row belongs to the accrual, the promoter and the time of its order."""
    rows = live()
    for level in (1, 2, 3):
        of_level = rows.filter(level=level)
        others = of_level.exclude(promoter=F(f"order__promoter_{level}"))
        nobody = of_level.filter(**{f"order__promoter_{level}": None})
        yield from each("not the promoter of its order", others | nobody)
    strange = rows.exclude(accrual__order=F("order")) | rows.exclude(accrual__plan=F("plan"))
    yield from each("not of its accrual", strange)
    yield from each("paid at another time", rows.exclude(paid_at=F("order__paid_at")))
    own = rows.filter(promoter__member=F("order__member"))
    yield from each("commission on an own purchase", own)


def releases_follow_the_receipt() -> Iterator[str]:
    """A commission is released its plan's days after the goods were received."""
    for plan in Plan.objects.filter(pk__in=Commission.objects.values("plan")):
        days = timedelta(days=plan.release_days)
        rows = live().filter(plan=plan)
        wrong = ~Q(release_at=F("order__completed_at") + Value(days)) | Q(order__completed_at=None)
        yield from each("released at another time", rows.filter(wrong).exclude(release_at=None))
        received = rows.filter(release_at=None, order__completed_at__isnull=False)
        yield from each("received without a release", received)


def commissions_have_a_paid_line() -> Iterator[str]:
    """Commission exists only for a line that was paid with money, of an order that was paid."""
    unpaid = Q(line__paid_fen=0) | Q(order__paid_at=None)
    yield from each("commission without a payment", live().filter(unpaid))
    yield from each("commission of another order", live().exclude(line__order=F("order")))


def refunds_are_taken_back() -> Iterator[str]:
    """What a refund leaves no base for was taken back, to the fen, and nothing beyond it."""
    touched = Q(line__refunded_fen__gt=0) | Q(reversed_fen__gt=0)
    for row in live().filter(touched).select_related("line", "plan").iterator():
        wanted = row.amount_fen - keeps(row)
        if row.reversed_fen != wanted:
            yield f"commission {row.pk}: {row.reversed_fen} taken back instead of {wanted}"


# --- Accruals -------------------------------------------------------------------------------


def accruals_say_what_they_did() -> Iterator[str]:
    """Who earned nothing has no commission, and the reason is to be seen in the order."""
    rows = Accrual.objects.filter(voided_at=None)
    some = Exists(Commission.objects.filter(accrual=OuterRef("pk")))
    yield from each(
        "commissions of an accrual without", rows.exclude(outcome=Outcome.ACCRUED).filter(some)
    )
    nobody = rows.filter(outcome=Outcome.NO_PROMOTER, order__promoter_1__isnull=False)
    yield from each("its order has a promoter", nobody)
    native = rows.filter(outcome=Outcome.IMPORTED).exclude(order__source=Order.Source.IMPORT)
    yield from each("its order is not imported", native)
    yield from each(
        "its order has a plan", rows.filter(outcome=Outcome.NO_PLAN, plan__isnull=False)
    )
    started = rows.filter(outcome=Outcome.ACCRUED, plan_forced=False)
    yield from each(
        "its plan had not begun", started.exclude(plan__effective_from__lte=F("order__paid_at"))
    )
    yield from each("base of nothing", rows.filter(outcome__in=NOTHING_DUE).exclude(base_fen=0))


def accruals_have_the_base_of_their_lines() -> Iterator[str]:
    """The base of an accrual that computed something is the sum of its lines'."""
    rows = Accrual.objects.filter(
        voided_at=None, outcome__in=[Outcome.ACCRUED, Outcome.NOT_ENTITLED]
    )
    wanted: Sums = {}
    for base, due in ((Plan.Base.GOODS_PAID, F("paid_fen")), (Plan.Base.MARGIN, margin_of(""))):
        lines = OrderLine.objects.filter(order__accruals__in=rows.filter(plan__base=base))
        wanted |= sums(lines.annotate(due=due), "order_id", "due")
    yield from differ("base of order", sums(rows, "order_id", "base_fen"), wanted)


def accrual_of_every_order(at: datetime) -> Iterator[str]:
    """Every paid order has a live accrual within five minutes; no other order has one."""
    accruals = Accrual.objects.filter(order=OuterRef("pk"), voided_at=None)
    late = Order.objects.filter(paid_at__lt=at - ACCRUE_WITHIN).exclude(Exists(accruals))
    yield from each("paid order without an accrual", late)
    yield from each("accrual of an unpaid order", Accrual.objects.filter(order__paid_at=None))


CHECKS: list[Callable[[], Iterator[str]]] = [
    commissions_are_booked,
    each_commission_is_booked_once,
    reversals_are_booked,
    settled_is_what_was_left,
    wholly_taken_back_is_reversed,
    orders_keep_their_cap,
    commissions_follow_their_plan,
    commissions_follow_their_order,
    releases_follow_the_receipt,
    commissions_have_a_paid_line,
    refunds_are_taken_back,
    accruals_say_what_they_did,
    accruals_have_the_base_of_their_lines,
]
