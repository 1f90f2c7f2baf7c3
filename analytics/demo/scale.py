"""How large a demo shop is."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Scale:
    """Numbers of a demo shop.

    orders: those that are paid; about 3 in 100 more are placed and forgotten. over_http: the last
    orders, whose payments go through the sandbox.
    """

    days: int
    members: int
    promoters: int
    orders: int
    over_http: int
    seed: int = 20261121

    @property
    def founders(self) -> int:
        """Promoters of the first day, the roots of the tree."""
        return max(3, self.promoters // 40)

    @property
    def participants(self) -> int:
        """Members who take part in the campaign."""
        return max(4, self.members // 50)


FULL = Scale(days=120, members=2_000, promoters=300, orders=2_920, over_http=50)
SMALL = Scale(days=45, members=160, promoters=36, orders=240, over_http=8)
