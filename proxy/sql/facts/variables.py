"""What the variables of a body may hold, and which of them gather it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from proxy.sql.facts.queries import unite_results
from proxy.sql.facts.scope import Result
from proxy.sql.facts.value import NOTHING, Named, Value, fold, unite

if TYPE_CHECKING:
    from collections.abc import Sequence

    from proxy.sql.facts.plpgsql_steps import Step

WORDS: Final = re.compile(r"[\w$\x80-\U0010ffff]+")


@dataclass(slots=True)
class Variable:
    """What a variable may hold: a value, or the columns of a row."""

    value: Value = NOTHING
    columns: tuple[Named, ...] | None = None
    gathers: bool = False  # it may get what it held before, and more

    def take(self, columns: tuple[Named, ...] | None, value: Value) -> None:
        """Add what is put in."""
        if self.gathers:
            columns, value = None, fold(value)
        held = not self.value.tells_nothing
        if columns is not None and self.columns is not None:
            united = unite_results(Result(self.columns), Result(columns))
            self.columns = None if united.is_open else united.columns
        elif columns is None and not value.tells_nothing:
            self.columns = None  # a row as one value: its fields are not known
        elif columns is not None and not held:
            self.columns = columns
        self.value = unite(self.value, value) if held else value


def gathering(steps: Sequence[Step]) -> set[str]:
    """Return the variables that may get, in a loop, what they held before and more."""
    from_to: dict[str, set[str]] = {}
    for step in steps:
        mentioned = {word.lower() for word in WORDS.findall(step.text)}
        for using in step.using:
            mentioned |= {word.lower() for word in WORDS.findall(using)}
        for target in step.targets:
            itself = {target} if step.partly else set()
            from_to.setdefault(target, set()).update(mentioned | itself)
    looped = {name for step in steps if step.looped for name in step.targets}
    return {name for name in looped if name in _reached(name, from_to)}


def _reached(start: str, from_to: dict[str, set[str]]) -> set[str]:
    seen: set[str] = set()
    pending = list(from_to.get(start, ()))
    while pending:
        name = pending.pop()
        if name not in seen:
            seen.add(name)
            pending.extend(from_to.get(name, ()))
    return seen
