"""What can go wrong with WeChat; no text here carries a secret, a token or personal data."""

from __future__ import annotations

import re
from typing import Literal

NoticeReason = Literal[
    "serial", "type", "timestamp", "signature", "event", "mchid", "appid", "body"
]

MESSAGE_MAX = 200  # characters kept of WeChat's own text
# Openids, tokens, keys, addresses and numbers that name a person.
SENSITIVE = re.compile(r"https?://\S+|[0-9A-Za-z_\-+/=|*@.]{16,}|\d{6,}")


def redact(text: str) -> str:
    """Return WeChat's message with everything that could be a secret or name a person masked."""
    return SENSITIVE.sub("***", text)[:MESSAGE_MAX]


class WechatError(Exception):
    """A call to WeChat did not succeed."""

    def __init__(self, code: str = "", message: str = "") -> None:
        self.code = code
        self.message = redact(message)
        super().__init__(code, self.message)

    def __str__(self) -> str:
        return self.code or type(self).__name__

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.code!r})"


class WechatRefused(WechatError):
    """WeChat refused for certain: nothing happened."""


class WechatUnknown(WechatError):
    """Nobody knows whether it happened: keep the state and query later.

    code: "connection", "signature", "body", or the code of a 429 or 5xx answer.
    """


class WechatNotFound(WechatError):
    """WeChat does not know this number."""


class LoginCodeInvalid(WechatRefused):
    """The login code is wrong, used or older than five minutes."""


class LoginRefused(WechatRefused):
    """WeChat refuses this user's login because of its own risk control."""


class NoticeRefused(WechatError):
    """A notification is not to be believed.

    status: the HTTP status to answer with.
    """

    def __init__(self, reason: NoticeReason, status: int = 401) -> None:
        super().__init__(reason)
        self.reason = reason
        self.status = status

    def __reduce__(self) -> tuple[type[NoticeRefused], tuple[NoticeReason, int]]:
        return type(self), (self.reason, self.status)
