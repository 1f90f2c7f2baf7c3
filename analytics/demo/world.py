"""What the story knows while it is told: who is there, what comes next, when."""

from __future__ import annotations

import heapq
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from random import Random

from analytics.demo.people import Someone
from analytics.demo.scale import Scale
from analytics.demo.shop import Shop
from analytics.demo.wechat import Wechat
from campaigns.models import Coupon
from distro import clock
from referrals.models import Member

Work = Callable[[datetime], None]


@dataclass
class Agenda:
    """What will happen, in order of time; things of one moment in the order they were noted."""

    _heap: list[tuple[datetime, int, Work]] = field(default_factory=list)
    _noted: int = 0

    def note(self, at: datetime, work: Work) -> None:
        """Plan something."""
        self._noted += 1
        heapq.heappush(self._heap, (at, self._noted, work))

    def live_until(self, end: datetime) -> None:
        """Do everything planned up to a moment, each thing at its own time."""
        while self._heap and self._heap[0][0] <= end:
            at, _, work = heapq.heappop(self._heap)
            with clock.travel(at):
                work(at)


@dataclass
class Customer:
    """Somebody who has joined, with the coupons he has not used."""

    someone: Someone
    member: Member
    coupons: list[Coupon] = field(default_factory=list)


@dataclass
class World:
    """The demo's past while it is lived."""

    scale: Scale
    rng: Random
    end: datetime
    shop: Shop
    wechat: Wechat
    agenda: Agenda = field(default_factory=Agenda)
    customers: list[Customer] = field(default_factory=list)
    by_member: dict[int, Customer] = field(default_factory=dict)
    links: list[str] = field(default_factory=list)
    campaign_links: set[str] = field(default_factory=set)
    weights: list[float] = field(default_factory=list)
    orders: int = 0
    moved: Callable[[], None] = lambda: None  # called for each order: the progress bar

    def soon(self, at: datetime, low_h: float, high_h: float) -> datetime:
        """Return a moment so many hours later, at random."""
        return at + timedelta(hours=self.rng.uniform(low_h, high_h))

    def chance(self, share: float) -> bool:
        """Say yes in a share of all cases."""
        return self.rng.random() < share

    def moment(self, day: date) -> datetime:
        """Return a moment of a Beijing day when people are awake, never after the end."""
        start = clock.day_start(day)
        first, last = start + timedelta(hours=7.5), start + timedelta(hours=23.5)
        if last > self.end:  # today: as much of it as has passed
            last = self.end - timedelta(minutes=2)
            first = min(first, last - (last - start) / 2)
        return first + (last - first) * self.rng.random()

    def add_link(self, code: str, weight: float) -> None:
        """Let newcomers arrive by a share link, the more the heavier it is."""
        self.links.append(code)
        self.weights.append(weight)

    def some_link(self) -> str:
        """Return a link that somebody follows; there must be one."""
        return self.rng.choices(self.links, self.weights)[0]
