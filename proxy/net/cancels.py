"""CancelRequests: ours to the backend, and those of frontends by the keys that we gave them.

Source: PostgreSQL documentation, "Canceling Requests in Progress".
"""

from __future__ import annotations

import asyncio
import hmac
import logging
from typing import TYPE_CHECKING, Final

from proxy.wire.encode import cancel_request

if TYPE_CHECKING:
    from proxy.net.dial import Dial

Key = tuple[int, bytes]
_SECONDS: Final = 10.0
_log: Final = logging.getLogger(__name__)


class CancelKeys:
    """The keys of the sessions that are open."""

    def __init__(self) -> None:
        self._keys: dict[int, list[tuple[bytes, bytes]]] = {}

    def register(self, process_id: int, ours: bytes, theirs: bytes) -> None:
        """Note what a key of ours stands for."""
        self._keys.setdefault(process_id, []).append((ours, theirs))

    def forget(self, process_id: int, ours: bytes) -> None:
        """The session is over."""
        left = [pair for pair in self._keys.get(process_id, ()) if pair[0] != ours]
        if left:
            self._keys[process_id] = left
        else:
            self._keys.pop(process_id, None)

    def find(self, process_id: int, secret: bytes) -> Key | None:
        """Return the backend's key, or None for one that we did not give out."""
        for ours, theirs in self._keys.get(process_id, ()):
            if hmac.compare_digest(ours, secret):
                return process_id, theirs
        return None


async def send_cancel(dial: Dial, key: Key) -> None:
    """Send a CancelRequest and wait until the backend closes that connection.

    Until then the cancel may still hit whatever the session runs next. It goes over TLS where a
    session would. Errors: none; a cancel that cannot be sent is logged.
    """
    try:
        async with asyncio.timeout(_SECONDS):
            dialled = await dial.open(cancel_request(*key), once=True)
            try:
                while await dial.receive(dialled.connected, 1024):
                    pass
            except ConnectionResetError:
                pass  # closed all the same
            finally:
                dialled.connected.close()
    except (OSError, TimeoutError) as error:
        _log.warning("a CancelRequest did not reach the database: %s", type(error).__name__)
