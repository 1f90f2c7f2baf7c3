"""No log line shows a phone number, an identity number, a token or a secret."""

from __future__ import annotations

import json
import logging
import sys

import pytest
from django.conf import settings

from distro.logs import BLOT, JsonFormatter, RedactingFilter, redact


@pytest.mark.parametrize(
    ("text", "secret"),
    [
        ("call 13812345678 now", "13812345678"),
        ("电话13812345678。", "13812345678"),
        ("phone=13812345678&x=1", "13812345678"),
        ("phone +8613812345678 is taken", "13812345678"),  # as it is stored
        ("phone 8613812345678", "13812345678"),
        ("call 138-1234-5678 or +86 138 1234 5678", "1234"),
        ("id 11010119900307451X ok", "11010119900307451X"),
        ("id 11010119900307451x", "11010119900307451x"),
        ("id 110101199003074514", "110101199003074514"),
        ("证件110101199003074514号", "110101199003074514"),
        ("Authorization: Bearer abc.DEF-123_4~5+6/7=", "abc.DEF-123_4~5+6/7="),
        ("authorization: bearer abcdef", "abcdef"),
        ("GET /cgi-bin/x?access_token=82_AbC-d&lang=zh", "82_AbC-d"),
        ("GET /sns?appid=wx1&secret=s3cr3t&js_code=c0de", "s3cr3t"),
        ("GET /sns?appid=wx1&secret=s3cr3t&js_code=c0de", "c0de"),
        ('{"access_token": "82_AbC", "expires_in": 7200}', "82_AbC"),
        ("{'session_key': 'tiihtNczf5v6AKRyjwEUhQ=='}", "tiihtNczf5v6AKRyjwEUhQ=="),
        ("password=hunter2", "hunter2"),
        ("DETAIL:  Key (openid)=(oUpF8uMuAJO_M2pxb1Q9zNjWeS6o) already exists.", "oUpF8u"),
        ('{"openid": "oUpF8uMuAJO_M2pxb1Q9zNjWeS6o"}', "oUpF8u"),
        ("unionid=o6_bmasdasdsad6_2sgVt7hMZOPfL", "o6_bmas"),
    ],
)
def test_personal_data_and_secrets_are_blotted_out(text: str, secret: str) -> None:
    assert secret not in redact(text)
    assert BLOT in redact(text)


@pytest.mark.parametrize(
    "text",
    [
        "order 20261102100000138123456 paid",  # a long number that contains a phone number
        "amount_fen=1990",
        "transfer 12345678901 booked",  # begins with 12: no mobile number
        "GET /api/v1/orders?after=13&lang=zh 200",
    ],
)
def test_other_numbers_stay_readable(text: str) -> None:
    assert redact(text) == text


def line_of(message: object, *args: object, error: bool = False) -> dict[str, str]:
    """Return the line that the configured filter and formatter make of a record."""
    exc_info = sys.exc_info() if error else None
    record = logging.LogRecord("orders", logging.INFO, __file__, 1, message, args, exc_info)
    assert RedactingFilter().filter(record)
    parsed: dict[str, str] = json.loads(JsonFormatter().format(record))
    return parsed


def test_a_line_is_one_json_object() -> None:
    line = line_of("订单 %s\npaid", 7)
    assert line["message"] == "订单 7\npaid"
    assert (line["level"], line["logger"]) == ("INFO", "orders")
    assert line["at"].endswith("+00:00")


def test_arguments_are_redacted() -> None:
    assert line_of("called %s", "13812345678")["message"] == f"called {BLOT}"


def test_a_message_that_is_no_text_is_redacted() -> None:
    assert "13812345678" not in line_of({"phone": "13812345678"})["message"]


def test_a_percent_sign_in_a_value_survives() -> None:
    assert line_of("%s", "5%s")["message"] == "5%s"


def test_tracebacks_are_redacted() -> None:
    try:
        raise ValueError("bad phone 13812345678")
    except ValueError:
        line = line_of("failed", error=True)
    assert "ValueError" in line["error"]
    assert "13812345678" not in line["error"]


def test_the_only_handler_redacts() -> None:
    handlers = settings.LOGGING["handlers"]
    assert list(handlers) == ["console"]
    assert handlers["console"]["filters"] == ["redact"]
    assert handlers["console"]["formatter"] == "json"
