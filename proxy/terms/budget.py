"""How much a principal may receive."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from proxy.terms.finding import Action, Severity


class Measure(StrEnum):
    """What a budget counts."""

    SUBJECTS = "distinct_subjects"
    ROWS = "rows"  # rows that carry a key or health values of subjects, and no more
    BYTES = "bytes"


class Method(StrEnum):
    """How a charge was found, most precise first (the leak bound)."""

    FREE = "free"
    KEYS = "keys"
    BOUND = "bound"
    ROWS = "rows"
    BYTES = "bytes"


@dataclass(frozen=True, slots=True)
class Budget:
    """A measure, a grouping, a window and a limit. ``limit`` None: counted, never cut."""

    id: str
    title: str
    measure: Measure
    roles: frozenset[str]  # empty: any role that no other budget of this measure names
    window_seconds: int
    limit: int | None
    action: Action = Action.BLOCK
    severity: Severity = Severity.CRITICAL
    explanation: str = "has received as much as its budget allows"
