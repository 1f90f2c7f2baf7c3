"""The thread that lets time pass: it ends what is due and sends the notifications."""

from __future__ import annotations

import sqlite3
import threading
from concurrent.futures import ThreadPoolExecutor

from distro.wechat.sandbox.control_api import pass_time
from distro.wechat.sandbox.notifications import deliver
from distro.wechat.sandbox.store import Store, now
from distro.wechat.sandbox.world import World

SENDERS = 8  # notifications on their way at once
PAUSE_MAX = 30.0  # seconds; a bell rings earlier when something becomes due
DUE = """SELECT MIN(due) FROM (SELECT MIN(due) AS due FROM notification WHERE due IS NOT NULL
    UNION ALL SELECT MIN(due) FROM refund WHERE due IS NOT NULL
    UNION ALL SELECT MIN(due) FROM transfer WHERE due IS NOT NULL)"""


class Notifier:
    """Runs beside the server until stopped."""

    def __init__(self) -> None:
        self._bell = threading.Event()
        self._stopped = False
        self._senders = ThreadPoolExecutor(SENDERS, thread_name_prefix="sandbox-notify")
        self._thread: threading.Thread | None = None

    def wake(self) -> None:
        """Look again: something may be due."""
        self._bell.set()

    def start(self, world: World) -> None:
        """Start the thread."""
        self._thread = threading.Thread(target=self._run, args=(world,), daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Stop, after the attempts that are on their way."""
        self._stopped = True
        self._bell.set()
        if self._thread:
            self._thread.join()
        self._senders.shutdown(wait=True, cancel_futures=True)

    def _run(self, world: World) -> None:
        while not self._stopped:
            self._bell.clear()
            for row in collect(world):
                for _ in range(1 + (row["flags"] == "duplicate" and row["tries"] == 0)):
                    self._senders.submit(self._send, world, row)
            self._bell.wait(pause(world.store))

    def _send(self, world: World, row: sqlite3.Row) -> None:
        deliver(world, row)
        self.wake()


def collect(world: World) -> list[sqlite3.Row]:
    """End what is due and claim the notifications to be sent now."""
    with world.store.transaction() as db:
        pass_time(world, db)
        rows = db.execute("SELECT * FROM notification WHERE due<=?", (now(db),)).fetchall()
        for row in rows:
            db.execute("UPDATE notification SET state='sending', due=NULL WHERE id=?", (row["id"],))
    return rows


def pause(store: Store) -> float:
    """Return how long nothing will be due."""
    with store.transaction() as db:
        (due,) = db.execute(DUE).fetchone()
        return PAUSE_MAX if due is None else min(max(due - now(db), 0.0), PAUSE_MAX)
