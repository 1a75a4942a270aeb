"""A frontend of bare messages that keeps whatever the backend says, on every channel.

It shares no code with Vigie, so that it cannot share a mistake about what a message means.
Source: PostgreSQL documentation, "Message Formats".
"""

from __future__ import annotations

import contextlib
import socket
import struct
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Self

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

HOST: Final = "127.0.0.1"
SILENCE_SECONDS: Final = 180.0  # a peer that says nothing for so long is taken for hung
_PROTOCOL: Final = 3 << 16
_CHUNK: Final = 1 << 18


class ClosedError(Exception):
    """The peer closed the connection."""


@dataclass
class Received:
    """The bodies of what arrived, by message, over all connections of one case."""

    rows: list[bytes] = field(default_factory=list)
    copied: list[bytes] = field(default_factory=list)
    notices: list[bytes] = field(default_factory=list)
    errors: list[bytes] = field(default_factory=list)
    notifications: list[bytes] = field(default_factory=list)
    parameters: list[bytes] = field(default_factory=list)
    descriptions: list[bytes] = field(default_factory=list)
    tags: list[bytes] = field(default_factory=list)
    results: list[bytes] = field(default_factory=list)  # of FunctionCall
    solved: int = 0  # patients that questions alone gave away
    queries: int = 0

    def __post_init__(self) -> None:
        self._by_tag = {
            "D": self.rows,
            "d": self.copied,
            "N": self.notices,
            "E": self.errors,
            "A": self.notifications,
            "S": self.parameters,
            "T": self.descriptions,
            "C": self.tags,
            "V": self.results,
        }

    def take(self, tag: str, body: bytes) -> None:
        """Keep a message, if it is of a kind that can carry data."""
        if (kept := self._by_tag.get(tag)) is not None:
            kept.append(body)


class Frontend:
    """One connection, logged in by trust; what arrives goes to ``received``.

    Errors: OSError; ClosedError when the peer ends the connection; TimeoutError when it is silent.
    """

    def __init__(
        self,
        port: int,
        role: str,
        database: str,
        received: Received,
        startup: Mapping[str, str] | None = None,
    ) -> None:
        self._received = received
        self._buffer = bytearray()
        self._at = 0
        self._socket = socket.create_connection((HOST, port), SILENCE_SECONDS)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        given = {"user": role, "database": database, "application_name": "case", **(startup or {})}
        pairs = b"".join(f"{name}\0{value}\0".encode() for name, value in given.items()) + b"\0"
        self._write(struct.pack("!ii", len(pairs) + 8, _PROTOCOL) + pairs)
        self.until("Z")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def close(self) -> None:
        """Say goodbye, if there is still someone to hear it."""
        with contextlib.suppress(OSError):
            self.send("X", b"")
        self._socket.close()

    def send(self, tag: str, body: bytes) -> None:
        """Send one message."""
        self._write(message(tag, body))

    def until(self, tags: str) -> str:
        """Take messages up to the first of ``tags``, and return that one."""
        while True:
            tag = self._next()
            if tag in tags:
                return tag
            if tag == "G":  # nothing is ever copied in
                self.send("f", b"\0")

    def linger(self, seconds: float) -> None:
        """Take what still comes until nothing came for so long."""
        self._socket.settimeout(seconds)
        try:
            while True:
                self._next()
        except (TimeoutError, ClosedError, OSError):
            return
        finally:
            self._socket.settimeout(SILENCE_SECONDS)

    def query(self, text: str | bytes) -> None:
        """Send a Query and take all that it gives."""
        self.send("Q", octets(text) + b"\0")
        self.until("Z")

    def queries(self, texts: Sequence[str]) -> None:
        """Send several by one write."""
        self._write(b"".join(message("Q", octets(text) + b"\0") for text in texts))
        for _ in texts:
            self.until("Z")

    def parse(self, text: str, name: str = "") -> None:
        """Send a Parse without parameter types."""
        self.send("P", name.encode() + b"\0" + text.encode() + b"\0\0\0")

    def bind(self, values: Iterable[object] = (), name: str = "", *, binary: bool = False) -> None:
        """Send a Bind of the unnamed portal, parameters in text."""
        encoded = [None if value is None else str(value).encode() for value in values]
        body = b"\0" + name.encode() + b"\0" + struct.pack("!hh", 0, len(encoded))
        body += b"".join(_sized(value) for value in encoded)
        self.send("B", body + struct.pack("!hh", 1, binary))

    def execute(self, portal: str = "", rows: int = 0) -> None:
        """Send an Execute."""
        self.send("E", portal.encode() + b"\0" + struct.pack("!i", rows))

    def sync(self) -> None:
        """Send a Sync and take all up to its answer."""
        self.send("S", b"")
        self.until("Z")

    def extended(
        self,
        text: str | None,
        values: Iterable[object] = (),
        *,
        name: str = "",
        binary: bool = False,
        rows: int = 0,
    ) -> None:
        """Parse (unless ``text`` is None), bind, describe and execute, ``rows`` at a time."""
        if text is not None:
            self.parse(text, name)
        self.bind(values, name, binary=binary)
        self.send("D", b"P\0")
        self.execute("", rows)
        if rows:
            self.send("H", b"")
            while self.until("sCE") == "s":
                self.execute("", rows)
                self.send("H", b"")
        self.sync()

    def call(self, oid: int, arguments: Iterable[object]) -> None:
        """Send a FunctionCall, all in text."""
        values = [octets(str(argument)) for argument in arguments]
        body = struct.pack("!Ihh", oid, 0, len(values)) + b"".join(map(_sized, values))
        self.send("F", body + b"\0\0")
        self.until("Z")

    def _next(self) -> str:
        head = self._take(5)
        tag = chr(head[0])
        body = self._take(int.from_bytes(head[1:], "big") - 4)
        self._received.take(tag, body)
        self._took(tag, body)
        return tag

    def _take(self, size: int) -> bytes:
        while len(self._buffer) - self._at < size:
            if self._at > _CHUNK:
                del self._buffer[: self._at]
                self._at = 0
            chunk = self._socket.recv(_CHUNK)
            if not chunk:
                raise ClosedError
            self._received_chunk(chunk)
            self._buffer += chunk
        self._at += size
        return bytes(self._buffer[self._at - size : self._at])

    def _write(self, octets: bytes) -> None:
        self._socket.sendall(octets)

    def _received_chunk(self, chunk: bytes) -> None:
        """Whoever watches the bytes overrides this."""

    def _took(self, tag: str, body: bytes) -> None:
        """Whoever watches the messages overrides this."""


def message(tag: str, body: bytes) -> bytes:
    """Return tag, length and body."""
    return tag.encode() + struct.pack("!i", len(body) + 4) + body


def octets(text: str | bytes) -> bytes:
    """Return the bytes of a text that may be bytes already."""
    return text if isinstance(text, bytes) else text.encode()


def columns(row: bytes) -> list[bytes | None]:
    """Return the values of a DataRow's body."""
    found: list[bytes | None] = []
    at = 2
    for _ in range(int.from_bytes(row[:2], "big")):
        size = int.from_bytes(row[at : at + 4], "big", signed=True)
        at += 4
        found.append(None if size < 0 else row[at : at + size])
        at += max(size, 0)
    return found


def fields(body: bytes) -> dict[str, str]:
    """Return the fields of an ErrorResponse or NoticeResponse by their letter."""
    parts = [part for part in body.split(b"\0") if part]
    return {chr(part[0]): part[1:].decode("utf-8", "replace") for part in parts}


def _sized(value: bytes | None) -> bytes:
    return struct.pack("!i", -1) if value is None else struct.pack("!i", len(value)) + value
