"""Work in a process of its own, whose memory is nobody else's."""

from __future__ import annotations

import multiprocessing
import re
from pathlib import Path
from typing import Any, NamedTuple

import django


class Relabelled(NamedTuple):
    """What a relabel of everything took."""

    rows: int
    seconds: float
    megabytes: int  # resident at most, the program itself included


def relabel_apart(settings: dict[str, Any]) -> Relabelled:
    """Relabel all trees of a database in a fresh process."""
    context = multiprocessing.get_context("spawn")
    with context.Pool(1) as pool:
        return pool.apply(_relabel, [settings])


def _relabel(settings: dict[str, Any]) -> Relabelled:
    django.setup()
    # Only now: what these import needs the settings.
    from django.db import connections

    from analytics.bench.figures import seconds
    from referrals.bulk import rebuild_labels

    connections.settings["default"] = settings
    connections["default"] = connections.create_connection("default")
    rows = 0

    def work() -> None:
        nonlocal rows
        rows = rebuild_labels()

    took = seconds(work)
    return Relabelled(rows, took, _peak())


def _peak() -> int:
    """Return the megabytes of this program at most; getrusage() would tell its parent's too."""
    status = Path("/proc/self/status").read_text()
    found = re.search(r"VmHWM:\s+(\d+) kB", status)
    assert found is not None
    return int(found.group(1)) // 1024
