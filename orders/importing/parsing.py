"""One row of an order history: what it says, or everything that is wrong with it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from django.utils.translation import gettext as _

from distro.errors import BadAmount
from distro.importing.cells import Fault, Wrong, read_text, read_time
from distro.importing.reading import SURPLUS
from distro.money import FEN_MAX, parse_yuan
from orders.importing.columns import COLUMNS, FIELDS

QUANTITY_MAX = 10_000
LINE_MAX = 100_000
LENGTHS = {
    "order_no": 64,
    "buyer_no": 64,
    "sku_code": 64,
    "product_name": 100,
    "category": 64,
    "promoter_code": 32,
}


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
    return read_text(text, most=LENGTHS[field])


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
    return read_time(text) if text else None


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
