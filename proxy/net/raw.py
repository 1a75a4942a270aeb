"""One non-blocking socket of a relay, without a transport in between.

A chunk is read into one buffer that all sockets share, and written before the next one is read, so
a session holds no more than what its peer does not take. A transport would copy, queue and call
back for each chunk: a third of what a small transaction costs.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from collections import deque
from typing import TYPE_CHECKING, Final, Protocol

from proxy import accel

if TYPE_CHECKING:
    from proxy.accel import PortType
    from proxy.accel.lane_state import LaneState
    from proxy.net.readiness import Readiness

CHUNK_BYTES: Final = 256 * 1024
HIGH_WATER_BYTES: Final = 256 * 1024  # of unsent bytes, before the other side is no longer read
LOW_WATER_BYTES: Final = 64 * 1024
UNSENT_BYTES: Final = 128 * 1024  # in the kernel, beside what the peer has room for
LINGER_SECONDS: Final = 10.0  # to send the rest to a peer that does not read
_AGAIN: Final = (BlockingIOError, InterruptedError)
_BUFFER: Final = memoryview(bytearray(CHUNK_BYTES))
_CREDENTIALS: Final = struct.Struct("iII")  # process, user and group of a Unix socket's peer


class Told(Protocol):
    """Whom a socket tells what happens: the relay, or TLS in between."""

    def connected(self, side: RawSide) -> None:
        """A socket is there."""

    def frontend_sent(self, chunk: bytes) -> None:
        """The frontend sent these."""

    def backend_sent(self, chunk: bytes) -> None:
        """The backend sent these."""

    def congested(self, side: RawSide, *, is_congested: bool) -> None:
        """The peer reads too slowly, or again."""

    def lost(self, side: RawSide) -> None:
        """The socket is gone."""


class RawSide:
    """The frontend's or the backend's socket; tells the relay what happens."""

    def __init__(self, relay: Told, readiness: Readiness, *, is_frontend: bool) -> None:
        self._relay = relay
        self.is_frontend = self._is_frontend = is_frontend
        self._loop = asyncio.get_running_loop()
        self._socket: socket.socket | None = None
        self._number = -1
        self._port: PortType | None = None  # the compiled kernel's, if it is there
        self._readiness = readiness
        self._reads = self._writes = False
        self._backlog: deque[bytes] = deque()  # what the peer has not taken, or has no socket yet
        self._backlog_bytes = 0
        self._is_congested = False
        self._closing = False
        self._is_ending = False

    @property
    def is_open(self) -> bool:
        """Whether there is a socket."""
        return self._socket is not None

    @property
    def is_closing(self) -> bool:
        """Whether it was told to close."""
        return self._closing

    @property
    def peer_address(self) -> str:
        """The peer's address without its port; ``unix:`` and its user id for a Unix socket.

        Empty if the peer is gone already: the first read will say so.
        """
        assert self._socket is not None
        try:
            if self._socket.family == socket.AF_UNIX:
                return f"unix:{_peer_user(self._socket)}"
            return str(self._socket.getpeername()[0])
        except OSError:
            return ""

    def report_to(self, told: Told) -> None:
        """From now on tell somebody else what happens."""
        self._relay = told

    def take_backlog(self) -> bytes:
        """Return what was written before there was a socket; it is no longer kept."""
        found = b"".join(self._backlog)
        self._backlog.clear()
        self._backlog_bytes = 0
        if self._is_congested:
            self._is_congested = False
            self._relay.congested(self, is_congested=False)
        return found

    def attach(self, connected: socket.socket) -> None:
        """Take a connected, non-blocking socket."""
        self._socket, self._number = connected, connected.fileno()
        if connected.family != socket.AF_UNIX:
            connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, UNSENT_BYTES)
        if accel.Port is not None:
            self._port = accel.Port(self._number, self, is_frontend=self._is_frontend)
            self._port.takes = not self._backlog
        if self._backlog:
            self._watch(reads=False, writes=True)
        if self._closing:
            self.close()
            return
        self._relay.connected(self)
        self.read(wanted=True)

    def read(self, *, wanted: bool) -> None:
        """Read on, or stop reading; one that is told to go is read to its end."""
        wanted = wanted or self._is_ending
        self._watch(reads=wanted, writes=self._writes)

    def write(self, data: bytes) -> None:
        """Send bytes, now or when the peer takes them."""
        if self._backlog or self._socket is None:
            if not (self._closing and self._socket is None):
                self._keep(data)
            return
        try:
            sent = self._socket.send(data)
        except _AGAIN:
            sent = 0
        except OSError:
            self._lost()
            return
        if sent < len(data):
            self._keep(data[sent:])
            self._watch(reads=self._reads, writes=True)

    def link(self, peer: RawSide, lane: LaneState) -> None:
        """What the lane passes goes to the peer without asking the relay, both ways."""
        if self._port is not None and peer._port is not None:
            self._port.link(peer._port, lane)
            peer._port.link(self._port, lane)

    def close(self) -> None:
        """Close after everything was sent, or after a while."""
        self._unlink()
        if self._socket is None or (self._closing and self._is_ending):
            self._closing = True
            return
        self._closing = self._is_ending = True
        self._loop.call_later(LINGER_SECONDS, self.abort)
        self.read(wanted=True)
        if not self._backlog:
            self._end()

    def abort(self) -> None:
        """Close at once."""
        self._closing = True
        if self._socket is not None:
            self._lost()

    def woken(self) -> None:
        """Look at everything that was waited for."""
        if self._writes:
            self._flush()
        if self._reads:
            self.readable()

    def readable(self) -> None:
        """There is something to read."""
        assert self._socket is not None
        try:
            size = self._socket.recv_into(_BUFFER)
        except _AGAIN:
            return
        except OSError:
            size = 0
        self.received(bytes(_BUFFER[:size]))

    def received(self, chunk: bytes) -> None:
        """Tell the relay what came; nothing: the peer has closed."""
        if not chunk:
            self._lost()
        elif self._closing:
            pass  # what still comes from a peer that was told to go
        elif self._is_frontend:
            self._relay.frontend_sent(chunk)
        else:
            self._relay.backend_sent(chunk)

    def _keep(self, data: bytes) -> None:
        self._backlog.append(data)
        if self._port is not None:
            self._port.takes = False
        self._backlog_bytes += len(data)
        if self._backlog_bytes > HIGH_WATER_BYTES and not self._is_congested:
            self._is_congested = True
            self._relay.congested(self, is_congested=True)

    def _flush(self) -> None:
        """The peer takes bytes again."""
        connected = self._socket
        if connected is None:
            return
        while self._backlog:
            data = self._backlog[0]
            try:
                sent = connected.send(data)
            except _AGAIN:
                return
            except OSError:
                self._lost()
                return
            self._backlog_bytes -= sent
            if sent < len(data):
                self._backlog[0] = data[sent:]
                break
            self._backlog.popleft()
        if self._is_congested and self._backlog_bytes <= LOW_WATER_BYTES:
            self._is_congested = False
            self._relay.congested(self, is_congested=False)
        if not self._backlog:
            self._watch(reads=self._reads, writes=False)
            if self._closing:
                self._end()
            elif self._port is not None:
                self._port.takes = True

    def _watch(self, *, reads: bool, writes: bool) -> None:
        if self._socket is None or (self._reads is reads and self._writes is writes):
            return
        self._reads, self._writes = reads, writes
        self._readiness.watch(self._number, self._port or self, reads=reads, writes=writes)

    def _unlink(self) -> None:
        if self._port is not None:
            self._port.takes = False
            self._port.link(None, None)

    def _end(self) -> None:
        """Everything was sent: say so to a frontend, and wait until it closes.

        Closed with bytes unread, the socket would be reset, and our last error with it. A backend
        is told nothing but Terminate, and one in the middle of a result has to notice soon.
        """
        assert self._socket is not None
        if not self._is_frontend:
            self._lost()
            return
        try:
            self._socket.shutdown(socket.SHUT_WR)
        except OSError:
            self._lost()

    def _lost(self) -> None:
        """Close the socket and tell."""
        self._watch(reads=False, writes=False)
        self._unlink()
        connected, self._socket = self._socket, None
        if connected is None:
            return
        self._closing = True
        self._backlog.clear()
        self._backlog_bytes = 0
        connected.close()
        self._loop.call_soon(self._relay.lost, self)


def _peer_user(connected: socket.socket) -> int:
    found = connected.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    return int(_CREDENTIALS.unpack(found)[1])
