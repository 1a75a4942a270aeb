"""Does a principal walk through a table, one small statement after the other?

By the shape of the constants over time, at whatever speed and over however many sessions: the same
step again and again (keys, pages, ``id > x``, the letters of the alphabet), a range that always
begins where the last one ended, or keys that are neighbours of keys that were asked for before, in
any order.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

MAX_TEMPLATES: Final = 16
MAX_KEYS: Final = 256
MAX_CONSTANTS: Final = 64  # of a longer list the first
WALKS_BYTES: Final = MAX_TEMPLATES * (MAX_KEYS * 128 + MAX_CONSTANTS * 64)  # of one principal
_WILDCARDS: Final = "%_"
Constant = tuple[str, bool]  # its text, and whether it begins a range


@dataclass(frozen=True, slots=True)
class Walked:
    """How far a walk has come: statements, and subjects that these can have given at most."""

    steps: int = 0
    subjects: int = 0


NOWHERE: Final = Walked()


@dataclass(slots=True)
class _Walk:
    """What is known of one template. ``keys``: those asked for singly, with what each covered."""

    last: tuple[Constant, ...] = ()
    step: object = None
    steps: int = 0
    subjects: int = 0
    keys: OrderedDict[int, int] = field(default_factory=OrderedDict)
    neighbours: int = 0
    covered: int = 0


class Walks:
    """The walks of one principal, bounded in templates and in keys of each."""

    def __init__(self) -> None:
        self._by_template: OrderedDict[str, _Walk] = OrderedDict()

    def take(self, template: str, constants: Sequence[Constant], subjects: int) -> Walked:
        """Take one statement; return how far the walk has come that it is part of.

        Args:
            template: stands for its text without constants.
            constants: in order.
            subjects: how many its result can hold at most, as far as anyone can tell.
        """
        walk = self._by_template.pop(template, None) or _Walk()
        self._by_template[template] = walk
        if len(self._by_template) > MAX_TEMPLATES:
            self._by_template.popitem(last=False)
        now = tuple(constants[:MAX_CONSTANTS])
        if len(walk.last) == len(now):
            pairs = zip(walk.last, now, strict=True)
            changed = [(old, new) for old, new in pairs if old[0] != new[0]]
            if changed:
                _go(walk, changed, subjects)
        else:
            walk.step, walk.steps, walk.subjects = None, 0, 0
        if len(now) == 1 and (key := _number(now[0][0])) is not None:
            _visit(walk, key, subjects)
        walk.last = now
        if walk.steps >= walk.neighbours:
            return Walked(walk.steps, walk.subjects) if walk.steps else NOWHERE
        return Walked(walk.neighbours, walk.covered)


def _go(walk: _Walk, changed: list[tuple[Constant, Constant]], subjects: int) -> None:
    step: object = None
    if all(new[1] for _, new in changed):
        signs = {_direction(old[0], new[0]) for old, new in changed}
        step = signs.pop() if len(signs) == 1 else None
    else:
        steps = {_difference(old[0], new[0]) for old, new in changed}
        step = steps.pop() if len(steps) == 1 else None
    if step is None or step != walk.step:
        walk.step, walk.steps, walk.subjects = step, 0, 0
    if step is not None:
        walk.steps += 1
        walk.subjects += subjects


def _visit(walk: _Walk, key: int, subjects: int) -> None:
    """Note a key that was asked for alone, and whether its neighbours were."""
    if key in walk.keys:
        walk.keys.move_to_end(key)
        return
    walk.neighbours += (key - 1 in walk.keys) + (key + 1 in walk.keys)
    walk.keys[key] = subjects
    walk.covered += subjects
    if len(walk.keys) > MAX_KEYS:
        gone, covered = walk.keys.popitem(last=False)
        walk.neighbours -= (gone - 1 in walk.keys) + (gone + 1 in walk.keys)
        walk.covered -= covered


def _difference(old: str, new: str) -> object:
    """Return the step between two numbers or two texts that differ in their last letter."""
    one, two = _number(old), _number(new)
    if one is not None and two is not None:
        return two - one
    first, second = old.rstrip(_WILDCARDS), new.rstrip(_WILDCARDS)
    if first and second and first[:-1] == second[:-1]:
        return ("letter", ord(second[-1]) - ord(first[-1]))
    return None


def _direction(old: str, new: str) -> str | None:
    """Return whether a range begins further up or down; None for a word that is being typed."""
    one, two = _number(old), _number(new)
    if one is not None and two is not None:
        return "up" if one < two else "down"
    first, second = old.rstrip(_WILDCARDS), new.rstrip(_WILDCARDS)
    if first.startswith(second) or second.startswith(first):
        return None
    return "up" if first < second else "down"


def _number(text: str) -> int | None:
    if not text.lstrip("-").isdecimal() or len(text) > 20:  # noqa: PLR2004 - digits of a bigint
        return None
    try:
        return int(text)
    except ValueError:
        return None
