from __future__ import annotations

import copy
import pickle

import pytest

from distro.wechat.errors import (
    LoginCodeInvalid,
    NoticeRefused,
    WechatNotFound,
    WechatRefused,
    WechatUnknown,
)

SECRETS = [
    "oGZUI0egBJY1zhBYw2KhdUfwVJJE",
    "https://api.weixin.qq.com/sns/jscode2session?secret=abc",
    "13812345678",
    "110105199003070011",
    "84_AbCdEf-gHiJkLmNoPqRsTuVwXyZ",
]


@pytest.mark.parametrize("secret", SECRETS)
@pytest.mark.parametrize("kind", [WechatRefused, WechatUnknown, WechatNotFound, LoginCodeInvalid])
def test_nothing_sensitive_survives_in_an_error(kind, secret):
    error = kind("INVALID_REQUEST", f"用户{secret}不存在")
    for shown in (str(error), repr(error), error.message, repr(error.args), str(vars(error))):
        assert secret not in shown
    assert error.message.startswith("用户***")


def test_the_text_of_an_error_is_its_code():
    assert str(WechatRefused("NOT_ENOUGH", "余额不足")) == "NOT_ENOUGH"
    assert repr(WechatUnknown("connection")) == "WechatUnknown('connection')"
    assert WechatRefused("NOT_ENOUGH", "余额不足").message == "余额不足"


def test_a_refused_notice_carries_reason_and_status():
    error = NoticeRefused("appid", 400)
    assert (error.reason, error.status, str(error)) == ("appid", 400, "appid")
    assert NoticeRefused("serial").status == 401


def test_errors_survive_a_queue():
    again = pickle.loads(pickle.dumps(WechatRefused("NOT_ENOUGH", "余额不足")))
    assert (again.code, again.message) == ("NOT_ENOUGH", "余额不足")
    assert copy.copy(NoticeRefused("body", 413)).status == 413
