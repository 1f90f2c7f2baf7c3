"""From a request to its handler, its fault and its signed answer."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from distro.wechat.sandbox import auth, faults, mini, payments, refunds, transfers
from distro.wechat.sandbox.http import MiniError, PayError, Reply, Request, json_reply
from distro.wechat.sandbox.world import World

Handler = Callable[..., Reply]
Fault = tuple[str, dict[str, Any]] | None


@dataclass(frozen=True)
class Route:
    """One endpoint; name is what faults and the list of calls call it."""

    method: str
    path: re.Pattern[str]
    name: str
    handler: Handler


def route(method: str, path: str, name: str, handler: Handler) -> Route:
    """Return a route; {field} in the path is handed to the handler."""
    pattern = re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", path)
    return Route(method, re.compile(pattern), name, handler)


ORDER = "/v3/pay/transactions/out-trade-no/{out_trade_no}"
REFUNDS = "/v3/refund/domestic/refunds"
BILLS = "/v3/fund-app/mch-transfer/transfer-bills"
ROUTES = [
    route("POST", "/cgi-bin/stable_token", "stable_token", mini.stable_token),
    route("GET", "/sns/jscode2session", "jscode2session", mini.jscode2session),
    route("POST", "/wxa/business/getuserphonenumber", "phone", mini.getuserphonenumber),
    route("POST", "/wxa/getwxacodeunlimit", "wxacode", mini.getwxacodeunlimit),
    route("POST", "/cgi-bin/message/subscribe/send", "subscribe_send", mini.subscribe_send),
    route("POST", "/v3/pay/transactions/jsapi", "prepay", payments.prepay),
    route("GET", ORDER, "query", payments.query),
    route("GET", "/v3/pay/transactions/id/{transaction_id}", "query", payments.query_by_id),
    route("POST", f"{ORDER}/close", "close", payments.close),
    route("POST", REFUNDS, "refund", refunds.refund),
    route("GET", f"{REFUNDS}/{{out_refund_no}}", "query_refund", refunds.query_refund),
    route("POST", BILLS, "transfer", transfers.transfer),
    route(
        "GET", f"{BILLS}/out-bill-no/{{out_bill_no}}", "query_transfer", transfers.query_transfer
    ),
    route(
        "POST",
        f"{BILLS}/out-bill-no/{{out_bill_no}}/cancel",
        "cancel_transfer",
        transfers.cancel_transfer,
    ),
]
SLOW_MAX = 60  # seconds


def answer(world: World, nonces: auth.Nonces, request: Request) -> Reply:
    """Answer an API call, with the fault that waits for it."""
    pay_side = request.path.startswith("/v3/")
    found, fields = find(request)
    if found is None:
        return unknown(pay_side)
    try:
        if pay_side:
            auth.check(world, nonces, request)
        with world.store.transaction() as db:
            fault = faults.take(db, faults.CALL_FAULTS, found.name)
        before(fault, pay_side)
        reply = found.handler(world, request, **fields)
        reply = after(world, reply, fault) if pay_side or fault else reply
    except MiniError as error:
        reply = json_reply({"errcode": error.errcode, "errmsg": error.errmsg})
    except PayError as error:
        reply = json_reply({"code": error.code, "message": error.message}, error.status)
    with world.store.transaction() as db:
        values = (found.name, 0 if reply.lost else reply.status)
        db.execute("INSERT INTO call (name, status) VALUES (?, ?)", values)
    world.wake()
    return reply


def find(request: Request) -> tuple[Route | None, dict[str, str]]:
    """Return the route of a request and what its path names."""
    for known in ROUTES:
        match = known.path.fullmatch(request.path)
        if match and known.method == request.method:
            return known, match.groupdict()
    return None, {}


def unknown(pay_side: bool) -> Reply:
    """Refuse an address nobody knows; /v3/certificates too, as for a public-key merchant."""
    if pay_side:
        return json_reply({"code": "RESOURCE_NOT_EXISTS", "message": "无可用的平台证书"}, 404)
    return json_reply({"errcode": 40066, "errmsg": "invalid url"}, 404)


def before(fault: Fault, pay_side: bool) -> None:
    """Fail a call that must have no effect."""
    name, args = fault or ("", {})
    if name == "error_before":
        raise PayError(500, "SYSTEM_ERROR", "system error")
    if name == "rate_limited":
        raise PayError(429, "FREQUENCY_LIMITED", "too fast") if pay_side else MiniError(45009)
    if name == "refuse":
        status, code = args.get("status", 400), args["code"]
        message = args.get("message", "refused")
        raise PayError(status, code, message) if pay_side else MiniError(int(code), message)


def after(world: World, reply: Reply, fault: Fault) -> Reply:
    """Spoil the answer of a call that had its effect; sign what is not spoilt."""
    name, args = fault or ("", {})
    if name == "error_after":
        body = json.dumps({"code": "SYSTEM_ERROR", "message": "system error"})
        return Reply(500, body.encode())
    if name == "slow":
        time.sleep(min(float(args.get("seconds", 1)), SLOW_MAX))
    headers = world.platform.signed_headers(reply.body, wrong_key=name == "bad_signature")
    return replace(reply, headers=headers, lost=name == "reply_lost")
