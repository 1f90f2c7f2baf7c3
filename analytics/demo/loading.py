"""Loading the demo shop into an empty database, once."""

from __future__ import annotations

import gc
import logging
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from random import Random

from celery import current_app
from django.conf import settings
from django.db import connection
from tqdm import tqdm

from analytics.demo.days import live
from analytics.demo.people import invent
from analytics.demo.scale import Scale
from analytics.demo.shop import open_shop, run_low
from analytics.demo.wechat import Wechat
from analytics.demo.world import World
from analytics.services.folding import fold_days
from distro import audit, clock
from distro.actors import SYSTEM
from distro.models import AuditEntry, StaffUser
from distro.wechat.sandbox.control import SandboxControl
from orders.models import Order
from referrals.models import Member

BEGUN, LOADED = "demo.begin", "demo.loaded"
GARBAGE = (100_000, 50, 50)  # objects before Python looks for cycles


class NotEmpty(Exception):
    """The database holds a shop that is no demo."""


class HalfLoaded(Exception):
    """A load of the demo was interrupted and has to be cleared away."""


def is_loaded() -> bool:
    """Say whether the demo shop is there; raise NotEmpty, HalfLoaded."""
    steps = set(AuditEntry.objects.filter(target="demo").values_list("action", flat=True))
    if LOADED in steps:
        return True
    if BEGUN in steps:
        raise HalfLoaded
    if StaffUser.objects.exists() or Member.objects.exists() or Order.objects.exists():
        raise NotEmpty
    return False


def load(scale: Scale, *, control: SandboxControl, end: datetime, quiet: bool = False) -> None:
    """Live the demo's past up to `end` and leave its marks at the beginning and at the end."""
    rng = Random(scale.seed)  # noqa: S311 - a story, no secret
    opened = clock.day_start(clock.beijing_day(end) - timedelta(days=scale.days))
    with ExitStack() as stack:
        stack.enter_context(_light())
        bar = stack.enter_context(
            tqdm(desc="demo shop", total=scale.orders, unit=" orders", disable=quiet)
        )
        with clock.travel(opened):
            audit.record(by=SYSTEM, action=BEGUN, target="demo", at=opened)
            shop = open_shop(at=opened, ends_at=end, rng=rng)
        people = invent(scale.members, control=control, rng=rng)
        wechat = Wechat(control, rng)
        world = World(scale, rng, end, shop, wechat, moved=lambda: _advance(bar))
        with wechat.past():
            live(world, people)
        _close(world)


def _advance(bar: tqdm[object]) -> None:
    bar.update(1)


def _close(world: World) -> None:
    """Count the days and say that all is there."""
    with clock.travel(world.end):
        run_low(world.shop.skus)
        fold_days(at=world.end)
        audit.record(by=SYSTEM, action=LOADED, target="demo", at=world.end)


@contextmanager
def _light() -> Iterator[None]:
    """Leave out what only costs time while nobody else uses the database."""
    debug, threshold = settings.DEBUG, gc.get_threshold()
    eager = current_app.conf.task_always_eager
    settings.DEBUG = False  # it keeps every statement
    current_app.conf.task_always_eager = True  # no worker may send what belongs to the past
    gc.set_threshold(*GARBAGE)
    logging.disable(logging.WARNING)
    for quick in ("synchronous = OFF", "temp_store = MEMORY", "cache_size = -65536"):
        _pragma(quick)
    try:
        yield
    finally:
        settings.DEBUG = debug
        current_app.conf.task_always_eager = eager
        gc.set_threshold(*threshold)
        logging.disable(logging.NOTSET)
        for usual in ("synchronous = NORMAL", "temp_store = DEFAULT", "cache_size = -2000"):
            _pragma(usual)
        _pragma("wal_checkpoint(TRUNCATE)")
        with connection.cursor() as cursor:
            cursor.execute("ANALYZE")


def _pragma(text: str) -> None:
    if connection.vendor == "sqlite":
        with connection.cursor() as cursor:
            cursor.execute(f"PRAGMA {text}")


def clear_half_loaded() -> bool:
    """Remove the SQLite file of an interrupted load; False where there is no such file."""
    if connection.vendor != "sqlite":
        return False
    path = Path(str(connection.settings_dict["NAME"]))
    connection.close()
    for one in (path, path.with_name(path.name + "-wal"), path.with_name(path.name + "-shm")):
        one.unlink(missing_ok=True)
    return True
