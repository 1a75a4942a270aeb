"""The clocks. Nobody below ``net`` asks for the time: it is handed down."""

from __future__ import annotations

import time

now = time.monotonic
"""Seconds that never go backward; budgets are kept by it."""

stopwatch = time.perf_counter
"""Seconds with a fine resolution, for measuring."""


def wall() -> float:
    """Return seconds since 1970, for people."""
    return time.time()  # noqa: TID251 - this is where it comes from
