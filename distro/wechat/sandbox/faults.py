"""Switches that make the next call, notification, refund or transfer go wrong, once each."""

from __future__ import annotations

import json
import sqlite3
from typing import Any

# Next API call (of the named one, or of any: "*").
CALL_FAULTS = {
    "error_before",  # HTTP 500, nothing happened
    "error_after",  # HTTP 500, but it happened
    "reply_lost",  # it happened, the connection is cut
    "slow",  # it happened, the answer comes after args.seconds
    "rate_limited",  # HTTP 429, or errcode 45009
    "bad_signature",  # it happened, the answer is signed with a wrong key
    "refuse",  # args.code, args.message, args.status: nothing happened
}
# Next notification (call: transaction, refund or mch_payment, or any: "*").
NOTICE_FAULTS = {
    "duplicate",  # the first attempt goes out twice at the same moment
    "never",  # it is not sent at all
    "tampered_amount",  # validly signed, args.amount_fen instead of the real amount
    "wrong_openid",  # validly signed, another payer
    "wrong_appid",
    "wrong_mchid",
    "signtest",  # a probe with a WECHATPAY/SIGNTEST/ signature goes first
    "unknown_serial",  # the first attempt names a serial nobody knows
    "stale",  # the first attempt was signed an hour ago
}
# Next refund or transfer.
OUTCOME_FAULTS = {
    "refund_abnormal",
    "refund_closed",
    "transfer_fail",  # args.reason, after the user's confirmation
}
FAULTS = CALL_FAULTS | NOTICE_FAULTS | OUTCOME_FAULTS


def add(db: sqlite3.Connection, name: str, call: str, args: dict[str, Any]) -> None:
    """Arm a fault once; raise KeyError for an unknown one."""
    if name not in FAULTS:
        raise KeyError(name)
    db.execute(
        "INSERT INTO fault (name, call, args) VALUES (?, ?, ?)", (name, call, json.dumps(args))
    )


def take(
    db: sqlite3.Connection, names: set[str], call: str = "*"
) -> tuple[str, dict[str, Any]] | None:
    """Return and disarm the oldest armed fault of these names."""
    marks = ",".join("?" * len(names))
    row = db.execute(
        f"SELECT * FROM fault WHERE name IN ({marks}) AND call IN ('*', ?) ORDER BY id LIMIT 1",  # noqa: S608
        (*names, call),
    ).fetchone()
    if row is None:
        return None
    db.execute("DELETE FROM fault WHERE id=?", (row["id"],))
    return row["name"], json.loads(row["args"])
