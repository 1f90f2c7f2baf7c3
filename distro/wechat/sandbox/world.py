"""What every part of the sandbox needs: the keys, the memory, and a bell for the notifier."""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass

from distro.wechat.sandbox.crypto import Platform
from distro.wechat.sandbox.keys import Keys
from distro.wechat.sandbox.store import Store


@dataclass(frozen=True)
class World:
    """One imitated WeChat."""

    keys: Keys
    store: Store
    platform: Platform
    wake: Callable[[], None]  # call after a commit that may have made something due


def number(prefix: str, length: int) -> str:
    """Return a new number of WeChat's, digits after the prefix."""
    return prefix + "".join(secrets.choice("0123456789") for _ in range(length - len(prefix)))


def persona(db: sqlite3.Connection, keys: Keys, name: str) -> sqlite3.Row:
    """Return a persona, whose ids follow from its name and so survive a wiped memory."""
    digest = stable(keys, f"phone:{name}")
    phone = f"199{int.from_bytes(digest[:4], 'big') % 10**8:08d}"
    db.execute(
        "INSERT OR IGNORE INTO persona VALUES (?, ?, ?, ?, '', 0)",
        (name, stable_id(keys, f"openid:{name}"), stable_id(keys, f"unionid:{name}"), phone),
    )
    row: sqlite3.Row = db.execute("SELECT * FROM persona WHERE name=?", (name,)).fetchone()
    return row


def stable_id(keys: Keys, text: str) -> str:
    """Return 28 characters that look like an openid."""
    return "o" + base64.urlsafe_b64encode(stable(keys, text)).decode()[:27]


def stable(keys: Keys, text: str) -> bytes:
    """Return 32 bytes that follow from the keys and the text."""
    return hmac.new(keys.secret.encode(), text.encode(), hashlib.sha256).digest()
