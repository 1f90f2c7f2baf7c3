"""WeChat Pay's side of signatures and encryption, written apart from the product's."""

from __future__ import annotations

import base64
import json
import secrets
import time
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from distro.wechat.sandbox.keys import Keys

SIGNATURE_TYPE = "WECHATPAY2-SHA256-RSA2048"
OAEP = padding.OAEP(padding.MGF1(hashes.SHA1()), hashes.SHA1(), None)  # noqa: S303 - WeChat's


class Platform:
    """The keys of the imitated WeChat Pay, loaded."""

    def __init__(self, keys: Keys) -> None:
        self.serial = keys.public_key_id
        self._apiv3_key = keys.apiv3_key.encode()
        self._private = load_private(keys.platform_private_key)
        self._other = load_private(keys.private_key)  # signs what must not verify
        self._merchant = load_public(keys.merchant_public_key)

    def signed_headers(
        self, body: bytes, *, wrong_key: bool = False, age: int = 0
    ) -> dict[str, str]:
        """Return the headers that sign a body now, or `age` seconds ago."""
        stamp, nonce = str(int(time.time()) - age), secrets.token_hex(16)
        text = f"{stamp}\n{nonce}\n".encode() + body + b"\n"
        key = self._other if wrong_key else self._private
        signature = key.sign(text, padding.PKCS1v15(), hashes.SHA256())
        return {
            "Wechatpay-Timestamp": stamp,
            "Wechatpay-Nonce": nonce,
            "Wechatpay-Serial": self.serial,
            "Wechatpay-Signature": base64.b64encode(signature).decode(),
            "Wechatpay-Signature-Type": SIGNATURE_TYPE,
            "Request-ID": secrets.token_hex(16).upper(),
        }

    def merchant_signed(self, text: bytes, signature: str) -> bool:
        """Tell whether the merchant signed this text."""
        try:
            raw = base64.b64decode(signature, validate=True)
            self._merchant.verify(raw, text, padding.PKCS1v15(), hashes.SHA256())
        except (InvalidSignature, ValueError):
            return False
        return True

    def seal(self, resource: dict[str, Any], original_type: str) -> dict[str, str]:
        """Return the encrypted form of a notification's resource."""
        nonce = secrets.token_hex(6)  # 12 characters
        plain = json.dumps(resource, ensure_ascii=False).encode()
        aad = original_type.encode()
        sealed = AESGCM(self._apiv3_key).encrypt(nonce.encode(), plain, aad)
        return {
            "original_type": original_type,
            "algorithm": "AEAD_AES_256_GCM",
            "ciphertext": base64.b64encode(sealed).decode(),
            "associated_data": original_type,
            "nonce": nonce,
        }

    def open_name(self, sealed: str) -> str:
        """Return a name the merchant has encrypted; raise ValueError."""
        raw = base64.b64decode(sealed, validate=True)
        return self._private.decrypt(raw, OAEP).decode()


def load_private(pem: str) -> rsa.RSAPrivateKey:
    """Return an RSA private key."""
    key = serialization.load_pem_private_key(pem.encode(), None)
    assert isinstance(key, rsa.RSAPrivateKey)
    return key


def load_public(pem: str) -> rsa.RSAPublicKey:
    """Return an RSA public key."""
    key = serialization.load_pem_public_key(pem.encode())
    assert isinstance(key, rsa.RSAPublicKey)
    return key
