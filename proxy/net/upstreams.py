"""The databases: where they are, and whether they can be reached."""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING, Final

from proxy.net.dial import Dial

if TYPE_CHECKING:
    from collections.abc import Mapping

    from proxy.settings.address import Address

PROBE_SECONDS: Final = 5.0
RETRY_SECONDS: Final = 1.0  # as long as one cannot be reached


class Upstreams:
    """Probes every database; by name, "" being the one that is not named."""

    def __init__(self, addresses: Mapping[str, Address]) -> None:
        self._addresses = addresses
        self._reasons = dict.fromkeys(addresses, "was not reached yet")

    async def probe(self) -> None:
        """Try a connection to each every few seconds; more often until there is one."""
        while True:
            await asyncio.gather(*(self.try_one(name) for name in self._addresses))
            lost = any(self._reasons.values())
            await asyncio.sleep(RETRY_SECONDS if lost else PROBE_SECONDS)

    async def try_one(self, name: str) -> None:
        """Try a connection to one. Errors: none."""
        try:
            async with asyncio.timeout(PROBE_SECONDS):
                dialled = await Dial(self._addresses[name]).open()
        except TimeoutError:
            self._reasons[name] = "does not answer"
        except OSError as error:
            self._reasons[name] = f"cannot be reached: {_why(error)}"
        else:
            dialled.connected.close()
            self._reasons[name] = ""

    def readiness(self) -> list[str]:
        """Return why no session can be served: nothing as long as one database can be reached."""
        return self.lost() if all(self._reasons.values()) else []

    def lost(self) -> list[str]:
        """Return what cannot be reached, and why."""
        return [
            f"the database {f'at {name} ' if name else ''}{reason}"
            for name, reason in self._reasons.items()
            if reason
        ]


def _why(error: OSError) -> str:
    """Return the system's own words: those of asyncio hold the address."""
    return os.strerror(error.errno) if error.errno and error.errno > 0 else error.strerror or "?"
