"""Taking relations over, against COPY of the same file into a plain table."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

from django.db import connection

from analytics.bench.figures import Figure, Side, at_most, ratio, seconds
from analytics.bench.scratch import Copies, using
from analytics.bench.sizes import Sizes
from analytics.bench.world import AT, relations, write_file
from distro.actors import SYSTEM
from referrals.models import Promoter
from referrals.proofs import tree_faults
from referrals.services.importing import import_relations

PROMOTERS_EVERY = 5
BLOCK = 1 << 16  # bytes
PLAIN = """
    CREATE TABLE plain (
        member varchar(64), inviter varchar(64), promoter varchar(32), joined_at timestamptz
    )
"""


def figures(copies: Copies, sizes: Sizes) -> Iterator[Figure]:
    """Import the same file again and again, each time into an empty shop."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "relations.csv"
        write_file(path, relations(sizes.imported, promoters_every=PROMOTERS_EVERY))
        value = ratio(importing(copies, path, sizes), copying(copies, path), what="import / COPY")
        name = f"import of {sizes.imported:,} relations, every fifth a promoter / COPY of the file"
        yield at_most("tree", name, value, sizes.import_bar)


def importing(copies: Copies, path: Path, sizes: Sizes) -> Side:
    """Return an import into an empty shop, whose tree is proved afterwards."""

    def batch() -> float:
        shop = copies.make("import")
        with using(shop):
            took = seconds(lambda: _import(path))
            assert Promoter.objects.count() * PROMOTERS_EVERY == sizes.imported
            assert not list(tree_faults())
        copies.drop(shop)
        return took

    return batch


def _import(path: Path) -> None:
    import_relations(
        path=path,
        rejects=path.with_suffix(".rejects.csv"),
        by=SYSTEM,
        at=AT,
        progress=lambda _what, _count: None,
    )


def copying(copies: Copies, path: Path) -> Side:
    """Return a COPY into a plain table."""
    shop = copies.make("copy")

    def copy() -> None:
        into = "COPY plain FROM STDIN (FORMAT csv, HEADER)"
        with connection.cursor() as cursor, cursor.copy(into) as stream, path.open("rb") as file:
            while block := file.read(BLOCK):
                stream.write(block)

    def batch() -> float:
        with using(shop), connection.cursor() as cursor:
            cursor.execute("DROP TABLE IF EXISTS plain")
            cursor.execute(PLAIN)
            return seconds(copy)

    return batch
