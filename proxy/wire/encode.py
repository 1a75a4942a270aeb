"""The few messages we write ourselves.

Source: PostgreSQL documentation, "Message Formats".
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from proxy.wire.startup import CANCEL_CODE, MAJOR, SSL_CODE

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

FLUSH = b"H\0\0\0\4"
SYNC = b"S\0\0\0\4"
TERMINATE = b"X\0\0\0\4"
SSL_REQUEST = struct.pack(">II", 8, SSL_CODE)


def frame(tag: int, body: bytes) -> bytes:
    """Return one message: tag, length, body."""
    return struct.pack(">BI", tag, len(body) + 4) + body


def query(text: bytes) -> bytes:
    """Return a Query."""
    return frame(ord("Q"), text + b"\0")


def parse(statement: bytes, text: bytes, types: bytes = b"") -> bytes:
    """Return a Parse; ``types``: four bytes for the OID of each parameter, none for unknown."""
    count = struct.pack(">H", len(types) // 4)
    return frame(ord("P"), statement + b"\0" + text + b"\0" + count + types)


def bind(portal: bytes, statement: bytes) -> bytes:
    """Return a Bind without parameters; results in text."""
    return frame(ord("B"), portal + b"\0" + statement + b"\0" + bytes(6))


def describe_portal(portal: bytes) -> bytes:
    """Return a Describe of a portal."""
    return frame(ord("D"), b"P" + portal + b"\0")


def execute(portal: bytes) -> bytes:
    """Return an Execute without a row limit."""
    return frame(ord("E"), portal + b"\0" + bytes(4))


def close(kind: bytes, name: bytes) -> bytes:
    """Return a Close of a prepared statement (``S``) or portal (``P``)."""
    return frame(ord("C"), kind + name + b"\0")


def error_response(
    sqlstate: str, message: str, *, detail: str = "", hint: str = "", severity: str = "ERROR"
) -> bytes:
    """Return an ErrorResponse; texts are ASCII, so that any client_encoding reads them."""
    fields = [("S", severity), ("V", severity), ("C", sqlstate), ("M", message)]
    fields += [(letter, text) for letter, text in (("D", detail), ("H", hint)) if text]
    body = b"".join(
        letter.encode() + text.encode("ascii", "replace").replace(b"\0", b"") + b"\0"
        for letter, text in fields
    )
    return frame(ord("E"), body + b"\0")


def cancel_request(process_id: int, secret: bytes) -> bytes:
    """Return a CancelRequest."""
    return struct.pack(">III", 12 + len(secret), CANCEL_CODE, process_id) + secret


def startup_message(minor: int, parameters: Mapping[str, str]) -> bytes:
    """Return a StartupMessage of version 3."""
    pairs = "".join(f"{name}\0{value}\0" for name, value in parameters.items()).encode()
    return struct.pack(">II", 9 + len(pairs), MAJOR << 16 | minor) + pairs + b"\0"


def negotiate_protocol_version(version: int, options: Sequence[str]) -> bytes:
    """Return a NegotiateProtocolVersion: the whole version, and the options that are not known."""
    names = b"".join(name.encode() + b"\0" for name in options)
    return frame(ord("v"), struct.pack(">II", version, len(options)) + names)


def backend_key_data(process_id: int, secret: bytes) -> bytes:
    """Return a BackendKeyData."""
    return frame(ord("K"), struct.pack(">I", process_id) + secret)


def authentication_sasl(mechanisms: list[bytes]) -> bytes:
    """Return an AuthenticationSASL."""
    return authentication(10, b"".join(one + b"\0" for one in mechanisms) + b"\0")


def authentication(kind: int, carried: bytes) -> bytes:
    """Return an Authentication message: AuthenticationSASLContinue (11) or -Final (12)."""
    return frame(ord("R"), struct.pack(">I", kind) + carried)


def sasl_initial_response(mechanism: bytes, message: bytes) -> bytes:
    """Return a SASLInitialResponse."""
    return frame(ord("p"), mechanism + b"\0" + struct.pack(">I", len(message)) + message)


def sasl_response(message: bytes) -> bytes:
    """Return a SASLResponse."""
    return frame(ord("p"), message)


def copy_fail(reason: bytes) -> bytes:
    """Return a CopyFail."""
    return frame(ord("f"), reason + b"\0")
