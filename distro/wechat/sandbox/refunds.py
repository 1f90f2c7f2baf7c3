"""Pay v3: refunds."""

from __future__ import annotations

import json
import re
import sqlite3
from typing import Any

from distro.wechat.sandbox import faults
from distro.wechat.sandbox.http import PayError, Reply, Request, json_reply
from distro.wechat.sandbox.notifications import Fact, announce
from distro.wechat.sandbox.payments import check_notify_url, fits, matches, need, pay_body, payment
from distro.wechat.sandbox.store import now, rfc3339, setting
from distro.wechat.sandbox.world import World, number

NUMBER = re.compile(r"[0-9A-Za-z_\-|*@]{1,64}")
PARTS_MAX = 50
YEAR = 365 * 86400
OUTCOMES = {"refund_abnormal": "ABNORMAL", "refund_closed": "CLOSED"}


def refund(world: World, request: Request) -> Reply:
    """POST /v3/refund/domestic/refunds: accepted now, done later; one number refunds once."""
    asked = pay_body(request)
    check_fields(asked)
    with world.store.transaction() as db:
        row, paid = known(db, asked["out_refund_no"]), paid_order(db, asked)
        if row is not None and row["request"] != json.dumps(asked, sort_keys=True):
            raise PayError(400, "INVALID_REQUEST", "out_refund_no was used with other parameters")
        if row is None or row["state"] == "CLOSED":
            check_sum(db, paid, asked)
            start(db, paid, asked)
        row = known(db, asked["out_refund_no"])
        assert row is not None
        return json_reply(described(db, row))


def check_fields(asked: dict[str, Any]) -> None:
    """Refuse a field that breaks the rules of the interface."""
    need(matches(NUMBER, asked.get("out_refund_no")), "out_refund_no")
    need(fits(asked.get("reason", ""), 0, 80), "reason")
    if asked.get("notify_url"):
        check_notify_url(asked["notify_url"])
    amount = asked.get("amount")
    amount = amount if isinstance(amount, dict) else {}
    for field in ("refund", "total"):
        need(type(amount.get(field)) is int and amount[field] >= 1, f"amount.{field}")
    need(amount.get("currency") == "CNY", "amount.currency")


def paid_order(db: sqlite3.Connection, asked: dict[str, Any]) -> sqlite3.Row:
    """Return the paid order that is to be refunded."""
    row: sqlite3.Row | None
    if transaction_id := asked.get("transaction_id"):
        row = db.execute(
            "SELECT * FROM payment WHERE transaction_id=?", (transaction_id,)
        ).fetchone()
    else:
        row = payment(db, str(asked.get("out_trade_no")))
    if row is None or row["state"] != "SUCCESS":
        raise PayError(404, "RESOURCE_NOT_EXISTS", "no such paid order")
    return row


def check_sum(db: sqlite3.Connection, paid: sqlite3.Row, asked: dict[str, Any]) -> None:
    """Refuse more than was paid, more than fifty parts, or after a year."""
    parts, spent = db.execute(
        "SELECT COUNT(*), COALESCE(SUM(amount), 0) FROM refund"
        " WHERE out_trade_no=? AND state<>'CLOSED'",
        (paid["out_trade_no"],),
    ).fetchone()
    if asked["amount"]["total"] != paid["total"]:
        raise PayError(400, "INVALID_REQUEST", "amount.total is not that of the order")
    if spent + asked["amount"]["refund"] > paid["total"]:
        raise PayError(400, "INVALID_REQUEST", "the refunds exceed the amount paid")
    if parts >= PARTS_MAX:
        raise PayError(400, "INVALID_REQUEST", "too many partial refunds")
    if now(db) > paid["paid_at"] + YEAR:
        raise PayError(400, "INVALID_REQUEST", "the payment is older than a year")


def start(db: sqlite3.Connection, paid: sqlite3.Row, asked: dict[str, Any]) -> None:
    """Store a refund in PROCESSING; a closed one starts again under its number."""
    fault = faults.take(db, set(OUTCOMES))
    at = now(db)
    db.execute(
        "INSERT OR REPLACE INTO refund VALUES (?, ?, ?, 'PROCESSING', ?, ?, ?, ?, ?, ?, NULL)",
        (asked["out_refund_no"], number("503", 28), paid["out_trade_no"],
         OUTCOMES[fault[0]] if fault else "SUCCESS", asked["amount"]["refund"],
         json.dumps(asked, sort_keys=True), asked.get("notify_url") or "", at,
         at + setting(db, "refund_seconds")),
    )  # fmt: skip


def query_refund(world: World, request: Request, out_refund_no: str) -> Reply:
    """GET /v3/refund/domestic/refunds/{out_refund_no}."""
    with world.store.transaction() as db:
        finish_due(world, db)
        row = known(db, out_refund_no)
        if row is None:
            raise PayError(404, "RESOURCE_NOT_EXISTS", "no such refund")
        return json_reply(described(db, row))


def finish_due(world: World, db: sqlite3.Connection) -> None:
    """End the refunds whose time has come, and tell the merchant."""
    at = now(db)
    for row in db.execute("SELECT * FROM refund WHERE due<=?", (at,)).fetchall():
        db.execute(
            "UPDATE refund SET state=outcome, due=NULL, done_at=? WHERE out_refund_no=?",
            (at, row["out_refund_no"]),
        )
        if not row["notify_url"]:
            continue
        done = known(db, row["out_refund_no"])
        assert done is not None
        resource = described(db, done)
        status = resource.pop("status")
        announce(
            world,
            db,
            Fact(
                event=f"REFUND.{status}",
                number=row["out_refund_no"],
                url=row["notify_url"],
                kind="refund",
                resource={**resource, "refund_status": status, "mchid": world.keys.mchid},
            ),
        )


def known(db: sqlite3.Connection, out_refund_no: str) -> sqlite3.Row | None:
    """Return a refund by the merchant's number."""
    row: sqlite3.Row | None = db.execute(
        "SELECT * FROM refund WHERE out_refund_no=?", (out_refund_no,)
    ).fetchone()
    return row


def described(db: sqlite3.Connection, row: sqlite3.Row) -> dict[str, Any]:
    """Return a refund as answers describe it."""
    paid = payment(db, row["out_trade_no"])
    assert paid is not None
    amount = {"total": paid["total"], "refund": row["amount"], "currency": "CNY"}
    payer = {"payer_total": paid["total"] - paid["coupon"], "payer_refund": row["amount"]}
    base = {
        "refund_id": row["refund_id"],
        "out_refund_no": row["out_refund_no"],
        "transaction_id": paid["transaction_id"],
        "out_trade_no": row["out_trade_no"],
        "channel": "ORIGINAL",
        "user_received_account": "支付用户零钱",
        "create_time": rfc3339(row["created"]),
        "status": row["state"],
        "amount": {**amount, **payer},
    }
    done = {"success_time": rfc3339(row["done_at"])} if row["state"] == "SUCCESS" else {}
    return {**base, **done}
