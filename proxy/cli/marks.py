"""Places in a text of SQL, shown under its lines with ^^^^. Pure.

What is shown is bounded: of a long text the lines with marks and those around them, of a long
line the part with marks. Characters that would steer a terminal are shown as others.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from rich.cells import cell_len

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from proxy.terms.facts import StatementFacts

MAX_LINES: Final = 24
MAX_COLUMNS: Final = 110
MAX_MARKS: Final = 12
_BEFORE: Final = 30  # characters shown before a mark of a long line
_GAP: Final = "..."
_NAME: Final = r'(?:"(?:[^"]|"")*"|[^\W\d][\w$]*)'
_QUALIFIED: Final = re.compile(rf"{_NAME}(?:\s*\.\s*{_NAME})*")
_TOKEN: Final = re.compile(r"\w+|\S")
_PICTURES: Final = 0x2400  # the signs for control characters, in their order
_UNSHOWN: Final = "\ufffd"


@dataclass(frozen=True, slots=True)
class Mark:
    """A place of a text in characters, and what is there. ``end`` is after the last."""

    start: int
    end: int
    what: str


@dataclass(frozen=True, slots=True)
class Row:
    """One row to show: a line of the text, or what stands under one.

    ``number``: of the line, from 1; None: this row marks a place of the line above it, or stands
    for lines left out. ``lead``: spaces before ``text``, which is then a run of ^.
    """

    text: str
    number: int | None = None
    lead: int = 0
    what: str = ""


def text_and_marks(raw: bytes, facts: StatementFacts) -> tuple[str, tuple[Mark, ...]]:
    """Return the text to show for a statement, and its marks in order, those of one place joined.

    Args:
        raw: the whole text; shown if it could not even be decoded.
        facts: of the statement.
    """
    text, at = facts.text.rstrip(), facts.opaque_at
    if facts.opaque is not None and not text:
        text = raw.decode(errors="replace")
        at = None if at is None else len(raw[:at].decode(errors="replace"))
    found: dict[tuple[int, int], list[str]] = {}
    for start, end, what in facts.spans:
        found.setdefault((start, _end_of_name(text, start, end)), []).append(what)
    if facts.opaque is not None and at is not None:
        token = _TOKEN.match(text, at)
        found.setdefault((at, token.end() if token else at + 1), []).append(facts.opaque)
    marks = (Mark(*place, ", ".join(what)) for place, what in found.items())
    return text, tuple(sorted(marks, key=lambda mark: (mark.start, mark.end)))


def _end_of_name(text: str, start: int, end: int) -> int:
    """Return the end of the name that begins at ``start``, with all its parts."""
    name = _QUALIFIED.match(text, start)
    return max(end, name.end()) if name else end


def rows(text: str, marks: Sequence[Mark]) -> Iterator[Row]:
    """Yield the rows that show a text and its marks."""
    lines = text.split("\n")
    starts = [0]
    for line in lines:
        starts.append(starts[-1] + len(line) + 1)
    on_line: dict[int, list[Mark]] = {}
    for mark in marks[:MAX_MARKS]:
        index = next((i for i, _ in enumerate(lines) if mark.start < starts[i + 1]), len(lines) - 1)
        inside = Mark(mark.start - starts[index], mark.end - starts[index], mark.what)
        on_line.setdefault(index, []).append(inside)
    last = -1
    for index in _shown(len(lines), on_line):
        if index != last + 1:
            yield Row(_GAP)
        yield from _line(lines[index].removesuffix("\r"), index + 1, on_line.get(index, ()))
        last = index
    if last != len(lines) - 1:
        yield Row(_GAP)
    if len(marks) > MAX_MARKS:
        yield Row(f"and {len(marks) - MAX_MARKS} more places")


def _shown(count: int, on_line: dict[int, list[Mark]]) -> list[int]:
    if count <= MAX_LINES:
        return list(range(count))
    around = {index + step for index in on_line or {0: []} for step in (-1, 0, 1)}
    return sorted(index for index in around if 0 <= index < count)


def _line(line: str, number: int, marks: Sequence[Mark]) -> Iterator[Row]:
    """Yield a line, in parts if it is long, each with its marks under it."""
    rest = list(marks)
    while True:
        first = rest[0].start if rest else 0
        begin = 0
        if len(line) > MAX_COLUMNS and first > MAX_COLUMNS // 2:
            begin = min(first, len(line)) - _BEFORE
        end = len(line) if len(line) <= MAX_COLUMNS else min(len(line), begin + MAX_COLUMNS)
        before = _GAP if begin else ""
        after = _GAP if end < len(line) else ""
        yield Row(f"{before}{_plain(line[begin:end])}{after}", number)
        while rest and (rest[0].start <= end or not after):
            mark = rest.pop(0)
            lead = len(before) + cell_len(_plain(line[begin : mark.start]))
            under = _plain(line[mark.start : min(mark.end, end)])
            yield Row("^" * max(1, cell_len(under)), lead=lead, what=mark.what)
        if not rest:
            return


def _plain(text: str) -> str:
    """Return the text, each character that is not to be shown as it is by one that can be."""
    if text.isprintable():
        return text
    return "".join(one if one.isprintable() else _picture(one) for one in text)


def _picture(character: str) -> str:
    if character == "\t":
        return " "
    code = ord(character)
    return chr(_PICTURES + code) if code < ord(" ") else _UNSHOWN
