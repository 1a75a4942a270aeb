"""What of the ledger is kept where it outlives the process: values, no I/O.

Times are seconds of the ledger's own clock, which never goes backward, restarts included.
"""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class SavedSubject:
    """A subject within a tally: its number there, its last disclosure, its hashed keys."""

    number: int
    last: int
    keys: tuple[bytes, ...]


@dataclass(slots=True)
class SavedTally:
    """All of a tally, as it was kept. ``name``: a JSON text that says what is counted for whom.

    ``seconds``: the lengths of its windows.
    ``amounts``: by end of step, those that have no key (or rows, bytes, statements).
    ``reserved``: what may have been used beyond it when the process ended.
    """

    number: int
    name: str
    counts_subjects: bool
    seconds: tuple[int, ...]
    reserved: int = 0
    subjects: list[SavedSubject] = field(default_factory=list)
    amounts: list[tuple[int, int]] = field(default_factory=list)


@dataclass(slots=True)
class TallyChange:
    """What has changed of a tally since it was last kept; ``amounts`` are whole, not differences.

    ``forgets_subjects``: all subjects kept before go first. ``ended``: the tally goes altogether.
    """

    number: int
    name: str
    counts_subjects: bool
    seconds: tuple[int, ...]
    reserved: int = 0
    subjects: list[SavedSubject] = field(default_factory=list)
    gone_subjects: list[int] = field(default_factory=list)
    amounts: list[tuple[int, int]] = field(default_factory=list)
    gone_amounts: list[int] = field(default_factory=list)
    forgets_subjects: bool = False
    ended: bool = False


@dataclass(frozen=True, slots=True)
class Batch:
    """Changes that are kept in one transaction. ``now``: the ledger's time they were taken at."""

    now: float
    changes: tuple[TallyChange, ...]
