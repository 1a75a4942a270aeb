"""What of the ledger is kept where it outlives the process: values, no I/O.

Times are seconds of the ledger's own clock, which never goes backward, restarts included.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from proxy.meter.subjects import Page


@dataclass(slots=True)
class SavedTally:
    """All of a tally, as it was kept. ``name``: a JSON text that says what is counted for whom.

    ``seconds``: the lengths of its windows.
    ``amounts``: by end of step, those that have no key (or rows, bytes, statements).
    ``pages``: the subjects that have keys (``proxy.meter.subjects``), the oldest step first.
    ``reserved``: what may have been used beyond it when the process ended.
    """

    number: int
    name: str
    counts_subjects: bool
    seconds: tuple[int, ...]
    reserved: int = 0
    pages: Iterable[Page] = ()
    amounts: list[tuple[int, int]] = field(default_factory=list)


@dataclass(slots=True)
class TallyChange:
    """What has changed of a tally since it was last kept; ``amounts`` are whole, not differences.

    ``pages``: subjects that are new or were disclosed again; they come after those kept before.
    ``gone_steps``: whatever was kept of these goes.
    ``forgets_subjects``: all subjects kept before go first. ``ended``: the tally goes altogether.
    """

    number: int
    name: str
    counts_subjects: bool
    seconds: tuple[int, ...]
    reserved: int = 0
    pages: list[Page] = field(default_factory=list)
    amounts: list[tuple[int, int]] = field(default_factory=list)
    gone_steps: list[int] = field(default_factory=list)
    forgets_subjects: bool = False
    ended: bool = False


@dataclass(frozen=True, slots=True)
class Batch:
    """Changes that are kept in one transaction. ``now``: the ledger's time they were taken at."""

    now: float
    changes: tuple[TallyChange, ...]
