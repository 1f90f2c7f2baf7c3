"""Bad combinations of settings are refused by name before the first request."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from django.conf import settings as known
from django.core.checks import run_checks
from django.core.exceptions import ImproperlyConfigured

from distro.checks import refuse_bad_combinations

KEY = base64.b64encode(b"k" * 32).decode()
SANDBOX = "http://127.0.0.1:8001"
REAL = {
    "WECHAT_API_BASE": "https://api.weixin.qq.com",
    "WECHATPAY_GATEWAY": "https://api.mch.weixin.qq.com",
}
DEVELOPMENT: dict[str, Any] = {
    "PRODUCTION": False,
    "DEBUG": True,
    "WECHAT_SANDBOX": True,
    "WECHAT_API_BASE": SANDBOX,
    "WECHATPAY_GATEWAY": SANDBOX,
    "DEMO_LOGINS": True,
    "DEMO_CLOCK": True,
}
PRODUCTION: dict[str, Any] = {
    **REAL,
    "PRODUCTION": True,
    "DEBUG": False,
    "WECHAT_SANDBOX": False,
    "WECHAT_NOTIFY_BASE": "https://shop.example.com",
    "DEMO_LOGINS": False,
    "DEMO_CLOCK": False,
    "ALLOWED_HOSTS": ["shop.example.com"],
    "SECRET_KEY": "x" * 50,
    "FIELD_KEYS": [f"2026:{KEY}"],
    "BLIND_INDEX_KEY": KEY,
    "WECHAT_APPID": "wx1",
    "WECHAT_SECRET": "s",
    "WECHATPAY_MCHID": "1900000001",
    "WECHATPAY_CERT_SERIAL": "5157F09EFDC096DE15EBE81A47057A72",
    "WECHATPAY_PRIVATE_KEY": "-----BEGIN PRIVATE KEY-----",
    "WECHATPAY_APIV3_KEY": "a" * 32,
    "WECHATPAY_PUBLIC_KEY": "-----BEGIN PUBLIC KEY-----",
    "WECHATPAY_PUBLIC_KEY_ID": "PUB_KEY_ID_0119000000012026",
}
STAGING = {**PRODUCTION, "PRODUCTION": False}  # real hosts, not yet for the public


def found(settings: Any, base: dict[str, Any], change: dict[str, Any]) -> list[str]:
    """Return the ids of the errors that a combination of settings gives."""
    for name, value in {**base, **change}.items():
        setattr(settings, name, value)
    messages = run_checks(tags=["distro"])
    assert all(message.hint for message in messages)
    return sorted({str(message.id) for message in messages})


@pytest.mark.parametrize("base", [DEVELOPMENT, STAGING, PRODUCTION], ids=["dev", "staging", "prod"])
def test_a_good_combination_is_let_through(settings: Any, base: dict[str, Any]) -> None:
    assert found(settings, base, {}) == []


@pytest.mark.parametrize(
    ("base", "change", "ids"),
    [
        (STAGING, {"WECHAT_SANDBOX": True}, ["distro.E001"]),
        (STAGING, {"DEMO_LOGINS": True}, ["distro.E002"]),
        (STAGING, {"DEMO_CLOCK": True}, ["distro.E003"]),
        (STAGING, {"DEBUG": True}, ["distro.E011"]),
        (STAGING, {"DEMO_CLOCK": True, "WECHAT_API_BASE": SANDBOX}, ["distro.E003"]),
        (STAGING, {"DEMO_CLOCK": True, "WECHATPAY_GATEWAY": SANDBOX}, ["distro.E003"]),
        (DEVELOPMENT, {"WECHATPAY_GATEWAY": "https://api2.mch.weixin.qq.com"}, ALL_DEMO := [
            "distro.E001", "distro.E002", "distro.E003", "distro.E009", "distro.E011",
        ]),
        (DEVELOPMENT, REAL, ALL_DEMO),
        (DEVELOPMENT, {"FIELD_KEYS": []}, ["distro.E010"]),
        (DEVELOPMENT, {"FIELD_KEYS": ["2026"]}, ["distro.E010"]),
        (DEVELOPMENT, {"FIELD_KEYS": [f":{KEY}"]}, ["distro.E010"]),
        (DEVELOPMENT, {"FIELD_KEYS": [f"1:{KEY}", f"1:{KEY}"]}, ["distro.E010"]),
        (DEVELOPMENT, {"FIELD_KEYS": ["1:c2hvcnQ="]}, ["distro.E010"]),
        (DEVELOPMENT, {"FIELD_KEYS": ["1:not base64"]}, ["distro.E010"]),
        (DEVELOPMENT, {"BLIND_INDEX_KEY": "c2hvcnQ="}, ["distro.E010"]),
        (DEVELOPMENT, {"SIGNAL_KEYS": [f"2:{KEY}", f"1:{KEY}"]}, []),
        (DEVELOPMENT, {"SIGNAL_KEYS": [f"1:{KEY}", f"1:{KEY}"]}, ["distro.E013"]),
        (DEVELOPMENT, {"SIGNAL_KEYS": [f":{KEY}"]}, ["distro.E013"]),
        (DEVELOPMENT, {"SIGNAL_KEYS": [f"{'x' * 17}:{KEY}"]}, ["distro.E013"]),
        (DEVELOPMENT, {"SIGNAL_KEYS": ["1:c2hvcnQ="]}, ["distro.E013"]),
        (PRODUCTION, {"SIGNAL_KEYS": [f"1:{known.INSECURE_BLIND_INDEX_KEY}"]}, ["distro.E009"]),
        (PRODUCTION, {"WECHAT_SANDBOX": True}, ["distro.E001", "distro.E004"]),
        (PRODUCTION, {"DEMO_LOGINS": True}, ["distro.E002", "distro.E004"]),
        (PRODUCTION, {"DEMO_CLOCK": True}, ["distro.E003", "distro.E004"]),
        (PRODUCTION, {"WECHAT_API_BASE": "http://api.weixin.qq.com"}, ["distro.E005"]),
        (PRODUCTION, {"WECHAT_API_BASE": "https://evil.example.com"}, ["distro.E005"]),
        (PRODUCTION, {"WECHAT_API_BASE": "https://api.weixin.qq.com.evil.cn"}, ["distro.E005"]),
        (PRODUCTION, {"WECHAT_API_BASE": "https://x@api.weixin.qq.com"}, ["distro.E005"]),
        (PRODUCTION, {"WECHATPAY_GATEWAY": "https://api.weixin.qq.com"}, ["distro.E005"]),
        (PRODUCTION, {"WECHATPAY_GATEWAY": SANDBOX}, ["distro.E005"]),
        (PRODUCTION, {"WECHAT_NOTIFY_BASE": "http://shop.example.com"}, ["distro.E006"]),
        (PRODUCTION, {"WECHAT_NOTIFY_BASE": "https://"}, ["distro.E006"]),
        (PRODUCTION, {"WECHAT_APPID": ""}, ["distro.E007"]),
        (PRODUCTION, {"WECHATPAY_PUBLIC_KEY_ID": ""}, ["distro.E007"]),
        (PRODUCTION, {"WECHATPAY_PRIVATE_KEY": "/etc/key.pem"}, ["distro.E008"]),
        (PRODUCTION, {"WECHATPAY_APIV3_KEY": "short"}, ["distro.E008"]),
        (PRODUCTION, {"SECRET_KEY": "short"}, ["distro.E009"]),
        (PRODUCTION, {"DEBUG": True}, ["distro.E011"]),
        (PRODUCTION, {"ALLOWED_HOSTS": ["*"]}, ["distro.E012"]),
    ],
)  # fmt: skip
def test_a_bad_combination_is_refused(
    settings: Any, base: dict[str, Any], change: dict[str, Any], ids: list[str]
) -> None:
    assert found(settings, base, change) == ids


@pytest.mark.parametrize("base", [STAGING, PRODUCTION], ids=["staging", "prod"])
def test_the_published_keys_are_refused_beside_real_data(
    settings: Any, base: dict[str, Any]
) -> None:
    change = {
        "SECRET_KEY": settings.INSECURE_SECRET_KEY,
        "FIELD_KEYS": [f"1:{KEY}", settings.INSECURE_FIELD_KEY],
        "BLIND_INDEX_KEY": settings.INSECURE_BLIND_INDEX_KEY,
    }
    assert found(settings, base, change) == ["distro.E009"]
    assert len(run_checks(tags=["distro"])) == len(change)


def test_gunicorn_does_not_start_with_a_bad_combination(settings: Any) -> None:
    found(settings, PRODUCTION, {})
    refuse_bad_combinations()
    settings.DEMO_CLOCK = True
    with pytest.raises(ImproperlyConfigured, match=r"distro\.E003.*DEMO_CLOCK"):
        refuse_bad_combinations()


def test_every_missing_key_is_named(settings: Any) -> None:
    from distro.checks import WECHAT_KEYS

    assert found(settings, PRODUCTION, dict.fromkeys(WECHAT_KEYS, "")) == ["distro.E007"]
    assert len(run_checks(tags=["distro"])) == len(WECHAT_KEYS)
