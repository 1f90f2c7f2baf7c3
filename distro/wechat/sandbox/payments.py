"""Pay v3: payments of a mini-program (JSAPI)."""

from __future__ import annotations

import json
import re
import sqlite3
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

from distro.wechat.sandbox.http import PayError, Reply, Request, json_reply
from distro.wechat.sandbox.notifications import Fact, announce
from distro.wechat.sandbox.store import now, rfc3339
from distro.wechat.sandbox.world import World, number

NUMBER = re.compile(r"[0-9A-Za-z_\-|*]{6,32}")
OPENID = re.compile(r"o[0-9A-Za-z_-]{27}")
PREPAY_SECONDS = 2 * 3600
PAYABLE_SECONDS = 7 * 86400
OPEN_STATES = {"NOTPAY", "PAYERROR"}
STATE_TEXT = {"NOTPAY": "订单未支付", "SUCCESS": "支付成功", "REFUND": "转入退款"}
LOOPBACK = {"127.0.0.1", "localhost", "::1"}


def prepay(world: World, request: Request) -> Reply:
    """POST /v3/pay/transactions/jsapi: a new payment, or one more prepay_id for a known one."""
    asked = pay_body(request)
    with world.store.transaction() as db:
        at = now(db)
        check_prepay(world, asked, at)
        row = payment(db, asked["out_trade_no"])
        if row is None:
            insert_payment(db, asked, at)
        else:
            check_again(row, asked)
        prepay_id = number("wx", 36)
        values = (prepay_id, asked["out_trade_no"], at + PREPAY_SECONDS)
        db.execute("INSERT INTO prepay VALUES (?, ?, ?)", values)
    return json_reply({"prepay_id": prepay_id})


def check_prepay(world: World, asked: dict[str, Any], at: float) -> None:
    """Refuse a field that breaks the rules of the interface."""
    if (asked.get("appid"), asked.get("mchid")) != (world.keys.appid, world.keys.mchid):
        raise PayError(400, "APPID_MCHID_NOT_MATCH", "appid and mchid do not match")
    amount, payer = asked.get("amount"), asked.get("payer")
    total = amount.get("total") if isinstance(amount, dict) else None
    need(type(total) is int and total >= 1, "amount.total")
    need(isinstance(amount, dict) and amount.get("currency", "CNY") == "CNY", "amount.currency")
    need(matches(OPENID, payer.get("openid") if isinstance(payer, dict) else 0), "payer.openid")
    need(matches(NUMBER, asked.get("out_trade_no")), "out_trade_no")
    need(fits(asked.get("description"), 1, 127), "description")
    need(fits(asked.get("attach", ""), 0, 128), "attach")
    check_notify_url(asked.get("notify_url"))
    if "time_expire" in asked:
        expires = seconds_of(asked["time_expire"])
        need(at + 60 <= expires <= at + 90 * 86400, "time_expire")


def insert_payment(db: sqlite3.Connection, asked: dict[str, Any], at: float) -> None:
    """Store a new payment; only the first request sets when it ends."""
    expires = seconds_of(asked["time_expire"]) if "time_expire" in asked else at + PAYABLE_SECONDS
    db.execute(
        "INSERT INTO payment (out_trade_no, state, total, openid, request, notify_url, created,"
        " expires) VALUES (?, 'NOTPAY', ?, ?, ?, ?, ?, ?)",
        (asked["out_trade_no"], asked["amount"]["total"], asked["payer"]["openid"],
         fingerprint(asked), asked["notify_url"], at, expires),
    )  # fmt: skip


def check_again(row: sqlite3.Row, asked: dict[str, Any]) -> None:
    """Refuse a known number that is paid, closed, or comes with other content."""
    if row["state"] == "SUCCESS":
        raise PayError(400, "ORDERPAID", "the order is paid")
    if row["state"] == "CLOSED":
        raise PayError(400, "ORDER_CLOSED", "the order is closed")
    if row["request"] != fingerprint(asked):
        raise PayError(400, "INVALID_REQUEST", "请求重入时，参数与首次请求时不一致")


def fingerprint(asked: dict[str, Any]) -> str:
    """Return what must be the same in every request for one number."""
    return json.dumps({key: asked[key] for key in sorted(asked) if key != "time_expire"})


def query(world: World, request: Request, out_trade_no: str) -> Reply:
    """GET /v3/pay/transactions/out-trade-no/{out_trade_no}."""
    check_mchid(world, request.query.get("mchid"))
    with world.store.transaction() as db:
        row = payment(db, out_trade_no)
        if row is None or not row["request"]:
            raise PayError(404, "ORDER_NOT_EXIST", "no such order")
        return json_reply(described(world, db, row))


def query_by_id(world: World, request: Request, transaction_id: str) -> Reply:
    """GET /v3/pay/transactions/id/{transaction_id}."""
    with world.store.transaction() as db:
        found = db.execute(
            "SELECT out_trade_no FROM payment WHERE transaction_id=?", (transaction_id,)
        ).fetchone()
    if found is None:
        raise PayError(404, "ORDER_NOT_EXIST", "no such order")
    return query(world, request, found["out_trade_no"])


def close(world: World, request: Request, out_trade_no: str) -> Reply:
    """POST /v3/pay/transactions/out-trade-no/{out_trade_no}/close.

    A number that was never used is burnt.
    """
    check_mchid(world, pay_body(request).get("mchid"))
    with world.store.transaction() as db:
        row = payment(db, out_trade_no)
        if row is not None and row["state"] == "SUCCESS":
            raise PayError(400, "ORDERPAID", "the order is paid")
        db.execute(
            "INSERT INTO payment (out_trade_no, state, total, openid, request, notify_url, created,"
            " expires) VALUES (?, 'CLOSED', 0, '', '', '', ?, ?)"
            " ON CONFLICT (out_trade_no) DO UPDATE SET state='CLOSED'",
            (out_trade_no, now(db), now(db)),
        )
    return Reply(204)


def take_money(
    world: World, db: sqlite3.Connection, out_trade_no: str, coupon_fen: int = 0
) -> None:
    """Let the user pay; ValueError says why he cannot."""
    row = payment(db, out_trade_no)
    if row is None or row["state"] not in OPEN_STATES:
        raise ValueError("nothing to pay under this number")
    if not 0 <= coupon_fen <= row["total"]:
        raise ValueError("the coupon is larger than the amount")
    values = (number("4200", 28), now(db), coupon_fen, out_trade_no)
    db.execute(
        "UPDATE payment SET state='SUCCESS', transaction_id=?, paid_at=?, coupon=?"
        " WHERE out_trade_no=?",
        values,
    )
    row = payment(db, out_trade_no)
    assert row is not None
    announce(
        world,
        db,
        Fact(
            event="TRANSACTION.SUCCESS",
            number=out_trade_no,
            url=row["notify_url"],
            kind="transaction",
            resource=described(world, db, row),
        ),
    )


def payment(db: sqlite3.Connection, out_trade_no: str) -> sqlite3.Row | None:
    """Return a payment, closed by now if its time is over."""
    db.execute(
        "UPDATE payment SET state='CLOSED' WHERE out_trade_no=? AND state IN ('NOTPAY', 'PAYERROR')"
        " AND expires<=?",
        (out_trade_no, now(db)),
    )
    row: sqlite3.Row | None = db.execute(
        "SELECT * FROM payment WHERE out_trade_no=?", (out_trade_no,)
    ).fetchone()
    return row


def described(world: World, db: sqlite3.Connection, row: sqlite3.Row) -> dict[str, Any]:
    """Return a payment as queries and notifications describe it."""
    refunded = db.execute(
        "SELECT 1 FROM refund WHERE out_trade_no=? AND state<>'CLOSED'", (row["out_trade_no"],)
    ).fetchone()
    state = "REFUND" if row["state"] == "SUCCESS" and refunded else row["state"]
    base = {
        "appid": world.keys.appid,
        "mchid": world.keys.mchid,
        "out_trade_no": row["out_trade_no"],
        "trade_state": state,
        "trade_state_desc": STATE_TEXT.get(state, "订单已关闭"),
        "attach": json.loads(row["request"]).get("attach", ""),
        "amount": {"total": row["total"], "currency": "CNY"},
        "payer": {"openid": row["openid"]},
    }
    if row["state"] != "SUCCESS":
        return base
    paid = {"payer_total": row["total"] - row["coupon"], "payer_currency": "CNY"}
    return {
        **base,
        "transaction_id": row["transaction_id"],
        "trade_type": "JSAPI",
        "bank_type": "OTHERS",
        "success_time": rfc3339(row["paid_at"]),
        "amount": {"total": row["total"], "currency": "CNY", **paid},
    }


def pay_body(request: Request) -> dict[str, Any]:
    """Return the JSON body; PARAM_ERROR when it is none."""
    try:
        return request.json()
    except ValueError:
        raise PayError(400, "PARAM_ERROR", "the body is not a JSON object") from None


def check_mchid(world: World, mchid: object) -> None:
    """Refuse another merchant's number."""
    need(mchid == world.keys.mchid, "mchid")


def check_notify_url(url: object) -> None:
    """Refuse what WeChat refuses, and every host but this machine."""
    need(isinstance(url, str) and len(url) <= 255, "notify_url")
    parts = urlsplit(str(url))
    need(parts.scheme in {"http", "https"} and not parts.query, "notify_url")
    need(parts.hostname in LOOPBACK, "notify_url (the sandbox only notifies this machine)")


def need(holds: bool, field: str) -> None:
    """Raise PARAM_ERROR, naming the field."""
    if not holds:
        raise PayError(400, "PARAM_ERROR", f"{field} is wrong")


def matches(pattern: re.Pattern[str], value: object) -> bool:
    """Tell whether a value is text of this pattern."""
    return isinstance(value, str) and pattern.fullmatch(value) is not None


def fits(value: object, shortest: int, longest: int) -> bool:
    """Tell whether a value is text of a length in range."""
    return isinstance(value, str) and shortest <= len(value) <= longest


def seconds_of(text: object) -> float:
    """Return an RFC 3339 time with a zone as seconds."""
    try:
        at = datetime.fromisoformat(str(text))
    except ValueError:
        at = datetime.min  # noqa: DTZ901 - has no zone, is refused below
    need(at.tzinfo is not None, "time_expire")
    return at.timestamp()
