"""Log lines: one JSON object each, with personal data and secrets blotted out."""

from __future__ import annotations

import json
import logging
import re
from datetime import UTC, datetime

from distro.api.middleware import REQUEST_ID

BLOT = "[redacted]"

# Longest first: an identity number contains what looks like a phone number.
PATTERNS = [
    (re.compile(r"(?<!\d)\d{17}[\dXx](?![\dA-Za-z])"), BLOT),  # identity number
    (re.compile(r"(?<!\d)(?:\+?86[ -]?)?1[3-9]\d(?:[ -]?\d{4}){2}(?!\d)"), BLOT),  # mobile phone
    (re.compile(r"(?i)\b(bearer)\s+[\w.~+/=-]+"), rf"\1 {BLOT}"),
    (
        re.compile(
            r"(?i)\b(access_token|session_key|secret|appsecret|password|token|js_code|openid|unionid)"
            r"([\"')]?\s*[=:]\s*[\"'(]?)[^\s&\"',;})]+"
        ),
        rf"\1\2{BLOT}",
    ),
]


def redact(text: str) -> str:
    """Blot out phone numbers, identity numbers, WeChat accounts, tokens and secrets."""
    for pattern, replacement in PATTERNS:
        text = pattern.sub(replacement, text)
    return text


class RedactingFilter(logging.Filter):
    """Redact the message of a record, its arguments included, before any handler writes it."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Put the finished, redacted message into the record; let every record pass."""
        record.msg = redact(record.getMessage())
        record.args = ()
        return True


class JsonFormatter(logging.Formatter):
    """Write a record as one line of JSON: at, level, logger, message, request, error."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line; the traceback is redacted here, where it first becomes text."""
        line = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
        }
        if request_id := REQUEST_ID.get():
            line["request"] = request_id
        if record.exc_info:
            line["error"] = redact(self.formatException(record.exc_info))
        return json.dumps(line, ensure_ascii=False)
