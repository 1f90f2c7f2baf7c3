"""The chain of hashes over signed agreements: a changed row breaks it at its own place."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping


def text_hash(body: str) -> str:
    """Return SHA-256 of the exact UTF-8 text that is shown."""
    return hashlib.sha256(body.encode()).hexdigest()


def row_hash(row: Mapping[str, str | int]) -> str:
    """Return SHA-256 of a row's canonical JSON; the row holds the hash of the row before it."""
    text = json.dumps(row, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def first_fault(rows: Iterable[tuple[Mapping[str, str | int], str]]) -> int | None:
    """Return the index of the first row whose content or predecessor differs; None if none does.

    rows: (row with its prev_row_hash, its stored hash), oldest first.
    """
    before = ""
    for index, (row, stored) in enumerate(rows):
        if row["prev_row_hash"] != before or row_hash(row) != stored:
            return index
        before = stored
    return None
