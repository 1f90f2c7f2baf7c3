"""A worker that dies at any moment loses nothing and does nothing twice."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from urllib.parse import quote

import pytest
import time_machine
from django.conf import settings as django_settings
from django.db import connection
from django.db.models import F, Sum

from analytics.books import faults
from commissions.models import Commission, Settlement, Transfer, Withdrawal
from commissions.services.accruing import accrue, set_release
from commissions.services.ledger import balances
from commissions.services.paying_out import send_due
from commissions.services.settling import settle_due
from commissions.services.transferring import query_transfers
from commissions.services.withdrawals import request_withdrawal
from distro import clock
from distro.crypto import blind_index
from referrals.models import Identity, Member, Promoter
from tests.commissions.builders import make_attributed, make_chain, make_plan, receive
from tests.commissions.payout_world import make_rules
from tests.factories import AT

pytestmark = [
    pytest.mark.postgres,
    pytest.mark.slow,
    pytest.mark.django_db(transaction=True),
]

KILLS = 6
ORDERS, PAYEES = 160, 40
PAID_FEN = 20_000  # of an order; 10 % of it is 20 yuan


def environment(**extra: str) -> dict[str, str]:
    """Return what makes a process work on the test's own database."""
    one = connection.settings_dict
    user = quote(str(one["USER"]))
    secret = f":{quote(str(one['PASSWORD']))}" if one["PASSWORD"] else ""
    host = quote(str(one["HOST"]), safe="")
    url = f"postgres://{user}{secret}@{host}:{one['PORT'] or 5432}/{one['NAME']}"
    return {
        **os.environ,
        "DATABASE_URL": url,
        "DJANGO_SETTINGS_MODULE": "distro.settings",
        "DOTENV_PATH": os.devnull,
        "REDIS_URL": "",
        **extra,
    }


def run_and_kill(work: str, at: datetime, seconds: float, env: dict[str, str]) -> bool:
    """Start a worker and kill it so many seconds after its start; False when it was through."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.stack.worker", work, at.isoformat()],
        cwd=Path(django_settings.BASE_DIR),
        env=env,
        stdout=subprocess.PIPE,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == b"started\n"
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGKILL)
    finally:
        process.stdout.close()
    code = process.wait()
    assert code in (0, -signal.SIGKILL)
    return code == -signal.SIGKILL


def kill_again_and_again(
    work: str, at: datetime, done: Callable[[], int], env: dict[str, str]
) -> list[int]:
    """Kill workers at random moments; return how much was done after each."""
    rng = random.Random(7)
    progress: list[int] = []
    for _ in range(KILLS):
        if not run_and_kill(work, at, rng.uniform(0.02, 0.35), env):
            break
        progress.append(done())
    return progress


def wait_for_backends() -> None:
    """Wait until the server has noticed that the killed workers are gone."""
    end = time.monotonic() + 20
    while time.monotonic() < end:
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT count(*) FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
            if cursor.fetchone()[0] == 0:
                return
        time.sleep(0.05)
    pytest.fail("a killed worker's connection is still there")


def test_a_settlement_killed_in_the_middle_loses_nothing_and_settles_nothing_twice():
    make_plan(1_000, 500)
    chains = [make_chain(2) for _ in range(8)]
    for number in range(ORDERS):
        order = make_attributed(chains[number % len(chains)], PAID_FEN + number)
        accrue(order_id=order.pk, at=AT)
        due = receive(order)
        set_release(order_id=order.pk)
    at = due + timedelta(minutes=1)
    rows = Commission.objects.order_by().values_list("promoter")
    expected = dict(rows.annotate(Sum("amount_fen")))

    settled = Commission.objects.filter(status="settled")
    progress = kill_again_and_again("settle", at, settled.count, environment())
    assert progress and any(0 < count < 2 * ORDERS for count in progress)  # truly in the middle
    wait_for_backends()
    settle_due(at=at)

    assert settled.count() == 2 * ORDERS
    assert not settled.exclude(settled_fen=F("amount_fen")).exists()
    assert {pk: balances(pk).available_fen for pk in expected} == expected
    booked = Transfer.objects.filter(code="settle").aggregate(sum=Sum("amount_fen"))["sum"]
    assert booked == sum(expected.values())
    assert not Settlement.objects.filter(commissions=None).exists()
    assert list(faults(at=at)) == []


def make_payees(wechat, at: datetime) -> list[Promoter]:
    """Return promoters with a verified name, an openid the sandbox knows, and 20 yuan."""
    make_plan(1_000)
    people = wechat.people([f"payee-{number}" for number in range(PAYEES)])
    payees = []
    for number, person in enumerate(people.values()):
        promoter = make_chain(1)[0]
        Member.objects.filter(pk=promoter.member_id).update(openid=person.openid)
        id_number = f"11010119900307{number:04d}"
        Identity.objects.create(
            member_id=promoter.member_id,
            name="王小明",
            id_number=id_number,
            id_index=blind_index("id", id_number),
            status=Identity.Status.VERIFIED,
            submitted_at=AT,
            decided_at=AT,
        )
        order = make_attributed([promoter], PAID_FEN)
        accrue(order_id=order.pk, at=AT)
        receive(order)
        set_release(order_id=order.pk)
        payees.append(promoter)
    assert settle_due(at=at) == PAYEES
    return payees


def test_payouts_killed_in_the_middle_are_paid_exactly_once(wechat, sandbox):
    at = AT + timedelta(days=20)
    make_rules(at)
    payees = make_payees(wechat, at)
    for promoter in payees:
        request_withdrawal(promoter_id=promoter.pk, amount_fen=2_000, at=at)
    env = environment(WECHAT_SANDBOX_URL=wechat.url, SANDBOX_DIR=str(sandbox.folder))

    sent = Withdrawal.objects.exclude(status="approved")
    progress = kill_again_and_again("pay", at, sent.count, env)
    assert progress and any(0 < count < PAYEES for count in progress)  # truly in the middle
    wait_for_backends()
    with time_machine.travel(clock.real_now() + timedelta(seconds=61), tick=True):  # the leases end
        later = at + timedelta(minutes=10)
        query_transfers(at=later)
        send_due(at=later)
        for row in Withdrawal.objects.all():
            assert row.status == "awaiting_confirm"
            wechat.confirm_transfer(row.number)
        query_transfers(at=later + timedelta(hours=1))

    assert {row.status for row in Withdrawal.objects.all()} == {"paid"}
    bills = wechat.transfers()
    assert sorted(bill["out_bill_no"] for bill in bills) == sorted(
        Withdrawal.objects.values_list("number", flat=True)
    )
    assert {(bill["state"], bill["amount"]) for bill in bills} == {("SUCCESS", 2_000)}
    assert Transfer.objects.filter(code="pay_net").count() == PAYEES
    for promoter in payees:
        money = balances(promoter.pk)
        assert (money.available_fen, money.withdrawing_fen) == (0, 0)
    assert list(faults(at=later)) == []
