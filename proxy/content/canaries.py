"""Planted subjects: their marks in whatever leaves.

RE2 never backtracks: one pass over the bytes, however many canaries there are.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import re2

from proxy.content.forms import FEWEST_BYTES, forms_of
from proxy.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

FORMAT: Final = 1
_MEMORY_BYTES: Final = 64 << 20


@dataclass(frozen=True, slots=True)
class Canary:
    """One planted subject.

    Args:
        id: under which findings name it.
        relation: where its row stands.
        key_column, key: which row it is.
        marks: values of it that are nobody else's.
    """

    id: str
    relation: str
    key_column: str
    key: str
    marks: tuple[str, ...]


class CanaryWatch:
    """Finds canaries in bytes.

    ``longest``: bytes of the longest form; what is looked at in pieces overlaps by one less.
    """

    def __init__(self, canaries: Sequence[Canary]) -> None:
        self._by_form = {
            form: canary.id
            for canary in canaries
            for mark in canary.marks
            for form in forms_of(mark)
        }
        self.longest = max(map(len, self._by_form), default=0)
        options = re2.Options()
        options.encoding = re2.Options.Encoding.LATIN1
        options.never_capture = True
        options.max_mem = _MEMORY_BYTES
        forms = sorted(self._by_form, key=len, reverse=True)
        self._pattern = re2.compile(b"|".join(map(re2.escape, forms)), options) if forms else None

    def find(self, octets: bytes) -> str | None:
        """Return the id of a canary that stands in these bytes; None: there is none."""
        if self._pattern is None:
            return None
        match = self._pattern.search(octets)
        return None if match is None else self._by_form[match[0]]


def write_canaries(canaries: Iterable[Canary]) -> str:
    """Return the text of a file of canaries."""
    listed = [
        {
            "id": canary.id,
            "relation": canary.relation,
            "key_column": canary.key_column,
            "key": canary.key,
            "marks": list(canary.marks),
        }
        for canary in canaries
    ]
    return json.dumps({"format": FORMAT, "canaries": listed}, indent=1) + "\n"


def read_canaries(text: str, source: str) -> tuple[Canary, ...]:
    """Return the canaries of a file.

    Raises:
        ConfigurationError: names what is wrong and where.
    """
    try:
        document = json.loads(text)
    except json.JSONDecodeError as error:
        raise ConfigurationError([f"{source}:{error.lineno}:{error.colno}: {error.msg}"]) from None
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        raise ConfigurationError([f"{source}: no file of canaries, expected format {FORMAT}"])
    listed = document.get("canaries")
    if not isinstance(listed, list):
        raise ConfigurationError([f"{source}: 'canaries' is no list"])
    problems: list[str] = []
    found = tuple(_read(one, f"{source}: canary {n}", problems) for n, one in enumerate(listed, 1))
    if problems:
        raise ConfigurationError(problems)
    return found


def _read(one: Any, place: str, problems: list[str]) -> Canary:
    names = ("id", "relation", "key_column", "key")
    values = [one.get(name) if isinstance(one, dict) else None for name in names]
    marks = one.get("marks") if isinstance(one, dict) else None
    problems += [
        f"{place}: {name!r} is no text"
        for name, value in zip(names, values, strict=True)
        if not isinstance(value, str) or not value
    ]
    if not isinstance(marks, list) or not marks:
        problems.append(f"{place}: 'marks' is no list of texts")
        marks = []
    for mark in marks:
        if not isinstance(mark, str) or len(mark) < FEWEST_BYTES:
            problems.append(
                f"{place}: the mark {mark!r} is no text of {FEWEST_BYTES} bytes or more"
            )
    identity, relation, key_column, key = map(str, values)
    return Canary(identity, relation, key_column, key, tuple(map(str, marks)))
