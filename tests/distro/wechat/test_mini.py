from __future__ import annotations

import logging
import traceback

import pytest
import requests
from django.core.cache import cache
from django.test import override_settings

from distro.wechat.config import config, forget_config
from distro.wechat.errors import (
    LoginCodeInvalid,
    LoginRefused,
    WechatError,
    WechatRefused,
    WechatUnknown,
)
from distro.wechat.mini import mini

from .make import OPENID


def names(control):
    return [name for name, status in control.calls()]


# --- Log-in ---------------------------------------------------------------------------------


def test_a_login_code_names_the_person_without_any_token(wechat):
    session = mini().code_to_session(wechat.login_code("alice"))
    alice = wechat.person("alice")
    assert (session.openid, session.unionid) == (alice.openid, alice.unionid)
    assert names(wechat) == ["jscode2session"]


def test_a_person_keeps_the_openid_after_a_reset(wechat):
    before = wechat.person("alice")
    wechat.reset()
    assert wechat.person("alice") == before
    assert wechat.person("bob").openid != before.openid


def test_a_login_code_works_once(wechat):
    code = wechat.login_code("alice")
    mini().code_to_session(code)
    with pytest.raises(LoginCodeInvalid) as caught:
        mini().code_to_session(code)
    assert caught.value.code == "40029"


def test_a_login_code_expires_after_five_minutes(wechat):
    code = wechat.login_code("alice")
    wechat.advance(301)
    with pytest.raises(LoginCodeInvalid):
        mini().code_to_session(code)


@pytest.mark.parametrize("code", ["wrong", "' OR 1=1 --", "../../x?y=z&js_code=a", "登录"])
def test_a_wrong_login_code_is_refused(wechat, code):
    with pytest.raises(LoginCodeInvalid):
        mini().code_to_session(code)


@pytest.mark.parametrize("code", ["", "x" * 257])
def test_an_impossible_login_code_is_refused_without_a_call(wechat, code):
    with pytest.raises(LoginCodeInvalid):
        mini().code_to_session(code)
    assert wechat.calls() == []


def test_a_phone_code_is_no_login_code(wechat):
    with pytest.raises(LoginCodeInvalid):
        mini().code_to_session(wechat.phone_code("alice"))


def test_wechat_may_refuse_a_risky_person(wechat):
    wechat.set_person("mallory", risky=True)
    with pytest.raises(LoginRefused):
        mini().code_to_session(wechat.login_code("mallory"))


@pytest.mark.parametrize("fault", ["error_before", "error_after", "reply_lost", "rate_limited"])
def test_a_login_without_an_answer_is_unknown(wechat, fault):
    wechat.fault(fault, call="jscode2session")
    with pytest.raises(WechatUnknown):
        mini().code_to_session(wechat.login_code("alice"))


def test_busy_is_unknown_and_the_used_code_of_newer_servers_is_invalid(wechat):
    wechat.fault("refuse", code=-1)
    with pytest.raises(WechatUnknown):
        mini().code_to_session("x")
    wechat.fault("refuse", code=40163)
    with pytest.raises(LoginCodeInvalid):
        mini().code_to_session("x")


def test_a_session_without_unionid_has_none(wechat, monkeypatch):
    client = mini()
    monkeypatch.setattr(client._sdk, "code_to_session", lambda code: {"openid": OPENID})
    assert client.code_to_session("x").unionid is None


@pytest.mark.parametrize("answer", [{}, {"openid": ""}, {"openid": 7}, [], None])
def test_an_answer_without_openid_is_unknown(wechat, monkeypatch, answer):
    client = mini()
    monkeypatch.setattr(client._sdk, "code_to_session", lambda code: answer)
    with pytest.raises(WechatUnknown):
        client.code_to_session("x")


# --- Access token ---------------------------------------------------------------------------


def test_calls_share_one_access_token(wechat):
    for _ in range(3):
        mini().wxacode("i=abc", "pages/index")
    assert names(wechat).count("stable_token") == 1


def test_a_dead_token_is_replaced_once(wechat):
    mini().wxacode("i=abc", "pages/index")
    wechat.kill_token()
    mini().wxacode("i=abc", "pages/index")
    assert names(wechat) == ["stable_token", "wxacode", "wxacode", "stable_token", "wxacode"]


def test_a_token_that_stays_dead_is_refused_after_one_repetition(wechat):
    wechat.fault("refuse", call="wxacode", times=9, code=40001)
    with pytest.raises(WechatRefused) as caught:
        mini().wxacode("i=abc", "pages/index")
    assert caught.value.code == "40001"
    assert names(wechat).count("wxacode") == 2


def test_another_refusal_is_not_repeated(wechat):
    wechat.fault("refuse", call="wxacode", code=48001)
    with pytest.raises(WechatRefused):
        mini().wxacode("i=abc", "pages/index")
    assert names(wechat).count("wxacode") == 1


def test_an_expired_token_is_replaced(wechat):
    mini().wxacode("i=abc", "pages/index")
    wechat.advance(7201)
    mini().wxacode("i=abc", "pages/index")
    assert names(wechat).count("stable_token") == 2


def test_the_stored_token_ends_before_wechats(wechat, monkeypatch):
    stored = {}
    monkeypatch.setattr(cache, "set", lambda key, value, ttl: stored.update({key: ttl}))
    mini().wxacode("i=abc", "pages/index")
    assert list(stored) == [f"wechat:{config().appid}_access_token"]
    assert 6890 <= stored.popitem()[1] <= 6900


def test_without_a_token_the_call_is_unknown(wechat):
    wechat.fault("error_before", call="stable_token")
    with pytest.raises(WechatUnknown):
        mini().wxacode("i=abc", "pages/index")
    assert names(wechat) == ["stable_token"]


# --- Phone number ---------------------------------------------------------------------------


def test_a_phone_code_gives_its_owners_number_once(wechat):
    alice, code = wechat.person("alice"), wechat.phone_code("alice")
    assert mini().phone_number(code, alice.openid) == alice.phone
    with pytest.raises(WechatRefused):
        mini().phone_number(code, alice.openid)


def test_a_phone_code_works_whatever_the_sandboxs_clock_says(wechat):
    alice = wechat.person("alice")
    wechat.advance(86400)
    assert mini().phone_number(wechat.phone_code("alice"), alice.openid) == alice.phone


def test_somebody_elses_phone_code_is_refused(wechat):
    bob = wechat.person("bob")
    with pytest.raises(WechatRefused) as caught:
        mini().phone_number(wechat.phone_code("alice"), bob.openid)
    assert caught.value.code == "40029"


@pytest.mark.parametrize("mark", [{"appid": "wx-other"}, {"timestamp": 0}, {"timestamp": "1"}])
def test_a_phone_number_with_a_foreign_watermark_is_refused(wechat, monkeypatch, mark):
    client, real = mini(), mini()._sdk.post

    def forged(*args, **options):
        answer = real(*args, **options)
        answer["phone_info"]["watermark"].update(mark)
        return answer

    monkeypatch.setattr(client._sdk, "post", forged)
    with pytest.raises(WechatRefused) as caught:
        client.phone_number(wechat.phone_code("alice"), wechat.person("alice").openid)
    assert caught.value.code == "watermark"


# --- Mini-program code ----------------------------------------------------------------------


@pytest.mark.parametrize("scene", ["a", "i=Ab12Cd34", "!#$&'()*+,/:;=?@-._~", "x" * 32])
def test_a_valid_scene_becomes_a_picture(wechat, scene):
    assert mini().wxacode(scene, "pages/index/index").startswith(b"\x89PNG")


@pytest.mark.parametrize(
    "scene",
    ["", "x" * 33, "a b", "a%20", "中文", "a\n", "a\x00", "１２３", "scancode_time=1", '"'],
)
def test_an_invalid_scene_is_refused_without_a_call(wechat, scene):
    with pytest.raises(WechatRefused):
        mini().wxacode(scene, "pages/index")
    assert wechat.calls() == []


@pytest.mark.parametrize("page", ["", "/pages/index", "pages/index?x=1"])
def test_an_invalid_page_is_refused_without_a_call(wechat, page):
    with pytest.raises(WechatRefused) as caught:
        mini().wxacode("i=abc", page)
    assert caught.value.code == "41030"
    assert wechat.calls() == []


def test_a_width_out_of_range_is_refused_by_wechat(wechat):
    with pytest.raises(WechatRefused) as caught:
        mini().wxacode("i=abc", "pages/index", width=100)
    assert caught.value.code == "40097"


# --- Subscribe messages ---------------------------------------------------------------------

VALUES = {"thing1": "很长的商品名称" * 5, "amount2": "12.50元", "time3": "2026年11月2日 10:00"}


def test_a_message_is_sent_once_per_acceptance(wechat):
    alice = wechat.person("alice")
    wechat.accept_subscription("alice", "TPL-paid", times=2)
    for _ in range(2):
        mini().send_subscribe_message(alice.openid, "TPL-paid", VALUES, page="pages/me")
    with pytest.raises(WechatRefused) as caught:
        mini().send_subscribe_message(alice.openid, "TPL-paid", VALUES)
    assert caught.value.code == "43101"
    sent = wechat.messages()
    assert [(row["openid"], row["page"]) for row in sent] == [(alice.openid, "pages/me")] * 2
    assert sent[0]["data"]["thing1"]["value"] == ("很长的商品名称" * 5)[:19] + "…"


@pytest.mark.parametrize(
    "data", [{}, {"amount1": "很多钱"}, {"phrase1": "paid"}, {"what1": "x"}, {"number1": "1" * 33}]
)
def test_a_value_wechat_cannot_take_is_refused_and_costs_nothing(wechat, data):
    wechat.accept_subscription("alice", "TPL-paid")
    openid = wechat.person("alice").openid
    with pytest.raises(WechatRefused) as caught:
        mini().send_subscribe_message(openid, "TPL-paid", data)
    assert caught.value.code == "47003"
    mini().send_subscribe_message(openid, "TPL-paid", VALUES)


# --- What errors and logs show --------------------------------------------------------------


def test_no_error_or_log_shows_a_secret(wechat, caplog):
    caplog.set_level(logging.DEBUG)
    secrets = [config().secret, "access_token="]
    shown = []
    wechat.fault("reply_lost", times=2)
    code = wechat.login_code("alice")
    for call in (
        lambda: mini().code_to_session(code),
        lambda: mini().wxacode("i=abc", "pages/index"),
    ):
        with pytest.raises(WechatError) as caught:
            call()
        shown.append("".join(traceback.format_exception(caught.value)))
    mini().wxacode("i=abc", "pages/index")
    shown.append(caplog.text)
    for text in shown:
        assert not any(secret in text for secret in [*secrets, code])


def test_a_dead_host_is_unknown_and_shows_nothing(wechat):
    with override_settings(WECHAT_API_BASE="http://127.0.0.1:9"):
        forget_config()
        with pytest.raises(WechatUnknown) as caught:
            mini().code_to_session("abc")
    forget_config()
    assert str(caught.value) == "connection"
    assert config().secret not in "".join(traceback.format_exception(caught.value))


def test_a_web_page_instead_of_an_answer_is_unknown(wechat, monkeypatch):
    page = requests.Response()
    page.status_code, page._content = 200, b"<html>proxy</html>"
    client = mini()
    client.wxacode("i=abc", "pages/index")
    monkeypatch.setattr(client._sdk._http, "request", lambda *args, **options: page)
    for call in (
        lambda: client.code_to_session("x"),
        lambda: client.phone_number("x", OPENID),
        lambda: client.wxacode("i=abc", "pages/index"),
        lambda: client.send_subscribe_message(OPENID, "TPL-1", VALUES),
    ):
        with pytest.raises(WechatUnknown):
            call()


def test_there_is_one_client_per_process(wechat):
    assert mini() is mini()
