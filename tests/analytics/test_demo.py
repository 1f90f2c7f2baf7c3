from __future__ import annotations

import socket
from http.server import BaseHTTPRequestHandler, HTTPServer
from random import Random
from threading import Thread

import pytest
from django.core.management import CommandError, call_command
from django.db.models import Max

from analytics.demo import serving
from analytics.demo.loading import BEGUN, HalfLoaded, NotEmpty, is_loaded
from analytics.demo.people import growing, id_number
from analytics.demo.scale import FULL
from analytics.models import EventDay, ShopDay
from campaigns.models import Campaign, Coupon, Participation
from commissions.models import Commission, Plan, PlanRate, Reversal, Withdrawal
from distro import audit, clock
from distro.actors import SYSTEM
from distro.demo_staff import DEMO_STAFF
from distro.models import AuditEntry, MissedFact, OutboxMessage, StaffUser
from orders.models import Order, Payment, Refund, Sku
from referrals.models import Application, Identity, Member, Promoter, Visit
from referrals.rules.people import normal_id_number
from tests.analytics.demo_world import SHORT, load_demo
from tests.factories import make_member

pytestmark = pytest.mark.once


@pytest.fixture
def demo(settings):
    settings.DEMO_CLOCK = True


# --- A place for it -------------------------------------------------------------------------


def test_an_empty_database_is_a_place_for_the_demo(db):
    assert is_loaded() is False


def test_a_database_with_somebody_in_it_is_refused(db):
    make_member()
    with pytest.raises(NotEmpty):
        is_loaded()


def test_a_load_that_was_interrupted_is_noticed(db, at):
    audit.record(by=SYSTEM, action=BEGUN, target="demo", at=at)
    with pytest.raises(HalfLoaded):
        is_loaded()


@pytest.mark.parametrize(
    "changes",
    [
        {"PRODUCTION": True},
        {"WECHAT_SANDBOX": False},
        {"WECHAT_API_BASE": "https://api.weixin.qq.com"},
        {"WECHATPAY_GATEWAY": "https://api.mch.weixin.qq.com"},
    ],
)
def test_the_command_refuses_production_and_real_hosts(db, settings, changes):
    for name, value in changes.items():
        setattr(settings, name, value)
    with pytest.raises(CommandError, match="does not run in production"):
        call_command("demo", "--noserve")
    assert not StaffUser.objects.exists()


def test_a_taken_port_is_named_before_anything_is_loaded(db, settings):
    settings.DEMO_CLOCK = settings.DEMO_LOGINS = False
    with socket.socket() as other:
        other.bind((serving.HOST, 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(CommandError, match=f"Port {port} of 127.0.0.1 is in use"):
            call_command("demo", port=port)
    assert not StaffUser.objects.exists()


# --- The sandbox beside it ------------------------------------------------------------------


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind((serving.HOST, 0))
        return int(probe.getsockname()[1])


def test_the_sandbox_is_started_and_ended(tmp_path):
    url = f"http://127.0.0.1:{free_port()}"
    with serving.sandbox(url, tmp_path) as control:
        assert control.person("anna").openid.startswith("o")
        with serving.sandbox(url, tmp_path) as same:  # one that answers already is used
            assert same.person("anna") == control.person("anna")
        assert control.settings()["deliver"] == 1
    with pytest.raises(OSError, match="refused"):
        control.settings()


def test_a_foreign_server_at_the_sandbox_s_port_is_refused(tmp_path):
    with HTTPServer((serving.HOST, 0), BaseHTTPRequestHandler) as foreign:
        Thread(target=foreign.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{foreign.server_port}"
        with pytest.raises(serving.PortInUse), serving.sandbox(url, tmp_path):
            pass
        foreign.shutdown()


# --- People ---------------------------------------------------------------------------------


def test_id_numbers_pass_and_differ(at):
    rng = Random(1)
    numbers = [id_number(n, rng) for n in range(1, 2_001)]
    assert len(set(numbers)) == 2_000
    assert [normal_id_number(one, today=clock.beijing_day(at)) for one in numbers] == numbers


def test_a_count_is_spread_whole_over_growing_days():
    days = growing(FULL.orders, FULL.days, rng=Random(1))
    assert sum(days) == FULL.orders
    assert sum(days[:40]) < sum(days[-40:])


# --- The whole ------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
def test_a_past_is_lived_through_the_services_and_its_books_are_clean(wechat, demo, capsys):
    end = clock.real_now()
    load_demo(wechat, SHORT, end)
    assert is_loaded()

    call_command("check_books")
    assert ", 0 faults" in capsys.readouterr().out
    assert not MissedFact.objects.exists()
    assert not OutboxMessage.objects.filter(error__gt="").exists()

    paid = Order.objects.filter(paid_at__isnull=False)
    assert paid.count() == SHORT.orders
    assert Member.objects.count() == SHORT.members
    assert Promoter.objects.count() >= SHORT.promoters - 3
    assert Promoter.objects.aggregate(deepest=Max("level"))["deepest"] >= 3
    assert not Promoter.objects.filter(code__regex=r"^P\d{4}$").exists()
    assert Sku.objects.filter(stock=0).exists()
    assert (
        Payment.objects.filter(channel="wechat", status="succeeded").count()
        == SHORT.orders - paid.filter(paid_fen=0).count()
    )
    assert paid.filter(payments__prepay_id__gt="").count() == SHORT.over_http

    statuses = set(Order.objects.values_list("status", flat=True))
    assert {"paid", "shipped", "completed", "cancelled"} <= statuses
    assert Commission.objects.filter(status="settled").exists()
    assert Commission.objects.filter(level=2).exists()
    assert (
        Reversal.objects.exists()
        == Refund.objects.filter(status="succeeded", order__promoter_1__isnull=False).exists()
    )
    assert Withdrawal.objects.filter(status="awaiting_confirm").exists()
    assert Application.objects.filter(status="pending").exists()
    assert Identity.objects.filter(status="verified").exists()
    assert Visit.objects.count() > SHORT.members / 2

    campaign = Campaign.objects.get()
    assert campaign.status == "running"
    assert Participation.objects.filter(campaign=campaign).exists()
    assert Coupon.objects.filter(status="used").exists()
    assert ShopDay.objects.count() == SHORT.days
    assert EventDay.objects.exists()
    assert {user.username for user in StaffUser.objects.all()} == {
        one.username for one in DEMO_STAFF
    }
    assert AuditEntry.objects.filter(action="plan.accept_level_2").exists()

    plan = Plan.objects.get(code="demo")
    default = PlanRate.objects.filter(plan=plan, scope="default").order_by("level")
    assert list(default.values_list("rate_bps", flat=True)) == [1_000, 500]
    assert plan.effective_from <= end - clock.timedelta(days=SHORT.days)

    refundable = Payment.objects.filter(status="succeeded", prepay_id="", amount_fen__gt=0).first()
    known = {row["out_trade_no"] for row in wechat.payments()}
    assert refundable is not None and refundable.out_trade_no in known
