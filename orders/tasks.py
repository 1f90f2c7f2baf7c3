"""What the outbox sends for this package."""

from __future__ import annotations

from typing import Any

from distro import clock, outbox
from orders.services.refunding import send_refund


@outbox.handler("refund")
def send_refund_message(payload: dict[str, Any]) -> None:
    """Send one approved refund to WeChat."""
    send_refund(refund_id=payload["refund_id"], at=clock.now())
