"""The phone: a page where a person pays, takes money and reads messages by hand."""

from __future__ import annotations

import hmac
import json
import secrets
import sqlite3
from datetime import datetime
from html import escape
from urllib.parse import parse_qs

from distro.wechat.sandbox import control_api
from distro.wechat.sandbox.http import Reply, Request
from distro.wechat.sandbox.phone_text import STYLE, WORDS
from distro.wechat.sandbox.store import BEIJING, now
from distro.wechat.sandbox.world import World

HTML = "text/html; charset=utf-8"
ROWS = 30  # of each list
HEADERS = {
    "Cache-Control": "no-store",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'",
}
# Button -> the control it presses, and the field that says on what.
BUTTONS = {
    "pay": ("pay", "out_trade_no"),
    "confirm": ("confirm-transfer", "out_bill_no"),
    "refuse": ("fail-transfer", "out_bill_no"),
    "code": ("login-code", "persona"),
    "accept": ("accept", "persona"),
}


class Phone:
    """Pages and buttons; a button works only from a page this process has made."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._stamp = secrets.token_urlsafe(16)

    def answer(self, request: Request) -> Reply:
        """Show the page, or press a button and show what came of it."""
        said = ""
        words = WORDS[language(request)]
        if request.method == "POST":
            said = self._press(request, words)
        elif request.path != "/":
            return Reply(404, b"", HTML)
        return Reply(200, self._page(words, said).encode(), HTML, HEADERS)

    def _press(self, request: Request, words: dict[str, str]) -> str:
        form = {name: values[0] for name, values in parse_qs(request.body.decode()).items()}
        if not hmac.compare_digest(form.get("stamp", "").encode(), self._stamp.encode()):
            return words["reload"]
        button = request.path.removeprefix("/phone/")
        if button not in BUTTONS:
            return words["reload"]
        action, field = BUTTONS[button]
        asked = {field: form.get("value", ""), "template_id": form.get("template", "")}
        try:
            with self._world.store.transaction() as db:
                result = control_api.ACTIONS[action](self._world, db, asked)
        except ValueError as error:
            return f"{words['failed']} {error}"
        self._world.wake()
        code = result.get("code") if isinstance(result, dict) else None
        return f"{words['code_is']} {code}" if code else words["done"]

    def _page(self, words: dict[str, str], said: str) -> str:
        with self._world.store.transaction() as db:
            parts = [
                self._payments(db, words),
                self._transfers(db, words),
                self._messages(db, words),
                self._notifications(db, words),
            ]
        note = f'<p class="said">{escape(said)}</p>' if said else ""
        other = "en" if words["lang"] == "zh" else "zh"
        return (
            f'<!doctype html><html lang="{words["lang"]}"><meta charset="utf-8">'
            '<meta name="viewport" content="width=device-width">'
            f"<title>{words['title']}</title><style>{STYLE}</style><main>"
            f'<header><h1>{words["title"]}</h1><a href="/?lang={other}">{words["other"]}</a>'
            f"</header><p>{words['intro']}</p>{note}{''.join(parts)}{self._people(words)}</main>"
        )

    def _payments(self, db: sqlite3.Connection, words: dict[str, str]) -> str:
        rows = db.execute(
            "SELECT * FROM payment WHERE state IN ('NOTPAY', 'PAYERROR') AND expires>?"
            " ORDER BY created DESC LIMIT ?",
            (now(db), ROWS),
        ).fetchall()
        lines = [
            line(
                json.loads(row["request"])["description"], row["out_trade_no"], row["total"],
                self._button(words, "pay", row["out_trade_no"]),
            )
            for row in rows
        ]  # fmt: skip
        return section(words, "payments", lines)

    def _transfers(self, db: sqlite3.Connection, words: dict[str, str]) -> str:
        rows = db.execute(
            "SELECT * FROM transfer WHERE state='WAIT_USER_CONFIRM' ORDER BY created DESC LIMIT ?",
            (ROWS,),
        ).fetchall()
        lines = [
            line(
                json.loads(row["request"])["transfer_remark"], row["out_bill_no"], row["amount"],
                self._button(words, "confirm", row["out_bill_no"])
                + self._button(words, "refuse", row["out_bill_no"]),
            )
            for row in rows
        ]  # fmt: skip
        return section(words, "transfers", lines)

    def _messages(self, db: sqlite3.Connection, words: dict[str, str]) -> str:
        rows = db.execute("SELECT * FROM message ORDER BY id DESC LIMIT ?", (ROWS,)).fetchall()
        lines = []
        for row in rows:
            values = [field["value"] for field in json.loads(row["data"]).values()]
            lines.append(f"<li><span>{escape(' · '.join(values))}</span>{clock(row['at'])}</li>")
        return section(words, "messages", lines)

    def _notifications(self, db: sqlite3.Connection, words: dict[str, str]) -> str:
        rows = db.execute("SELECT * FROM notification ORDER BY seq DESC LIMIT 10").fetchall()
        lines = [
            f"<li><span>{escape(row['event'])}<small>{escape(row['number'])}</small></span>"
            f"<span>{words[row['state']]} · {words['tries'].format(row['tries'])}</span></li>"
            for row in rows
        ]
        return section(words, "notifications", lines)

    def _people(self, words: dict[str, str]) -> str:
        name = f'<input name="value" placeholder="{words["name"]}" required maxlength="64">'
        template = f'<input name="template" placeholder="{words["template"]}" required>'
        return (
            f"<section><h2>{words['people']}</h2><p>{words['people_help']}</p>"
            f"{self._form(words, 'code', name)}{self._form(words, 'accept', name + template)}"
            "</section>"
        )

    def _button(self, words: dict[str, str], button: str, value: str) -> str:
        field = f'<input type="hidden" name="value" value="{escape(value)}">'
        return self._form(words, button, field)

    def _form(self, words: dict[str, str], button: str, fields: str) -> str:
        return (
            f'<form method="post" action="/phone/{button}?lang={words["lang"]}">'
            f'<input type="hidden" name="stamp" value="{self._stamp}">{fields}'
            f'<button class="{button}">{words[button]}</button></form>'
        )


def language(request: Request) -> str:
    """Return zh or en: as asked in the address, else as the browser prefers."""
    asked = request.query.get("lang") or request.headers.get("Accept-Language") or "zh"
    return "en" if asked.lower().startswith("en") else "zh"


def section(words: dict[str, str], name: str, lines: list[str]) -> str:
    """Return a titled list, or a word that it is empty."""
    content = f"<ul>{''.join(lines)}</ul>" if lines else f'<p class="none">{words["none"]}</p>'
    return f"<section><h2>{words[name]}</h2>{content}</section>"


def line(text: str, number: str, fen: int, buttons: str) -> str:
    """Return one thing that waits for the person."""
    yuan = f"¥{fen // 100}.{fen % 100:02d}"
    return (
        f"<li><span>{escape(text)}<small>{escape(number)}</small></span>"
        f'<b>{yuan}</b><span class="buttons">{buttons}</span></li>'
    )


def clock(at: float) -> str:
    """Return a time of day."""
    return f"<small>{datetime.fromtimestamp(at, BEIJING):%m-%d %H:%M}</small>"
