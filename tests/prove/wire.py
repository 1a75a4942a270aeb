"""A frontend that cuts what it sends where it is told, and lets the oracle see what it receives."""

from __future__ import annotations

import socket
import struct
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from tests.prove.oracle import Watch
from tests.score.frontend import HOST, ClosedError, Frontend, Received, fields

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.prove.oracle import Oracle

_CANCEL: Final = 80877102


@dataclass
class Books:
    """What one principal has received, over all its connections."""

    role: str
    patients: set[int] = field(default_factory=set)
    statements: int = 0
    rows: int = 0
    gains: list[str] = field(default_factory=list)  # what brought patients that were not there
    errors: list[str] = field(default_factory=list)  # SQLSTATEs


class WatchedFrontend(Frontend):
    """One connection of a principal.

    Args:
        port, role, database: as for Frontend.
        oracle: knows the patients.
        books: of the principal.
        chunks: sizes of the pieces in which bytes are sent, in turn; empty: as they are.
    """

    def __init__(
        self, port: int, database: str, oracle: Oracle, books: Books, chunks: Sequence[int] = ()
    ) -> None:
        self._chunks = tuple(chunks)
        self._turn = 0
        self._oracle = oracle
        self._watch = Watch(oracle)
        self._rows_seen = 0
        self._key = b""
        self._port = port
        self.books = books
        self.messages = Received()
        super().__init__(port, books.role, database, self.messages)

    def note(self) -> None:
        """Enter the patients that arrived since the last time into the books."""
        books, rows = self.books, self.messages.rows
        books.patients |= self._watch.patients()
        for row in rows[self._rows_seen :]:
            books.patients |= self._oracle.in_row(row)
        books.rows += len(rows) - self._rows_seen
        books.errors += [fields(body).get("C", "") for body in self.messages.errors]
        self._rows_seen = len(rows)
        self.messages.errors.clear()

    def begin_query(self, text: str) -> None:
        """Send a Query and do not wait."""
        self.send("Q", text.encode() + b"\0")

    def pipeline(self, statements: Sequence[tuple[str, Sequence[str]]], *, binary: bool) -> None:
        """Send Parse, Bind, Describe and Execute of several before one Sync."""
        for text, values in statements:
            self.parse(text)
            self.bind(values, binary=binary)
            self.send("D", b"P\0")
            self.execute()
        self.sync()

    def cancel(self) -> None:
        """Ask on another connection to cancel what runs."""
        with socket.create_connection((HOST, self._port), 10) as connection:
            head = struct.pack("!ii", 8 + len(self._key), _CANCEL)
            connection.sendall(head + self._key)
            connection.recv(1)

    def vanish(self) -> None:
        """Close without a word, whatever is under way."""
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._socket.close()

    def peek(self, size: int) -> None:
        """Take some bytes of an answer, not caring where they end."""
        self._socket.settimeout(0.2)
        try:
            self._watch.take(self._socket.recv(size))
        except TimeoutError:
            return
        except OSError as error:
            raise ClosedError from error

    def _write(self, octets: bytes) -> None:
        at = 0
        while self._chunks and at < len(octets):
            size = self._chunks[self._turn % len(self._chunks)]
            self._turn += 1
            super()._write(octets[at : at + size])
            at += size
        if not self._chunks:
            super()._write(octets)

    def _received_chunk(self, chunk: bytes) -> None:
        self._watch.take(chunk)

    def _took(self, tag: str, body: bytes) -> None:
        if tag == "K":
            self._key = body
