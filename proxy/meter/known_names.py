"""The names that principals have given, bounded: each of them has accounts of its own.

Whoever invents a name for each statement would have a fresh account each time, and fill the memory
with them. One name too many is no name: what goes on is charged to those who named nobody.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

MAX_NAMES: Final = 5_000  # of one principal; each takes 5 KB for each budget by names
IDLE_SECONDS: Final = 86_400.0  # after which a name makes room for another


class KnownNames:
    """The names of one principal. ``most``: how many are kept."""

    def __init__(self, most: int = MAX_NAMES) -> None:
        self._most = most
        self._used: OrderedDict[str, float] = OrderedDict()

    def __len__(self) -> int:
        return len(self._used)

    def knows(self, name: str) -> bool:
        """Whether it was given before."""
        return name in self._used

    def admits(self, name: str, now: float) -> bool:
        """Whether a name is known, or there is room to know it."""
        if name not in self._used and len(self._used) >= self._most:
            oldest, used_at = next(iter(self._used.items()))
            if now - used_at < IDLE_SECONDS:
                return False
            del self._used[oldest]
        self._used[name] = now
        self._used.move_to_end(name)
        return True
