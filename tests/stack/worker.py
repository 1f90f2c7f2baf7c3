"""A worker that tests kill: `python -m tests.stack.worker settle|pay TIME`.

It says "started" once its work begins.
"""

from __future__ import annotations

import sys
from datetime import datetime

import django


def settle(at: datetime) -> None:
    from commissions.services.settling import settle_chunk

    while settle_chunk(at=at, limit=2):
        pass


def pay(at: datetime) -> None:
    from commissions.services.paying_out import send_due
    from commissions.services.transferring import query_transfers

    query_transfers(at=at)
    send_due(at=at)


if __name__ == "__main__":
    django.setup()
    sys.stdout.write("started\n")
    sys.stdout.flush()
    {"settle": settle, "pay": pay}[sys.argv[1]](datetime.fromisoformat(sys.argv[2]))
