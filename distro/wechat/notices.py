"""WeChat Pay's notifications: which are believed, and what they say."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from distro.wechat.errors import NoticeRefused
from distro.wechat.pay import PayClient, pay
from distro.wechat.states import BadShape, PaymentState, RefundState, TransferState

T = TypeVar("T")

BODY_MAX = 64 * 1024  # bytes; real ones have about 2 KiB
ID_MAX = 64  # characters of a notification's id
WINDOW = 300  # seconds between WeChat's clock and ours
SIGNATURE_TYPE = "WECHATPAY2-SHA256-RSA2048"
HEADERS = ("Serial", "Signature-Type", "Timestamp", "Nonce", "Signature")

PAYMENT_EVENTS = {"TRANSACTION.SUCCESS"}
REFUND_EVENTS = {"REFUND.SUCCESS", "REFUND.ABNORMAL", "REFUND.CLOSED"}
TRANSFER_EVENTS = {"MCHTRANSFER.BILL.FINISHED"}
EVENTS = PAYMENT_EVENTS | REFUND_EVENTS | TRANSFER_EVENTS


@dataclass(frozen=True)
class Notice:
    """A notification that WeChat has certainly sent to this merchant.

    id: the same in every repetition. resource: decrypted, its amounts and numbers unchecked.
    """

    id: str
    event_type: str
    resource: dict[str, Any]


def read_notice(headers: Mapping[str, str], body: bytes) -> Notice:
    """Return a notification that passes every check short of the business; no network call.

    headers: of the HTTP request, names in any case. Raises NoticeRefused.
    """
    if len(body) > BODY_MAX:
        raise NoticeRefused("body", 413)
    client, envelope = pay(), envelope_of(headers)
    check_envelope(envelope, client.settings.public_key_id)
    content = client.decrypt_notice(envelope, body)
    if content is None:
        raise NoticeRefused("signature")
    return check_content(content, client)


def payment_of(notice: Notice) -> PaymentState:
    """Return the payment of a TRANSACTION.SUCCESS notification."""
    return state_of(notice, PAYMENT_EVENTS, lambda: PaymentState.read(notice.resource))


def refund_of(notice: Notice) -> RefundState:
    """Return the refund of a REFUND.* notification."""
    return state_of(
        notice, REFUND_EVENTS, lambda: RefundState.read(notice.resource, status="refund_status")
    )


def transfer_of(notice: Notice) -> TransferState:
    """Return the transfer of a MCHTRANSFER.BILL.FINISHED notification."""
    return state_of(notice, TRANSFER_EVENTS, lambda: TransferState.read(notice.resource))


def envelope_of(headers: Mapping[str, str]) -> dict[str, str]:
    """Return the five headers that carry the signature, "" for a missing one."""
    lower = {name.lower(): value for name, value in headers.items()}
    return {f"Wechatpay-{name}": lower.get(f"wechatpay-{name.lower()}", "") for name in HEADERS}


def check_envelope(envelope: Mapping[str, str], serial: str) -> None:
    """Refuse what need not reach the SDK, which checks no time and may call out."""
    if envelope["Wechatpay-Serial"] != serial:
        raise NoticeRefused("serial")
    if envelope["Wechatpay-Signature-Type"] != SIGNATURE_TYPE:
        raise NoticeRefused("type")
    stamp = envelope["Wechatpay-Timestamp"]
    if not (stamp.isascii() and stamp.isdigit() and len(stamp) <= 12):
        raise NoticeRefused("timestamp")
    if abs(time.time() - int(stamp)) > WINDOW:
        raise NoticeRefused("timestamp")


def check_content(content: Mapping[str, Any], client: PayClient) -> Notice:
    """Refuse an event we do not know, and another merchant's or mini-program's."""
    event, resource, key = content.get("event_type"), content.get("resource"), content.get("id")
    if not isinstance(event, str) or event not in EVENTS:
        raise NoticeRefused("event", 400)
    if not isinstance(resource, dict) or not isinstance(key, str) or not 0 < len(key) <= ID_MAX:
        raise NoticeRefused("body", 400)
    merchant = resource.get("mch_id" if event in TRANSFER_EVENTS else "mchid")
    if merchant != client.settings.mchid:
        raise NoticeRefused("mchid", 400)
    named = event in PAYMENT_EVENTS or "appid" in resource  # only payments always name it
    if named and resource.get("appid") != client.settings.appid:
        raise NoticeRefused("appid", 400)
    return Notice(id=key, event_type=event, resource=resource)


def state_of(notice: Notice, events: set[str], read: Callable[[], T]) -> T:
    """Read a notification's resource, of the right kind and shape."""
    if notice.event_type not in events:
        raise NoticeRefused("event", 400)
    try:
        return read()
    except BadShape:
        raise NoticeRefused("body", 400) from None
