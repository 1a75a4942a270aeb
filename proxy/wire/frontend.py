"""Messages of the frontend: tags and one decoder for each message we read.

Source: PostgreSQL documentation, "Message Formats".
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING, Final

from proxy.errors import WireError

if TYPE_CHECKING:
    from collections.abc import Mapping


class Tag(IntEnum):
    """First byte of a frontend message."""

    QUERY = ord("Q")
    PARSE = ord("P")
    BIND = ord("B")
    DESCRIBE = ord("D")
    EXECUTE = ord("E")
    CLOSE = ord("C")
    FLUSH = ord("H")
    SYNC = ord("S")
    FUNCTION_CALL = ord("F")
    COPY_DATA = ord("d")
    COPY_DONE = ord("c")
    COPY_FAIL = ord("f")
    PASSWORD = ord("p")  # also SASLInitialResponse, SASLResponse, GSSResponse
    TERMINATE = ord("X")


TAGS: Final = bytes(Tag)
BULK_TAGS: Final = bytes([Tag.COPY_DATA])
LARGEST_PASSWORD: Final = 65535
_LARGEST_SMALL: Final = 10_000
# as the server's own limits: no peer may make us collect more of what can never be large
LARGEST: Final[Mapping[int, int]] = {
    Tag.PASSWORD: LARGEST_PASSWORD,
    **dict.fromkeys(
        (
            *(Tag.DESCRIBE, Tag.EXECUTE, Tag.CLOSE, Tag.FLUSH, Tag.SYNC),
            *(Tag.TERMINATE, Tag.COPY_DONE, Tag.COPY_FAIL),
        ),
        _LARGEST_SMALL,
    ),
}
_INT16: Final = struct.Struct(">H")
_INT32: Final = struct.Struct(">i")
_INT32_BYTES: Final = 4
_NULL: Final = -1  # the length of a parameter that is NULL
_KINDS: Final = frozenset({b"S", b"P"})


@dataclass(frozen=True, slots=True)
class Parse:
    """Make a prepared statement; ``text`` is without the closing zero byte.

    ``types``: four bytes for the OID of each parameter whose type is said.
    """

    statement: str
    text: bytes
    types: bytes = b""


@dataclass(frozen=True, slots=True)
class Bind:
    """Make a portal from a prepared statement. ``parameters``: None for NULL."""

    portal: str
    statement: str
    formats: tuple[int, ...]
    parameters: tuple[bytes | None, ...]

    def format_of(self, index: int) -> int:
        """0 text or 1 binary, for the parameter at ``index`` (from 0)."""
        if not self.formats:
            return 0
        return self.formats[0] if len(self.formats) == 1 else self.formats[index]


@dataclass(frozen=True, slots=True)
class Target:
    """What Describe and Close name: ``kind`` is ``S`` (prepared statement) or ``P`` (portal)."""

    kind: str
    name: str


def decode_query(body: bytes) -> bytes | None:
    """Return the text, or None when it is not exactly one zero-terminated string.

    The server refuses such a message with 08P01 and keeps the session; so must any reader, or
    the two read different statements.
    """
    return body[:-1] if body and body.find(b"\0") == len(body) - 1 else None


def decode_parse(body: bytes) -> Parse | None:
    """Return the message, or None when the server would refuse it as malformed."""
    try:
        name_end = body.index(b"\0")
        text_end = body.index(b"\0", name_end + 1)
        (types,) = _INT16.unpack_from(body, text_end + 1)
    except (ValueError, struct.error):
        return None
    if len(body) != text_end + 3 + 4 * types:
        return None
    return Parse(_name(body[:name_end]), body[name_end + 1 : text_end], body[text_end + 3 :])


def decode_bind(body: bytes) -> Bind | None:
    """Return the message, or None when the server would refuse it as malformed."""
    try:
        return _decode_bind(body)
    except (ValueError, struct.error):
        return None


def _decode_bind(body: bytes) -> Bind:
    portal_end = body.index(b"\0")
    name_end = body.index(b"\0", portal_end + 1)
    at = name_end + 1
    (count,) = _INT16.unpack_from(body, at)
    formats = struct.unpack_from(f">{count}H", body, at + 2)
    at += 2 + 2 * count
    (count,) = _INT16.unpack_from(body, at)
    at += 2
    parameters: list[bytes | None] = []
    for _ in range(count):
        (length,) = _INT32.unpack_from(body, at)
        at += 4
        if length == _NULL:
            parameters.append(None)
            continue
        if length < 0 or at + length > len(body):
            raise ValueError(length)
        parameters.append(body[at : at + length])
        at += length
    if len(formats) > 1 and len(formats) != count:
        raise ValueError(count)
    (count,) = _INT16.unpack_from(body, at)  # result formats, which the backend reports
    if at + 2 + 2 * count != len(body):
        raise ValueError(count)
    portal, statement = _name(body[:portal_end]), _name(body[portal_end + 1 : name_end])
    return Bind(portal, statement, formats, tuple(parameters))


def decode_bind_names(body: bytes) -> tuple[str, str] | None:
    """Return (portal, statement) of a Bind of which perhaps only the head is there."""
    try:
        portal, statement, _ = body.split(b"\0", 2)
    except ValueError:
        return None
    return _name(portal), _name(statement)


def decode_execute(body: bytes) -> tuple[str, int] | None:
    """Return (portal, row limit; 0 for none), or None when malformed.

    PostgreSQL takes a negative limit for none.
    """
    end = body.find(b"\0")
    if end < 0 or len(body) != end + 1 + _INT32_BYTES:
        return None
    return _name(body[:end]), max(0, _INT32.unpack_from(body, end + 1)[0])


def decode_target(body: bytes) -> Target | None:
    """Return what a Describe or Close names, or None when malformed."""
    if body[:1] not in _KINDS or len(body) == 1 or body.find(b"\0", 1) != len(body) - 1:
        return None
    return Target(chr(body[0]), _name(body[1:-1]))


def decode_sasl_mechanism(body: bytes) -> bytes:
    """Return the mechanism that a SASLInitialResponse chooses; all of it if it is malformed."""
    return body.partition(b"\0")[0]


def decode_sasl_initial_response(body: bytes) -> tuple[bytes, bytes]:
    """Return (mechanism, first message).

    Raises:
        WireError: lengths do not add up; a first message is missing.
    """
    mechanism, zero, rest = body.partition(b"\0")
    if not zero or len(rest) < _INT32_BYTES:
        raise WireError("SASLInitialResponse is cut short")
    message = rest[_INT32_BYTES:]
    if _INT32.unpack_from(rest)[0] != len(message):
        raise WireError(
            f"SASLInitialResponse announces {_INT32.unpack_from(rest)[0]} bytes,"
            f" and has {len(message)}"
        )
    return mechanism, message


def decode_function_oid(body: bytes) -> int:
    """Return the OID of the function that a FunctionCall names.

    Raises:
        WireError: the body is too short to name one.
    """
    if len(body) < _INT32_BYTES:
        raise WireError(f"FunctionCall has {len(body)} bytes, expected at least {_INT32_BYTES}")
    return int.from_bytes(body[:_INT32_BYTES], "big")


def _name(raw: bytes) -> str:
    # names are bytes to the server; latin-1 keeps each apart without ever failing
    return raw.decode("latin-1")
