"""Which sockets are ready, for the sides of relays.

uvloop's ``add_reader`` cannot be had for them: its poll handle ends at EPOLLERR (libuv, poll.c)
without a call to the reader, so a peer that resets its connection would never be noticed. One
epoll of our own, itself watched by the loop, tells errors and hang-ups as readiness, which is what
a non-blocking read expects.
"""

from __future__ import annotations

import asyncio
import select
from typing import TYPE_CHECKING, Final, Protocol

if TYPE_CHECKING:
    import socket

from proxy import accel

AT_ONCE: Final = 64  # events before the loop has its turn


class Ready(Protocol):
    """Who is told."""

    def readable(self) -> None:
        """There are bytes to read, and nothing else is known."""

    def woken(self) -> None:
        """There may be anything: bytes, room for bytes, an end, an error."""


class Readiness:
    """Watches files by their numbers, for the running loop; level-triggered."""

    def __init__(self) -> None:
        self._epoll = select.epoll()
        self._watched: dict[int, Ready] = {}
        number = self._epoll.fileno()
        tell = self._tell if accel.Teller is None else accel.Teller(number, self._watched)
        asyncio.get_running_loop().add_reader(number, tell)

    def watch(self, number: int, who: Ready, *, reads: bool, writes: bool) -> None:
        """Tell ``who`` from now on; neither: no more, before the file is closed."""
        wanted = (select.EPOLLIN if reads else 0) | (select.EPOLLOUT if writes else 0)
        if not wanted:
            if self._watched.pop(number, None) is not None:
                self._epoll.unregister(number)
        elif number in self._watched:
            self._epoll.modify(number, wanted)
        else:
            self._epoll.register(number, wanted)
            self._watched[number] = who

    async def receive(self, connected: socket.socket, size: int) -> bytes:
        """Return the next bytes of a socket that nobody else watches; none at the end.

        Errors: OSError; ConnectionResetError among them.
        """
        while True:
            try:
                return connected.recv(size)
            except (BlockingIOError, InterruptedError):
                turn = _Turn(asyncio.get_running_loop().create_future())
            self.watch(connected.fileno(), turn, reads=True, writes=False)
            try:
                await turn.come
            finally:
                self.watch(connected.fileno(), turn, reads=False, writes=False)

    def _tell(self) -> None:
        for number, events in self._epoll.poll(0, AT_ONCE):
            who = self._watched.get(number)
            if who is None:
                pass  # let go by one that was told before it
            elif events == select.EPOLLIN:
                who.readable()
            else:
                who.woken()


class _Turn:
    """Waits for a socket, once."""

    def __init__(self, come: asyncio.Future[None]) -> None:
        self.come = come

    def readable(self) -> None:
        """The turn has come."""
        if not self.come.done():
            self.come.set_result(None)

    def woken(self) -> None:
        """There is something, if only an error: reading tells."""
        self.readable()
