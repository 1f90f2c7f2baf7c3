"""System checks: what must not run together, said before the first request.

Each check has a stable id and a hint that tells the operator what to do, so that
`manage.py check --deploy` on the server is the deployment test.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Iterator, Sequence
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.core.checks import CheckMessage, Error, register, run_checks
from django.core.exceptions import ImproperlyConfigured

MINI_PROGRAM_HOSTS = {"api.weixin.qq.com"}
PAYMENT_HOSTS = {"api.mch.weixin.qq.com", "api2.mch.weixin.qq.com"}
WECHAT_KEYS = (
    "WECHAT_APPID",
    "WECHAT_SECRET",
    "WECHATPAY_MCHID",
    "WECHATPAY_CERT_SERIAL",
    "WECHATPAY_PRIVATE_KEY",
    "WECHATPAY_APIV3_KEY",
    "WECHATPAY_PUBLIC_KEY",
    "WECHATPAY_PUBLIC_KEY_ID",
)
KEY_BYTES = 32  # AES-256 and HMAC-SHA256
SIGNAL_KEY_ID_MAX = 16  # characters; a column of visits
APIV3_KEY_BYTES = 32
SECRET_KEY_CHARS = 50  # Django's own lower bound


def rule(check: Callable[[], Iterator[Error]]) -> Callable[[], Iterator[Error]]:
    """Register a check that needs nothing but the settings."""

    def run(app_configs: Sequence[Any] | None, **kwargs: Any) -> list[CheckMessage]:
        return list(check())

    register(run, "distro")
    return check


def real_hosts() -> bool:
    """Say whether any call would reach WeChat itself."""
    hosts = {urlsplit(settings.WECHAT_API_BASE).hostname}
    hosts.add(urlsplit(settings.WECHATPAY_GATEWAY).hostname)
    return any(host and host.endswith("weixin.qq.com") for host in hosts)


@rule
def demo_stays_away_from_wechat() -> Iterator[Error]:
    """Refuse demo switches beside real hosts: E001 sandbox, E002 log-ins, E003 clock."""
    if not real_hosts():
        return
    hint = "Unset %s, or point WECHAT_API_BASE and WECHATPAY_GATEWAY at the sandbox."
    for code, name in (("E001", "WECHAT_SANDBOX"), ("E002", "DEMO_LOGINS"), ("E003", "DEMO_CLOCK")):
        if getattr(settings, name):
            message = f"{name} is on while the WeChat hosts are the real ones."
            yield Error(message, hint=hint % name, id=f"distro.{code}")


@rule
def demo_stays_out_of_production() -> Iterator[Error]:
    """Refuse any demo switch in production: E004."""
    for name in ("WECHAT_SANDBOX", "DEMO_LOGINS", "DEMO_CLOCK"):
        if settings.PRODUCTION and getattr(settings, name):
            yield Error(f"{name} is on in production.", hint=f"Unset {name}.", id="distro.E004")


@rule
def production_talks_to_wechat_only() -> Iterator[Error]:
    """Refuse other hosts than WeChat's, and plain http, in production: E005, E006."""
    if not settings.PRODUCTION:
        return
    for name, hosts in (
        ("WECHAT_API_BASE", MINI_PROGRAM_HOSTS),
        ("WECHATPAY_GATEWAY", PAYMENT_HOSTS),
    ):
        url = urlsplit(getattr(settings, name))
        if url.scheme != "https" or url.netloc not in hosts or url.path:
            hint = f"Unset {name}, or use https:// and one of: {', '.join(sorted(hosts))}."
            yield Error(f"{name} is not an official WeChat host.", hint=hint, id="distro.E005")
    notify = urlsplit(settings.WECHAT_NOTIFY_BASE)
    if notify.scheme != "https" or not notify.hostname:
        hint = "Set it to the public https address of this site; WeChat calls nothing else."
        yield Error("WECHAT_NOTIFY_BASE is not https.", hint=hint, id="distro.E006")


@rule
def production_has_wechat_keys() -> Iterator[Error]:
    """Refuse to start without the merchant's keys: E007 missing, E008 malformed."""
    if not settings.PRODUCTION:
        return
    for name in WECHAT_KEYS:
        if not getattr(settings, name):
            hint = f"Set {name}, or {name}_FILE to a file that holds it."
            yield Error(f"{name} is not set.", hint=hint, id="distro.E007")
    for name in ("WECHATPAY_PRIVATE_KEY", "WECHATPAY_PUBLIC_KEY"):
        if getattr(settings, name) and "-----BEGIN " not in getattr(settings, name):
            hint = f"It begins with -----BEGIN; use {name}_FILE for a file."
            yield Error(f"{name} is not a PEM text.", hint=hint, id="distro.E008")
    key = settings.WECHATPAY_APIV3_KEY
    if key and len(key.encode()) != APIV3_KEY_BYTES:
        hint = "Copy it from the merchant platform: exactly 32 characters."
        yield Error("WECHATPAY_APIV3_KEY is not 32 bytes.", hint=hint, id="distro.E008")


@rule
def production_has_its_own_keys() -> Iterator[Error]:
    """Refuse the published development keys in production and beside real hosts: E009."""
    if not (settings.PRODUCTION or real_hosts()):
        return
    known = {
        "SECRET_KEY": settings.INSECURE_SECRET_KEY,
        "FIELD_KEYS": settings.INSECURE_FIELD_KEY.partition(":")[2],
        "BLIND_INDEX_KEY": settings.INSECURE_BLIND_INDEX_KEY,
        "SIGNAL_KEYS": settings.INSECURE_BLIND_INDEX_KEY,
    }
    for name, value in known.items():
        used = str(getattr(settings, name))
        weak = name == "SECRET_KEY" and len(used) < SECRET_KEY_CHARS
        if value in used or weak:
            hint = "Make keys as docs/deploy.md says."
            yield Error(f"{name} is insecure.", hint=hint, id="distro.E009")


@rule
def field_keys_are_well_formed() -> Iterator[Error]:
    """Refuse keys that are not 32 bytes, and ids used twice: E010."""
    entries = [entry.partition(":")[::2] for entry in settings.FIELD_KEYS]
    hint = "Write id:base64 of 32 bytes, separated by commas; the first one encrypts."
    ids = [name for name, _ in entries]
    if not ids or len(set(ids)) < len(ids) or not all(ids):
        yield Error("FIELD_KEYS needs entries with different ids.", hint=hint, id="distro.E010")
    for name, value in [*entries, ("BLIND_INDEX_KEY", settings.BLIND_INDEX_KEY)]:
        if not is_key(value):
            yield Error(f"The key {name!r} is not 32 bytes.", hint=hint, id="distro.E010")


@rule
def signal_keys_are_well_formed() -> Iterator[Error]:
    """Refuse rotated keys that are not 32 bytes, and ids that are used twice or too long: E013."""
    entries = [entry.partition(":")[::2] for entry in settings.SIGNAL_KEYS]
    hint = "Write id:base64 of 32 bytes, the newest first; ids of 1 to 16 characters."
    ids = [name for name, _ in entries]
    if len(set(ids)) < len(ids) or not all(1 <= len(name) <= SIGNAL_KEY_ID_MAX for name in ids):
        yield Error("SIGNAL_KEYS needs short, different ids.", hint=hint, id="distro.E013")
    for name, value in entries:
        if not is_key(value):
            yield Error(f"The key {name!r} is not 32 bytes.", hint=hint, id="distro.E013")


@rule
def debug_stays_away_from_real_keys() -> Iterator[Error]:
    """Refuse DEBUG pages, which show settings, beside real keys or in production: E011."""
    if settings.DEBUG and (settings.PRODUCTION or real_hosts()):
        hint = "Set DEBUG=0, or point the WeChat hosts at the sandbox."
        yield Error("DEBUG is on beside real keys.", hint=hint, id="distro.E011")


@rule
def hosts_are_named() -> Iterator[Error]:
    """Refuse the wildcard host in production: E012."""
    if settings.PRODUCTION and ({"*", ""} & set(settings.ALLOWED_HOSTS)):
        hint = "Name the host, for instance shop.example.com."
        yield Error("ALLOWED_HOSTS lets every host in.", hint=hint, id="distro.E012")


def refuse_bad_combinations() -> None:
    """Raise ImproperlyConfigured where `manage.py check` would find an error of ours.

    Servers that are no management command call it, since Django checks nothing for them.
    """
    if errors := run_checks(tags=["distro"]):
        raise ImproperlyConfigured("; ".join(str(error) for error in errors))


def is_key(value: str) -> bool:
    """Say whether a text is base64 of exactly 32 bytes."""
    try:
        return len(base64.b64decode(value, validate=True)) == KEY_BYTES
    except (binascii.Error, ValueError):
        return False
