"""The clocks. Nobody below ``net`` asks for the time: it is handed down."""

from __future__ import annotations

import time
from functools import cache
from pathlib import Path

from proxy.stores.moments import Moment

now = time.monotonic
"""Seconds that never go backward; budgets are kept by it."""

stopwatch = time.perf_counter
"""Seconds with a fine resolution, for measuring."""


def wall() -> float:
    """Return seconds since 1970, for people."""
    return time.time()  # noqa: TID251 - this is where it comes from


def moment() -> Moment:
    """Return this moment by all clocks, so that a later process can tell how much has passed."""
    return Moment(wall(), time.clock_gettime(time.CLOCK_BOOTTIME), _boot())


@cache
def _boot() -> str:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip()
    except OSError:
        return ""
