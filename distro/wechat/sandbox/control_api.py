"""The hidden side: what a test, the demo or the phone page does to the imitated WeChat."""

from __future__ import annotations

import hmac
import json
import sqlite3
from collections.abc import Callable
from typing import Any

from distro.wechat.sandbox import (
    faults,
    history,
    notifications,
    payments,
    refunds,
    transfers,
)
from distro.wechat.sandbox.http import Reply, Request, json_reply
from distro.wechat.sandbox.mini import new_code
from distro.wechat.sandbox.store import SETTINGS, now, set_setting, setting, wipe
from distro.wechat.sandbox.world import World, persona

Asked = dict[str, Any]
Action = Callable[[World, sqlite3.Connection, Asked], object]


def answer(world: World, request: Request) -> Reply:
    """Carry out POST /control/NAME; 403 without the token, 400 with the reason of a refusal."""
    token = request.headers.get("X-Sandbox-Token", "")
    if not hmac.compare_digest(token.encode(), world.keys.control_token.encode()):
        return json_reply({"error": "X-Sandbox-Token is missing or wrong"}, 403)
    action = ACTIONS.get(request.path.removeprefix("/control/"))
    if action is None or request.method != "POST":
        return json_reply({"error": "no such control", "controls": sorted(ACTIONS)}, 404)
    try:
        with world.store.transaction() as db:
            pass_time(world, db)
            result = action(world, db, request.json())
            pass_time(world, db)
    except KeyError as error:
        return json_reply({"error": f"missing or unknown: {error.args[0]}"}, 400)
    except (ValueError, TypeError) as error:
        return json_reply({"error": str(error)}, 400)
    world.wake()
    return json_reply(result if result is not None else {})


def pass_time(world: World, db: sqlite3.Connection) -> None:
    """End what is due, so that a caller need not wait for the notifier's thread."""
    refunds.finish_due(world, db)
    transfers.move_due(world, db)


def personas(world: World, db: sqlite3.Connection, asked: Asked) -> object:
    """Return the ids of people, made on first mention."""
    rows = {name: persona(db, world.keys, str(name)) for name in asked["names"]}
    kept = ("openid", "unionid", "phone")
    return {name: {key: row[key] for key in kept} for name, row in rows.items()}


def set_persona(world: World, db: sqlite3.Connection, asked: Asked) -> object:
    """Change a person: the real name WeChat knows, or whether WeChat refuses the log-in."""
    name = persona(db, world.keys, str(asked["persona"]))["name"]
    if "real_name" in asked:
        values = (str(asked["real_name"]), name)
        db.execute("UPDATE persona SET real_name=? WHERE name=?", values)
    if "risky" in asked:
        db.execute("UPDATE persona SET risky=? WHERE name=?", (bool(asked["risky"]), name))
    return None


def login_code(world: World, db: sqlite3.Connection, asked: Asked) -> object:
    """Return what wx.login would."""
    row = persona(db, world.keys, str(asked["persona"]))
    return {"code": new_code(db, "login", row["openid"]), "openid": row["openid"]}


def phone_code(world: World, db: sqlite3.Connection, asked: Asked) -> object:
    """Return what the phone-number button would."""
    row = persona(db, world.keys, str(asked["persona"]))
    return {"code": new_code(db, "phone", row["openid"]), "phone": row["phone"]}


def pay(world: World, db: sqlite3.Connection, asked: Asked) -> object:
    """Let the user pay, cancel or fail to pay an order, by out_trade_no or prepay_id."""
    out_trade_no = asked.get("out_trade_no") or number_of_prepay(db, asked["prepay_id"])
    outcome = asked.get("outcome", "paid")
    if outcome == "paid":
        payments.take_money(world, db, out_trade_no, int(asked.get("coupon_fen", 0)))
    elif outcome == "failed":
        db.execute(
            "UPDATE payment SET state='PAYERROR' WHERE out_trade_no=? AND state='NOTPAY'",
            (out_trade_no,),
        )
    elif outcome != "cancelled":
        raise ValueError("outcome is paid, cancelled or failed")
    row = payments.payment(db, out_trade_no)
    return {"out_trade_no": out_trade_no, "state": row["state"] if row else "UNKNOWN"}


def number_of_prepay(db: sqlite3.Connection, prepay_id: str) -> str:
    """Return the order behind a prepay_id that still holds."""
    row = db.execute("SELECT * FROM prepay WHERE prepay_id=?", (prepay_id,)).fetchone()
    if row is None or row["expires"] < now(db):
        raise ValueError("prepay_id is unknown or older than two hours")
    return str(row["out_trade_no"])


def confirm_transfer(world: World, db: sqlite3.Connection, asked: Asked) -> object:
    """Let the user take the money."""
    transfers.confirm(db, asked["out_bill_no"])
    return None


def fail_transfer(world: World, db: sqlite3.Connection, asked: Asked) -> object:
    """End a transfer with a reason, e.g. OVERDUE_CLOSE or ACCOUNT_NOT_EXIST."""
    transfers.fail(world, db, asked["out_bill_no"], asked.get("reason", "PAYEE_ACCOUNT_ABNORMAL"))
    return None


def accept(world: World, db: sqlite3.Connection, asked: Asked) -> object:
    """Let the user accept a subscribe message, once or several times."""
    openid = asked.get("openid") or persona(db, world.keys, str(asked["persona"]))["openid"]
    times = int(asked.get("times", 1))
    db.execute(
        "INSERT INTO quota VALUES (?, ?, ?) ON CONFLICT (openid, template)"
        " DO UPDATE SET remaining=remaining+excluded.remaining",
        (openid, asked["template_id"], times),
    )
    return None


def advance(world: World, db: sqlite3.Connection, asked: Asked) -> object:
    """Move the sandbox's clock; never backwards."""
    seconds = float(asked["seconds"])
    if not 0 <= seconds < 10 * 365 * 86400:
        raise ValueError("seconds must lie between 0 and ten years")
    set_setting(db, "clock_offset", setting(db, "clock_offset") + seconds)
    return {"now": now(db)}


def settings(world: World, db: sqlite3.Connection, asked: Asked) -> object:
    """Change settings; return all."""
    for name, value in asked.items():
        set_setting(db, name, float(value))
    return {name: setting(db, name) for name in SETTINGS}


def top_up(world: World, db: sqlite3.Connection, asked: Asked) -> object:
    """Give the merchant money for transfers."""
    set_setting(db, "balance", setting(db, "balance") + int(asked["fen"]))
    return {"balance": int(setting(db, "balance"))}


def fault(world: World, db: sqlite3.Connection, asked: Asked) -> object:
    """Arm a fault, `times` times."""
    for _ in range(int(asked.get("times", 1))):
        faults.add(db, asked["name"], asked.get("call", "*"), asked.get("args", {}))
    return None


def clear_faults(world: World, db: sqlite3.Connection, asked: Asked) -> object:
    """Disarm every fault."""
    db.execute("DELETE FROM fault")
    return None


def kill_token(world: World, db: sqlite3.Connection, asked: Asked) -> object:
    """Make every access token invalid at once, as somebody's forced refresh would."""
    db.execute("DELETE FROM token")
    return None


def list_notifications(world: World, db: sqlite3.Connection, asked: Asked) -> object:
    """Return the notifications, oldest first, with their attempts."""
    query = "SELECT id, event, number, url, state, tries, due FROM notification ORDER BY seq"
    found = [dict(row) for row in db.execute(query)]
    if number := asked.get("number"):
        found = [row for row in found if row["number"] == number]
    for row in found:
        attempts = "SELECT at, status, note FROM attempt WHERE notification=? ORDER BY at"
        row["attempts"] = [dict(one) for one in db.execute(attempts, (row["id"],))]
    return found


def signed_notice(world: World, db: sqlite3.Connection, asked: Asked) -> object:
    """Return the headers and the body of one attempt, signed now, without sending it."""
    row = notification(db, asked["id"])
    return {"headers": notifications.sign(world, row), "body": row["body"].decode()}


def resend(world: World, db: sqlite3.Connection, asked: Asked) -> object:
    """Send a notification (again) now, with fresh signature and the same id and body."""
    row = notification(db, asked["id"])
    values = (now(db), row["id"])
    db.execute("UPDATE notification SET state='waiting', due=? WHERE id=?", values)
    return None


def notification(db: sqlite3.Connection, key: str) -> sqlite3.Row:
    """Return a notification by its id."""
    row: sqlite3.Row | None = db.execute("SELECT * FROM notification WHERE id=?", (key,)).fetchone()
    if row is None:
        raise ValueError("no such notification")
    return row


def list_messages(world: World, db: sqlite3.Connection, asked: Asked) -> object:
    """Return the subscribe messages that were sent, oldest first."""
    rows = [dict(row) for row in db.execute("SELECT * FROM message ORDER BY id")]
    return [{**row, "data": json.loads(row["data"])} for row in rows]


def list_payments(world: World, db: sqlite3.Connection, asked: Asked) -> object:
    """Return the payments, oldest first."""
    wanted = "out_trade_no, state, total, openid, transaction_id, created, expires"
    rows = db.execute(f"SELECT {wanted} FROM payment ORDER BY created")  # noqa: S608 - constant
    return [dict(row) for row in rows]


def list_transfers(world: World, db: sqlite3.Connection, asked: Asked) -> object:
    """Return the transfers, oldest first."""
    wanted = "out_bill_no, transfer_bill_no, state, amount, openid, fail_reason, created"
    rows = db.execute(f"SELECT {wanted} FROM transfer ORDER BY created")  # noqa: S608 - constant
    return [dict(row) for row in rows]


def list_calls(world: World, db: sqlite3.Connection, asked: Asked) -> object:
    """Return the API calls so far as [name, HTTP status], oldest first."""
    return [[row["name"], row["status"]] for row in db.execute("SELECT * FROM call ORDER BY id")]


def reset(world: World, db: sqlite3.Connection, asked: Asked) -> object:
    """Forget everything but the keys."""
    wipe(db)
    return None


ACTIONS: dict[str, Action] = {
    "personas": personas,
    "set-persona": set_persona,
    "login-code": login_code,
    "phone-code": phone_code,
    "pay": pay,
    "confirm-transfer": confirm_transfer,
    "fail-transfer": fail_transfer,
    "accept": accept,
    "advance": advance,
    "settings": settings,
    "top-up": top_up,
    "fault": fault,
    "clear-faults": clear_faults,
    "kill-token": kill_token,
    "notifications": list_notifications,
    "signed-notice": signed_notice,
    "resend": resend,
    "messages": list_messages,
    "payments": list_payments,
    "transfers": list_transfers,
    "calls": list_calls,
    "remember": history.remember,
    "reset": reset,
}
