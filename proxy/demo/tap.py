"""A relay that stands right before the attacker and counts the patients that reach it.

It looks for the laboratory's NIRs in the bytes themselves, so it makes no difference whether they
come as rows, in COPY data, in the text of an error, in binary format or folded into one value,
nor whether the attacker's driver dropped what came before an error.
"""

from __future__ import annotations

import contextlib
import socket
import threading
from typing import TYPE_CHECKING, Final, Self

from proxy.demo.nir import NIR
from proxy.demo.postgres import HOST

if TYPE_CHECKING:
    from collections.abc import Callable

SILENCE_SECONDS: Final = 60.0  # a peer that says nothing for so long is taken for hung
_CHUNK: Final = 1 << 18


class Tap:
    """Relays connections to ``port`` of the loopback address; a context manager.

    Connect to ``tap.port``; read ``subjects`` after the connections are closed.
    """

    def __init__(self, port: int) -> None:
        self._target = port
        self._listener = socket.create_server((HOST, 0))
        self.port = int(self._listener.getsockname()[1])
        self._received: list[list[bytes]] = []  # by connection, in order
        self._sockets: list[socket.socket] = []
        self._threads: list[threading.Thread] = []

    def __enter__(self) -> Self:
        self._spawn(self._accept)
        return self

    def __exit__(self, *_error: object) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for one in self._sockets:
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
        for thread in list(self._threads):
            thread.join(SILENCE_SECONDS)
        for one in self._sockets:
            one.close()

    def subjects(self, known: frozenset[bytes]) -> frozenset[bytes]:
        """Return which of the ``known`` NIRs passed towards the attacker so far."""
        found: set[bytes] = set()
        for chunks in self._received:
            found.update(NIR.findall(b"".join(chunks)))
        return known & frozenset(found)

    def octets(self) -> int:
        """Return how many bytes passed towards the attacker."""
        return sum(len(chunk) for chunks in self._received for chunk in chunks)

    def _spawn(self, target: Callable[..., None], *arguments: object) -> None:
        thread = threading.Thread(target=target, args=arguments, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return  # closed: the end
            self._sockets.append(near)
            try:
                far = socket.create_connection((HOST, self._target), SILENCE_SECONDS)
            except OSError:
                near.close()
                continue
            self._sockets.append(far)
            for one in (near, far):
                one.settimeout(SILENCE_SECONDS)
                one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            kept: list[bytes] = []
            self._received.append(kept)
            self._spawn(_relay, near, far, None)
            self._spawn(_relay, far, near, kept)


def _relay(source: socket.socket, target: socket.socket, kept: list[bytes] | None) -> None:
    """Pass bytes on until either side ends; remember them if asked to."""
    with contextlib.suppress(OSError):
        while chunk := source.recv(_CHUNK):
            if kept is not None:
                kept.append(chunk)
            target.sendall(chunk)
    for one in (source, target):
        with contextlib.suppress(OSError):
            one.shutdown(socket.SHUT_RDWR)
