"""How the body of a request is read: JSON of a sane depth."""

from __future__ import annotations

from collections.abc import Mapping
from typing import IO, Any

from rest_framework.exceptions import ParseError
from rest_framework.parsers import JSONParser

DEPTH_MAX = 20  # of lists and objects; the deepest request has 4


class ShallowJSONParser(JSONParser):
    """Refuse JSON so deep that whoever walks it runs out of stack."""

    def parse(
        self,
        stream: IO[Any],
        media_type: str | None = None,
        parser_context: Mapping[str, Any] | None = None,
    ) -> Any:
        """Return the content; raise ParseError."""
        try:
            data = super().parse(stream, media_type, parser_context)
        except RecursionError:
            raise ParseError from None
        if is_deeper(data, DEPTH_MAX):
            raise ParseError
        return data


def is_deeper(data: object, depth: int) -> bool:
    """Say whether lists and objects lie in one another more often than that."""
    level = [data]
    for _ in range(depth):
        level = [inner for outer in level for inner in _inside(outer)]
    return any(isinstance(one, dict | list) for one in level)


def _inside(data: object) -> list[Any]:
    if isinstance(data, dict):
        return list(data.values())
    return data if isinstance(data, list) else []
