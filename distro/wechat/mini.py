"""The mini-program's server calls: log-in, phone number, mini-program codes, messages."""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import requests
from django.core.cache import cache
from wechatpy.client import WeChatClient
from wechatpy.client.api import WeChatWxa
from wechatpy.exceptions import WeChatClientException
from wechatpy.session import SessionStorage

from distro.wechat.config import WechatConfig, config
from distro.wechat.errors import (
    LoginCodeInvalid,
    LoginRefused,
    WechatError,
    WechatRefused,
    WechatUnknown,
)
from distro.wechat.states import of_answer, part, text
from distro.wechat.templates import fit_values

# At DEBUG it writes whole addresses, and ours carry the secret and the access token.
logging.getLogger("urllib3.connectionpool").setLevel(logging.INFO)

TIMEOUT = (3, 5)  # seconds to connect, to wait for an answer
DEAD_TOKEN = {"40001", "40014", "42001"}
TRY_LATER = {"-1", "44991", "45009", "45011"}  # busy, or too many calls
USED_CODE = {"40029", "40163"}
PHONE_AGE_MAX = 600  # seconds; the code lives 300
SCENE = re.compile(r"[0-9A-Za-z!#$&'()*+,/:;=?@\-._~]{1,32}")
CODE_MAX = 256  # characters of a login or phone code; WeChat's have about 64
IMAGES = (b"\x89PNG", b"\xff\xd8\xff")  # WeChat answers PNG or JPEG


@dataclass(frozen=True)
class Session:
    """Who logged in; unionid only where the mini-program belongs to an Open Platform account."""

    openid: str
    unionid: str | None


class MiniProgram:
    """The calls this product makes; each raises a WechatError when it does not succeed."""

    def __init__(self, settings: WechatConfig) -> None:
        self._sdk = make_sdk(settings)

    def code_to_session(self, code: str) -> Session:
        """Exchange a login code for the identity behind it.

        Raises LoginCodeInvalid, LoginRefused.
        """
        if not 0 < len(code) <= CODE_MAX:
            raise LoginCodeInvalid("40029")
        answer = ask(lambda: self._sdk.code_to_session(code))
        with_unionid = answer.get("unionid")
        return Session(
            openid=of_answer(lambda: text(answer, "openid")),
            unionid=with_unionid if isinstance(with_unionid, str) and with_unionid else None,
        )

    def phone_number(self, code: str, openid: str) -> str:
        """Exchange a phone code for the number of that very user, country code if foreign."""
        if not 0 < len(code) <= CODE_MAX:
            raise WechatRefused("40029")
        answer = self._ask_with_token(
            lambda: self._sdk.post(
                f"{self._sdk.base}/wxa/business/getuserphonenumber",
                data={"code": code, "openid": openid},
            )
        )
        phone = of_answer(lambda: part(answer, "phone_info"))
        self._check_watermark(of_answer(lambda: part(phone, "watermark")))
        return of_answer(lambda: text(phone, "phoneNumber"))

    def wxacode(self, scene: str, page: str, width: int = 430) -> bytes:
        """Return the picture of a mini-program code; width 280 to 1280 pixels.

        scene: at most 32 visible ASCII characters, no percent sign. page: no leading slash.
        """
        if not SCENE.fullmatch(scene) or "scancode_time" in scene:
            raise WechatRefused("40129" if len(scene) <= 32 else "40169")
        if not page or page.startswith("/") or "?" in page:
            raise WechatRefused("41030")
        picture = self._ask_raw(
            lambda: self._sdk.wxa.get_wxa_code_unlimited(scene, width=width, page=page)
        )
        if not isinstance(picture, requests.Response) or not picture.content.startswith(IMAGES):
            raise WechatUnknown("body")
        return picture.content

    def send_subscribe_message(
        self, openid: str, template_id: str, data: Mapping[str, str], page: str = ""
    ) -> None:
        """Send one subscribe message, its values cut to what their types allow.

        Raises WechatRefused, code 43101 when the user has not accepted (any more).
        """
        values = {key: {"value": value} for key, value in fit_values(data).items()}
        self._ask_with_token(
            lambda: self._sdk.wxa.send_subscribe_message(
                openid, template_id, values, page=page or None
            )
        )

    def _ask_with_token(self, call: Callable[[], object]) -> dict[str, Any]:
        answer = self._ask_raw(call)
        if not isinstance(answer, dict):
            raise WechatUnknown("body")
        return answer

    def _ask_raw(self, call: Callable[[], object]) -> object:
        """Call once more with a new token when WeChat says that ours is dead."""
        try:
            return guard(call)
        except WechatRefused as error:
            if error.code not in DEAD_TOKEN:
                raise
        self._sdk.session.delete(self._sdk.access_token_key)
        return guard(call)

    def _check_watermark(self, watermark: Mapping[str, Any]) -> None:
        stamp = watermark.get("timestamp")
        fresh = isinstance(stamp, int) and abs(time.time() - stamp) <= PHONE_AGE_MAX
        if watermark.get("appid") != self._sdk.appid or not fresh:
            raise WechatRefused("watermark")


def mini() -> MiniProgram:
    """Return this process's client."""
    return client_of(config())


@lru_cache(maxsize=4)
def client_of(settings: WechatConfig) -> MiniProgram:
    """Return the one client of a configuration."""
    return MiniProgram(settings)


def ask(call: Callable[[], object]) -> dict[str, Any]:
    """Make a call that answers JSON."""
    answer = guard(call)
    if not isinstance(answer, dict):
        raise WechatUnknown("body")
    return answer


def guard(call: Callable[[], object]) -> object:
    """Make a call and turn what the SDK raises, which may carry secrets, into our errors."""
    try:
        return call()
    except WeChatClientException as error:
        raise error_of(error.errcode, str(error.errmsg or "")) from None
    except (requests.RequestException, OSError):
        raise WechatUnknown("connection") from None
    except ValueError:
        raise WechatUnknown("body") from None


def error_of(errcode: int | None, message: str) -> WechatError:
    """Return our error for WeChat's number; None is an HTTP error without one."""
    code = str(errcode)
    if errcode is None or code in TRY_LATER:
        return WechatUnknown("http" if errcode is None else code, message)
    if code in USED_CODE:
        return LoginCodeInvalid(code, message)
    if code == "40226":
        return LoginRefused(code, message)
    return WechatRefused(code, message)


class CacheStorage(SessionStorage):
    """The access token in Django's cache, shared by all processes."""

    def get(self, key: str, default: object = None) -> object:
        """Return a stored value."""
        return cache.get(f"wechat:{key}", default)

    def set(self, key: str, value: object, ttl: int | None = None) -> None:
        """Store a value for ttl seconds."""
        cache.set(f"wechat:{key}", value, ttl)

    def delete(self, key: str) -> None:
        """Forget a value."""
        cache.delete(f"wechat:{key}")


def make_sdk(settings: WechatConfig) -> Any:
    """Return wechatpy's client, pointed at the configured host.

    The SDK's own token and log-in calls have fixed hosts, no timeout and a needless token.
    """

    class Wxa(WeChatWxa):
        API_BASE_URL = settings.api_base + "/"

    class Client(WeChatClient):
        API_BASE_URL = settings.api_base + "/cgi-bin/"
        base = settings.api_base
        wxa = Wxa()

        def fetch_access_token(self) -> dict[str, Any]:
            """Fetch the stable token, which several processes may do at once."""
            body = {"grant_type": "client_credential", "force_refresh": False}
            body |= {"appid": self.appid, "secret": self.secret}
            url = f"{self.base}/cgi-bin/stable_token"
            answer = self._http.post(url, timeout=self.timeout, json=body)
            answer.raise_for_status()
            data: dict[str, Any] = self._handle_result(answer)
            token, seconds = data["access_token"], data["expires_in"]
            self.session.set(self.access_token_key, token, max(seconds - 300, 60))
            return data

        @property
        def access_token(self) -> str:
            """The stored token alone decides; a process has no opinion of its own."""
            stored = self.session.get(self.access_token_key)
            return str(stored or self.fetch_access_token()["access_token"])

        def code_to_session(self, code: str) -> Any:
            """Log in without fetching an access token first."""
            params = {"appid": self.appid, "secret": self.secret, "js_code": code}
            params |= {"grant_type": "authorization_code", "access_token": ""}
            return self.get(f"{self.base}/sns/jscode2session", params=params)

    sdk = Client(
        settings.appid, settings.secret, session=CacheStorage(), timeout=TIMEOUT, auto_retry=False
    )
    sdk._http.trust_env = not settings.sandbox  # no proxy stands before 127.0.0.1
    return sdk
