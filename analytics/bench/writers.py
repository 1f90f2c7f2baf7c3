"""Eight processes that write at the same moment, each with a connection of its own."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Sequence
from multiprocessing.synchronize import Barrier
from types import TracebackType
from typing import Any

from django.db import DatabaseError, connections

from analytics.bench.figures import seconds
from analytics.bench.world import World

_barrier: Barrier  # of the process


class Writers:
    """A pool of processes on a world's database; use it as a context manager."""

    def __init__(self, world: World, count: int) -> None:
        self.world, self.count, self.errors = world, count, 0
        connections.close_all()
        world.database.close()
        context = multiprocessing.get_context("fork")
        connect = world.database.settings_dict, context.Barrier(count)
        self._pool = context.Pool(count, _connect, connect)

    def __enter__(self) -> Writers:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        self._pool.terminate()
        self._pool.join()

    def run(self, work: Callable[..., object], calls: Sequence[Sequence[tuple[Any, ...]]]) -> float:
        """Call work with each of a process's arguments; return seconds for one call of all."""
        tasks = [(work, own) for own in calls]
        took = seconds(lambda: self._note(self._pool.map(_run, tasks, chunksize=1)))
        return took / sum(len(own) for own in calls)

    def _note(self, errors: list[int]) -> None:
        self.errors += sum(errors)


def _connect(settings: dict[str, Any], barrier: Barrier) -> None:
    global _barrier
    _barrier = barrier
    own = connections.create_connection("default")
    own.settings_dict = settings
    connections["default"] = own
    own.ensure_connection()


def _run(task: tuple[Callable[..., object], Sequence[tuple[Any, ...]]]) -> int:
    """Begin with all others at once; return how many calls failed."""
    work, calls = task
    errors = 0
    _barrier.wait(60)
    for arguments in calls:
        try:
            work(*arguments)
        except DatabaseError:
            errors += 1
    return errors
