"""Notifications: written once, encrypted; sent, freshly signed, until the merchant takes them."""

from __future__ import annotations

import json
import secrets
import sqlite3
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from typing import Any

from distro.wechat.sandbox import faults
from distro.wechat.sandbox.store import now, rfc3339, setting
from distro.wechat.sandbox.world import World

# Seconds to wait after the 1st, 2nd ... failed attempt.
SCHEDULE = [15, 15, 30, 180, 600, 1200, 1800, 1800, 1800, 3600]
SCHEDULE += [10800, 10800, 10800, 21600, 21600]
ANSWER_SECONDS = 5
SUMMARY = {"transaction": "支付成功", "refund": "退款结果", "mch_payment": "商家转账单据终态通知"}


class Stay(urllib.request.HTTPRedirectHandler):
    """A redirect is an answer like any other: it must not lead off this machine."""

    def redirect_request(self, *args: Any, **options: Any) -> None:
        """Follow nothing."""


DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}), Stay)


@dataclass(frozen=True, kw_only=True)
class Fact:
    """What the merchant is to learn; kind is WeChat's original_type, number the merchant's."""

    event: str
    kind: str
    number: str
    url: str
    resource: dict[str, Any]


def announce(world: World, db: sqlite3.Connection, fact: Fact) -> None:
    """Write a notification to be sent now, spoilt by the fault that waits for its kind."""
    flag, args = faults.take(db, faults.NOTICE_FAULTS, fact.kind) or ("", {})
    at, key = now(db), secrets.token_hex(16)
    content = {
        "id": key,
        "create_time": rfc3339(at),
        "event_type": fact.event,
        "resource_type": "encrypt-resource",
        "summary": SUMMARY[fact.kind],
        "resource": world.platform.seal(falsified(fact.resource, flag, args), fact.kind),
    }
    body = json.dumps(content, ensure_ascii=False).encode()
    never = flag == "never" or not setting(db, "deliver")
    db.execute(
        "INSERT INTO notification (id, event, number, url, body, flags, state, tries, due)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, 0, ?)",
        (
            key,
            fact.event,
            fact.number,
            fact.url,
            body,
            flag,
            *(("kept", None) if never else ("waiting", at)),
        ),
    )


def falsified(resource: dict[str, Any], flag: str, args: dict[str, Any]) -> dict[str, Any]:
    """Return the resource with what the fault changes in it."""
    if flag == "wrong_appid":
        return {**resource, "appid": "wx0000000000000000"}
    if flag == "wrong_mchid":
        return {**resource, "mch_id" if "mch_id" in resource else "mchid": "1000000000"}
    if flag == "wrong_openid":
        return {**resource, "payer": {"openid": "o" + "0" * 27}}
    if flag != "tampered_amount":
        return resource
    if "transfer_amount" in resource:
        return {**resource, "transfer_amount": args.get("amount_fen", 1)}
    field = "refund" if "refund" in resource["amount"] else "total"
    return {**resource, "amount": {**resource["amount"], field: args.get("amount_fen", 1)}}


def sign(world: World, row: sqlite3.Row) -> dict[str, str]:
    """Return the headers of one more attempt; a fault may spoil the first."""
    first, flag = row["tries"] == 0, row["flags"]
    headers = world.platform.signed_headers(row["body"], age=3600 * (first and flag == "stale"))
    if first and flag == "unknown_serial":
        headers["Wechatpay-Serial"] = secrets.token_hex(20).upper()
    if first and flag == "signtest":
        headers["Wechatpay-Signature"] = "WECHATPAY/SIGNTEST/" + headers["Wechatpay-Signature"][19:]
    return {"Content-Type": "application/json", **headers}


def deliver(world: World, row: sqlite3.Row) -> None:
    """Send one attempt and write down what came of it."""
    status, note = post(row["url"], sign(world, row), row["body"])
    with world.store.transaction() as db:
        record(db, row["id"], status, note)


def post(url: str, headers: dict[str, str], body: bytes) -> tuple[int, str]:
    """Return the merchant's status and answer; 0 when there was none in time."""
    request = urllib.request.Request(url, body, headers, method="POST")  # noqa: S310 - loopback
    started = time.monotonic()
    try:
        with DIRECT.open(request, timeout=ANSWER_SECONDS) as answer:
            status, note = answer.status, answer.read(300).decode("utf-8", "replace")
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read(300).decode("utf-8", "replace")
    except OSError as error:
        return 0, type(error).__name__
    return (status, note) if time.monotonic() - started <= ANSWER_SECONDS else (0, "too late")


def record(db: sqlite3.Connection, key: str, status: int, note: str) -> None:
    """Note an attempt; anything but 200 and 204 is repeated after the schedule's next pause."""
    at = now(db)
    row = db.execute("SELECT * FROM notification WHERE id=?", (key,)).fetchone()
    if row is None:  # the memory was wiped meanwhile
        return
    db.execute("INSERT INTO attempt VALUES (?, ?, ?, ?)", (key, at, status, note))
    if row["state"] == "delivered":
        return
    tries = row["tries"] + 1
    state, due = "waiting", None
    if status in (200, 204):
        state = "delivered"
    elif row["flags"] == "signtest" and tries == 1:
        due = at  # the probe was no attempt
    elif tries <= len(SCHEDULE):
        due = at + SCHEDULE[tries - 1] * setting(db, "retry_factor")
    else:
        state = "given_up"
    db.execute(
        "UPDATE notification SET state=?, tries=?, due=? WHERE id=?", (state, tries, due, key)
    )
