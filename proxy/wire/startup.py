"""The untagged messages that open a connection.

Source: PostgreSQL documentation, "Frontend/Backend Protocol", "Message Formats":
StartupMessage, SSLRequest, GSSENCRequest, CancelRequest; limits as in the server's
``ProcessStartupPacket``: 4 to 10,000 bytes follow the length field.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from proxy.errors import WireError

if TYPE_CHECKING:
    from collections.abc import Mapping

LENGTH_BYTES: Final = 4
SMALLEST: Final = 8
LARGEST: Final = 10_004
SMALLEST_CANCEL: Final = 16
LARGEST_CANCEL: Final = 268
MAJOR: Final = 3
LARGEST_NAME_BYTES: Final = 63  # PostgreSQL cuts longer names: two names would be one role
CANCEL_CODE: Final = 80877102
SSL_CODE: Final = 80877103
GSSENC_CODE: Final = 80877104
_HEAD: Final = struct.Struct(">II")
_TLS_HANDSHAKE: Final = 0x16


@dataclass(frozen=True, slots=True)
class SSLRequest:
    """The frontend asks for TLS."""


@dataclass(frozen=True, slots=True)
class GSSENCRequest:
    """The frontend asks for GSSAPI encryption."""


@dataclass(frozen=True, slots=True)
class CancelRequest:
    """Cancel what the backend with this process id runs. ``secret`` is 4 to 256 bytes."""

    process_id: int
    secret: bytes


@dataclass(frozen=True, slots=True)
class StartupMessage:
    """Protocol version and parameters (user, database, options...).

    The layout is that of version 3; of any other version ``parameters`` is empty.
    """

    major: int
    minor: int
    parameters: Mapping[str, str]
    raw: bytes

    @property
    def is_replication(self) -> bool:
        """Whether a walsender is asked for; whatever PostgreSQL does not read as "off"."""
        value = self.parameters.get("replication")
        return value is not None and value.lower() not in {"off", "false", "no", "0", "f", "n"}


Opening = SSLRequest | GSSENCRequest | CancelRequest | StartupMessage


def begins_tls(buffer: bytearray) -> bool:
    """Whether the bytes are those of a TLS handshake: no length of a message begins so."""
    return bool(buffer) and buffer[0] == _TLS_HANDSHAKE


def take_opening(buffer: bytearray) -> Opening | None:
    """Take the next opening message off ``buffer``, or None when it has not fully arrived.

    Raises:
        WireError: it is none; nothing was consumed.
    """
    if begins_tls(buffer):
        raise WireError("direct TLS is not configured; expected a StartupMessage or SSLRequest")
    if len(buffer) < LENGTH_BYTES:
        return None
    length = int.from_bytes(buffer[:LENGTH_BYTES], "big")
    if not SMALLEST <= length <= LARGEST:
        raise WireError(
            f"not a StartupMessage: announces {length} bytes, expected {SMALLEST} to {LARGEST}"
        )
    if len(buffer) < length:
        return None
    raw = bytes(buffer[:length])
    opening = _decode(raw)
    del buffer[:length]
    return opening


def _decode(raw: bytes) -> Opening:
    _, code = _HEAD.unpack_from(raw)
    if code == SSL_CODE:
        _expect_size("SSLRequest", raw, SMALLEST, SMALLEST)
        return SSLRequest()
    if code == GSSENC_CODE:
        _expect_size("GSSENCRequest", raw, SMALLEST, SMALLEST)
        return GSSENCRequest()
    if code == CANCEL_CODE:
        _expect_size("CancelRequest", raw, SMALLEST_CANCEL, LARGEST_CANCEL)
        return CancelRequest(int.from_bytes(raw[8:12], "big"), raw[12:])
    major, minor = code >> 16, code & 0xFFFF
    return StartupMessage(major, minor, _parameters(raw) if major == MAJOR else {}, raw)


def _expect_size(name: str, raw: bytes, smallest: int, largest: int) -> None:
    if not smallest <= len(raw) <= largest:
        raise WireError(f"{name} has {len(raw)} bytes, expected {smallest} to {largest}")


def _parameters(raw: bytes) -> dict[str, str]:
    # Pairs of zero-terminated strings, then one zero byte, which is the last. An empty name is
    # that last byte to PostgreSQL, wherever it stands. Of two with one name it takes the second.
    if len(raw) <= SMALLEST or raw[-1] != 0:
        raise WireError("StartupMessage does not end with a zero byte")
    parts = raw[SMALLEST:-1].split(b"\0")
    if parts.pop() != b"":
        raise WireError("StartupMessage has a string that does not end with a zero byte")
    if len(parts) % 2:
        raise WireError("StartupMessage has a parameter without a value")
    if b"" in parts[::2]:
        raise WireError("StartupMessage has bytes after its last parameter")
    try:
        texts = [part.decode() for part in parts]
    except UnicodeDecodeError as error:
        raise WireError("StartupMessage has a parameter that is not UTF-8") from error
    parameters = dict(zip(texts[::2], texts[1::2], strict=True))
    for name in ("user", "database"):
        size = len(parameters.get(name, "").encode())
        if size > LARGEST_NAME_BYTES:
            raise WireError(
                f"StartupMessage has a {name} of {size} bytes, expected at most"
                f" {LARGEST_NAME_BYTES}"
            )
    return parameters
