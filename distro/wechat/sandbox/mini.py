"""The mini-program's server API."""

from __future__ import annotations

import io
import json
import re
import secrets
import sqlite3
import time
from typing import Any

import segno

from distro.wechat.sandbox.http import MiniError, Reply, Request, json_reply
from distro.wechat.sandbox.store import beijing_midnight, now
from distro.wechat.sandbox.world import World

CODE_SECONDS = 300
TOKEN_SECONDS = 7200
RENEW_SECONDS = 300  # before the end, a new token is handed out
FORCED_PER_DAY, FORCED_APART = 20, 30
SCENE = re.compile(r"[0-9A-Za-z!#$&'()*+,/:;=?@\-._~]+")
TEMPLATE = re.compile(r"[0-9A-Za-z_-]{5,64}")
CHINESE = re.compile(r"[^\x00-\x7f]")
# Value types of subscribe messages, by the prefix of the key.
VALUES = {
    "thing": re.compile(r".{1,20}", re.S),
    "number": re.compile(r"[0-9.]{1,32}"),
    "letter": re.compile(r"[A-Za-z]{1,32}"),
    "symbol": re.compile(r".{1,5}"),
    "character_string": re.compile(r"[\x21-\x7e]{1,32}"),
    "time": re.compile(r"[^\s].{3,31}"),
    "date": re.compile(r"[^\s].{3,31}"),
    "amount": re.compile(r"[¥￥$€£]?[0-9]{1,10}(\.[0-9]{1,2})?元?"),
    "phone_number": re.compile(r"[0-9+\-]{1,17}"),
    "car_number": re.compile(r"\S{1,8}"),
    "name": re.compile(r".{1,20}"),
    "phrase": re.compile(r"[\u4e00-\u9fff]{1,5}"),
    "enum": re.compile(r".{1,32}"),
}


def stable_token(world: World, request: Request) -> Reply:
    """POST /cgi-bin/stable_token: the same token until shortly before its end."""
    asked = body_of(request)
    check_app(world, asked.get("appid"), asked.get("secret"))
    if asked.get("grant_type") != "client_credential":
        raise MiniError(40002, "invalid grant_type")
    with world.store.transaction() as db:
        at = now(db)
        if asked.get("force_refresh") is True:
            check_forced(db, at)
            db.execute("DELETE FROM token WHERE forced=0")
            db.execute("UPDATE token SET expires=0")
        row = db.execute(
            "SELECT * FROM token WHERE expires>? ORDER BY expires DESC", (at + RENEW_SECONDS,)
        ).fetchone()
        token, expires = (row["token"], row["expires"]) if row else issue(db, at, asked)
    return json_reply({"access_token": token, "expires_in": int(expires - at)})


def issue(db: sqlite3.Connection, at: float, asked: dict[str, Any]) -> tuple[str, float]:
    """Store a new token; the old one lives on to its end."""
    token, forced = secrets.token_urlsafe(96), asked.get("force_refresh") is True
    db.execute("INSERT INTO token VALUES (?, ?, ?, ?)", (token, at + TOKEN_SECONDS, at, forced))
    return token, at + TOKEN_SECONDS


def check_forced(db: sqlite3.Connection, at: float) -> None:
    """Refuse the 21st forced refresh of a day, and two within half a minute."""
    count, last = db.execute(
        "SELECT COUNT(*), COALESCE(MAX(issued), 0) FROM token WHERE forced=1 AND issued>=?",
        (beijing_midnight(at),),
    ).fetchone()
    if count >= FORCED_PER_DAY or at - last < FORCED_APART:
        raise MiniError(45009, "reach max api daily quota limit")


def jscode2session(world: World, request: Request) -> Reply:
    """GET /sns/jscode2session: a login code, once, for the identity behind it."""
    query = request.query
    check_app(world, query.get("appid"), query.get("secret"))
    if query.get("grant_type") != "authorization_code":
        raise MiniError(40002, "invalid grant_type")
    with world.store.transaction() as db:
        openid = spend_code(db, "login", query.get("js_code", ""))
        row = db.execute("SELECT * FROM persona WHERE openid=?", (openid,)).fetchone()
    if row["risky"]:
        raise MiniError(40226, "code blocked")
    session_key = "c2FuZGJveC1zZXNzaW9uLQ=="
    return json_reply({"openid": openid, "session_key": session_key, "unionid": row["unionid"]})


def getuserphonenumber(world: World, request: Request) -> Reply:
    """POST /wxa/business/getuserphonenumber: a phone code, once, only for its own openid."""
    asked = body_of(request)
    with world.store.transaction() as db:
        check_token(db, request)
        openid = spend_code(db, "phone", str(asked.get("code", "")), asked.get("openid"))
        row = db.execute("SELECT phone FROM persona WHERE openid=?", (openid,)).fetchone()
    watermark = {"timestamp": int(time.time()), "appid": world.keys.appid}
    phone = {"phoneNumber": row["phone"], "purePhoneNumber": row["phone"], "countryCode": "86"}
    return json_reply(
        {"errcode": 0, "errmsg": "ok", "phone_info": {**phone, "watermark": watermark}}
    )


def getwxacodeunlimit(world: World, request: Request) -> Reply:
    """POST /wxa/getwxacodeunlimit: a picture that holds page and scene as a QR code."""
    asked = body_of(request)
    with world.store.transaction() as db:
        check_token(db, request)
    scene, page, width = asked.get("scene"), asked.get("page", ""), asked.get("width", 430)
    if not isinstance(scene, str) or not SCENE.fullmatch(scene):
        raise MiniError(40129, "invalid scene")
    if len(scene) > 32:
        raise MiniError(40169, "invalid length for scene, or the data is not json string")
    if not isinstance(page, str) or page.startswith("/") or "?" in page:
        raise MiniError(41030, "invalid page")
    if not isinstance(width, int) or not 280 <= width <= 1280:
        raise MiniError(40097, "invalid args")
    code, out = segno.make(f"{page}?scene={scene}", error="m"), io.BytesIO()
    code.save(out, kind="png", scale=width // code.symbol_size()[0])
    return Reply(200, out.getvalue(), "image/png")


def subscribe_send(world: World, request: Request) -> Reply:
    """POST /cgi-bin/message/subscribe/send: one message for one acceptance."""
    asked = body_of(request)
    openid, template, data = asked.get("touser"), asked.get("template_id"), asked.get("data")
    if not isinstance(openid, str) or not openid:
        raise MiniError(40003, "invalid openid")
    if not isinstance(template, str) or not TEMPLATE.fullmatch(template):
        raise MiniError(40037, "invalid template_id")
    check_values(data)
    with world.store.transaction() as db:
        check_token(db, request)
        spent = db.execute(
            "UPDATE quota SET remaining=remaining-1 WHERE openid=? AND template=? AND remaining>0",
            (openid, template),
        )
        if spent.rowcount != 1:
            raise MiniError(43101, "user refuse to accept the msg")
        row = (openid, template, asked.get("page") or "", json.dumps(data), now(db))
        db.execute("INSERT INTO message (openid, template, page, data, at) VALUES (?,?,?,?,?)", row)
    return json_reply({"errcode": 0, "errmsg": "ok"})


def check_values(data: object) -> None:
    """Raise 47003, naming the field, for a value that breaks its type's rule."""
    if not isinstance(data, dict) or not data:
        raise MiniError(47003, "argument invalid! data is empty")
    for key, field in data.items():
        value = field.get("value") if isinstance(field, dict) else None
        rule = VALUES.get(key.rstrip("0123456789"))
        if rule is None or not isinstance(value, str) or not rule.fullmatch(value):
            raise MiniError(47003, f"argument invalid! data.{key}.value invalid")
        if key.startswith("name") and CHINESE.search(value) and len(value) > 10:
            raise MiniError(47003, f"argument invalid! data.{key}.value invalid")


def new_code(db: sqlite3.Connection, kind: str, openid: str) -> str:
    """Return a code that is good once, for five minutes."""
    code = secrets.token_urlsafe(24)
    db.execute("INSERT INTO code VALUES (?, ?, ?, ?)", (code, kind, openid, now(db) + CODE_SECONDS))
    return code


def spend_code(db: sqlite3.Connection, kind: str, code: str, owner: str | None = None) -> str:
    """Use a code up and return its openid; a code of somebody else stays good."""
    row = db.execute("SELECT * FROM code WHERE code=? AND kind=?", (code, kind)).fetchone()
    if row is None or row["expires"] < now(db) or owner not in (None, row["openid"]):
        raise MiniError(40029, "invalid code")
    db.execute("DELETE FROM code WHERE code=?", (code,))
    return str(row["openid"])


def check_token(db: sqlite3.Connection, request: Request) -> None:
    """Raise 40001 or 42001 for an unknown or expired access token."""
    token = request.query.get("access_token", "")
    row = db.execute("SELECT expires FROM token WHERE token=?", (token,)).fetchone()
    if row is None:
        raise MiniError(40001, "invalid credential, access_token is invalid or not latest")
    if row["expires"] < now(db):
        raise MiniError(42001, "access_token expired")


def check_app(world: World, appid: object, secret: object) -> None:
    """Refuse another mini-program's credentials."""
    if appid != world.keys.appid:
        raise MiniError(40013, "invalid appid")
    if secret != world.keys.secret:
        raise MiniError(40125, "invalid appsecret")


def body_of(request: Request) -> dict[str, Any]:
    """Return the JSON body; 47001 when it is none."""
    try:
        return request.json()
    except ValueError:
        raise MiniError(47001, "data format error") from None
