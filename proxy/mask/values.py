"""One value masked: in the text or binary format of its type, so that every driver reads it.

Texts stay texts, dates stay dates. What has no harmless value of its own type becomes NULL if
nothing of it may be left, and cannot be masked otherwise.

Source: PostgreSQL's type OIDs (pg_type.dat); "Date/Time Types", output of each DateStyle; RFC 9562
for UUIDs of version 8; BLAKE2 (RFC 7693), keyed mode.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import re
import struct
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final, TypeAlias
from uuid import UUID

from proxy.terms.mask import How

Masker: TypeAlias = Callable[[bytes], bytes | None]

DATE: Final = 1082
UUID_OID: Final = 2950
BPCHAR: Final = 1042
TEXT: Final = 25
_TEXTS: Final = frozenset({19, TEXT, BPCHAR, 1043})  # name, text, char(n), varchar(n)
_STARS: Final = "***"
_LABEL: Final = b"h:"  # no NIR, phone number or name of a person has it
_HASH_CHARACTERS: Final = 13  # of 5 bits; with the label it fits into a column for a NIR
_HASH_WIDTH: Final = len(_LABEL) + _HASH_CHARACTERS
_PERSON: Final = b"vigie mask"  # no other hash under the same key is equal
_HEADER: Final = 4  # of a type modifier
_DAY: Final = struct.Struct(">i")  # days since 2000-01-01
_EPOCH: Final = date(2000, 1, 1)
_ISO: Final = re.compile(rb"(\d{4,})-\d\d-\d\d( BC)?")
_OTHER: Final = re.compile(rb"\d\d([-/.])\d\d[-/.](\d{4,})( BC)?")  # SQL, Postgres, German
_BINARY: Final = 1


@dataclass(frozen=True, slots=True)
class Kind:
    """How a column's values look: type, its modifier (-1: none), format (1: binary), codec."""

    type_oid: int
    modifier: int = -1
    form: int = 0
    codec: str = "utf-8"

    @property
    def width(self) -> int | None:
        """How many characters fit, where the column says so."""
        has_width = self.type_oid != TEXT and self.modifier >= _HEADER
        return self.modifier - _HEADER if has_width else None


def masker_of(how: How, kind: Kind, secret: bytes) -> Masker | None:
    """Return what masks a value of this kind; None: it cannot be masked so. NULL stays NULL."""
    if kind.type_oid in _TEXTS:
        return _text_masker(how, kind, secret)
    if how is How.WHOLE:
        return _nothing
    if how is How.PARTIAL and kind.type_oid == DATE:
        return _year_binary if kind.form == _BINARY else _year_text
    if how is How.HASH and kind.type_oid == UUID_OID:
        return _uuid_masker(kind, secret)
    return None


def _nothing(_value: bytes) -> None:
    return None


def _fitted(text: str, kind: Kind) -> bytes:
    width = kind.width
    if width is not None:
        text = text[:width]
        if kind.type_oid == BPCHAR:
            text = text.ljust(width)
    return text.encode(kind.codec)


def _text_masker(how: How, kind: Kind, secret: bytes) -> Masker | None:
    stars = _fitted(_STARS, kind)
    if how is How.WHOLE:
        return lambda _value: stars
    if how is How.PARTIAL:
        return lambda value: _first_left(value, kind, stars)
    width = kind.width
    if width is not None and width < _HASH_WIDTH:
        return None
    return _pseudonyms(kind, secret)


def _first_left(value: bytes, kind: Kind, stars: bytes) -> bytes:
    try:
        text = value.decode(kind.codec).rstrip(" ")
    except UnicodeDecodeError:
        return stars
    if len(text) <= 1 or kind.width == 1:  # the first would be all
        return stars
    return _fitted(text[0] + _STARS, kind)


def _pseudonyms(kind: Kind, secret: bytes) -> Masker:
    begun = _begun(secret, 10)
    recodes = kind.codec != "utf-8"
    width = kind.width or 0
    padding = b" " * (width - _HASH_WIDTH) if kind.type_oid == BPCHAR else b""

    def masked(value: bytes) -> bytes:
        # the same in every client_encoding, and whether or not it is padded
        if recodes:
            with contextlib.suppress(UnicodeDecodeError):  # what cannot be read is hashed as it is
                value = value.decode(kind.codec).encode()
        digest = begun.copy()
        digest.update(value.rstrip(b" "))
        return _LABEL + base64.b32encode(digest.digest())[:_HASH_CHARACTERS].lower() + padding

    return masked


def _begun(secret: bytes, size: int) -> hashlib.blake2b:
    """Return a hash under the secret that nothing was given to yet."""
    return hashlib.blake2b(digest_size=size, key=secret, person=_PERSON)


def _uuid_masker(kind: Kind, secret: bytes) -> Masker:
    begun = _begun(secret, 16)

    def masked(value: bytes) -> bytes | None:
        try:
            known = UUID(bytes=value) if kind.form == _BINARY else UUID(value.decode("ascii"))
        except ValueError:
            return None
        hashed = begun.copy()
        hashed.update(known.bytes)
        digest = bytearray(hashed.digest())
        digest[6] = digest[6] & 0x0F | 0x80  # version 8: a form of one's own
        digest[8] = digest[8] & 0x3F | 0x80
        found = UUID(bytes=bytes(digest))
        return found.bytes if kind.form == _BINARY else str(found).encode()

    return masked


def _year_text(value: bytes) -> bytes | None:
    found = _ISO.fullmatch(value)
    if found is not None:
        return found[1] + b"-01-01" + (found[2] or b"")
    found = _OTHER.fullmatch(value)
    if found is None:  # infinity
        return None
    return b"01" + found[1] + b"01" + found[1] + found[2] + (found[3] or b"")


def _year_binary(value: bytes) -> bytes | None:
    if len(value) != _DAY.size:
        return None
    try:
        day = _EPOCH + timedelta(days=_DAY.unpack(value)[0])
    except OverflowError:  # before the year 1, after 9999, infinity
        return None
    return _DAY.pack((day.replace(month=1, day=1) - _EPOCH).days)
