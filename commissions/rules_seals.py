"""The seals of the ledger: a chain of SHA-256 over its rows, and what it shows.

Each row's hash covers the hash before it, so that a changed, a missing and an added row all break
the chain at their own place.
"""

from __future__ import annotations

import hashlib
import re
import struct
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime

HEX = re.compile("([0-9a-f]{64})?")  # a digest, or nothing before the first one
MARK = struct.Struct(">q8s")  # id of a row, the first 8 bytes of the chain's hash after it


@dataclass(frozen=True)
class Fault:
    """The first place where rows differ from their seal: altered, gone, added or chain."""

    row_id: int
    what: str


def text_of(values: Sequence[object]) -> str:
    """Return the one text that a row's columns have, whatever database they came from."""
    return "|".join(_word(value) for value in values)


def _word(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat(timespec="microseconds")
    if isinstance(value, date):
        return value.isoformat()
    return str(value).replace("\\", "\\\\").replace("|", "\\|")


def chain(before: str, rows: Iterable[tuple[int, str]]) -> Iterator[tuple[int, bytes]]:
    """Yield each row's id and the hash of all rows up to it; before: hex digest to begin with."""
    digest = bytes.fromhex(before) if HEX.fullmatch(before) else before.encode()
    for row_id, text in rows:
        digest = hashlib.sha256(digest + text.encode()).digest()
        yield row_id, digest


def mark(row_id: int, digest: bytes) -> bytes:
    """Return what a seal keeps of a row."""
    return MARK.pack(row_id, digest[:8])


def first_difference(marks: bytes, found: Iterable[tuple[int, bytes]], digest: str) -> Fault | None:
    """Compare rows with their marks; return the first that differs, None if all agree.

    digest: hex, of the last row.
    """
    if len(marks) % MARK.size or not marks:
        return Fault(0, "chain")
    kept = MARK.iter_unpack(marks)
    last = b""
    for row_id, after in found:
        wanted = next(kept, None)
        if wanted is None or row_id < wanted[0]:
            return Fault(row_id, "added")
        if row_id > wanted[0]:
            return Fault(wanted[0], "gone")
        if after[:8] != wanted[1]:
            return Fault(row_id, "altered")
        last = after
    if (left := next(kept, None)) is not None:
        return Fault(left[0], "gone")
    if last.hex() != digest:
        return Fault(MARK.unpack(marks[-MARK.size :])[0], "altered")
    return None
