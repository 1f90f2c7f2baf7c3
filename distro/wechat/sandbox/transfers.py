"""Pay v3: merchant transfers to users' wallets, confirmed by the user."""

from __future__ import annotations

import json
import re
import secrets
import sqlite3
from typing import Any

from distro.wechat.sandbox import faults
from distro.wechat.sandbox.http import PayError, Reply, Request, json_reply
from distro.wechat.sandbox.notifications import Fact, announce
from distro.wechat.sandbox.payments import OPENID, check_notify_url, fits, matches, need, pay_body
from distro.wechat.sandbox.store import beijing_midnight, now, rfc3339, set_setting, setting
from distro.wechat.sandbox.world import World, number

NUMBER = re.compile(r"[0-9A-Za-z]{1,32}")
CONFIRM_SECONDS = 24 * 3600
NAME_FROM, NAME_MUST = 30, 200_000  # fen
SCENE = "1005"
PERCEPTIONS = {"劳务报酬", "报销款", "企业补贴", "开工利是"}
REPORTS = {"岗位类型", "报酬说明"}


def transfer(world: World, request: Request) -> Reply:
    """POST /v3/fund-app/mch-transfer/transfer-bills: one number pays at most once."""
    asked = pay_body(request)
    name = name_of(world, asked)
    check_fields(world, asked, name)
    same = json.dumps({**asked, "user_name": name}, sort_keys=True)
    with world.store.transaction() as db:
        move_due(world, db)
        row = known(db, asked["out_bill_no"])
        if row is not None and row["request"] != same:
            raise PayError(400, "INVALID_REQUEST", "out_bill_no was used with other parameters")
        if row is None:
            check_limits(db, asked)
            start(db, asked, name, same)
            move_due(world, db)
            row = known(db, asked["out_bill_no"])
        assert row is not None
        return json_reply(accepted(row))


def name_of(world: World, asked: dict[str, Any]) -> str:
    """Return the payee's name in clear, "" when none was sent."""
    sealed = asked.get("user_name")
    if sealed is None:
        return ""
    try:
        return world.platform.open_name(str(sealed))
    except ValueError:
        raise PayError(400, "PARAM_ERROR", "user_name cannot be decrypted") from None


def check_fields(world: World, asked: dict[str, Any], name: str) -> None:
    """Refuse a field that breaks the rules of the interface."""
    need(matches(NUMBER, asked.get("out_bill_no")), "out_bill_no")
    need(asked.get("appid") == world.keys.appid, "appid")
    fen = asked.get("transfer_amount")
    need(type(fen) is int and fen >= 1, "transfer_amount")
    assert isinstance(fen, int)
    need(fits(asked.get("transfer_remark"), 1, 32), "transfer_remark")
    need(asked.get("user_recv_perception") in PERCEPTIONS, "user_recv_perception")
    need(fen < NAME_MUST or bool(name), "user_name (it is mandatory from 2000 yuan)")
    need(fen >= NAME_FROM or not name, "user_name (it is not allowed below 0.30 yuan)")
    check_reports(asked.get("transfer_scene_report_infos"))
    if asked.get("notify_url") is not None:
        check_notify_url(asked["notify_url"])
    if asked.get("transfer_scene_id") != SCENE:
        raise PayError(403, "NO_AUTH", "this scene is not approved for the merchant")
    if not matches(OPENID, asked.get("openid")):
        raise PayError(400, "INVALID_REQUEST", "openid is not of this appid")


def check_reports(infos: object) -> None:
    """Refuse anything but the two statements that scene 1005 demands."""
    infos = infos if isinstance(infos, list) else []
    ok = all(isinstance(info, dict) and fits(info.get("info_content"), 1, 32) for info in infos)
    kinds = sorted(info.get("info_type") for info in infos) if ok else []
    need(kinds == sorted(REPORTS), "transfer_scene_report_infos")


def check_limits(db: sqlite3.Connection, asked: dict[str, Any]) -> None:
    """Refuse what exceeds the merchant's limits or its money."""
    fen = asked["transfer_amount"]
    if not setting(db, "transfer_min") <= fen <= setting(db, "transfer_max"):
        raise PayError(400, "INVALID_REQUEST", "transfer_amount is outside the limits")
    (today,) = db.execute(
        "SELECT COALESCE(SUM(amount), 0) FROM transfer WHERE openid=? AND created>=?"
        " AND state NOT IN ('FAIL', 'CANCELLED')",
        (asked["openid"], beijing_midnight(now(db))),
    ).fetchone()
    if today + fen > setting(db, "transfer_day"):
        raise PayError(400, "INVALID_REQUEST", "the user's limit of today is reached")
    if fen > setting(db, "balance"):
        raise PayError(403, "NOT_ENOUGH", "the merchant's balance is too low")


def start(db: sqlite3.Connection, asked: dict[str, Any], name: str, same: str) -> None:
    """Lock the money and store the transfer as ACCEPTED."""
    fault = faults.take(db, {"transfer_fail"})
    outcome = fault[1].get("reason", "PAYEE_ACCOUNT_ABNORMAL") if fault else ""
    person = db.execute(
        "SELECT real_name FROM persona WHERE openid=?", (asked["openid"],)
    ).fetchone()
    if name and person and person["real_name"] and person["real_name"] != name:
        outcome = "NAME_NOT_CORRECT"
    at, fen = now(db), asked["transfer_amount"]
    set_setting(db, "balance", setting(db, "balance") - fen)
    db.execute(
        "INSERT INTO transfer VALUES (?, ?, 'ACCEPTED', ?, ?, ?, ?, '', ?, '', ?, ?, ?)",
        (asked["out_bill_no"], number("1330", 39), asked["openid"], fen, same,
         asked.get("notify_url") or "", outcome, at, at, at + setting(db, "accept_seconds")),
    )  # fmt: skip


def query_transfer(world: World, request: Request, out_bill_no: str) -> Reply:
    """GET /v3/fund-app/mch-transfer/transfer-bills/out-bill-no/{out_bill_no}."""
    with world.store.transaction() as db:
        move_due(world, db)
        return json_reply(described(world, existing(db, out_bill_no)))


def cancel_transfer(world: World, request: Request, out_bill_no: str) -> Reply:
    """POST .../out-bill-no/{out_bill_no}/cancel: only before the user confirms."""
    with world.store.transaction() as db:
        move_due(world, db)
        row = existing(db, out_bill_no)
        if row["state"] in {"ACCEPTED", "WAIT_USER_CONFIRM"}:
            step(db, row, "CANCELING", due=now(db) + setting(db, "transfer_seconds"))
        elif row["state"] not in {"CANCELING", "CANCELLED"}:
            raise PayError(400, "INVALID_REQUEST", "the user has confirmed, or it has ended")
        row = existing(db, out_bill_no)
    bill = {key: row[key] for key in ("out_bill_no", "transfer_bill_no", "state")}
    return json_reply({**bill, "update_time": rfc3339(row["updated"])})


def confirm(db: sqlite3.Connection, out_bill_no: str) -> None:
    """Let the user take the money; ValueError when there is nothing to confirm."""
    row = known(db, out_bill_no)
    if row is None or row["state"] != "WAIT_USER_CONFIRM":
        raise ValueError("nothing to confirm under this number")
    step(db, row, "TRANSFERING", due=now(db) + setting(db, "transfer_seconds"))


def fail(world: World, db: sqlite3.Connection, out_bill_no: str, reason: str) -> None:
    """End a transfer that has not ended; ValueError when it has."""
    row = known(db, out_bill_no)
    if row is None or row["due"] is None:
        raise ValueError("no open transfer under this number")
    finish(world, db, row, "FAIL", reason)


def move_due(world: World, db: sqlite3.Connection) -> None:
    """Take every transfer as far as the time allows."""
    at = now(db)
    while rows := db.execute("SELECT * FROM transfer WHERE due<=?", (at,)).fetchall():
        for row in rows:
            move(world, db, row)


def move(world: World, db: sqlite3.Connection, row: sqlite3.Row) -> None:
    """Take one transfer one state further."""
    if row["state"] == "ACCEPTED":
        step(db, row, "WAIT_USER_CONFIRM", due=row["created"] + CONFIRM_SECONDS)
    elif row["state"] == "WAIT_USER_CONFIRM":
        finish(world, db, row, "FAIL", "OVERDUE_CLOSE")
    elif row["state"] == "CANCELING":
        finish(world, db, row, "CANCELLED", "MCH_CANCEL")
    else:
        finish(world, db, row, "FAIL" if row["outcome"] else "SUCCESS", row["outcome"])


def step(db: sqlite3.Connection, row: sqlite3.Row, state: str, *, due: float) -> None:
    """Move to a state that is not the last; package_info exists while the user can confirm."""
    package = secrets.token_urlsafe(48) if state == "WAIT_USER_CONFIRM" else ""
    db.execute(
        "UPDATE transfer SET state=?, package_info=?, updated=?, due=? WHERE out_bill_no=?",
        (state, package, now(db), due, row["out_bill_no"]),
    )


def finish(world: World, db: sqlite3.Connection, row: sqlite3.Row, state: str, reason: str) -> None:
    """Move to a last state, give the money back unless it was paid, and tell the merchant."""
    db.execute(
        "UPDATE transfer SET state=?, fail_reason=?, package_info='', updated=?, due=NULL"
        " WHERE out_bill_no=?",
        (state, reason, now(db), row["out_bill_no"]),
    )
    if state != "SUCCESS":
        set_setting(db, "balance", setting(db, "balance") + row["amount"])
    if row["notify_url"]:
        announce(
            world,
            db,
            Fact(
                event="MCHTRANSFER.BILL.FINISHED",
                number=row["out_bill_no"],
                url=row["notify_url"],
                kind="mch_payment",
                resource=described(world, existing(db, row["out_bill_no"])),
            ),
        )


def known(db: sqlite3.Connection, out_bill_no: str) -> sqlite3.Row | None:
    """Return a transfer by the merchant's number."""
    row: sqlite3.Row | None = db.execute(
        "SELECT * FROM transfer WHERE out_bill_no=?", (out_bill_no,)
    ).fetchone()
    return row


def existing(db: sqlite3.Connection, out_bill_no: str) -> sqlite3.Row:
    """Return a transfer by the merchant's number; 404 when there is none."""
    row = known(db, out_bill_no)
    if row is None:
        raise PayError(404, "NOT_FOUND", "no such transfer")
    return row


def accepted(row: sqlite3.Row) -> dict[str, Any]:
    """Return the answer to a creation."""
    bill = {key: row[key] for key in ("out_bill_no", "transfer_bill_no", "state")}
    package = {"package_info": row["package_info"]} if row["package_info"] else {}
    return {**bill, "create_time": rfc3339(row["created"]), **package}


def described(world: World, row: sqlite3.Row) -> dict[str, Any]:
    """Return a transfer as queries and notifications describe it."""
    failed = {"fail_reason": row["fail_reason"]} if row["fail_reason"] else {}
    return {
        "mch_id": world.keys.mchid,
        "appid": world.keys.appid,
        "out_bill_no": row["out_bill_no"],
        "transfer_bill_no": row["transfer_bill_no"],
        "state": row["state"],
        "transfer_amount": row["amount"],
        "transfer_remark": json.loads(row["request"])["transfer_remark"],
        "openid": row["openid"],
        "create_time": rfc3339(row["created"]),
        "update_time": rfc3339(row["updated"]),
        **failed,
    }
