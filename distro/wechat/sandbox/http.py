"""Requests and replies as values, and the two shapes of a refusal."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from email.message import Message
from typing import Any


@dataclass(frozen=True)
class Request:
    """One HTTP request; target is the raw path and query, as it was signed."""

    method: str
    target: str
    path: str
    query: Mapping[str, str]
    headers: Message  # names in any case
    body: bytes

    def json(self) -> dict[str, Any]:
        """Return the body's JSON object, {} for an empty body; raise ValueError."""
        found = json.loads(self.body or b"{}")
        if not isinstance(found, dict):
            raise ValueError("not an object")
        return found


@dataclass(frozen=True)
class Reply:
    """One HTTP answer; lost: the connection is cut instead."""

    status: int = 200
    body: bytes = b""
    content_type: str = "application/json; charset=utf-8"
    headers: Mapping[str, str] = field(default_factory=dict)
    lost: bool = False


class MiniError(Exception):
    """A refusal of the mini-program's server API: HTTP 200 with errcode."""

    def __init__(self, errcode: int, errmsg: str = "refused") -> None:
        self.errcode, self.errmsg = errcode, errmsg
        super().__init__(errcode)


class PayError(Exception):
    """A refusal of WeChat Pay v3: HTTP status with code and message."""

    def __init__(self, status: int, code: str, message: str = "refused") -> None:
        self.status, self.code, self.message = status, code, message
        super().__init__(code)


def json_reply(data: object, status: int = 200) -> Reply:
    """Return an answer in UTF-8 JSON."""
    return Reply(status, json.dumps(data, ensure_ascii=False).encode())
