"""What a subscribe message's values may be: the rule follows from the key's prefix."""

from __future__ import annotations

import re
from collections.abc import Mapping

# Only what still means the same when it is shorter; a cut number would be another number.
TEXT_MAX = {"thing": 20, "character_string": 32, "letter": 32, "symbol": 5, "phrase": 5}
NAME_MAX_CHINESE, NAME_MAX_LATIN = 10, 20


def fit_values(data: Mapping[str, str]) -> dict[str, str]:
    """Return the values cut to their types; numbers, amounts and times are left alone."""
    return {key: fit(key.rstrip("0123456789"), value) for key, value in data.items()}


def fit(kind: str, value: str) -> str:
    """Return one value on one line, cut to its type."""
    value = " ".join(value.split())
    limit = name_max(value) if kind == "name" else TEXT_MAX.get(kind, len(value))
    if len(value) <= limit:
        return value
    return value[: limit - 1] + "…" if kind == "thing" else value[:limit]


def name_max(value: str) -> int:
    """Return how long a name may be: Chinese characters count double."""
    return NAME_MAX_CHINESE if re.search(r"[^\x00-\x7f]", value) else NAME_MAX_LATIN
