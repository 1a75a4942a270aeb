"""Sessions that are idle for too long, outside of a transaction or within one.

Looked at once in a while, so that a statement pays nothing for it: a session ends at most one
look later than it might, and never earlier.

Source: PostgreSQL documentation, ``idle_session_timeout``, ``idle_in_transaction_session_timeout``.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from proxy.net import clock
from proxy.session import events as e

if TYPE_CHECKING:
    from collections.abc import Iterable

    from proxy.net.relay import Relay
    from proxy.session import Session

LOOK_SECONDS: Final = 1.0


class IdleWatch:
    """Ends idle sessions.

    Args:
        idle_seconds: how long one may be idle outside of a transaction; 0: forever.
        in_transaction_seconds: within one; 0: forever.
    """

    def __init__(self, idle_seconds: float, in_transaction_seconds: float) -> None:
        self._limits = (idle_seconds, in_transaction_seconds)
        self._since: dict[Relay, tuple[float, float]] = {}  # seen idle first, and heard last then

    async def watch(self, relays: Iterable[Relay]) -> None:
        """Look at these again and again; returns at once if there is no limit."""
        limits = [one for one in self._limits if one]
        if not limits:
            return
        pause = min(LOOK_SECONDS, min(limits) / 4)
        while True:
            await asyncio.sleep(pause)
            self.look(relays, clock.now())

    def look(self, relays: Iterable[Relay], now: float) -> None:
        """End those that have been idle for too long."""
        before, self._since = self._since, {}
        for relay in tuple(relays):
            session = relay.session
            if session is None or not session.is_waiting:
                continue
            heard = session.heard_at
            since, heard_then = before.get(relay, (now, heard))
            if heard != heard_then:
                since = now
            if self._is_over(session, now - since):
                relay.happened(e.IdleTooLong())
            else:
                self._since[relay] = (since, heard)

    def _is_over(self, session: Session, seconds: float) -> bool:
        limit = self._limits[session.is_in_transaction]
        return bool(limit) and seconds >= limit
