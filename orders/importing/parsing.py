"""One row of an order history: what it says, or everything that is wrong with it."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.utils.translation import gettext as _

from distro.clock import BEIJING
from distro.csvfiles import FORMULA
from distro.errors import BadAmount
from distro.money import FEN_MAX, parse_yuan
from orders.importing.columns import COLUMNS, FIELDS
from orders.importing.reading import SURPLUS

QUANTITY_MAX = 10_000
LINE_MAX = 100_000
TIME = "%Y-%m-%d %H:%M:%S"
YEAR_MIN = 1970
ROUNDED = re.compile(r"\d(\.\d+)?[Ee]\+\d+")  # what a spreadsheet makes of a long number
LENGTHS = {
    "order_no": 64,
    "buyer_no": 64,
    "sku_code": 64,
    "product_name": 100,
    "category": 64,
    "promoter_code": 32,
}


@dataclass(frozen=True)
class Fault:
    """What is wrong with one cell, in the reader's language."""

    line: int
    field: str
    reason: str


class Wrong(Exception):
    """A cell that cannot be read; its text is the reason."""


def parse(
    line: int, cells: Mapping[str, str], *, now: datetime
) -> tuple[dict[str, Any], list[Fault]]:
    """Return a row's values by field (amounts in fen, times in Beijing) and its faults."""
    values: dict[str, Any] = {}
    faults = []
    if cells.get(SURPLUS):
        faults.append(Fault(line, "", _("has more cells than the first line; is a comma quoted?")))
    for column in COLUMNS:
        text = cells.get(column.field, "")
        try:
            values[column.field] = _read(column.field, text)
        except Wrong as wrong:
            faults.append(Fault(line, column.field, str(wrong)))
    if not faults:
        faults = [Fault(line, field, why) for field, why in _together(values, now)]
    return values, faults


def _read(field: str, text: str) -> Any:
    if not text and not FIELDS[field].optional:
        raise Wrong(_("must not be empty"))
    return READERS.get(field, _text)(field, text)


def _text(field: str, text: str) -> str:
    if text.startswith(FORMULA):
        raise Wrong(_("begins like a spreadsheet formula; remove the first character"))
    if len(text) > LENGTHS[field]:
        raise Wrong(_("is longer than %(most)s characters") % {"most": LENGTHS[field]})
    if not text.isprintable():
        raise Wrong(_("holds a control character"))
    if ROUNDED.fullmatch(text):
        raise Wrong(_("was rounded by a spreadsheet; make the column text there"))
    return text


def _whole(most: int) -> Callable[[str, str], int]:
    def read(field: str, text: str) -> int:
        if not (text.isascii() and text.isdigit() and len(text) <= 9 and 1 <= int(text) <= most):
            raise Wrong(_("must be a whole number from 1 to %(most)s") % {"most": most})
        return int(text)

    return read


def _amount(field: str, text: str) -> int:
    try:
        fen = parse_yuan(text or "0")
    except BadAmount as error:
        raise Wrong(str(error)) from None
    if not 0 <= fen <= FEN_MAX:
        raise Wrong(_("must be from 0.00 to 100000000.00 yuan"))
    return fen


def _time(field: str, text: str) -> datetime | None:
    if not text:
        return None
    try:
        time = datetime.strptime(text, TIME).replace(tzinfo=BEIJING)
    except ValueError:
        raise Wrong(_("must be a time like 2026-01-31 12:00:00")) from None
    if time.year < YEAR_MIN:
        raise Wrong(_("lies before the year %(year)s") % {"year": YEAR_MIN})
    return time


READERS: dict[str, Callable[[str, str], Any]] = {
    "line_no": _whole(LINE_MAX),
    "quantity": _whole(QUANTITY_MAX),
    "placed_at": _time,
    "paid_at": _time,
    "completed_at": _time,
    "paid_amount": _amount,
    "freight": _amount,
    "refunded_amount": _amount,
}


def _together(values: Mapping[str, Any], now: datetime) -> list[tuple[str, str]]:
    """Return what is wrong between the cells of a row."""
    times = [values["placed_at"], values["paid_at"], values["completed_at"] or values["paid_at"]]
    wrong = []
    if times[1] < times[0]:
        wrong.append(("paid_at", _("is before the order was placed")))
    if times[2] < times[1]:
        wrong.append(("completed_at", _("is before the payment")))
    if max(times) > now:
        wrong.append(("paid_at", _("lies in the future")))
    if values["refunded_amount"] > values["paid_amount"]:
        wrong.append(("refunded_amount", _("is more than what was paid")))
    return wrong
