"""Subject keys as they stand on the wire, reduced to keyed hashes.

The same key must give the same hash in text and in binary, or one subject would be charged twice
(safe, but unjust); and a NIR must never be kept as it is.

Source: BLAKE2 (RFC 7693), keyed mode.
"""

from __future__ import annotations

import hashlib
import struct
from typing import Final

_INTEGERS: Final = {20: struct.Struct(">q"), 21: struct.Struct(">h"), 23: struct.Struct(">i")}
HASH_BYTES: Final = 12


def canonical_value(value: bytes, type_oid: int, form: int) -> bytes:
    """Return a key's text form: integers in decimal, padding of ``char(n)`` removed."""
    if form == 1:
        integer = _INTEGERS.get(type_oid)
        if integer is not None and len(value) == integer.size:
            return str(integer.unpack(value)[0]).encode()
    return value.rstrip(b" ")


def hash_key(secret: bytes, space: str, value: bytes) -> bytes:
    """Return 12 bytes that stand for a key of this space; reveals nothing without the secret."""
    return hashlib.blake2b(
        space.encode() + b"\0" + value, digest_size=HASH_BYTES, key=secret
    ).digest()
