"""CancelRequests: ours to the backend, and those of frontends by the keys that we gave them.

Source: PostgreSQL documentation, "Canceling Requests in Progress".
"""

from __future__ import annotations

import asyncio
import hmac
import logging
from typing import TYPE_CHECKING, Final, Generic, TypeVar

from proxy.wire.encode import cancel_request

if TYPE_CHECKING:
    from proxy.net.dial import Dial

Key = tuple[int, bytes]
T = TypeVar("T")
_SECONDS: Final = 10.0
_log: Final = logging.getLogger(__name__)


class CancelKeys(Generic[T]):
    """The keys of the sessions that are open, and for each of them whose it is."""

    def __init__(self) -> None:
        self._keys: dict[int, list[tuple[bytes, bytes, T]]] = {}

    def register(self, process_id: int, ours: bytes, theirs: bytes, owner: T) -> None:
        """Note what a key of ours stands for."""
        self._keys.setdefault(process_id, []).append((ours, theirs, owner))

    def forget(self, process_id: int, ours: bytes) -> None:
        """The session is over."""
        left = [known for known in self._keys.get(process_id, ()) if known[0] != ours]
        if left:
            self._keys[process_id] = left
        else:
            self._keys.pop(process_id, None)

    def find(self, process_id: int, secret: bytes) -> tuple[Key, T] | None:
        """Return the backend's key and whose it is, or None for one that we did not give out.

        All of the secret counts, and how much of it is right shows in no time that it takes.
        """
        for ours, theirs, owner in self._keys.get(process_id, ()):
            if hmac.compare_digest(ours, secret):
                return (process_id, theirs), owner
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
