"""The client of the control interface, for tests, the demo and the journey."""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.request
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from distro.wechat.sandbox.keys import load_keys

NO_PROXY = urllib.request.build_opener(urllib.request.ProxyHandler({}))
TIMEOUT = 10  # seconds


class ControlRefused(Exception):
    """The sandbox refused a control call; the text says why."""


@dataclass(frozen=True)
class Person:
    """An imitated WeChat user."""

    openid: str
    unionid: str
    phone: str


@dataclass(frozen=True)
class Attempt:
    """One delivery of a notification; status 0 means no answer in time."""

    at: float
    status: int
    note: str


@dataclass(frozen=True)
class SentNotice:
    """A notification and what became of it: waiting, sending, delivered, given_up or kept."""

    id: str
    event: str
    number: str
    url: str
    state: str
    tries: int
    due: float | None
    attempts: tuple[Attempt, ...]


@dataclass(frozen=True)
class SandboxControl:
    """Plays the users, the time and the bad luck of the sandbox at a URL."""

    url: str
    token: str = field(repr=False)

    @classmethod
    def of_folder(cls, url: str, folder: Path) -> SandboxControl:
        """Return a client with the token from the folder's keys."""
        return cls(url, load_keys(folder).control_token)

    def people(self, names: Iterable[str]) -> dict[str, Person]:
        """Return several people, made on first mention; a name always is the same person."""
        found = self._call("personas", names=list(names))
        return {name: Person(**person) for name, person in found.items()}

    def person(self, name: str) -> Person:
        """Return one person."""
        return self.people([name])[name]

    def set_person(self, name: str, *, real_name: str = "", risky: bool = False) -> None:
        """Say what WeChat knows of a person: the verified name, or a bad reputation."""
        self._call("set-persona", persona=name, real_name=real_name, risky=risky)

    def login_code(self, name: str) -> str:
        """Return what wx.login gives a person: good once, for five minutes."""
        return str(self._call("login-code", persona=name)["code"])

    def phone_code(self, name: str) -> str:
        """Return what the phone-number button gives a person."""
        return str(self._call("phone-code", persona=name)["code"])

    def pay(self, out_trade_no: str, *, coupon_fen: int = 0) -> None:
        """Let the buyer pay an order."""
        self._call("pay", out_trade_no=out_trade_no, coupon_fen=coupon_fen)

    def pay_prepay(self, prepay_id: str) -> None:
        """Let the buyer pay with what wx.requestPayment was given."""
        self._call("pay", prepay_id=prepay_id)

    def cancel_payment(self, out_trade_no: str, *, failed: bool = False) -> None:
        """Let the buyer leave the payment, or fail in it; it can still be paid."""
        self._call("pay", out_trade_no=out_trade_no, outcome="failed" if failed else "cancelled")

    def confirm_transfer(self, out_bill_no: str) -> None:
        """Let the payee take the money."""
        self._call("confirm-transfer", out_bill_no=out_bill_no)

    def fail_transfer(self, out_bill_no: str, reason: str = "PAYEE_ACCOUNT_ABNORMAL") -> None:
        """End an open transfer with WeChat's reason; OVERDUE_CLOSE as if 24 h were over."""
        self._call("fail-transfer", out_bill_no=out_bill_no, reason=reason)

    def accept_subscription(self, name: str, template_id: str, times: int = 1) -> None:
        """Let a person accept a template's messages, one per time."""
        self._call("accept", persona=name, template_id=template_id, times=times)

    def accept_subscription_of(self, openid: str, template_id: str, times: int = 1) -> None:
        """Let whoever has this openid accept a template's messages."""
        self._call("accept", openid=openid, template_id=template_id, times=times)

    def advance(self, seconds: float) -> None:
        """Move the sandbox's clock ahead: expiries, refunds and retries follow it."""
        self._call("advance", seconds=seconds)

    def set_clock(self, at: datetime) -> None:
        """Put the sandbox's clock at a moment, past or future; signatures keep the real time."""
        self.settings(clock_offset=at.timestamp() - time.time())

    def settings(self, **values: float) -> dict[str, float]:
        """Change settings and return all; the names are those of store.SETTINGS."""
        found: dict[str, float] = self._call("settings", **values)
        return found

    def top_up(self, fen: int) -> int:
        """Give the merchant money for transfers; return the new balance in fen."""
        return int(self._call("top-up", fen=fen)["balance"])

    def fault(self, name: str, *, call: str = "*", times: int = 1, **args: Any) -> None:
        """Arm one of faults.FAULTS for the next call, notification, refund or transfer."""
        self._call("fault", name=name, call=call, times=times, args=args)

    def clear_faults(self) -> None:
        """Disarm every fault."""
        self._call("clear-faults")

    def kill_token(self) -> None:
        """Make every access token invalid."""
        self._call("kill-token")

    def notifications(self, number: str = "") -> list[SentNotice]:
        """Return the notifications, oldest first; of one order, refund or transfer number."""
        return [notice_of(row) for row in self._call("notifications", number=number)]

    def signed_notice(self, notice_id: str) -> tuple[dict[str, str], bytes]:
        """Return headers and body of one delivery, signed now, without sending it."""
        found = self._call("signed-notice", id=notice_id)
        return found["headers"], found["body"].encode()

    def resend(self, notice_id: str) -> None:
        """Deliver a notification again."""
        self._call("resend", id=notice_id)

    def wait_delivered(self, number: str, seconds: float = 10) -> SentNotice:
        """Return a number's newest notification once it is delivered; raise TimeoutError."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            found = self.notifications(number)
            if found and found[-1].state == "delivered":
                return found[-1]
            time.sleep(0.05)
        raise TimeoutError(f"no delivered notification of {number}")

    def messages(self) -> list[dict[str, Any]]:
        """Return the subscribe messages that were sent: openid, template, page, data, at."""
        found: list[dict[str, Any]] = self._call("messages")
        return found

    def payments(self) -> list[dict[str, Any]]:
        """Return all payments: out_trade_no, state, total, openid, transaction_id ..."""
        found: list[dict[str, Any]] = self._call("payments")
        return found

    def transfers(self) -> list[dict[str, Any]]:
        """Return all transfers: out_bill_no, state, amount, openid, fail_reason ..."""
        found: list[dict[str, Any]] = self._call("transfers")
        return found

    def calls(self) -> list[tuple[str, int]]:
        """Return the API calls so far: name and HTTP status, 0 for a lost answer."""
        return [(name, status) for name, status in self._call("calls")]

    def remember(
        self, *, payments: Iterable[tuple[Any, ...]] = (), refunds: Iterable[tuple[Any, ...]] = ()
    ) -> None:
        """Tell of payments and refunds that happened elsewhere; see history.remember."""
        self._call("remember", payments=list(payments), refunds=list(refunds))

    def reset(self) -> None:
        """Forget everything but the keys."""
        self._call("reset")

    def wait_ready(self, seconds: float = 10) -> None:
        """Return once the sandbox answers; raise TimeoutError."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            try:
                self.settings()
            except OSError:
                time.sleep(0.05)
            else:
                return
        raise TimeoutError(f"no sandbox answers at {self.url}")

    def _call(self, action: str, **values: Any) -> Any:
        request = urllib.request.Request(  # noqa: S310 - the sandbox's own address
            f"{self.url}/control/{action}",
            json.dumps(values).encode(),
            {"X-Sandbox-Token": self.token, "Content-Type": "application/json"},
        )
        try:
            with NO_PROXY.open(request, timeout=TIMEOUT) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as error:
            with error:
                raise ControlRefused(json.load(error).get("error", "")) from None


def notice_of(row: dict[str, Any]) -> SentNotice:
    """Return a notification from its JSON form."""
    attempts = tuple(Attempt(**attempt) for attempt in row.pop("attempts"))
    return SentNotice(**row, attempts=attempts)
