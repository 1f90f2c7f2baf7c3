"""WeChat's part in the demo's past: told in-process for most orders, over HTTP for the last."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from random import Random
from typing import Any

from django.test import Client

from distro import clock, outbox
from distro.wechat.config import config
from distro.wechat.sandbox.control import SandboxControl
from distro.wechat.states import PaymentState, RefundState
from orders.models import Payment, Refund
from orders.services.paying import confirm_payment, prepay
from orders.services.refunding import finish_refund

TOLD_AT_ONCE = 1_000
QUICK = {"deliver": 0, "accept_seconds": 0, "transfer_seconds": 0, "refund_seconds": 0}
USUAL = {"deliver": 1, "accept_seconds": 0, "transfer_seconds": 1, "refund_seconds": 1}
REFUND_TOPIC = "refund"


class NoticeNotTaken(Exception):
    """The shop refused a notification of the sandbox; the text is its answer."""


@dataclass
class Wechat:
    """Pays, refunds and notifies; keeps what the sandbox has to be told at the end."""

    control: SandboxControl
    rng: Random
    door: Client = field(default_factory=lambda: Client(SERVER_NAME="127.0.0.1"))
    paid: list[tuple[Any, ...]] = field(default_factory=list)
    refunded: list[tuple[Any, ...]] = field(default_factory=list)

    @contextmanager
    def past(self) -> Iterator[None]:
        """Let the sandbox keep its notices and refunds succeed at once; then tell it of them."""
        self.control.settings(**QUICK)
        real, outbox.handlers[REFUND_TOPIC] = outbox.handlers[REFUND_TOPIC], self.refund
        try:
            yield
        finally:
            outbox.handlers[REFUND_TOPIC] = real
            self.control.settings(**USUAL, clock_offset=0)
        for start in range(0, len(self.paid), TOLD_AT_ONCE):
            self.control.remember(payments=self.paid[start : start + TOLD_AT_ONCE])
        self.control.remember(refunds=self.refunded)

    def pay(self, payment: Payment, at: datetime) -> None:
        """Let WeChat say in-process that a payment succeeded."""
        transaction_id = self._number("4200")
        state = PaymentState(
            out_trade_no=payment.out_trade_no,
            trade_state="SUCCESS",
            transaction_id=transaction_id,
            amount_fen=payment.amount_fen,
            currency="CNY",
            payer_openid=payment.openid,
            success_time=at,
            appid=config().appid,
            mchid=config().mchid,
        )
        outcome = confirm_payment(state=state, at=at)
        assert outcome == "paid", outcome
        self.paid.append(
            (payment.out_trade_no, transaction_id, payment.amount_fen, payment.openid,
             at.timestamp())
        )  # fmt: skip

    def pay_over_http(self, payment: Payment, at: datetime) -> None:
        """Pay in the sandbox and hand its signed notification in at the shop's door."""
        self.control.set_clock(at)
        prepay(payment_id=payment.pk, at=at)
        self.control.pay(payment.out_trade_no)
        self.hand_in(payment.out_trade_no, "pay")

    def hand_in(self, number: str, kind: str) -> None:
        """Give the newest notification of a number to the real endpoint."""
        headers, body = self.control.signed_notice(self.control.notifications(number)[-1].id)
        answer = self.door.post(
            f"/api/v1/wechat/{kind}/notify",
            data=body,
            content_type=headers.pop("Content-Type"),
            headers=headers,
        )
        if answer.status_code not in (200, 204):
            raise NoticeNotTaken(f"{kind} {number}: {answer.status_code} {answer.content[:200]!r}")

    def refund(self, payload: dict[str, Any]) -> None:
        """Let WeChat say in-process that a refund succeeded."""
        refund = Refund.objects.select_related("payment").get(pk=payload["refund_id"])
        payment, at = refund.payment, clock.now()
        assert payment is not None
        refund_id = self._number("503")
        state = RefundState(
            out_refund_no=refund.out_refund_no,
            out_trade_no=payment.out_trade_no,
            refund_id=refund_id,
            status="SUCCESS",
            refund_fen=refund.amount_fen,
            total_fen=payment.amount_fen,
            success_time=at,
        )
        finish_refund(state=state, at=at)
        self.refunded.append(
            (refund.out_refund_no, refund_id, payment.out_trade_no, refund.amount_fen,
             at.timestamp())
        )  # fmt: skip

    def _number(self, prefix: str) -> str:
        return prefix + "".join(self.rng.choices("0123456789", k=28 - len(prefix)))
