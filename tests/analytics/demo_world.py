"""A demo shop for tests: a few days, a few people, through the same story as the large one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from threading import Event, Thread

from analytics.demo.loading import load
from analytics.demo.scale import Scale
from analytics.demo.serving import tick
from distro.wechat.sandbox.control import SandboxControl

TINY = Scale(days=4, members=12, promoters=5, orders=8, over_http=2)
SHORT = Scale(days=34, members=60, promoters=18, orders=90, over_http=4)


def load_demo(control: SandboxControl, scale: Scale, end: datetime) -> None:
    """Load a demo shop that ends at a moment, and say nothing."""
    load(scale, control=control, end=end, quiet=True)


@contextmanager
def ticking() -> Iterator[None]:
    """Do the periodic work in a thread, as the demo does."""
    stop = Event()
    thread = Thread(target=tick, args=(stop,), daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(30)
