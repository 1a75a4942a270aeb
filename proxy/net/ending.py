"""How the sessions of one Vigie end: those that are idle at once, the others when they are done."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from typing import TYPE_CHECKING, Final

from proxy.session import events as e

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from proxy.net.relay import Surroundings

FAREWELL_SECONDS: Final = 5.0  # for the last bytes of a session, and the end of what it ran
TELL_SECONDS: Final = 0.1
_log: Final = logging.getLogger("vigie")


async def end_sessions(surroundings: Surroundings, seconds: float, hurry: asyncio.Event) -> None:
    """End every session; returns when all have ended.

    Args:
        surroundings: of the sessions; none may begin any more.
        seconds: how long transactions may go on.
        hurry: set when they may no longer.
    """
    relays = surroundings.relays
    surroundings.context.admission.is_draining = True
    surroundings.emptied.clear()
    _tell(surroundings, e.Drain())
    if relays:
        _log.info("%d sessions are ending, for up to %g s", len(relays), seconds)
        telling = asyncio.ensure_future(_tell_again(surroundings))
        await _first(seconds, surroundings.emptied.wait(), hurry.wait())
        telling.cancel()
    if relays:
        _log.warning("ending %d sessions that are not idle", len(relays))
        _tell(surroundings, e.Shutdown())
    if relays:
        await _first(FAREWELL_SECONDS, surroundings.emptied.wait())
    if surroundings.cancels:
        await asyncio.wait(surroundings.cancels, timeout=FAREWELL_SECONDS)
    for relay in tuple(relays):
        relay.abort()


def _tell(surroundings: Surroundings, event: e.Event) -> None:
    for relay in tuple(surroundings.relays):
        relay.happened(event)


async def _tell_again(surroundings: Surroundings) -> None:
    while True:
        await asyncio.sleep(TELL_SECONDS)
        _tell(surroundings, e.Drain())


async def _first(seconds: float, *what: Awaitable[object]) -> None:
    """Wait until one of these has happened, or for so long."""
    tasks = [asyncio.ensure_future(one) for one in what]
    await asyncio.wait(tasks, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
    for task in tasks:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
