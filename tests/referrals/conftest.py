"""The API as a logged-in member calls it, and an imitated mini-program client."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import pytest
from rest_framework.test import APIClient

from distro import clock
from distro.wechat.mini import Session
from referrals.models import Member
from referrals.services.members import login

API = "/api/v1/"
PNG = b"\x89PNG\r\n"


class Api:
    """A client with a base path, a token and an idempotency key for each request."""

    def __init__(self, token: str = "") -> None:
        self.client = APIClient()
        self.keys = itertools.count(1)
        if token:
            self.client.credentials(HTTP_AUTHORIZATION=f"Bearer {token}")

    def get(self, path: str, **params: Any) -> Any:
        return self.client.get(API + path, params)

    def post(self, path: str, data: Any = None, key: str = "") -> Any:
        key = key or f"request-{next(self.keys)}"
        return self.client.post(API + path, data or {}, format="json", HTTP_IDEMPOTENCY_KEY=key)

    def patch(self, path: str, data: Any) -> Any:
        return self.client.patch(API + path, data, format="json")


@pytest.fixture
def stranger() -> Api:
    """Return the API without a token."""
    return Api()


@pytest.fixture
def as_member() -> Callable[[Member], Api]:
    """Return `as_member(member)`: the API with a token of this member."""

    def log_in(member: Member) -> Api:
        facts = {"unionid": None, "link_code": "", "device": ""}
        result = login(openid=member.openid or "", at=member.joined_at, **facts)  # type: ignore
        return Api(result.token)

    return log_in


class FakeMini:
    """What the tests want WeChat to say; records what it was asked."""

    def __init__(self) -> None:
        self.error: Exception | None = None
        self.session = Session("o-wechat", None)
        self.phone = "13800138000"
        self.asked: list[tuple[Any, ...]] = []

    def answer(self, *asked: Any) -> None:
        self.asked.append(asked)
        if self.error:
            raise self.error

    def code_to_session(self, code: str) -> Session:
        self.answer("session", code)
        return self.session

    def phone_number(self, code: str, openid: str) -> str:
        self.answer("phone", code, openid)
        return self.phone

    def wxacode(self, scene: str, page: str, width: int = 430) -> bytes:
        self.answer("wxacode", scene, page)
        return PNG

    def send_subscribe_message(
        self, openid: str, template_id: str, data: dict[str, str], page: str = ""
    ) -> None:
        self.answer("subscribe", openid, template_id, data, page)


@pytest.fixture
def mini(monkeypatch: pytest.MonkeyPatch) -> FakeMini:
    """Put an imitation in the place of the mini-program client."""
    fake = FakeMini()
    for module in ("members", "links", "messages"):
        monkeypatch.setattr(f"referrals.services.{module}.mini", lambda: fake)
    return fake


@pytest.fixture(autouse=True)
def _now(monkeypatch: pytest.MonkeyPatch, at: Any) -> None:
    """Let doors see the moment that tests play at."""
    monkeypatch.setattr(clock, "now", lambda: at)


@pytest.fixture
def no_money(settings: Any) -> None:
    """Leave money and orders to the packages that have them; a promoter's closing waits."""
    settings.CLOSING_CHECKS = {"promoter": ["tests.referrals.waiting.always"], "account": []}
    settings.CLOSING_STEPS = []
