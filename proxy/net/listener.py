"""Addresses on which frontends are accepted."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import os
import socket
from pathlib import Path
from typing import TYPE_CHECKING, Final

from proxy.errors import VigieError

if TYPE_CHECKING:
    from collections.abc import Callable

    from proxy.settings.address import Address

BACKLOG: Final = 1024
AT_ONCE: Final = 64  # connections accepted before others have their turn
_OUT_OF_FILES: Final = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})
_PAUSE_SECONDS: Final = 0.1
_log: Final = logging.getLogger(__name__)


class CannotListenError(VigieError):
    """An address cannot be had."""


class Listener:
    """One address; calls ``accepted`` with each new socket, which does not block."""

    def __init__(
        self,
        address: Address,
        accepted: Callable[[socket.socket], None],
        *,
        option: str,
        mode: int = 0o660,
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._accepted = accepted
        self._path = Path(address.path) if address.path else None
        self._sockets = [_unix(address, mode)] if address.path else _listening(address, option)
        self._own = self._path.stat() if self._path is not None else None
        for one in self._sockets:
            self._loop.add_reader(one.fileno(), self._accept, one)

    @property
    def addresses(self) -> list[tuple[str, int]]:
        """Return the addresses and ports that were had; of a Unix socket none."""
        return [] if self._path else [one.getsockname()[:2] for one in self._sockets]

    @property
    def shown(self) -> list[str]:
        """Return the addresses for people."""
        if self._path is not None:
            return [str(self._path)]
        return [f"{host} port {port}" for host, port in self.addresses]

    def close(self) -> None:
        """Accept no more."""
        for one in self._sockets:
            self._loop.remove_reader(one.fileno())
            one.close()
        self._sockets = []
        self._remove()

    def _remove(self) -> None:
        """Take the Unix socket away, unless somebody has put another in its place."""
        if self._path is None or self._own is None:
            return
        with contextlib.suppress(FileNotFoundError):
            if os.path.samestat(self._path.stat(), self._own):
                self._path.unlink()
        self._own = None

    def _accept(self, listening: socket.socket) -> None:
        for _ in range(AT_ONCE):
            try:
                connected, _ = listening.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError as error:
                if error.errno not in _OUT_OF_FILES:
                    raise
                _log.error("no connection can be accepted: %s", os.strerror(error.errno or 0))
                self._pause(listening)
                return
            connected.setblocking(False)
            self._accepted(connected)

    def _pause(self, listening: socket.socket) -> None:
        """Leave it alone for a while: it would be ready again at once."""
        self._loop.remove_reader(listening.fileno())
        self._loop.call_later(_PAUSE_SECONDS, self._resume, listening)

    def _resume(self, listening: socket.socket) -> None:
        if listening in self._sockets:
            self._loop.add_reader(listening.fileno(), self._accept, listening)


def _listening(address: Address, option: str) -> list[socket.socket]:
    """Return listening sockets, one for each address that the name has. Errors: CannotListen."""
    found: list[socket.socket] = []
    try:
        for family, kind, protocol, _, name in socket.getaddrinfo(
            address.host, address.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        ):
            one = socket.socket(family, kind, protocol)
            found.append(one)
            one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                one.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            one.setblocking(False)
            one.bind(name)
            one.listen(BACKLOG)
    except OSError as error:
        for one in found:
            one.close()
        raise cannot_listen(address, error, option) from None
    return found


def _unix(address: Address, mode: int) -> socket.socket:
    """Return a listening Unix socket; one that nobody listens on is replaced.

    Errors: CannotListen.
    """
    path = Path(address.path)
    one = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        one.setblocking(False)
        if path.is_socket():
            _expect_abandoned(path)
            path.unlink()
        os.fchmod(one.fileno(), mode)  # so that it is at no time open to more than it shall be
        one.bind(str(path))
        path.chmod(mode)  # bind has taken off what the umask says
        one.listen(BACKLOG)
    except OSError as error:
        one.close()
        raise CannotListenError(
            f"cannot listen on {path}: {os.strerror(error.errno or 0).lower()};"
            " expected a folder that Vigie may write to, and no other Vigie there"
        ) from None
    return one


def _expect_abandoned(path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.setblocking(False)
        try:
            probe.connect(str(path))
        except ConnectionRefusedError:
            return
    raise OSError(errno.EADDRINUSE, os.strerror(errno.EADDRINUSE))


def cannot_listen(address: Address, error: OSError, option: str) -> CannotListenError:
    """Return the error to tell: which address, why, what to do."""
    why = os.strerror(error.errno).lower() if error.errno and error.errno > 0 else str(error)
    return CannotListenError(
        f"cannot listen on {address.host} port {address.port}: {why}; choose another by {option}"
    )
