"""Who does something: the identity that histories, audit rows and throttles are keyed by."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Actor:
    """A kind (member, staff, system, wechat) and the id of the row behind it."""

    kind: str
    id: int

    def __str__(self) -> str:
        return f"{self.kind}:{self.id}"


SYSTEM = Actor("system", 0)
