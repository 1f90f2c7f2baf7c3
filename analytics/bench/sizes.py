"""How large everything is that the bench of the tree measures, and what has to come out."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Sizes:
    """Numbers of one run."""

    promoters: int  # in the large tree
    members: int  # who wait to join it
    teams: tuple[int, int]  # sizes of the teams that are counted
    team_bars: tuple[float, float]
    rebuilt: int  # nodes of the stock tree that is rebuilt
    placed: int  # newcomers of a small placement; a large one has four times as many
    writing: int  # members who wait to join a tree of ten thousand
    sent: int  # statements of one client in a batch
    imported: int  # rows of the file
    import_bar: float


FULL = Sizes(
    promoters=1_000_000,
    members=200_000,
    teams=(10_000, 100_000),
    team_bars=(25.0, 25.0),
    rebuilt=10_000,
    placed=1_000,
    writing=25_000,
    sent=1_000,
    imported=1_000_000,
    import_bar=15.0,
)
# A small team's recursive query is short, and so is a small file's COPY beside what every import
# has to do once: those bars hold at full size only.
QUICK = Sizes(
    promoters=20_000,
    members=60_000,
    teams=(2_000, 10_000),
    team_bars=(1.0, 8.0),
    rebuilt=1_000,
    placed=250,
    writing=8_000,
    sent=200,
    imported=20_000,
    import_bar=60.0,
)
