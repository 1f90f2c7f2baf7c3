"""Whatever is changed behind the services' back, the proof of the books names it.

Each case is one statement of SQL, with the triggers that refuse it taken down first.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

import pytest
from django.db import IntegrityError, connection, transaction

from analytics.books import faults
from campaigns.services.coupons import grant
from commissions.models import Transfer
from commissions.services.correcting import book_correction, request_correction
from commissions.services.paying_out import send_due
from commissions.services.periods import close_month
from commissions.services.sealing import seal_ledger
from commissions.services.settling import settle_due
from commissions.services.transferring import query_transfers
from distro.actors import Actor
from distro.triggers import drop_triggers, install_triggers
from distro.wechat.sandbox.control import SandboxControl
from orders.rules import Item
from orders.services.placing import place_order
from referrals.models import Promoter
from tests.campaigns.parts import make_template
from tests.factories import make_sku
from tests.flows.shop import (
    HOME,
    buy,
    deliver,
    join,
    open_shop,
    pay,
    promote,
    refund,
    verify,
    withdraw,
)

pytestmark = pytest.mark.django_db
LATER = timedelta(days=60)


@pytest.fixture
def world(at: datetime, wechat: SandboxControl) -> Iterator[datetime]:
    """A small shop in which everything happened once; return when it is looked at."""
    agreement = open_shop(at, 1000, 500)
    upline = promote(join(at), agreement, at)
    person = wechat.person("seller")
    seller = promote(join(at, by=upline, openid=person.openid), agreement, at)
    buyer = join(at, by=seller)
    orders = [buy(buyer, fen, at) for fen in (19_999, 33_333, 50_000, 7_777)]
    for order in orders:
        pay(order, at)
    refund(orders[3], 1_111, at)
    for order in orders[:3]:
        deliver(order, at)
    refund(orders[1], 3_333, at + timedelta(days=9))
    settled = at + timedelta(days=18)
    settle_due(at=settled)
    verify(seller, settled)
    withdrawal = withdraw(seller, 5_000, settled)
    send_due(at=settled)
    wechat.confirm_transfer(withdrawal.number)
    query_transfers(at=settled + timedelta(hours=1))
    after = settled + timedelta(days=1)
    withdraw(seller, 3_000, after)
    refund(orders[2], 50_000, after)
    _buy_with_coupon(buyer.pk, after)
    _buy_nothing(after)
    drop_triggers(connection)
    assert list(faults(at=at + LATER)) == []
    yield at + LATER
    install_triggers(connection)


def _buy_with_coupon(member_id: int, at: datetime) -> None:
    coupon = grant(member_id=member_id, template_id=make_template().pk, key="k", at=at)
    items = [Item(make_sku(price_fen=30_000).pk, 2)]
    order = place_order(member_id=member_id, items=items, coupon=coupon.code, address=HOME, at=at)
    assert order.discount_fen
    pay(order, at)


def _buy_nothing(at: datetime) -> None:
    """A stranger's order, and one that nobody pays."""
    pay(buy(join(at), 1_000, at), at)
    buy(join(at), 1_000, at)


def one(table: str, where: str = "1 = 1") -> str:
    return f"(SELECT min(id) FROM {table} WHERE {where})"


def change(table: str, to: str, where: str = "1 = 1") -> str:
    return f"UPDATE {table} SET {to} WHERE id = {one(table, where)}"


def every(table: str, to: str, where: str = "1 = 1") -> str:
    return f"UPDATE {table} SET {to} WHERE {where}"


TRANSFER, ACCOUNT = "commissions_transfer", "commissions_account"
COMMISSION, REVERSAL = "commissions_commission", "commissions_reversal"
ACCRUAL, RATE, PLAN = "commissions_accrual", "commissions_planrate", "commissions_plan"
WITHDRAWAL, REQUEST = "commissions_withdrawal", "commissions_withdrawalrequest"
ORDER, LINE, PAYMENT = "orders_order", "orders_orderline", "orders_payment"
REFUND, REFUND_LINE = "orders_refund", "orders_refundline"
COUPON, TEMPLATE = "campaigns_coupon", "campaigns_coupontemplate"

FROZEN_UP = every(ACCOUNT, "balance_fen = balance_fen + 1", "kind = 'frozen'")
PAIR = (
    "(SELECT promoter_id, min(id) AS one, max(id) AS other FROM commissions_commission GROUP BY 1)"
)
ACCRUE = one(TRANSFER, "code = 'accrue'")
MOVED = (
    "UPDATE commissions_transfer SET amount_fen = amount_fen + {} WHERE idempotency_key = "
    "'accrue:' || (SELECT {} FROM " + PAIR + " p ORDER BY promoter_id LIMIT 1)"
)

CASES = {
    # transfers
    "a transfer is larger": [change(TRANSFER, "amount_fen = amount_fen + 1")],
    "a transfer and its balance are larger": [
        change(TRANSFER, "amount_fen = amount_fen + 1", "code = 'accrue'"),
        f"UPDATE {ACCOUNT} SET balance_fen = balance_fen + 1 WHERE id = (SELECT credit_id FROM "
        f"{TRANSFER} WHERE id = {ACCRUE})",
    ],
    "a fen moves between two accruals": [MOVED.format(1, "one"), MOVED.format(-1, "other")],
    "a transfer is gone": [f"DELETE FROM {TRANSFER} WHERE id = {one(TRANSFER)}"],
    "a key is another": [change(TRANSFER, "idempotency_key = 'accrue:x'", "code = 'accrue'")],
    "a request's key is another": [change(TRANSFER, "idempotency_key = 'x'", "code = 'request'")],
    "a settlement's source is nothing": [change(TRANSFER, "source = 'x'", "code = 'settle'")],
    "a clawback's source is nothing": [change(TRANSFER, "source = 'x'", "code = 'claw_frozen'")],
    "a payout's source is nothing": [change(TRANSFER, "source = 'x'", "code = 'pay_net'")],
    "a code is another": [change(TRANSFER, "code = 'bonus'", "code = 'accrue'")],
    "a day is another": [change(TRANSFER, "booked_on = '2020-01-01'")],
    "a time is another": [change(TRANSFER, "occurred_at = '2020-01-01 00:00:00'")],
    # accounts
    "a balance is larger": [FROZEN_UP],
    "a second expense account": [change(ACCOUNT, "label = 'x'", "kind = 'expense'")],
    # commissions
    "an amount is smaller": [change(COMMISSION, "amount_fen = amount_fen - 1")],
    "a base is larger": [change(COMMISSION, "base_fen = base_fen + 1")],
    "a rate is smaller": [change(COMMISSION, "rate_bps = rate_bps - 1")],
    "a rate is fixed": [change(COMMISSION, "rate_bps = NULL, fixed_fen = uncapped_fen")],
    "a rate's row is of another level": [
        change(COMMISSION, f"rate_id = {one(RATE, 'level = 2')}", "level = 1")
    ],
    "an uncapped amount is larger": [change(COMMISSION, "uncapped_fen = uncapped_fen + 1")],
    "a cap bit where none did": [change(COMMISSION, "capped = (1 = 1)")],
    "a clawback is forgotten": [
        change(
            COMMISSION,
            "reversed_fen = reversed_fen - 1",
            "status <> 'reversed' AND reversed_fen > 0",
        )
    ],
    "something is taken back without a cause": [
        change(COMMISSION, "reversed_fen = 1", "reversed_fen = 0")
    ],
    "a settled row is frozen": [change(COMMISSION, "status = 'frozen'", "status = 'settled'")],
    "a settled sum is larger": [
        change(COMMISSION, "settled_fen = settled_fen + 1", "status = 'settled'")
    ],
    "a row was settled before its time": [
        change(COMMISSION, "release_at = '2030-01-01 00:00:00'", "status = 'settled'")
    ],
    "a row is released too early": [
        change(COMMISSION, "release_at = '2020-01-01 00:00:00'", "release_at IS NULL")
    ],
    "a release is forgotten": [change(COMMISSION, "release_at = NULL", "release_at IS NOT NULL")],
    "a payment's time is another": [change(COMMISSION, "paid_at = '2020-01-01 00:00:00'")],
    "a settled row is voided": [change(COMMISSION, "voided_at = paid_at", "status = 'settled'")],
    "a row is of another accrual": [
        change(COMMISSION, f"accrual_id = (SELECT max(id) FROM {ACCRUAL})")
    ],
    # accruals
    "an accrual earned nothing": [change(ACCRUAL, "outcome = 'no_promoter'", "base_fen > 0")],
    "an accrual was imported": [change(ACCRUAL, "outcome = 'imported'", "base_fen = 0")],
    "an accrual's base is larger": [
        change(ACCRUAL, "base_fen = base_fen + 10000, cap_fen = cap_fen + 2000", "base_fen > 0")
    ],
    "an accrual has no cap": [change(ACCRUAL, "cap_fen = cap_fen + 1", "base_fen > 0")],
    "an accrual has no plan": [change(ACCRUAL, "plan_id = NULL", "base_fen > 0")],
    "an accrual is voided": [change(ACCRUAL, "voided_at = accrued_at", "base_fen > 0")],
    "a plan began later": [every(PLAN, "effective_from = '2030-01-01 00:00:00'")],
    # reversals
    "a reversal names another account": [
        change(
            REVERSAL,
            "from_frozen_fen = 0, as_debt_fen = amount_fen",
            "from_frozen_fen = amount_fen",
        )
    ],
    "a reversal names another refund": [
        change(REVERSAL, f"refund_id = (SELECT max(id) FROM {REFUND})")
    ],
    "a reversal is gone": [f"DELETE FROM {REVERSAL} WHERE id = {one(REVERSAL)}"],
    # withdrawals
    "a withdrawal is larger": [
        change(WITHDRAWAL, "amount_fen = amount_fen + 1", "net_fen IS NULL")
    ],
    "a request is larger": [change(REQUEST, "amount_fen = amount_fen + 1")],
    "a withdrawal is of another promoter": [
        change(WITHDRAWAL, "promoter_id = (SELECT min(id) FROM referrals_promoter)")
    ],
    "a payout did not happen": [change(WITHDRAWAL, "status = 'failed'", "status = 'paid'")],
    "a review did not happen": [
        change(WITHDRAWAL, "status = 'reviewing'", "status IN ('approved', 'cancelled')")
    ],
    # orders
    "an order was dearer": [change(ORDER, "goods_fen = goods_fen + 1, paid_fen = paid_fen + 1")],
    "an order had a discount": [
        change(ORDER, "goods_fen = goods_fen + 1, discount_fen = discount_fen + 1")
    ],
    "an order had freight": [
        change(ORDER, "freight_fen = freight_fen + 1, paid_fen = paid_fen + 1")
    ],
    "order and line were dearer": [
        change(ORDER, "goods_fen = goods_fen + 1, paid_fen = paid_fen + 1"),
        change(
            LINE, "goods_fen = goods_fen + 1, paid_fen = paid_fen + 1, price_fen = price_fen + 1"
        ),
    ],
    "more pieces": [change(LINE, "quantity = quantity + 1")],
    "a line of another order": [change(LINE, f"order_id = (SELECT max(id) FROM {ORDER})")],
    "an unpaid order is paid": [
        change(ORDER, "paid_at = placed_at, status = 'paid'", "paid_at IS NULL")
    ],
    "an unpaid order has a time": [change(ORDER, "paid_at = placed_at", "paid_at IS NULL")],
    "a paid order is waiting": [change(ORDER, "status = 'placed'", "status = 'paid'")],
    "an order is refunded": [change(ORDER, "status = 'refunded'", "status = 'completed'")],
    "a refunded order is not": [change(ORDER, "status = 'completed'", "status = 'refunded'")],
    "an order came later": [
        change(ORDER, "completed_at = '2030-01-01 00:00:00'", "completed_at IS NOT NULL")
    ],
    "an order matured at once": [
        change(ORDER, "matured_at = paid_at", "completed_at IS NULL AND paid_at IS NOT NULL")
    ],
    "an order was paid before it was placed": [
        change(
            ORDER,
            "paid_at = '2020-01-01 00:00:00'",
            "paid_at IS NOT NULL AND promoter_1_id IS NULL",
        )
    ],
    "an order has another promoter": [
        change(ORDER, "promoter_1_id = promoter_2_id", "promoter_2_id IS NOT NULL")
    ],
    "an order has another upline": [
        change(ORDER, "promoter_2_id = promoter_1_id", "promoter_2_id IS NOT NULL")
    ],
    "an order has another buyer": [
        change(
            ORDER, "member_id = (SELECT min(id) FROM referrals_member)", "promoter_1_id IS NOT NULL"
        )
    ],
    "more is refunded of an order": [change(ORDER, "refunded_fen = refunded_fen + 1")],
    "freight is refunded of an order": [
        change(
            ORDER,
            "freight_fen = freight_fen + 1, paid_fen = paid_fen + 1, freight_refunded_fen = 1",
        )
    ],
    "more is refunded of a line": [
        change(LINE, "refunded_fen = refunded_fen + 1", "refunded_fen < paid_fen")
    ],
    "something is reserved": [
        change(LINE, "reserved_fen = reserved_fen + 1", "refunded_fen < paid_fen")
    ],
    # payments, refunds
    "a payment was smaller": [
        change(PAYMENT, "amount_fen = amount_fen - 1", "status = 'succeeded'")
    ],
    "a payment did not happen": [change(PAYMENT, "status = 'closed'", "status = 'succeeded'")],
    "a payment of another order": [
        change(PAYMENT, f"order_id = (SELECT max(id) FROM {ORDER})", "status = 'succeeded'")
    ],
    "a refund was larger": [change(REFUND, "goods_fen = goods_fen + 1")],
    "a refund had freight": [change(REFUND, "freight_fen = 1")],
    "a refund did not happen": [change(REFUND, "status = 'closed'")],
    "a refund of another order": [change(REFUND, f"order_id = (SELECT max(id) FROM {ORDER})")],
    "a refund's line was larger": [change(REFUND_LINE, "amount_fen = amount_fen + 1")],
    "a refund's line of another order": [
        change(REFUND_LINE, f"line_id = (SELECT max(id) FROM {LINE})")
    ],
    # coupons
    "a coupon was smaller": [change(COUPON, "value_fen = value_fen - 1", "order_id IS NOT NULL")],
    "a coupon is unused": [
        change(COUPON, "status = 'issued', order_id = NULL, used_at = NULL", "order_id IS NOT NULL")
    ],
    "a coupon of another member": [
        change(COUPON, "member_id = (SELECT min(id) FROM referrals_member)")
    ],
    "more coupons were issued": [change(TEMPLATE, "issued = issued + 1")],
}


CORRECTION, PERIOD, SEAL = "commissions_correction", "commissions_period", "commissions_seal"
WIPED = one(COMMISSION, "status = 'frozen' AND reversed_fen = 0")
WIPED_KEY = f"'accrue:' || {WIPED}"

# What only a closed, sealed ledger shows.
CASES_OF_BOOKS = {
    "a commission is wiped with its transfer and its balance": [
        f"UPDATE {ACCOUNT} SET balance_fen = balance_fen - (SELECT amount_fen FROM {COMMISSION}"
        f" WHERE id = {WIPED}) WHERE kind = 'frozen' AND promoter_id ="
        f" (SELECT promoter_id FROM {COMMISSION} WHERE id = {WIPED})",
        f"DELETE FROM {TRANSFER} WHERE idempotency_key = {WIPED_KEY}",
        f"DELETE FROM {COMMISSION} WHERE id = {WIPED}",
    ],
    "a correction is larger": [change(CORRECTION, "amount_fen = amount_fen + 1")],
    "a correction is another promoter's": [
        change(CORRECTION, "promoter_id = (SELECT min(id) FROM referrals_promoter)")
    ],
    "a correction was not booked": [
        change(CORRECTION, "status = 'requested', decided_by = '', decided_at = NULL")
    ],
    "a correction went the other way": [change(CORRECTION, "kind = 'correct_down'")],
    "a month had fewer transfers": [change(PERIOD, "transfers = transfers - 1")],
    "a month had a larger sum": [change(PERIOD, "amount_fen = amount_fen + 1")],
    "a month was not closed": [f"DELETE FROM {PERIOD} WHERE id = {one(PERIOD)}"],
    "a seal begins elsewhere": [change(SEAL, "before = 'ab'")],
    "a seal has another digest": [change(SEAL, "digest = 'ab'")],
    "a seal is shorter": [change(SEAL, "last_id = last_id - 1")],
}


def test_every_change_behind_the_services_is_refused_or_a_fault(world: datetime) -> None:
    assert silent(CASES, world) == []


def test_every_change_to_the_closed_books_is_refused_or_a_fault(world: datetime) -> None:
    seller = Promoter.objects.order_by("-pk").first()
    assert seller is not None
    asked = request_correction(promoter_id=seller.pk, kind="correct_up", amount_fen=5,
                               reason="r", by=Actor("staff", 1), at=world)  # fmt: skip
    book_correction(correction_id=asked.pk, by=Actor("staff", 2), at=world)
    first_day = Transfer.objects.order_by("booked_on")[0].booked_on
    for _ in range(2):
        first_day = close_month(month=first_day, by=Actor("staff", 1), at=world).last_day
        first_day += timedelta(days=1)
    seal_ledger(at=world)
    assert list(faults(at=world)) == []
    assert silent(CASES_OF_BOOKS, world) == []


def silent(cases: dict[str, list[str]], at: datetime) -> list[str]:
    """Return the cases that nothing refuses and no check names."""
    found = []
    for name, statements in cases.items():
        mark = transaction.savepoint()
        if done(name, statements) and not list(faults(at=at)):
            found.append(name)
        transaction.savepoint_rollback(mark)
    return found


def done(name: str, statements: list[str]) -> bool:
    """Run the statements of a case; False when a constraint refuses one."""
    with connection.cursor() as cursor:
        for statement in statements:
            try:
                cursor.execute(statement)
            except IntegrityError:
                return False
            assert cursor.rowcount >= 1, f"{name}: {statement}"
    return True
