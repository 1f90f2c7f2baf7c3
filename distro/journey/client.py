"""HTTP as the mini-program speaks it, and the printing of every call."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import requests

TIMEOUT = (5, 60)  # seconds to connect, to wait for an answer
PAUSE_S = 0.5  # between two looks for something that takes its time
SHOWN_CHARS = 200  # of an answer
SECRET = {"token", "paySign", "package_info"}  # fields of answers that are not printed


class Failed(Exception):
    """The story did not go as it should; the text says where and how."""


@dataclass
class Person:
    """Somebody with the mini-program on his phone; persona: his name in the sandbox."""

    name: str
    persona: str
    token: str = field(default="", repr=False)

    @property
    def device(self) -> str:
        """Return what his phone says of itself."""
        return f"phone-of-{self.persona}"


@dataclass
class Api:
    """The server's API in one language; tell: prints a line."""

    base: str
    language: str
    tell: Callable[[str], None]
    session: requests.Session = field(default_factory=requests.Session)

    def __post_init__(self) -> None:
        self.session.trust_env = False  # no proxy stands before this machine

    def get(self, path: str, who: Person | None = None, **kwargs: Any) -> Any:
        """Read something."""
        return self.call("GET", path, who, **kwargs)

    def post(self, path: str, who: Person | None, body: object = None, **kwargs: Any) -> Any:
        """Do something, under a new idempotency key."""
        return self.call("POST", path, who, body=body, **kwargs)

    def call(
        self,
        method: str,
        path: str,
        who: Person | None,
        *,
        body: object = None,
        language: str = "",
        quiet: bool = False,
    ) -> Any:
        """Make one call and return its answer; raise Failed unless it succeeds."""
        headers = {"Accept-Language": language or self.language}
        if who:
            headers["Authorization"] = f"Bearer {who.token}"
        if method == "POST":
            headers["Idempotency-Key"] = uuid.uuid4().hex
        url = f"{self.base}/api/v1/{path}"
        try:
            answer = self.session.request(method, url, json=body, headers=headers, timeout=TIMEOUT)
        except requests.RequestException as error:
            raise Failed(f"{method} {path}: no answer ({type(error).__name__})") from None
        if not quiet or not answer.ok:
            self.tell(f"  {method} /api/v1/{path} -> {answer.status_code} {shown(answer)}")
        if not answer.ok:
            raise Failed(f"{method} {path}: {answer.status_code} {shown(answer)}")
        return content(answer)

    def until(self, path: str, who: Person, reached: Callable[[Any], bool], seconds: float) -> Any:
        """Ask again and again until the answer is what is waited for; raise Failed in the end."""
        end = time.monotonic() + seconds
        while True:
            found = self.get(path, who, quiet=True)
            if reached(found):
                self.tell(f"  GET /api/v1/{path} -> {shorten(found)}")
                return found
            if time.monotonic() >= end:
                raise Failed(f"{path} is not there after {seconds:.0f} s: {shorten(found)}")
            time.sleep(PAUSE_S)


def content(answer: requests.Response) -> Any:
    """Return what an answer holds: JSON, else bytes."""
    if "json" not in answer.headers.get("Content-Type", ""):
        return answer.content
    return answer.json()


def shown(answer: requests.Response) -> str:
    """Return the beginning of an answer, without secrets."""
    if "json" in answer.headers.get("Content-Type", ""):
        return shorten(answer.json())
    return f"{len(answer.content)} bytes of {answer.headers.get('Content-Type', 'nothing')}"


def shorten(value: Any) -> str:
    """Return JSON on one line, secrets left out, cut where it gets long."""
    text = json.dumps(without_secrets(value), ensure_ascii=False)
    return text if len(text) <= SHOWN_CHARS else text[:SHOWN_CHARS] + " ..."


def without_secrets(value: Any) -> Any:
    """Return a value with its secret fields replaced."""
    if isinstance(value, dict):
        return {
            key: "..." if key in SECRET and part else without_secrets(part)
            for key, part in value.items()
        }
    return [without_secrets(part) for part in value] if isinstance(value, list) else value
