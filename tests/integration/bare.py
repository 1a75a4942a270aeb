"""A frontend that speaks in bytes: whatever no driver would send."""

from __future__ import annotations

import os
import socket
import struct
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from proxy.demo.postgres import HOST
from proxy.wire.encode import frame

if TYPE_CHECKING:
    from collections.abc import Iterator

    from proxy.demo.lab import Lab

SILENCE_SECONDS: Final = 30.0  # a peer that says nothing for so long is taken for hung
SSL_REQUEST: Final = struct.pack(">II", 8, 80877103)
GSSENC_REQUEST: Final = struct.pack(">II", 8, 80877104)
Message = tuple[str, bytes]


class Bare:
    """One connection of bytes; messages are (tag, body)."""

    def __init__(self, connection: socket.socket) -> None:
        connection.settimeout(SILENCE_SECONDS)
        self.socket = connection

    def send(self, *messages: bytes) -> None:
        """Send them by one write."""
        self.socket.sendall(b"".join(messages))

    def receive(self) -> Message | None:
        """Return the next message; None when the peer has closed."""
        head = self._take(5)
        if head is None:
            return None
        body = self._take(int.from_bytes(head[1:], "big") - 4)
        return None if body is None else (chr(head[0]), body)

    def receive_to(self, tag: str = "Z") -> list[Message]:
        """Return the messages up to the first with this tag, or to the end."""
        found: list[Message] = []
        while (message := self.receive()) is not None:
            found.append(message)
            if message[0] == tag:
                break
        return found

    def receive_rest(self) -> bytes:
        """Return what comes until the peer closes."""
        found = b""
        try:
            while chunk := self.socket.recv(1 << 16):
                found += chunk
        except ConnectionResetError:
            pass
        return found

    def _take(self, size: int) -> bytes | None:
        found = b""
        while len(found) < size:
            try:
                chunk = self.socket.recv(size - len(found))
            except ConnectionResetError:
                return None
            if not chunk:
                return None
            found += chunk
        return found


@contextmanager
def dialled(port: int) -> Iterator[Bare]:
    """Connect and say nothing yet."""
    with socket.create_connection((HOST, port), SILENCE_SECONDS) as connection:
        yield Bare(connection)


@contextmanager
def logged_in(lab: Lab, role: str, port: int | None = None) -> Iterator[Bare]:
    """Let a driver log in, and take its socket."""
    with (
        lab.connect(role, port) as connection,
        socket.socket(fileno=os.dup(connection.pgconn.socket)) as own,
    ):
        yield Bare(own)


def startup(**parameters: str) -> bytes:
    """Return a StartupMessage."""
    pairs = b"".join(f"{name}\0{value}\0".encode() for name, value in parameters.items())
    body = struct.pack(">I", 3 << 16) + pairs + b"\0"
    return struct.pack(">I", len(body) + 4) + body


def parse(name: str, text: str) -> bytes:
    return frame(ord("P"), f"{name}\0{text}\0\0\0".encode())


def bind(portal: str, statement: str, *values: str) -> bytes:
    encoded = [value.encode() for value in values]
    parameters = b"".join(struct.pack(">I", len(one)) + one for one in encoded)
    head = f"{portal}\0{statement}\0\0\0".encode()
    return frame(ord("B"), head + struct.pack(">H", len(encoded)) + parameters + b"\0\0")


def describe(kind: str, name: str) -> bytes:
    return frame(ord("D"), f"{kind}{name}\0".encode())


def close(kind: str, name: str) -> bytes:
    return frame(ord("C"), f"{kind}{name}\0".encode())


def execute(portal: str, rows: int = 0) -> bytes:
    return frame(ord("E"), f"{portal}\0".encode() + struct.pack(">I", rows))


def call(oid: int, *arguments: bytes) -> bytes:
    """Return a FunctionCall with arguments and result in text."""
    values = b"".join(struct.pack(">I", len(one)) + one for one in arguments)
    return frame(
        ord("F"), struct.pack(">IHH", oid, 0, len(arguments)) + values + struct.pack(">H", 0)
    )


def fields(body: bytes) -> dict[str, str]:
    """Return the fields of an ErrorResponse or NoticeResponse by their letter."""
    return {part[:1].decode(): part[1:].decode() for part in body.split(b"\0") if part}


def error(messages: list[Message]) -> dict[str, str]:
    """Return the fields of the one ErrorResponse among these."""
    (found,) = (fields(body) for tag, body in messages if tag == "E")
    return found


def tags(messages: list[Message]) -> str:
    return "".join(tag for tag, _ in messages)
