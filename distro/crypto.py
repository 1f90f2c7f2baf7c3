"""Personal data at rest: encrypted columns, blind indexes to find them, masks to show them."""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
from functools import lru_cache
from ipaddress import IPv6Address, ip_address, ip_network
from typing import TYPE_CHECKING, Any, NoReturn

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from django.conf import settings
from django.core.exceptions import FieldError
from django.db import models

if TYPE_CHECKING:
    from django.db.backends.base.base import BaseDatabaseWrapper
    from django.db.models import Expression

NONCE_BYTES = 12
PURPOSES = frozenset({"device", "ip", "phone", "address", "id", "request"})


class Undecryptable(Exception):
    """A stored value was altered, moved from another column, or its key is gone."""


class EncryptedTextField(models.TextField):  # type: ignore[type-arg]
    """Text encrypted with AES-256-GCM under a key of this very column.

    Stored as "key id:base64 of nonce and ciphertext"; the column's name is authenticated, so a
    value copied to another column does not open. Empty text stays empty. It cannot be searched:
    keep a blind_index() beside it.
    """

    description = "Encrypted text"

    def get_db_prep_save(self, value: Any, connection: BaseDatabaseWrapper) -> Any:
        """Encrypt what goes into the database."""
        prepared = super().get_db_prep_save(value, connection)
        return encrypt(prepared, self._place()) if isinstance(prepared, str) else prepared

    def from_db_value(
        self, value: str | None, expression: Expression, connection: BaseDatabaseWrapper
    ) -> str | None:
        """Decrypt what comes out of it; raise Undecryptable."""
        return decrypt(value, self._place()) if value else value

    def get_lookup(self, lookup_name: str) -> Any:
        """Refuse every comparison but IS NULL; equal texts are stored differently."""
        return super().get_lookup(lookup_name) if lookup_name == "isnull" else self._refuse()

    def get_transform(self, lookup_name: str) -> NoReturn:
        """Refuse every transformation."""
        self._refuse()

    def _place(self) -> str:
        return f"{self.model._meta.db_table}.{self.column}"

    def _refuse(self) -> NoReturn:
        raise FieldError(f"{self.name} is encrypted: search its blind index.")


def encrypt(text: str, place: str) -> str:
    """Encrypt text for a "table.column" under the first of the keys."""
    if not text:
        return ""
    key_id, key = next(iter(_field_keys(tuple(settings.FIELD_KEYS)).items()))
    nonce = os.urandom(NONCE_BYTES)
    sealed = AESGCM(_column_key(key, place)).encrypt(nonce, text.encode(), place.encode())
    return f"{key_id}:{base64.urlsafe_b64encode(nonce + sealed).decode()}"


def decrypt(token: str, place: str) -> str:
    """Decrypt what encrypt() made for the same place; raise Undecryptable."""
    key_id, _, body = token.partition(":")
    key = _field_keys(tuple(settings.FIELD_KEYS)).get(key_id)
    if key is None:
        raise Undecryptable(f"{place}: no such key")
    try:
        raw = base64.urlsafe_b64decode(body)
        nonce, sealed = raw[:NONCE_BYTES], raw[NONCE_BYTES:]
        return AESGCM(_column_key(key, place)).decrypt(nonce, sealed, place.encode()).decode()
    except (InvalidTag, ValueError):
        raise Undecryptable(place) from None


def blind_index(purpose: str, value: str) -> str:
    """Return 64 hex digits to find or compare a value by, without keeping it; "" for "".

    purpose: device, ip, phone, address, id or request; the same value gives unrelated digits for
    another.
    """
    return _index(settings.BLIND_INDEX_KEY, purpose, value)


def signal_key_version() -> str:
    """Return the id of the key that signal_hash() uses now; "" for that of blind_index()."""
    return next(iter(_signal_keys()))


def signal_hash(purpose: str, value: str) -> str:
    """Return a keyed hash of a device or address, under the newest of the rotated keys."""
    return _index(_signal_keys()[signal_key_version()], purpose, value)


def signal_hashes(purpose: str, value: str) -> list[str]:
    """Return the hashes under all keys that are still compared, to look a value up by."""
    return [_index(key, purpose, value) for key in _signal_keys().values()] if value else []


def _signal_keys() -> dict[str, str]:
    """Return key id -> base64, the newest first; without rotation that of blind_index()."""
    entries = (entry.partition(":") for entry in settings.SIGNAL_KEYS)
    return {key_id: key for key_id, _, key in entries} or {"": settings.BLIND_INDEX_KEY}


def _index(master: str, purpose: str, value: str) -> str:
    assert purpose in PURPOSES
    if not value:
        return ""
    raw = base64.b64decode(master)
    key = hmac.digest(raw, b"blind index:" + purpose.encode(), hashlib.sha256)
    return hmac.digest(key, value.encode(), hashlib.sha256).hex()


def mask_phone(phone: str) -> str:
    """Show three digits and the last four: 138****5678; shorter numbers not at all."""
    return f"{phone[:3]}****{phone[-4:]}" if len(phone) >= 11 else "*" * len(phone)


def mask_name(name: str) -> str:
    """Show the first character: 张三丰 as 张**."""
    return name[:1] + "*" * min(len(name) - 1, 2) if len(name) > 1 else "*" * len(name)


def mask_id(number: str) -> str:
    """Show three characters and the last four of an identity number; shorter ones not at all."""
    hidden = len(number) - 7
    return f"{number[:3]}{'*' * hidden}{number[-4:]}" if hidden >= 4 else "*" * len(number)


def truncate_ip(ip: str) -> str:
    """Return the /24 or /48 network an address is in; "" for what is no address."""
    try:
        address = ip_address(ip)
    except ValueError:
        return ""
    if isinstance(address, IPv6Address):
        if address.ipv4_mapped is None:
            return str(ip_network((int(address), 48), strict=False))
        address = address.ipv4_mapped
    return str(ip_network((int(address), 24), strict=False))


@lru_cache(maxsize=8)
def _field_keys(entries: tuple[str, ...]) -> dict[str, bytes]:
    """Read "id:base64" entries; the order stays."""
    pairs = (entry.split(":", 1) for entry in entries)
    return {key_id: base64.b64decode(key) for key_id, key in pairs}


@lru_cache(maxsize=256)
def _column_key(key: bytes, place: str) -> bytes:
    return HKDF(SHA256(), length=32, salt=None, info=place.encode()).derive(key)
