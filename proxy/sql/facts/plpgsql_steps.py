"""What a body in PL/pgSQL is made of, where order and branches do not count."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum


class Does(Enum):
    """What a step does with its text."""

    ASSIGN = "assign"  # an expression, to targets
    RUN = "run"  # a statement, perhaps into targets
    EACH = "each"  # a query, row by row, into targets
    TEST = "test"  # an expression that decides what is done next
    RETURN = "return"  # an expression; '': what the OUT parameters hold
    RETURN_QUERY = "return_query"
    RAISE = "raise"  # expressions that are shown
    DYNAMIC = "dynamic"  # an expression that gives the text to run, perhaps into targets
    RETURN_DYNAMIC = "return_dynamic"
    TELL = "tell"  # diagnostics, into targets


@dataclass(frozen=True, slots=True)
class Step:
    """One step. ``targets``: first names of what it assigns to; ``partly``: to an element."""

    does: Does
    text: str = ""
    targets: tuple[str, ...] = ()
    using: tuple[str, ...] = ()
    looped: bool = False
    partly: bool = False


@dataclass(slots=True)
class Block:
    """All of a source."""

    steps: list[Step] = field(default_factory=list)
    variables: list[str] = field(default_factory=list)
    aliases: dict[str, str] = field(default_factory=dict)
    labels: set[str] = field(default_factory=set)
    catches: bool = False  # it goes on after an error
