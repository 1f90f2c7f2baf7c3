"""What WeChat Pay says about a payment, a refund and a transfer, as typed values."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar

from distro.wechat.errors import WechatUnknown

T = TypeVar("T")

PAID_STATES = {"SUCCESS", "REFUND"}  # REFUND: paid, and at least partly refunded


class BadShape(ValueError):
    """A message of WeChat lacks a field or carries a wrong type."""


@dataclass(frozen=True)
class PaymentState:
    """A payment as WeChat sees it; empty text and None where it is not paid."""

    out_trade_no: str
    trade_state: str
    transaction_id: str
    amount_fen: int
    currency: str
    payer_openid: str
    success_time: datetime | None
    appid: str
    mchid: str

    @property
    def paid(self) -> bool:
        """Tell whether the buyer has paid, refunded since or not."""
        return self.trade_state in PAID_STATES

    @classmethod
    def read(cls, data: Mapping[str, Any]) -> PaymentState:
        """Read the answer of a query or the resource of a notification."""
        paid = text(data, "trade_state") in PAID_STATES
        amount, payer = part(data, "amount", must=paid), part(data, "payer", must=paid)
        return cls(
            out_trade_no=text(data, "out_trade_no"),
            trade_state=text(data, "trade_state"),
            transaction_id=text(data, "transaction_id", must=paid),
            amount_fen=fen(amount, "total", must=paid),
            currency=text(amount, "currency", must=paid),
            payer_openid=text(payer, "openid", must=paid),
            success_time=moment(data, "success_time", must=paid),
            appid=text(data, "appid"),
            mchid=text(data, "mchid"),
        )


@dataclass(frozen=True)
class RefundState:
    """A refund as WeChat sees it: PROCESSING, SUCCESS, ABNORMAL or CLOSED."""

    out_refund_no: str
    out_trade_no: str
    refund_id: str
    status: str
    refund_fen: int
    total_fen: int
    success_time: datetime | None

    @classmethod
    def read(cls, data: Mapping[str, Any], *, status: str = "status") -> RefundState:
        """Read an answer, or a notification, whose status field has another name."""
        amount = part(data, "amount")
        return cls(
            out_refund_no=text(data, "out_refund_no"),
            out_trade_no=text(data, "out_trade_no"),
            refund_id=text(data, "refund_id"),
            status=text(data, status),
            refund_fen=fen(amount, "refund"),
            total_fen=fen(amount, "total"),
            success_time=moment(data, "success_time", must=text(data, status) == "SUCCESS"),
        )


@dataclass(frozen=True)
class TransferState:
    """A merchant transfer as WeChat sees it.

    state: ACCEPTED, PROCESSING, WAIT_USER_CONFIRM, TRANSFERING, CANCELING; final are SUCCESS,
    FAIL and CANCELLED. package_info is filled only while the user can confirm.
    """

    out_bill_no: str
    transfer_bill_no: str
    state: str
    amount_fen: int
    openid: str
    package_info: str
    fail_reason: str

    @classmethod
    def read(cls, data: Mapping[str, Any]) -> TransferState:
        """Read an answer or the resource of a notification."""
        return cls(
            out_bill_no=text(data, "out_bill_no"),
            transfer_bill_no=text(data, "transfer_bill_no"),
            state=text(data, "state"),
            amount_fen=fen(data, "transfer_amount"),
            openid=text(data, "openid"),
            package_info=text(data, "package_info", must=False),
            fail_reason=text(data, "fail_reason", must=False),
        )


def of_answer(read: Callable[[], T]) -> T:
    """Read an answer; one of a wrong shape leaves the outcome of the call unknown."""
    try:
        return read()
    except BadShape:
        raise WechatUnknown("body") from None


def part(data: Mapping[str, Any], name: str, *, must: bool = True) -> dict[str, Any]:
    """Return an object field; {} where it may be missing."""
    value = data.get(name)
    if value is None and not must:
        return {}
    if not isinstance(value, dict):
        raise BadShape(name)
    return value


def text(data: Mapping[str, Any], name: str, *, must: bool = True) -> str:
    """Return a text field; "" where it may be missing."""
    value = data.get(name)
    if value is None and not must:
        return ""
    if not isinstance(value, str) or (must and not value):
        raise BadShape(name)
    return value


def fen(data: Mapping[str, Any], name: str, *, must: bool = True) -> int:
    """Return an amount >= 0 in fen; 0 where it may be missing."""
    value = data.get(name)
    if value is None and not must:
        return 0
    if type(value) is not int or value < 0:  # True is an int too
        raise BadShape(name)
    return value


def moment(data: Mapping[str, Any], name: str, *, must: bool = True) -> datetime | None:
    """Return an RFC 3339 time with its zone; None where it may be missing."""
    value = text(data, name, must=must)
    if not value:
        return None
    try:
        at = datetime.fromisoformat(value)
    except ValueError:
        raise BadShape(name) from None
    if at.tzinfo is None:
        raise BadShape(name)
    return at
