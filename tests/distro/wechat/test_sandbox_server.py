from __future__ import annotations

import re
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command
from django.test import override_settings

from distro.wechat.pay import pay
from distro.wechat.sandbox.control import ControlRefused, SandboxControl
from distro.wechat.sandbox.keys import load_keys

from .make import prepay, transfer

ROOT = Path(__file__).parents[3]


def fetch(url, data=None, **headers):
    request = urllib.request.Request(url, data)
    for name, value in headers.items():
        request.add_header(name.replace("_", "-"), value)
    try:
        with urllib.request.urlopen(request) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


# --- Control --------------------------------------------------------------------------------


@pytest.mark.parametrize("token", ["", "wrong", "令牌"])
def test_control_needs_the_token(sandbox, wechat, token):
    quoted = token.encode().decode("latin-1")
    status, text = fetch(f"{sandbox.url}/control/reset", b"{}", X_Sandbox_Token=quoted)
    assert status == 403
    assert sandbox.keys.control_token not in text


def test_the_token_comes_from_the_keys(sandbox, wechat):
    control = SandboxControl.of_folder(sandbox.url, sandbox.folder)
    assert control.settings() == wechat.settings()
    assert sandbox.keys.control_token not in repr(control)


def test_an_unknown_control_lists_the_known_ones(sandbox, wechat):
    with pytest.raises(ControlRefused, match="no such control"):
        wechat._call("nothing")


@pytest.mark.parametrize(
    ("call", "reason"),
    [
        (lambda wechat: wechat.pay("T99999999"), "nothing to pay"),
        (lambda wechat: wechat.pay_prepay("wx1"), "prepay_id is unknown"),
        (lambda wechat: wechat.confirm_transfer("B1"), "nothing to confirm"),
        (lambda wechat: wechat.fail_transfer("B1"), "no open transfer"),
        (lambda wechat: wechat.fault("nothing"), "nothing"),
        (lambda wechat: wechat.settings(nothing=1), "nothing"),
        (lambda wechat: wechat.advance(-1), "between 0"),
        (lambda wechat: wechat.signed_notice("x"), "no such notification"),
        (lambda wechat: wechat._call("pay"), "prepay_id"),
    ],
)
def test_an_impossible_control_says_why(wechat, call, reason):
    with pytest.raises(ControlRefused, match=reason):
        call(wechat)


def test_a_prepay_id_lasts_two_hours(wechat):
    wechat.settings()
    request = prepay()
    prepay_id = pay().prepay(request)
    wechat.advance(2 * 3600 + 1)
    with pytest.raises(ControlRefused, match="older than two hours"):
        wechat.pay_prepay(prepay_id)


def test_faults_can_be_disarmed(wechat):
    wechat.fault("error_before", times=5)
    wechat.clear_faults()
    assert pay().prepay(prepay())


def test_eight_buyers_pay_once(wechat):
    request = prepay()
    pay().prepay(request)

    def try_to_pay(_):
        try:
            wechat.pay(request.out_trade_no)
        except ControlRefused:
            return 0
        return 1

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(try_to_pay, range(8))) == 1
    assert len(wechat.notifications(request.out_trade_no)) == 1


def test_a_few_hundred_payments_at_once(wechat):
    def buy(_):
        request = prepay()
        pay().prepay(request)
        wechat.pay(request.out_trade_no)
        return pay().query(request.out_trade_no).paid

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(buy, range(200)))
    assert len({row["transaction_id"] for row in wechat.payments()}) == 200


# --- The phone ------------------------------------------------------------------------------


def press(page, url, button, **fields):
    """Fill in the first form with this button and send it."""
    form = re.search(rf'<form method="post" action="(/phone/{button}[^"]*)">(.*?)</form>', page)
    values = dict(re.findall(r'name="(\w+)" value="([^"]*)"', form[2])) | fields
    return fetch(url + form[1], urllib.parse.urlencode(values).encode())[1]


def test_a_person_pays_and_takes_money_on_the_phone(sandbox, wechat):
    request = prepay(description="<b>龙井</b>")
    pay().prepay(request)
    body = pay().transfer_body(transfer())
    pay().transfer(body)
    page = fetch(f"{sandbox.url}/?lang=zh")[1]
    assert "&lt;b&gt;龙井" in page
    assert "<b>龙井" not in page
    assert "¥12.50" in page
    page = press(page, sandbox.url, "pay")
    assert "已完成" in page
    assert pay().query(request.out_trade_no).paid
    press(page, sandbox.url, "confirm")
    assert pay().query_transfer(body["out_bill_no"]).state == "SUCCESS"


def test_a_person_refuses_money(sandbox, wechat):
    body = pay().transfer_body(transfer())
    pay().transfer(body)
    press(fetch(f"{sandbox.url}/?lang=en")[1], sandbox.url, "refuse")
    assert pay().query_transfer(body["out_bill_no"]).state == "FAIL"


def test_the_phone_gives_login_codes_and_accepts_messages(sandbox, wechat):
    page = press(fetch(f"{sandbox.url}/?lang=en")[1], sandbox.url, "code", value="alice")
    assert re.search(r"Login code: [\w-]{20,}", page)
    page = press(page, sandbox.url, "accept", value="alice", template="TPL-1")
    assert "Done." in page


def test_the_phone_speaks_the_browsers_language(sandbox, wechat):
    assert "沙箱手机" in fetch(sandbox.url)[1]
    assert "Sandbox phone" in fetch(sandbox.url, Accept_Language="en-GB,en")[1]


def test_a_button_from_elsewhere_does_nothing(sandbox, wechat):
    request = prepay()
    pay().prepay(request)
    form = f"value={request.out_trade_no}&stamp=guess".encode()
    page = fetch(f"{sandbox.url}/phone/pay?lang=en", form)[1]
    assert "out of date" in page
    assert pay().query(request.out_trade_no).trade_state == "NOTPAY"


@pytest.mark.parametrize("host", ["evil.example", "evil.example:8001", "127.0.0.1.evil.example"])
def test_a_page_under_another_name_is_refused(sandbox, wechat, host):
    assert fetch(sandbox.url, Host=host)[0] == 403


def test_unknown_phone_pages_and_huge_bodies_are_refused(sandbox, wechat):
    assert fetch(f"{sandbox.url}/phone/pay")[0] == 404
    assert fetch(f"{sandbox.url}/control/reset", Content_Length="9" * 12)[0] == 413


# --- Starting -------------------------------------------------------------------------------


def test_a_taken_port_is_said_so(sandbox, wechat):
    port = sandbox.url.rsplit(":", 1)[1]
    with pytest.raises(CommandError, match=rf"Port {port} of 127.0.0.1 is taken .* --port"):
        call_command("sandbox", port=int(port), stdout=StringIO())


def test_it_runs_as_a_process_of_its_own(tmp_path):
    token = load_keys(tmp_path).control_token
    started = time.monotonic()
    command = [sys.executable, "-m", "distro.wechat.sandbox", str(tmp_path), "0"]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    try:
        url = process.stdout.readline().split()[-1]
        SandboxControl(url, token).wait_ready()
        assert time.monotonic() - started < 5
        assert url.startswith("http://127.0.0.1:")
    finally:
        process.terminate()
        process.wait(10)


def test_wrong_arguments_are_refused(tmp_path):
    command = [sys.executable, "-m", "distro.wechat.sandbox"]
    assert subprocess.run(command, cwd=ROOT, capture_output=True, check=False).returncode == 2


def test_the_command_serves_the_configured_folder(tmp_path, monkeypatch):
    served = []
    monkeypatch.setattr(
        "distro.wechat.sandbox.server.Sandbox.serve_forever", lambda self: served.append(self)
    )
    out = StringIO()
    with override_settings(SANDBOX_DIR=tmp_path):
        call_command("sandbox", port=0, stdout=out)
    assert served[0].folder == tmp_path
    assert served[0].url in out.getvalue()
    served[0].close()
