"""WeChat Pay v3 in public-key mode: payments, refunds and transfers to users."""

from __future__ import annotations

import json
import re
import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from functools import lru_cache
from typing import Any

import requests
from wechatpayv3 import WeChatPay, WeChatPayType

from distro.wechat.config import WechatConfig, config
from distro.wechat.errors import WechatNotFound, WechatRefused, WechatUnknown
from distro.wechat.states import PaymentState, RefundState, TransferState, of_answer, text

TIMEOUT = (3, 10)  # seconds to connect, to wait for an answer
BEIJING = timezone(timedelta(hours=8))

TRADE_NO = re.compile(r"[0-9A-Za-z_-]{6,32}")  # WeChat's `|` breaks the SDK's signature
REFUND_NO = re.compile(r"[0-9A-Za-z_-]{1,64}")
BILL_NO = re.compile(r"[0-9A-Za-z]{1,32}")

COMMISSION_SCENE = "1005"  # 佣金报酬
NAME_MUST_FEN = 200_000  # from this on WeChat demands one


@dataclass(frozen=True, kw_only=True)
class Prepay:
    """What the buyer is asked to pay; the same number must always come with the same content."""

    out_trade_no: str
    description: str
    amount_fen: int
    openid: str
    expires_at: datetime
    notify_url: str

    def __post_init__(self) -> None:
        assert TRADE_NO.fullmatch(self.out_trade_no)
        assert self.amount_fen >= 1
        assert self.expires_at.tzinfo is not None
        assert self.openid
        assert self.description


@dataclass(frozen=True, kw_only=True)
class RefundRequest:
    """Money back for one payment; transaction_id is the surer name where it is known."""

    out_refund_no: str
    out_trade_no: str
    refund_fen: int
    total_fen: int
    reason: str
    notify_url: str
    transaction_id: str = ""

    def __post_init__(self) -> None:
        assert REFUND_NO.fullmatch(self.out_refund_no)
        assert self.out_trade_no
        assert 1 <= self.refund_fen <= self.total_fen


@dataclass(frozen=True, kw_only=True)
class TransferRequest:
    """A commission to pay out.

    remark: what the user reads, cut to 32 characters. position and earned_by: what WeChat's
    rules demand for scene 1005, cut to 32 characters each.
    """

    out_bill_no: str
    openid: str
    amount_fen: int
    remark: str
    notify_url: str
    position: str = "推广员"
    earned_by: str = "商品推广佣金"

    def __post_init__(self) -> None:
        assert BILL_NO.fullmatch(self.out_bill_no)
        assert self.amount_fen >= 1
        assert self.openid
        assert self.remark
        assert self.position
        assert self.earned_by


class PayClient:
    """The calls this product makes.

    Raises WechatRefused (certain), WechatNotFound (404) or WechatUnknown (query later).
    """

    def __init__(self, settings: WechatConfig) -> None:
        self.settings = settings
        self._sdk = make_sdk(settings)

    def prepay(self, request: Prepay) -> str:
        """Create the payment and return its prepay_id, valid for two hours."""
        answer = ask(
            lambda: self._sdk.pay(
                description=request.description[:127],
                out_trade_no=request.out_trade_no,
                amount={"total": request.amount_fen, "currency": "CNY"},
                payer={"openid": request.openid},
                time_expire=rfc3339(request.expires_at),
                notify_url=request.notify_url,
            )
        )
        return of_answer(lambda: text(answer, "prepay_id"))

    def client_params(self, prepay_id: str) -> dict[str, str]:
        """Return what the mini-program hands to wx.requestPayment."""
        stamp, nonce = str(int(time.time())), secrets.token_hex(16)
        package = f"prepay_id={prepay_id}"
        return {
            "timeStamp": stamp,
            "nonceStr": nonce,
            "package": package,
            "signType": "RSA",
            "paySign": self._sdk.sign([self.settings.appid, stamp, nonce, package]),
        }

    def query(self, out_trade_no: str) -> PaymentState:
        """Return what WeChat knows of a payment of ours."""
        assert TRADE_NO.fullmatch(out_trade_no)
        answer = ask(lambda: self._sdk.query(out_trade_no=out_trade_no))
        state = of_answer(lambda: PaymentState.read(answer))
        ours = (out_trade_no, self.settings.appid, self.settings.mchid)
        if (state.out_trade_no, state.appid, state.mchid) != ours:
            raise WechatUnknown("body")
        return state

    def close(self, out_trade_no: str) -> None:
        """Make sure nobody can pay any more; WechatRefused, code ORDERPAID, when one has."""
        assert TRADE_NO.fullmatch(out_trade_no)
        ask(lambda: self._sdk.close(out_trade_no=out_trade_no))

    def refund(self, request: RefundRequest) -> RefundState:
        """Ask for a refund; the answer only says that it was accepted."""
        amount = {"refund": request.refund_fen, "total": request.total_fen, "currency": "CNY"}
        answer = ask(
            lambda: self._sdk.refund(
                out_refund_no=request.out_refund_no,
                amount=amount,
                transaction_id=request.transaction_id or None,
                out_trade_no=request.out_trade_no,
                reason=request.reason[:80] or None,
                notify_url=request.notify_url,
            )
        )
        return refund_state(answer, request.out_refund_no)

    def query_refund(self, out_refund_no: str) -> RefundState:
        """Return what WeChat knows of a refund of ours."""
        assert REFUND_NO.fullmatch(out_refund_no)
        answer = ask(lambda: self._sdk.query_refund(out_refund_no))
        return refund_state(answer, out_refund_no)

    def transfer_body(self, request: TransferRequest) -> dict[str, Any]:
        """Return the whole request except the name, to be stored before it is first sent."""
        return {
            "out_bill_no": request.out_bill_no,
            "appid": self.settings.appid,
            "transfer_scene_id": COMMISSION_SCENE,
            "openid": request.openid,
            "transfer_amount": request.amount_fen,
            "transfer_remark": request.remark[:32],
            "notify_url": request.notify_url,
            "user_recv_perception": "劳务报酬",
            "transfer_scene_report_infos": [
                {"info_type": "岗位类型", "info_content": request.position[:32]},
                {"info_type": "报酬说明", "info_content": request.earned_by[:32]},
            ],
        }

    def transfer(self, body: Mapping[str, Any], user_name: str = "") -> TransferState:
        """Send a stored body; the same number with the same body never pays twice.

        user_name: encrypted anew for each sending; below 0.30 yuan, where WeChat refuses it, the
        SDK leaves it out. Raises WechatRefused, code NAME_REQUIRED, without one from 2,000 yuan.
        """
        if body["transfer_amount"] >= NAME_MUST_FEN and not user_name:
            raise WechatRefused("NAME_REQUIRED")
        answer = ask(lambda: self._sdk.mch_transfer_bills(**body, user_name=user_name or None))
        same = {key: body[key] for key in ("transfer_amount", "openid")}  # it does not repeat them
        return transfer_state({**same, **answer}, body["out_bill_no"])

    def query_transfer(self, out_bill_no: str) -> TransferState:
        """Return what WeChat knows of a transfer of ours; WechatNotFound when nothing.

        Shortly after a lost answer NotFound proves nothing: send the same body again.
        """
        assert BILL_NO.fullmatch(out_bill_no)
        answer = ask(lambda: self._sdk.mch_transfer_bills_query(out_bill_no=out_bill_no))
        return transfer_state(answer, out_bill_no)

    def cancel_transfer(self, out_bill_no: str) -> None:
        """Ask to cancel before the user confirms; whether it was, only a query tells."""
        assert BILL_NO.fullmatch(out_bill_no)
        ask(lambda: self._sdk.mch_transfer_bills_cancel(out_bill_no))

    def decrypt_notice(self, headers: Mapping[str, str], body: bytes) -> dict[str, Any] | None:
        """Return a notification with its resource in clear; None when it is not WeChat's.

        Call it only for the configured serial: for others the SDK asks WeChat for certificates.
        """
        try:
            found: dict[str, Any] | None = self._sdk.callback(headers, body)
        except Exception:  # noqa: BLE001 - the SDK raises bare Exceptions
            return None
        return found


def pay() -> PayClient:
    """Return this process's client."""
    return client_of(config())


@lru_cache(maxsize=4)
def client_of(settings: WechatConfig) -> PayClient:
    """Return the one client of a configuration."""
    return PayClient(settings)


def make_sdk(settings: WechatConfig) -> Any:
    """Return wechatpayv3's client; without a logger, since it would write everything."""
    sdk = WeChatPay(
        WeChatPayType.MINIPROG,
        mchid=settings.mchid,
        private_key=settings.private_key,
        cert_serial_no=settings.cert_serial,
        appid=settings.appid,
        apiv3_key=settings.apiv3_key,
        public_key=settings.public_key,
        public_key_id=settings.public_key_id,
        timeout=TIMEOUT,
        proxy={"http": "", "https": ""} if settings.sandbox else None,
    )
    sdk._core._gate_way = settings.gateway  # the SDK has no parameter for it
    return sdk


def ask(call: Callable[[], tuple[int, str | bytes]]) -> dict[str, Any]:
    """Make a call and return its JSON answer, {} when it has no body."""
    try:
        status, body = call()
    except (requests.RequestException, OSError):
        raise WechatUnknown("connection") from None
    except Exception:  # noqa: BLE001 - a bare one: wrong signature, the effect may be real
        raise WechatUnknown("signature") from None
    if status == 204:
        return {}
    answer = parse(body)
    if status == 200:
        return answer
    raise refusal(status, answer)


def parse(body: str | bytes) -> dict[str, Any]:
    """Return a JSON object; anything else came from no WeChat server that we know."""
    try:
        answer = json.loads(body)
    except (ValueError, RecursionError):
        raise WechatUnknown("body") from None
    if not isinstance(answer, dict):
        raise WechatUnknown("body")
    return answer


def refusal(
    status: int, answer: Mapping[str, Any]
) -> WechatRefused | WechatNotFound | WechatUnknown:
    """Return the error of an HTTP status: certain only for a 4xx with WeChat's own code."""
    code, message = answer.get("code"), str(answer.get("message", ""))
    if not isinstance(code, str) or not code or not 400 <= status < 500 or status == 429:
        return WechatUnknown(code if isinstance(code, str) and code else "http", message)
    return (WechatNotFound if status == 404 else WechatRefused)(code, message)


def refund_state(answer: Mapping[str, Any], out_refund_no: str) -> RefundState:
    """Read an answer about one refund and no other."""
    state = of_answer(lambda: RefundState.read(answer))
    if state.out_refund_no != out_refund_no:
        raise WechatUnknown("body")
    return state


def transfer_state(answer: Mapping[str, Any], out_bill_no: str) -> TransferState:
    """Read an answer about one transfer and no other."""
    state = of_answer(lambda: TransferState.read(answer))
    if state.out_bill_no != out_bill_no:
        raise WechatUnknown("body")
    return state


def rfc3339(at: datetime) -> str:
    """Return a time as WeChat wants it: whole seconds, Beijing's offset."""
    return at.astimezone(BEIJING).isoformat(timespec="seconds")
