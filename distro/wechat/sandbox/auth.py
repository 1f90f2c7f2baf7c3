"""Does the merchant's signature on a Pay v3 request hold?"""

from __future__ import annotations

import re
import threading
import time

from distro.wechat.sandbox.http import PayError, Request
from distro.wechat.sandbox.world import World

SCHEME = "WECHATPAY2-SHA256-RSA2048 "
FIELD = re.compile(r'(\w+)="([^"]*)"')
WINDOW = 300  # seconds


class Nonces:
    """The nonces of the last minutes; each request must bring a new one."""

    def __init__(self) -> None:
        self._seen: dict[str, float] = {}
        self._lock = threading.Lock()

    def new(self, nonce: str) -> bool:
        """Remember a nonce; False when it was there."""
        horizon = time.time() - 2 * WINDOW
        with self._lock:
            if len(self._seen) > 10_000:
                self._seen = {key: at for key, at in self._seen.items() if at > horizon}
            if nonce in self._seen:
                return False
            self._seen[nonce] = time.time()
            return True


def check(world: World, nonces: Nonces, request: Request) -> None:
    """Raise PayError 401 SIGN_ERROR unless the merchant signed exactly this request, just now."""
    header = request.headers.get("Authorization", "")
    fields = dict(FIELD.findall(header)) if header.startswith(SCHEME) else {}
    names = ("mchid", "serial_no", "timestamp", "nonce_str", "signature")
    if any(not fields.get(name) for name in names):
        raise PayError(401, "SIGN_ERROR", "Authorization is incomplete")
    keys = world.keys
    if (fields["mchid"], fields["serial_no"]) != (keys.mchid, keys.cert_serial):
        raise PayError(401, "SIGN_ERROR", "unknown merchant or certificate serial")
    stamp = fields["timestamp"]
    if not re.fullmatch(r"[0-9]{1,12}", stamp) or abs(time.time() - int(stamp)) > WINDOW:
        raise PayError(401, "SIGN_ERROR", "timestamp is off")
    head = f"{request.method}\n{request.target}\n{stamp}\n{fields['nonce_str']}\n"
    if not world.platform.merchant_signed(
        head.encode() + request.body + b"\n", fields["signature"]
    ):
        raise PayError(401, "SIGN_ERROR", "signature does not match")
    if not nonces.new(fields["nonce_str"]):
        raise PayError(401, "SIGN_ERROR", "nonce_str was used before")
    if request.headers.get("Wechatpay-Serial") != keys.public_key_id:
        raise PayError(400, "PARAM_ERROR", "Wechatpay-Serial must name the public key")
