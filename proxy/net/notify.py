"""Telling systemd how Vigie is: ready, reloading, stopping, alive.

Source: sd_notify(3): datagrams of ``KEY=value`` lines to the Unix socket in NOTIFY_SOCKET.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import socket
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

_log: Final = logging.getLogger(__name__)


class Notifier:
    """Sends to systemd if it asked for it, else nowhere.

    Args:
        environ: NOTIFY_SOCKET, and WATCHDOG_USEC with WATCHDOG_PID if it wants signs of life.
    """

    def __init__(self, environ: Mapping[str, str]) -> None:
        path = environ.get("NOTIFY_SOCKET", "")
        self._address = "\0" + path[1:] if path.startswith("@") else path  # abstract, or a file
        self._pause = _watchdog_seconds(environ) / 2 if path else 0.0

    def tell(self, **values: str | int) -> None:
        """Send these, each under its name in capitals. Errors: none; a failure is logged."""
        if not self._address:
            return
        text = "\n".join(f"{name.upper()}={value}" for name, value in values.items())
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as own:
                own.setblocking(False)
                own.sendto(text.encode(), self._address)
        except OSError as error:
            _log.warning("systemd could not be told %r: %s", text, error.strerror)

    async def stay_alive(self) -> None:
        """Send a sign of life twice as often as it is wanted; returns at once if it is not."""
        while self._pause:
            self.tell(watchdog=1)
            await asyncio.sleep(self._pause)


def _watchdog_seconds(environ: Mapping[str, str]) -> float:
    if environ.get("WATCHDOG_PID", str(os.getpid())) != str(os.getpid()):
        return 0.0
    with contextlib.suppress(ValueError):
        return max(0, int(environ.get("WATCHDOG_USEC", "0"))) / 1e6
    return 0.0
