"""The sandbox is as strict as the protocol text: it does not trust the product either."""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.request

import pytest
from wechatpayv3.utils import build_authorization, load_private_key

from distro.wechat.config import config
from distro.wechat.pay import pay

from .make import prepay

PATH = "/v3/pay/transactions/out-trade-no/T99999999?mchid="


@pytest.fixture
def ask(sandbox, wechat):
    """Return `ask(path, body, **headers)`: a request signed by hand."""

    def make(path, body=None, **headers):
        data = None if body is None else body.encode()
        request = urllib.request.Request(f"{sandbox.url}{path}", data)
        for name, value in headers.items():
            request.add_header(name.replace("_", "-"), value)
        try:
            with urllib.request.urlopen(request) as answer:
                return answer.status, json.loads(answer.read() or b"{}"), dict(answer.headers)
        except urllib.error.HTTPError as error:
            with error:
                return error.code, json.load(error), dict(error.headers)

    return make


def authorization(path, method="GET", body=None, **changes):
    key = load_private_key(config().private_key)
    mchid, serial = config().mchid, config().cert_serial
    header = build_authorization(path, method, mchid, serial, key, data=body)
    for old, new in changes.values():
        header = header.replace(old, new)
    return header


def signed(path, **changes):
    return {
        "Authorization": authorization(path, **changes),
        "Wechatpay_Serial": config().public_key_id,
    }


def test_a_signed_request_is_answered(ask):
    path = PATH + config().mchid
    assert ask(path, **signed(path))[:2] == (
        404,
        {"code": "ORDER_NOT_EXIST", "message": "no such order"},
    )


@pytest.mark.parametrize(
    "header",
    [
        "",
        "Bearer x",
        "WECHATPAY2-SHA256-RSA2048 ",
        'WECHATPAY2-SHA256-RSA2048 mchid="1"',
    ],
)
def test_an_unsigned_request_is_refused(ask, header):
    status, answer, _ = ask(PATH + config().mchid, Authorization=header)
    assert (status, answer["code"]) == (401, "SIGN_ERROR")


def test_a_request_signed_for_another_path_is_refused(ask):
    path = PATH + config().mchid
    status, answer, _ = ask(path + "&x=1", **signed(path))
    assert (status, answer["code"]) == (401, "SIGN_ERROR")


def test_a_request_with_another_body_is_refused(ask):
    path = "/v3/pay/transactions/jsapi"
    headers = {**signed(path, method="POST", body="{}"), "Content_Type": "application/json"}
    assert ask(path, '{"a": 1}', **headers)[1]["code"] == "SIGN_ERROR"
    headers = {**signed(path, method="POST", body="{}"), "Content_Type": "application/json"}
    assert ask(path, "{}", **headers)[1]["code"] == "APPID_MCHID_NOT_MATCH"


def test_another_merchant_or_certificate_is_refused(ask):
    path = PATH + config().mchid
    for change in ((config().mchid, "1000000000"), (config().cert_serial, "5F" * 20)):
        assert ask(path, **signed(path, change=change))[1]["code"] == "SIGN_ERROR"


@pytest.mark.parametrize("off", [-310, 310])
def test_a_request_of_another_time_is_refused(ask, monkeypatch, off):
    path = PATH + config().mchid
    moment = time.time() + off
    monkeypatch.setattr("wechatpayv3.utils.time.time", lambda: moment)
    headers = signed(path)
    monkeypatch.undo()
    assert ask(path, **headers)[1]["code"] == "SIGN_ERROR"


def test_a_repeated_request_is_refused(ask):
    path = PATH + config().mchid
    headers = signed(path)
    assert ask(path, **headers)[1]["code"] == "ORDER_NOT_EXIST"
    assert ask(path, **headers)[1]["code"] == "SIGN_ERROR"


def test_a_request_must_name_the_public_key(ask):
    path = PATH + config().mchid
    headers = {**signed(path), "Wechatpay_Serial": "5F" * 20}
    assert ask(path, **headers)[1]["code"] == "PARAM_ERROR"


def test_refusals_are_unsigned_and_answers_signed(ask, wechat):
    path = PATH + config().mchid
    assert "Wechatpay-Signature" not in ask(path, **signed(path))[2]
    request = prepay()
    pay().prepay(request)
    path = path.replace("T99999999", request.out_trade_no)
    assert ask(path, **signed(path))[2]["Wechatpay-Serial"] == config().public_key_id


def test_another_merchants_number_is_refused(ask):
    path = PATH + "1000000000"
    assert ask(path, **signed(path))[1]["code"] == "PARAM_ERROR"


def test_a_public_key_merchant_has_no_certificates(ask):
    assert ask("/v3/certificates")[:2] == (
        404,
        {"code": "RESOURCE_NOT_EXISTS", "message": "无可用的平台证书"},
    )


def test_an_unknown_address_is_refused(ask):
    assert ask("/cgi-bin/nothing")[0] == 404


def test_credentials_of_another_mini_program_are_refused(ask):
    def token(**changes):
        body = {"grant_type": "client_credential", "appid": config().appid}
        body |= {"secret": config().secret, "force_refresh": False, **changes}
        return ask("/cgi-bin/stable_token", json.dumps(body))[1]

    assert token(appid="wx1")["errcode"] == 40013
    assert token(secret="x")["errcode"] == 40125
    assert token(grant_type="x")["errcode"] == 40002
    assert ask("/cgi-bin/stable_token", "not json")[1]["errcode"] == 47001
    first = token()
    assert token()["access_token"] == first["access_token"]
    assert first["expires_in"] == 7200
    forced = token(force_refresh=True)
    assert forced["access_token"] != first["access_token"]
    assert token(force_refresh=True)["errcode"] == 45009


def test_a_token_is_renewed_five_minutes_before_its_end(ask, wechat):
    body = {"grant_type": "client_credential", "appid": config().appid, "secret": config().secret}
    first = ask("/cgi-bin/stable_token", json.dumps(body))[1]["access_token"]
    wechat.advance(7200 - 301)
    assert ask("/cgi-bin/stable_token", json.dumps(body))[1]["access_token"] == first
    wechat.advance(2)
    second = ask("/cgi-bin/stable_token", json.dumps(body))[1]["access_token"]
    assert second != first
    code = json.dumps({"scene": "a", "page": "p"})
    request = f"/wxa/getwxacodeunlimit?access_token={first}"
    wechat.advance(200)
    with pytest.raises(UnicodeDecodeError):  # a picture: the old token still works
        ask(request, code)
    wechat.advance(200)
    assert ask(request, code)[1]["errcode"] == 42001
