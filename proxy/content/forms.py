"""The forms in which a value may leave, so that an encoding does not hide it.

Source: RFC 4648 (hexadecimal, Base64); PostgreSQL documentation, ``encode`` and ``md5``.
"""

from __future__ import annotations

import base64
import hashlib
from typing import Final

FEWEST_BYTES: Final = 7  # a shorter form is in other data by chance
_DIGESTS: Final = ("md5", "sha1", "sha256")
_INT4_BYTES: Final = 4
_INT8_BYTES: Final = 8
_NIR_GROUPS: Final = (1, 2, 2, 2, 3, 3, 2)


def forms_of(value: str) -> frozenset[bytes]:
    """Return what to look for: the value in text, digests, hexadecimal, Base64, and backwards.

    Forms that are too short to be nobody else's are left out.
    """
    spellings = {value, value.lower(), value.upper(), value.capitalize()}
    if value.isdigit():
        spellings |= {_grouped(value, " "), _grouped(value, "-"), _grouped(value, ".")}
    spellings |= {spelling[::-1] for spelling in spellings}
    found: set[bytes] = set()
    for spelling in spellings:
        octets = spelling.encode()
        found |= {octets, octets.hex().encode(), octets.hex().upper().encode(), *_base64(octets)}
    for name in _DIGESTS:
        digest = hashlib.new(name, value.encode(), usedforsecurity=False)
        found |= {digest.digest(), digest.hexdigest().encode(), *_base64(digest.digest())}
    if value.isdigit():
        found |= _binary(int(value))
    return frozenset(form for form in found if len(form) >= FEWEST_BYTES)


def _grouped(digits: str, between: str) -> str:
    """Return a NIR as people write it, other numbers by threes."""
    if len(digits) != sum(_NIR_GROUPS):
        return between.join(digits[at : at + 3] for at in range(0, len(digits), 3))
    parts, at = [], 0
    for size in _NIR_GROUPS:
        parts.append(digits[at : at + size])
        at += size
    return between.join(parts)


def _base64(octets: bytes) -> set[bytes]:
    """Return what is always in the Base64 of a text that holds these bytes, wherever they begin."""
    found = set()
    for before in range(3):
        encoded = base64.b64encode(bytes(before) + octets)
        begin = (0, 2, 3)[before]
        spoilt = (len(octets) + before) % 3
        end = len(encoded) - (0, 3, 2)[spoilt]
        found.add(encoded[begin:end])
    return found


def _binary(number: int) -> set[bytes]:
    """Return a number in PostgreSQL's binary formats; of four bytes only with its length before."""
    found = set()
    if number < 1 << 31:
        length = _INT4_BYTES.to_bytes(4, "big")
        found.add(length + number.to_bytes(_INT4_BYTES, "big"))
    if number < 1 << 63:
        found.add(_INT8_BYTES.to_bytes(4, "big") + number.to_bytes(_INT8_BYTES, "big"))
    return found
