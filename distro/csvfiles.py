"""CSV that Excel opens without running anything in it."""

from __future__ import annotations

FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
CELL_CHARS = 32_000  # Excel's limit is 32,767
CUT = "…"


def cell(text: str) -> str:
    """Return a text cell that no spreadsheet takes for a formula, cut at Excel's limit.

    Source: OWASP, CSV Injection.
    """
    if len(text) > CELL_CHARS:
        text = text[: CELL_CHARS - 1] + CUT
    return f"'{text}" if text.startswith(FORMULA) else text
