from __future__ import annotations

import pytest
from django.core.management import CommandError, call_command

from distro import clock
from distro.journey import staff
from distro.journey.books import Stand, commission
from distro.journey.client import without_secrets
from distro.journey.story import id_number
from distro.wechat.config import forget_config
from referrals.rules.people import normal_id_number
from tests.analytics.demo_world import TINY, load_demo, ticking

pytestmark = pytest.mark.once


def test_the_journey_counts_by_itself():
    assert commission(5_290, 500) == 264
    assert Stand(frozen_fen=5).but(frozen_fen=-5, available_fen=5) == Stand(available_fen=5)


def test_the_journey_s_id_numbers_pass(at):
    for run in ("000000", "ffffff", "a1b2c3"):
        number = id_number(run)
        assert normal_id_number(number, today=clock.beijing_day(at)) == number


def test_secrets_are_not_printed():
    answer = {"token": "abc", "rows": [{"package_info": "xyz", "net_fen": 5}]}
    assert without_secrets(answer) == {
        "token": "...",
        "rows": [{"package_info": "...", "net_fen": 5}],
    }


def test_a_dialog_s_numbered_fields_are_found():
    html = '<input name="amount_7"><input name="amount_12"><input name="amount_x">'
    assert staff.fields_of(html, "amount_") == ["amount_12", "amount_7"]
    assert staff.fields_of(html, "reason") == ["reason"]


@pytest.fixture
def shop(wechat, settings, live_server):
    """A tiny demo shop behind a live server, with the sandbox notifying it."""
    settings.DEMO_CLOCK = settings.DEMO_LOGINS = True
    settings.WECHAT_NOTIFY_BASE = live_server.url
    forget_config()
    load_demo(wechat, TINY, clock.now())
    with ticking():
        yield live_server
    forget_config()


def journey(shop, wechat, *options) -> None:
    call_command("journey", "--base", shop.url, "--sandbox", wechat.url, *options)


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
def test_the_journey_is_told_twice_on_one_server(shop, wechat, capsys):
    journey(shop, wechat)
    assert "所有" not in capsys.readouterr().err
    journey(shop, wechat, "--lang", "en")
    told = capsys.readouterr().out
    assert "The promoter withdraws" in told
    assert "all balances right" in told
    call_command("check_books")
    assert ", 0 faults" in capsys.readouterr().out


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
def test_a_balance_that_differs_ends_the_journey(shop, wechat, monkeypatch):
    monkeypatch.setattr("distro.journey.story.LEVEL_1_BPS", 1_001)
    monkeypatch.setattr("distro.journey.story.SOON_S", 2)
    with pytest.raises(CommandError, match=r"frozen 59\.80.*expected frozen 59\.85"):
        journey(shop, wechat)


@pytest.mark.django_db(transaction=True)
def test_without_the_demo_clock_the_journey_does_not_start(wechat, live_server, settings):
    settings.DEMO_CLOCK = False
    with pytest.raises(CommandError, match="demo/clock: 404"):
        journey(live_server, wechat)


def test_without_a_server_the_journey_says_so(wechat):
    with pytest.raises(CommandError, match="no answer"):
        call_command("journey", "--base", "http://127.0.0.1:9", "--sandbox", wechat.url)
