"""What the imitated WeChat is told of a past that it did not see, so that it can be refunded."""

from __future__ import annotations

import sqlite3
from typing import Any

from distro.wechat.sandbox.world import World


def remember(world: World, db: sqlite3.Connection, asked: dict[str, Any]) -> object:
    """Store payments that succeeded and refunds that were paid; nobody is notified of them.

    payments: [out_trade_no, transaction_id, total, openid, paid_at]; refunds: [out_refund_no,
    refund_id, out_trade_no, amount, done_at]; amounts in fen, times in seconds.
    """
    for number, transaction_id, total, openid, paid_at in asked.get("payments", []):
        db.execute(
            "INSERT OR IGNORE INTO payment VALUES (?, 'SUCCESS', ?, ?, '{}', '', ?, ?, ?, ?, 0)",
            (number, int(total), openid, paid_at, paid_at, transaction_id, paid_at),
        )
    for number, refund_id, out_trade_no, amount, done_at in asked.get("refunds", []):
        db.execute(
            "INSERT OR IGNORE INTO refund VALUES"
            " (?, ?, ?, 'SUCCESS', 'SUCCESS', ?, '{}', '', ?, NULL, ?)",
            (number, refund_id, out_trade_no, int(amount), done_at, done_at),
        )
    return None
