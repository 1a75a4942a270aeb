"""The ledger's own clock over restarts: it goes on, and never backward.

Within one boot of the machine the time since boot tells how much has passed, whatever the wall
clock was set to in between. Over a boot the wall clock is all there is: if it went backward, no
time has passed, and nothing that was received leaves its window the earlier.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Moment:
    """A moment by all clocks, in seconds. ``boot``: an id of the boot; empty: not known."""

    wall: float
    since_boot: float
    boot: str = ""


@dataclass(frozen=True, slots=True)
class KeptTime:
    """The ledger's time when something was last kept, and that moment by the other clocks."""

    now: float
    at: Moment


def resume(kept: KeptTime | None, moment: Moment) -> float:
    """Return the ledger's time at a moment; without anything kept, that of the wall clock."""
    if kept is None:
        return moment.wall
    if moment.boot and moment.boot == kept.at.boot:
        return kept.now + max(0.0, moment.since_boot - kept.at.since_boot)
    return max(kept.now, moment.wall)
