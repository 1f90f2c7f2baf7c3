"""Requests of the tests, with everything the test does not care about filled in."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

from distro.wechat.pay import Prepay, RefundRequest, TransferRequest
from distro.wechat.sandbox.control import SandboxControl

NOTIFY = "http://127.0.0.1:9/notify"  # nobody listens on port 9
OPENID = "o" + "A" * 27
numbers = itertools.count(1)


def prepay(**changes: Any) -> Prepay:
    values: dict[str, Any] = {
        "out_trade_no": f"T{next(numbers):08d}",
        "description": "龙井茶 250 克",
        "amount_fen": 12_50,
        "openid": OPENID,
        "expires_at": datetime.now(UTC) + timedelta(minutes=30),
        "notify_url": NOTIFY,
    }
    return Prepay(**values | changes)


def refund(out_trade_no: str, **changes: Any) -> RefundRequest:
    values: dict[str, Any] = {
        "out_refund_no": f"R{next(numbers):08d}",
        "out_trade_no": out_trade_no,
        "refund_fen": 12_50,
        "total_fen": 12_50,
        "reason": "不想要了",
        "notify_url": NOTIFY,
    }
    return RefundRequest(**values | changes)


def transfer(**changes: Any) -> TransferRequest:
    values: dict[str, Any] = {
        "out_bill_no": f"B{next(numbers):08d}",
        "openid": OPENID,
        "amount_fen": 5_00,
        "remark": "推广佣金",
        "notify_url": NOTIFY,
    }
    return TransferRequest(**values | changes)


def notice_of(control: SandboxControl, number: str) -> tuple[dict[str, str], bytes]:
    """Return a delivery of the newest notification of a number."""
    return control.signed_notice(control.notifications(number)[-1].id)


class Receiver(ThreadingHTTPServer):
    """A merchant's server that answers what it is told, and keeps what it got."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), ReceiverHandler)
        self.url = f"http://127.0.0.1:{self.server_address[1]}/notify"
        self.statuses: list[int] = []  # of the next answers; 200 when empty
        self.location = ""
        self.received: list[tuple[dict[str, str], bytes]] = []


class ReceiverHandler(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        assert isinstance(self.server, Receiver)
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.received.append((dict(self.headers.items()), body))
        self.send_response(self.server.statuses.pop(0) if self.server.statuses else 200)
        self.send_header("Content-Length", "0")
        if self.server.location:
            self.send_header("Location", self.server.location)
        self.end_headers()

    def log_message(self, *args: object) -> None:
        pass


@contextmanager
def receiver() -> Iterator[Receiver]:
    server = Receiver()
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
