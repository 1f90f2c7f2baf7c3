"""One cell: what it says, or why it cannot be read."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime

from django.utils.translation import gettext as _

from distro.clock import BEIJING
from distro.csvfiles import FORMULA

TIME_CHARS = 19
YEAR_MIN = 1970
ROUNDED = re.compile(r"\d(\.\d+)?[Ee]\+\d+")  # what a spreadsheet makes of a long number


@dataclass(frozen=True)
class Fault:
    """What is wrong with one cell, in the reader's language."""

    line: int
    field: str
    reason: str


class Wrong(Exception):
    """A cell that cannot be read; its text is the reason."""


def read_text(text: str, *, most: int) -> str:
    """Return a text of at most so many characters; raise Wrong."""
    if text.startswith(FORMULA):
        raise Wrong(_("begins like a spreadsheet formula; remove the first character"))
    if len(text) > most:
        raise Wrong(_("is longer than %(most)s characters") % {"most": most})
    if not text.isprintable():
        raise Wrong(_("holds a control character"))
    if ROUNDED.fullmatch(text):
        raise Wrong(_("was rounded by a spreadsheet; make the column text there"))
    return text


def read_time(text: str) -> datetime:
    """Return a moment written in Beijing time; raise Wrong."""
    try:
        time = datetime.fromisoformat(text)
        if len(text) != TIME_CHARS or str(time) != text:  # ISO 8601 has other forms too
            raise ValueError
    except ValueError:
        raise Wrong(_("must be a time like 2026-01-31 12:00:00")) from None
    if time.year < YEAR_MIN:
        raise Wrong(_("lies before the year %(year)s") % {"year": YEAR_MIN})
    return time.replace(tzinfo=BEIJING)
