"""How this deployment reaches WeChat: one frozen value, read once."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

from distro.wechat.sandbox.keys import load_keys

# Field of WechatConfig -> the setting a real deployment must fill.
REQUIRED = {
    "appid": "WECHAT_APPID",
    "secret": "WECHAT_SECRET",
    "mchid": "WECHATPAY_MCHID",
    "cert_serial": "WECHATPAY_CERT_SERIAL",
    "private_key": "WECHATPAY_PRIVATE_KEY",
    "apiv3_key": "WECHATPAY_APIV3_KEY",
    "public_key": "WECHATPAY_PUBLIC_KEY",
    "public_key_id": "WECHATPAY_PUBLIC_KEY_ID",
}


@dataclass(frozen=True)
class WechatConfig:
    """Addresses and credentials; addresses have no slash at the end, keys are PEM text."""

    sandbox: bool
    api_base: str
    gateway: str
    notify_base: str
    appid: str
    mchid: str
    cert_serial: str
    public_key_id: str
    secret: str = field(repr=False)
    private_key: str = field(repr=False)
    apiv3_key: str = field(repr=False)
    public_key: str = field(repr=False)


@lru_cache(maxsize=1)
def config() -> WechatConfig:
    """Return the configuration of this process."""
    credentials = sandbox_credentials() if settings.WECHAT_SANDBOX else real_credentials()
    return WechatConfig(
        sandbox=settings.WECHAT_SANDBOX,
        api_base=settings.WECHAT_API_BASE.rstrip("/"),
        gateway=settings.WECHATPAY_GATEWAY.rstrip("/"),
        notify_base=settings.WECHAT_NOTIFY_BASE.rstrip("/"),
        **credentials,
    )


def forget_config() -> None:
    """Make the next `config()` read the settings anew; for tests."""
    config.cache_clear()


def sandbox_credentials() -> dict[str, str]:
    """Return the merchant's half of the sandbox's keys, made on first use."""
    keys = load_keys(Path(settings.SANDBOX_DIR))
    return {name: getattr(keys, name) for name in REQUIRED}


def real_credentials() -> dict[str, str]:
    """Return the credentials of the settings; raise ImproperlyConfigured on a missing one."""
    values = {name: str(getattr(settings, setting)) for name, setting in REQUIRED.items()}
    if missing := [REQUIRED[name] for name, value in values.items() if not value]:
        raise ImproperlyConfigured(f"WeChat needs {', '.join(missing)}.")
    for name in ("private_key", "public_key"):
        values[name] = pem_text(values[name], setting=REQUIRED[name])
    return values


def pem_text(value: str, *, setting: str) -> str:
    """Return the PEM text itself, or that of the file the value names."""
    if "-----BEGIN" in value:
        return value.replace("\\n", "\n")
    try:
        return Path(value).read_text(encoding="ascii")
    except (OSError, ValueError):  # the value may be a key without its frame: never show it
        raise ImproperlyConfigured(f"{setting} is neither PEM text nor a readable file.") from None
