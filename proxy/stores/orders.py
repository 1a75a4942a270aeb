"""Work orders in a folder: one signed file each, and a file beside it for one that is revoked.

``ID.order.json`` holds the order as text and an Ed25519 signature of that very text.
``ID.revoked.json`` revokes it whoever wrote it: nobody gains by revoking. Errors: OrderError.
"""

from __future__ import annotations

import base64
import json
import os
import stat
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from proxy.errors import VigieError
from proxy.policy.orders import read_order, write_order

if TYPE_CHECKING:
    from pathlib import Path

    from proxy.terms.order import WorkOrder

_SUFFIX: Final = ".order.json"
_REVOKED: Final = ".revoked.json"


class OrderError(VigieError):
    """An order or a key that cannot be used. The message names the file, and what is wrong."""


@dataclass(frozen=True, slots=True)
class FoundOrder:
    """An order whose signature holds. ``revoked``: who revoked it and why; None: nobody."""

    order: WorkOrder
    revoked: dict[str, Any] | None = None


def make_keys(private: Path, public: Path) -> None:
    """Make a key that signs, readable by its owner alone, and the one that checks."""
    key = Ed25519PrivateKey.generate()
    secret = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    open_text = key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    _write_new(private, secret, 0o600)
    _write_new(public, open_text, 0o644)


def sign_order(order: WorkOrder, private: Path, folder: Path) -> Path:
    """Write an order, signed, into the folder; return its file."""
    try:
        mode = stat.S_IMODE(private.stat().st_mode)
        if mode & 0o077:
            raise OrderError(f"{private}: has mode {mode:04o}, expected 0600: others can sign")
        key = serialization.load_pem_private_key(private.read_bytes(), None)
    except (OSError, ValueError, TypeError) as error:
        raise OrderError(f"{private}: is no private key that can be read: {error}") from None
    if not isinstance(key, Ed25519PrivateKey):
        raise OrderError(f"{private}: is no Ed25519 key")
    text = write_order(order)
    signature = base64.b64encode(key.sign(text.encode())).decode()
    path = folder / f"{order.id}{_SUFFIX}"
    document = {"order": text, "signature": signature}
    _write_new(path, (json.dumps(document, indent=2) + "\n").encode(), 0o640)
    return path


def revoke_order(order_id: str, folder: Path, *, by: str, why: str) -> None:
    """Revoke an order of the folder, for good."""
    if not (folder / f"{order_id}{_SUFFIX}").is_file():
        raise OrderError(f"{folder}: has no order {order_id}")
    text = json.dumps({"order": order_id, "by": by, "why": why}, ensure_ascii=False)
    _write_new(folder / f"{order_id}{_REVOKED}", (text + "\n").encode(), 0o640)


def read_public_key(path: Path) -> Ed25519PublicKey:
    """Return the key that signatures are checked by."""
    try:
        key = serialization.load_pem_public_key(path.read_bytes())
    except (OSError, ValueError) as error:
        raise OrderError(f"{path}: is no public key that can be read: {error}") from None
    if not isinstance(key, Ed25519PublicKey):
        raise OrderError(f"{path}: is no Ed25519 key")
    return key


def read_orders(folder: Path, key: Ed25519PublicKey) -> tuple[list[FoundOrder], list[str]]:
    """Return the orders of a folder, and what is wrong with the others."""
    found: list[FoundOrder] = []
    problems: list[str] = []
    try:
        paths = sorted(folder.glob(f"*{_SUFFIX}"))
    except OSError as error:
        raise OrderError(f"{folder}: cannot be read: {error.strerror}") from None
    for path in paths:
        try:
            order = _read(path, key)
        except OrderError as error:
            problems.append(str(error))
            continue
        found.append(FoundOrder(order, _revocation(folder / f"{order.id}{_REVOKED}")))
    return found, problems


def _read(path: Path, key: Ed25519PublicKey) -> WorkOrder:
    try:
        document = json.loads(path.read_text("utf-8"))
        text, signature = str(document["order"]), base64.b64decode(document["signature"])
        key.verify(signature, text.encode())
        order = read_order(text)
    except InvalidSignature:
        raise OrderError(f"{path}: its signature is not of this key; it is not in force") from None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise OrderError(f"{path}: is no order: {error}") from None
    if path.name != f"{order.id}{_SUFFIX}":
        raise OrderError(f"{path}: holds order {order.id}, expected it under its own name")
    return order


def _revocation(path: Path) -> dict[str, Any] | None:
    if not path.exists():
        return None
    try:
        found = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _write_new(path: Path, content: bytes, mode: int) -> None:
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
    except FileExistsError:
        raise OrderError(f"{path}: is there already, and is not written over") from None
    except OSError as error:
        raise OrderError(f"{path}: cannot be written: {error.strerror}") from None
