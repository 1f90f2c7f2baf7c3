"""Work in a process of its own, whose memory is nobody else's."""

from __future__ import annotations

import multiprocessing
import resource
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
    from django.db import connection

    from analytics.bench.figures import seconds
    from referrals.bulk import rebuild_labels

    connection.settings_dict.update(settings)
    rows = 0

    def work() -> None:
        nonlocal rows
        rows = rebuild_labels()

    took = seconds(work)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    return Relabelled(rows, took, peak)
