"""The sandbox's memory: one SQLite file, one writer at a time, a clock of its own."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta, timezone
from pathlib import Path

BEIJING = timezone(timedelta(hours=8))

# Amounts in fen, times in seconds of the sandbox's clock.
SCHEMA = """
CREATE TABLE IF NOT EXISTS setting (name TEXT PRIMARY KEY, value REAL NOT NULL);
CREATE TABLE IF NOT EXISTS persona (name TEXT PRIMARY KEY, openid TEXT UNIQUE, unionid TEXT,
    phone TEXT, real_name TEXT, risky INTEGER);
CREATE TABLE IF NOT EXISTS code (code TEXT PRIMARY KEY, kind TEXT, openid TEXT, expires REAL);
CREATE TABLE IF NOT EXISTS token (token TEXT PRIMARY KEY, expires REAL, issued REAL,
    forced INTEGER);
CREATE TABLE IF NOT EXISTS quota (openid TEXT, template TEXT, remaining INTEGER,
    PRIMARY KEY (openid, template));
CREATE TABLE IF NOT EXISTS message (id INTEGER PRIMARY KEY, openid TEXT, template TEXT, page TEXT,
    data TEXT, at REAL);
CREATE TABLE IF NOT EXISTS payment (out_trade_no TEXT PRIMARY KEY, state TEXT, total INTEGER,
    openid TEXT, request TEXT, notify_url TEXT, created REAL, expires REAL,
    transaction_id TEXT UNIQUE, paid_at REAL, coupon INTEGER DEFAULT 0);
CREATE TABLE IF NOT EXISTS prepay (prepay_id TEXT PRIMARY KEY, out_trade_no TEXT, expires REAL);
CREATE INDEX IF NOT EXISTS prepay_number ON prepay (out_trade_no);
CREATE TABLE IF NOT EXISTS refund (out_refund_no TEXT PRIMARY KEY, refund_id TEXT,
    out_trade_no TEXT, state TEXT, outcome TEXT, amount INTEGER, request TEXT, notify_url TEXT,
    created REAL, due REAL, done_at REAL);
CREATE INDEX IF NOT EXISTS refund_number ON refund (out_trade_no);
CREATE INDEX IF NOT EXISTS refund_due ON refund (due) WHERE due IS NOT NULL;
CREATE TABLE IF NOT EXISTS transfer (out_bill_no TEXT PRIMARY KEY, transfer_bill_no TEXT UNIQUE,
    state TEXT, openid TEXT, amount INTEGER, request TEXT, notify_url TEXT, package_info TEXT,
    outcome TEXT, fail_reason TEXT, created REAL, updated REAL, due REAL);
CREATE INDEX IF NOT EXISTS transfer_openid ON transfer (openid, created);
CREATE INDEX IF NOT EXISTS transfer_due ON transfer (due) WHERE due IS NOT NULL;
CREATE TABLE IF NOT EXISTS notification (seq INTEGER PRIMARY KEY, id TEXT UNIQUE, event TEXT,
    number TEXT, url TEXT, body BLOB, flags TEXT, state TEXT, tries INTEGER, due REAL);
CREATE INDEX IF NOT EXISTS notification_due ON notification (due) WHERE due IS NOT NULL;
CREATE TABLE IF NOT EXISTS attempt (notification TEXT, at REAL, status INTEGER, note TEXT);
CREATE INDEX IF NOT EXISTS attempt_notification ON attempt (notification);
CREATE TABLE IF NOT EXISTS fault (id INTEGER PRIMARY KEY, name TEXT, call TEXT, args TEXT);
CREATE TABLE IF NOT EXISTS call (id INTEGER PRIMARY KEY, name TEXT, status INTEGER);
"""

SETTINGS: dict[str, float] = {
    "clock_offset": 0,  # seconds ahead of the real time
    "deliver": 1,  # 0: notifications are kept, not sent
    "retry_factor": 1,  # of the retry schedule; 0.01 makes 15 s into 150 ms
    "refund_seconds": 1,  # from PROCESSING to its end
    "accept_seconds": 0,  # a transfer's ACCEPTED, before the user can confirm
    "transfer_seconds": 1,  # from the user's confirmation, or a cancel, to the end
    "balance": 100_000_000,  # the merchant's money for transfers
    "transfer_min": 10,
    "transfer_max": 20_000,
    "transfer_day": 200_000,  # per user and Beijing day
}


class Store:
    """All state; every access goes through `transaction()`."""

    def __init__(self, path: Path) -> None:
        self._lock = threading.RLock()
        self._db = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
        self._db.row_factory = sqlite3.Row
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.execute("PRAGMA synchronous=NORMAL")
        self._db.executescript(SCHEMA)
        with self.transaction() as db:  # what a killed process was just sending goes out again
            db.execute("UPDATE notification SET state='waiting', due=0 WHERE state='sending'")

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Give the connection to one thread, and write all it did or nothing."""
        with self._lock:
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield self._db
            except BaseException:
                self._db.execute("ROLLBACK")
                raise
            self._db.execute("COMMIT")

    def close(self) -> None:
        """Close the file; waits for the thread that uses it."""
        with self._lock:
            self._db.close()


def wipe(db: sqlite3.Connection) -> None:
    """Forget everything, settings included."""
    tables = [
        row["name"] for row in db.execute("SELECT name FROM sqlite_master WHERE type='table'")
    ]
    for table in tables:
        db.execute(f"DELETE FROM {table}")  # noqa: S608 - our own names


def setting(db: sqlite3.Connection, name: str) -> float:
    """Return a setting, its default when nobody set it."""
    row = db.execute("SELECT value FROM setting WHERE name=?", (name,)).fetchone()
    return float(row["value"]) if row else SETTINGS[name]


def set_setting(db: sqlite3.Connection, name: str, value: float) -> None:
    """Change a setting; raise KeyError for an unknown one."""
    if name not in SETTINGS:
        raise KeyError(name)
    db.execute("INSERT OR REPLACE INTO setting VALUES (?, ?)", (name, value))


def now(db: sqlite3.Connection) -> float:
    """Return the sandbox's time, which control calls move; signatures use the real one."""
    return time.time() + setting(db, "clock_offset")


def rfc3339(at: float) -> str:
    """Return a time as WeChat writes it."""
    return datetime.fromtimestamp(at, BEIJING).isoformat(timespec="seconds")


def beijing_midnight(at: float) -> float:
    """Return when the Beijing day of a time began."""
    day = datetime.fromtimestamp(at, BEIJING).replace(hour=0, minute=0, second=0, microsecond=0)
    return day.timestamp()
