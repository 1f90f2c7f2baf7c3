"""Numbers that people and WeChat see: dated, opaque, never used twice."""

from __future__ import annotations

import secrets
from datetime import datetime

from distro import clock

ALPHABET = "23456789ABCDEFGHJKLMNPQRSTUVWXYZ"  # without 0, 1, I, O
RANDOM_CHARS = 12  # 60 bits


def new_number(prefix: str, *, at: datetime) -> str:
    """Return a prefix, the Beijing date as yymmdd, and 12 random characters."""
    random = "".join(secrets.choice(ALPHABET) for _ in range(RANDOM_CHARS))
    return f"{prefix}{clock.beijing_day(at):%y%m%d}{random}"
