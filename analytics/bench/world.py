"""A shop with many promoters to measure in, taken over from a file of relations."""

from __future__ import annotations

import random
import tempfile
from array import array
from collections.abc import Iterator
from contextlib import AbstractContextManager
from datetime import datetime, timedelta
from pathlib import Path

from django.db import connection
from django.db.backends.base.base import BaseDatabaseWrapper
from tqdm import tqdm

from analytics.bench.scratch import using
from analytics.bench.stock import random_parents
from distro.actors import SYSTEM
from distro.clock import BEIJING
from referrals.bulk import attach
from referrals.models import Member, Promoter
from referrals.services.importing import import_relations

START = datetime(2020, 1, 1, tzinfo=BEIJING)
AT = datetime(2026, 1, 31, 12, 0, tzinfo=BEIJING)
APART = timedelta(seconds=100)  # between two who join
HEADER = "member,inviter,promoter,joined_at\n"


def relations(count: int, *, promoters_every: int, members: int = 0) -> Iterator[str]:
    """Yield the lines of a file: a random tree of persons, then members without an inviter."""
    joined = START.replace(tzinfo=None)
    for person, parent in enumerate(random_parents(count)):
        word = "yes" if person % promoters_every == 0 else ""
        inviter = f"P{parent:07d}" if parent >= 0 else ""
        yield f"P{person:07d},{inviter},{word},{joined}\n"
        joined += APART
    for person in range(members):
        yield f"M{person:07d},,,{joined}\n"
        joined += APART


def write_file(path: Path, lines: Iterator[str]) -> None:
    """Write a file of relations, its rows in no order."""
    rows = list(lines)
    random.Random(2).shuffle(rows)  # noqa: S311 - an order, not a secret
    with path.open("w", encoding="utf-8") as file:
        file.write(HEADER)
        file.writelines(rows)


class World:
    """One tree of promoters in a database of its own, and members who wait to join it."""

    def __init__(self, database: BaseDatabaseWrapper, promoters: int, members: int) -> None:
        self.database, self.size = database, promoters
        self._chance = random.Random(3)  # noqa: S311 - a choice of parents, not a secret
        with self.here():
            self._load(promoters, members)
            rows = Promoter.objects.order_by("pk").values_list("pk", flat=True)
            self.promoters = range(rows[0], rows[0] + promoters)
            last = Member.objects.order_by("-pk").values_list("pk", flat=True)[0]
        self._members = iter(range(last - members + 1, last + 1))

    def here(self) -> AbstractContextManager[None]:
        """Let everything use this world's database for a while."""
        return using(self.database)

    def _load(self, promoters: int, members: int) -> None:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "relations.csv"
            write_file(path, relations(promoters, promoters_every=1, members=members))
            with tqdm(desc=f"{promoters:,} promoters", leave=False, disable=None) as bar:
                import_relations(
                    path=path,
                    rejects=Path(folder) / "rejects.csv",
                    by=SYSTEM,
                    at=AT,
                    progress=lambda _what, count: bar.update(count),
                )
        self.tidy()

    def tidy(self) -> None:
        """Do now what autovacuum and a checkpoint would do in the middle of something."""
        with self.here(), connection.cursor() as cursor:
            cursor.execute("VACUUM ANALYZE referrals_member, referrals_promoter")
            cursor.execute("CHECKPOINT")

    def member(self) -> int:
        """Return a member who is no promoter; everybody once."""
        return next(self._members)

    def members(self, count: int) -> range:
        """Return so many of them, in a row."""
        first = self.member()
        for _ in range(count - 1):
            self.member()
        return range(first, first + count)

    def parent(self) -> int:
        """Return one of the promoters who were there at first."""
        return self._chance.choice(self.promoters)

    def head(self, team: int) -> int:
        """Return the promoter, not the root, whose team is next to this size."""
        parents = random_parents(self.size)
        sizes = array("q", [0]) * self.size  # of the team below
        for node in range(self.size - 1, 0, -1):
            sizes[parents[node]] += sizes[node] + 1
        return self.promoters[min(range(1, self.size), key=lambda node: abs(sizes[node] - team))]

    def join(self) -> int:
        """Let somebody join; return his promoter id."""
        return join(self.member(), self.parent())


def join(member: int, parent: int) -> int:
    """Let a member join below a promoter, in the database in use."""
    return attach(member_id=member, parent_id=parent, code=f"B{member}", at=AT)
