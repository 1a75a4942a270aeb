"""Messages of the backend: tags and one decoder for each message we read.

Source: PostgreSQL documentation, "Message Formats", "Error and Notice Message Fields".
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from proxy.errors import WireError


class Tag(IntEnum):
    """First byte of a backend message."""

    AUTHENTICATION = ord("R")
    NEGOTIATE_PROTOCOL_VERSION = ord("v")
    BACKEND_KEY_DATA = ord("K")
    PARAMETER_STATUS = ord("S")
    READY_FOR_QUERY = ord("Z")
    ROW_DESCRIPTION = ord("T")
    PARAMETER_DESCRIPTION = ord("t")
    NO_DATA = ord("n")
    DATA_ROW = ord("D")
    COMMAND_COMPLETE = ord("C")
    EMPTY_QUERY_RESPONSE = ord("I")
    PORTAL_SUSPENDED = ord("s")
    PARSE_COMPLETE = ord("1")
    BIND_COMPLETE = ord("2")
    CLOSE_COMPLETE = ord("3")
    COPY_IN_RESPONSE = ord("G")
    COPY_OUT_RESPONSE = ord("H")
    COPY_BOTH_RESPONSE = ord("W")
    COPY_DATA = ord("d")
    COPY_DONE = ord("c")
    FUNCTION_CALL_RESPONSE = ord("V")
    ERROR_RESPONSE = ord("E")
    NOTICE_RESPONSE = ord("N")
    NOTIFICATION_RESPONSE = ord("A")


TAGS: Final = bytes(Tag)
BULK_TAGS: Final = bytes([Tag.DATA_ROW, Tag.COPY_DATA])
_COLUMN: Final = struct.Struct(">IhIhih")
_NEGOTIATION: Final = struct.Struct(">II")
_INT16: Final = struct.Struct(">h")
_INT32: Final = struct.Struct(">i")
_NULL: Final = -1  # the length of a value that is NULL
SMALLEST_KEY_DATA: Final = 8
LARGEST_KEY_DATA: Final = 260
_SASL: Final = 10
SASL_CONTINUE: Final = 11
SASL_FINAL: Final = 12
_PARTS: Final = 3  # name, value, and nothing behind the second zero byte


@dataclass(frozen=True, slots=True)
class ResultColumn:
    """One field of a RowDescription. ``format``: 0 text, 1 binary; ``modifier``: -1 is none."""

    name: str
    table_oid: int
    attribute_number: int
    type_oid: int
    format: int
    modifier: int = -1


def decode_row_description(body: bytes) -> tuple[ResultColumn, ...]:
    """Return the columns of a result.

    Raises:
        WireError: the backend sent a damaged message.
    """
    try:
        (count,) = _INT16.unpack_from(body)
        at, columns = 2, []
        for _ in range(count):
            end = body.index(b"\0", at)
            name = body[at:end].decode("latin-1")
            table, attribute, type_oid, _, modifier, form = _COLUMN.unpack_from(body, end + 1)
            columns.append(ResultColumn(name, table, attribute, type_oid, form, modifier))
            at = end + 1 + _COLUMN.size
    except (ValueError, struct.error) as error:
        raise WireError("RowDescription is cut short") from error
    if count < 0 or at != len(body):
        raise WireError(f"RowDescription of {count} columns has {len(body)} bytes, expected {at}")
    return tuple(columns)


def decode_data_row(raw: bytes, start: int, end: int) -> list[bytes | None]:
    """Return the values of the DataRow frame at ``raw[start:end]``; None for NULL.

    Raises:
        WireError: lengths inside do not add up to the frame.
    """
    at = start + 7
    values: list[bytes | None] = []
    try:
        (count,) = _INT16.unpack_from(raw, start + 5)
        for _ in range(count):
            (length,) = _INT32.unpack_from(raw, at)
            at += 4
            if length < 0:
                if length != _NULL:
                    raise WireError(f"DataRow has a value of {length} bytes")
                values.append(None)
                continue
            values.append(raw[at : at + length])
            at += length
    except struct.error as error:
        raise WireError("DataRow is cut short") from error
    if count < 0 or at != end:
        raise WireError(f"DataRow of {count} values has {end - start} bytes, expected {at - start}")
    return values


def decode_fields(body: bytes) -> dict[str, bytes]:
    """Return the fields of an ErrorResponse or NoticeResponse by their letter. Errors: none."""
    return {chr(part[0]): part[1:] for part in body.split(b"\0") if part}


def decode_parameter_status(body: bytes) -> tuple[str, str]:
    """Return (name, value).

    Raises:
        WireError: it is not two zero-terminated strings.
    """
    parts = body.split(b"\0")
    if len(parts) != _PARTS or parts[2]:
        raise WireError("ParameterStatus is not two strings")
    return parts[0].decode("latin-1"), parts[1].decode("latin-1")


def decode_key_data(body: bytes) -> tuple[int, bytes]:
    """Return (process id, secret); the secret has 4 bytes, from protocol 3.2 up to 256.

    Raises:
        WireError: it cannot hold both.
    """
    if not SMALLEST_KEY_DATA <= len(body) <= LARGEST_KEY_DATA:
        raise WireError(
            f"BackendKeyData has {len(body)} bytes,"
            f" expected {SMALLEST_KEY_DATA} to {LARGEST_KEY_DATA}"
        )
    return int.from_bytes(body[:4], "big"), body[4:]


def decode_sasl_mechanisms(raw: bytes) -> list[bytes] | None:
    """Return the mechanisms that an AuthenticationSASL offers; None for any other Authentication.

    Raises:
        WireError: it is no list of zero-terminated strings with an empty one at its end.
    """
    if int.from_bytes(raw[5:9], "big") != _SASL:
        return None
    mechanisms = raw[9:].split(b"\0")
    end = mechanisms[-2:]
    del mechanisms[-2:]
    if end != [b"", b""] or b"" in mechanisms:
        raise WireError("AuthenticationSASL is no list of mechanisms")
    return mechanisms


def decode_authentication(raw: bytes) -> tuple[int, bytes]:
    """Return the kind of an Authentication message (0 is Ok) and what it carries."""
    return int.from_bytes(raw[5:9], "big"), raw[9:]


def decode_negotiation(body: bytes) -> tuple[int, tuple[str, ...]]:
    """Return (version, options that are not known) of a NegotiateProtocolVersion.

    Raises:
        WireError: the numbers do not fit what follows them.
    """
    if len(body) < _NEGOTIATION.size:
        raise WireError(f"NegotiateProtocolVersion has {len(body)} bytes, expected at least 8")
    version, count = _NEGOTIATION.unpack_from(body)
    *names, rest = body[_NEGOTIATION.size :].split(b"\0")
    if rest or len(names) != count:
        raise WireError(f"NegotiateProtocolVersion of {count} options has {len(names)}")
    return version, tuple(name.decode("latin-1") for name in names)
