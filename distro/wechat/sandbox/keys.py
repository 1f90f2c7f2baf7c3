"""The sandbox's keys: made once into keys.json, read by the product and by the sandbox."""

from __future__ import annotations

import json
import os
import secrets
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa


@dataclass(frozen=True, repr=False)
class Keys:
    """Both halves of the contract between a merchant and the imitated WeChat."""

    # What a merchant would have in its settings.
    appid: str
    secret: str
    mchid: str
    cert_serial: str
    private_key: str
    apiv3_key: str
    public_key: str
    public_key_id: str
    # What only WeChat has.
    merchant_public_key: str
    platform_private_key: str
    control_token: str


def load_keys(folder: Path) -> Keys:
    """Return the keys of a folder, making them when there are none.

    Two processes that start at once get the same keys: the file appears whole, and only once.
    """
    path = folder / "keys.json"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        publish(path, json.dumps(asdict(make_keys()), indent=1))
    found = json.loads(path.read_text(encoding="ascii"))
    return Keys(**{field.name: found[field.name] for field in fields(Keys)})


def publish(path: Path, text: str) -> None:
    """Write a file that only its owner reads, unless somebody else was first."""
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    try:
        os.link(draft, path)  # unlike a rename, a link never replaces
    except FileExistsError:
        pass  # the other process's keys are as good
    finally:
        draft.unlink()


def make_keys() -> Keys:
    """Invent a mini-program, its merchant and the WeChat Pay public key."""
    private_key, merchant_public_key = make_pair()
    platform_private_key, public_key = make_pair()
    return Keys(
        appid="wx" + secrets.token_hex(8),
        secret=secrets.token_hex(16),
        mchid="19" + digits(8),
        cert_serial=secrets.token_hex(20).upper(),
        private_key=private_key,
        apiv3_key=secrets.token_hex(16),
        public_key=public_key,
        public_key_id="PUB_KEY_ID_01" + digits(28),
        merchant_public_key=merchant_public_key,
        platform_private_key=platform_private_key,
        control_token=secrets.token_urlsafe(24),
    )


def make_pair() -> tuple[str, str]:
    """Return a new RSA-2048 pair as PEM text, private first."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    public = key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return private.decode(), public.decode()


def digits(count: int) -> str:
    """Return random decimal digits."""
    return "".join(secrets.choice("0123456789") for _ in range(count))
