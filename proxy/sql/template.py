"""A text without its literals, as PostgreSQL's lexer cuts it.

Two texts with the same template are the same tokens but for the values of plain numbers and
plain strings, so facts of one hold for the other as long as no fact came from such a value.
Whatever is not certain gives no template: escapes, prefixed strings, continued strings.

Source: PostgreSQL 15, ``src/backend/parser/scan.l``.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, overload

MAX_TEMPLATE_CHARACTERS: Final = 65536
# Not valid in SQL outside of literals, comments and quoted names; a text with one has no template.
_NUMBER: Final = "\x01"
_STRING: Final = "\x02"
_NAME: Final = r"[A-Za-z_\x80-\U0010ffff][A-Za-z_0-9$\x80-\U0010ffff]*"
_TOKENS: Final = re.compile(
    rf"""
    (?P<space>[ \t\n\r\f]+|--[^\n\r]*)
  | (?P<comment>/\*)
  | (?P<prefixed>(?:[eEbBxXnN]|[uU]&)'|[uU]&")
  | (?P<name>{_NAME})
  | (?P<parameter>\$\d+)
  | (?P<dollar>\$(?:[A-Za-z_\x80-\U0010ffff][A-Za-z_0-9\x80-\U0010ffff]*)?\$)
  | (?P<string>'(?:[^']|'')*')
  | (?P<quoted>"(?:[^"]|"")*")
  | (?P<number>(?:\d+(?:\.(?!\.)\d*)?|\.\d+)(?:[eE][+-]?\d+)?)
  | (?P<other>[^\x01\x02])
    """,
    re.VERBOSE | re.DOTALL | re.ASCII,
)
_SEPARATORS: Final = frozenset(",;.:")
_OPERATOR: Final = frozenset("+-*/<>=~!@#%^&|`?")
_NAME_START: Final = re.compile(r"[A-Za-z_\x80-\U0010ffff$]")
_COMMENT_EDGE: Final = re.compile(r"/\*|\*/")


@dataclass(frozen=True, slots=True)
class Slot:
    """A literal of the text: its value and where it is, in characters."""

    value: str
    start: int
    end: int
    is_number: bool


class Slots(Sequence[Slot]):
    """The literals of a text in order; a value is read only when it is asked for."""

    __slots__ = ("_is_number", "_text", "ends", "starts")

    def __init__(
        self, text: str, starts: Sequence[int], ends: Sequence[int], is_number: Sequence[int]
    ) -> None:
        self._text = text
        self.starts = starts
        self.ends = ends
        self._is_number = is_number

    def __len__(self) -> int:
        return len(self.starts)

    @overload
    def __getitem__(self, index: int) -> Slot: ...

    @overload
    def __getitem__(self, index: slice) -> Sequence[Slot]: ...

    def __getitem__(self, index: int | slice) -> Slot | Sequence[Slot]:
        if isinstance(index, slice):
            return [self[one] for one in range(*index.indices(len(self)))]
        start, end = self.starts[index], self.ends[index]
        return Slot(self.value(index), start, end, is_number=bool(self._is_number[index]))

    def value(self, index: int) -> str:
        """Return the value of one literal."""
        start, end = self.starts[index], self.ends[index]
        if self._is_number[index]:
            return self._text[start:end]
        return self._text[start + 1 : end - 1].replace("''", "'")

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Slots) and list(self) == list(other)

    __hash__ = None  # type: ignore[assignment]


@dataclass(frozen=True, slots=True)
class Template:
    """A text with every literal cut out, and the literals in order."""

    text: str
    slots: Slots
    has_dollar_quotes: bool = False
    parameters: tuple[tuple[int, int], ...] = ()  # (start, end) of each $n
    depth: int = 0  # deepest nesting of brackets
    comments: tuple[tuple[int, int], ...] = ()  # (start, end) of each in the text


def cut_literals(text: str) -> Template | None:
    """Return the template of ``text``, or None where its lexing is not certain.

    Expects ``standard_conforming_strings`` to be on. Errors: none.
    """
    if len(text) > MAX_TEMPLATE_CHARACTERS or _NUMBER in text or _STRING in text:
        return None
    return _Cutter(text).cut()


def display(template: Template) -> str:
    """Return the template for people: each literal is ``?``, each comment a space.

    A comment may hold what a literal held: the name that was searched for, the whole statement.
    """
    text = template.text
    if not template.comments:
        return text.replace(_NUMBER, "?").replace(_STRING, "?")
    slots = iter(template.slots)
    slot = next(slots, None)
    parts: list[str] = []
    copied = shortened = 0
    for start, end in template.comments:
        while slot is not None and slot.end <= start:
            shortened += slot.end - slot.start - 1
            slot = next(slots, None)
        parts += (text[copied : start - shortened], " ")
        copied = end - shortened
    parts.append(text[copied:])
    return "".join(parts).replace(_NUMBER, "?").replace(_STRING, "?")


class _Cutter:
    """One pass over a text; gives up (None) at the first doubt."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.parts: list[str] = []
        self.starts: list[int] = []
        self.ends: list[int] = []
        self.is_number = bytearray()
        self.parameters: list[tuple[int, int]] = []
        self.comments: list[tuple[int, int]] = []
        self.copied = 0  # characters of the text already in parts
        self.after_string = False
        self.dollar_quotes = False
        self.depth = self.deepest = 0

    def cut(self) -> Template | None:
        text, position, end = self.text, 0, len(self.text)
        scan = _TOKENS.match
        while position < end:
            found = scan(text, position)
            if found is None:
                return None
            kind = found.lastgroup or ""
            if kind == "name" or (kind == "other" and text[position] in _SEPARATORS):
                self.after_string = False
                position = found.end()
                continue
            following = self._take(kind, position, found.end())
            if following is None:
                return None
            position = following
        self.parts.append(text[self.copied :])
        return Template(
            "".join(self.parts),
            Slots(text, self.starts, self.ends, self.is_number),
            self.dollar_quotes,
            tuple(self.parameters),
            self.deepest,
            tuple(self.comments),
        )

    def _take(self, kind: str, start: int, end: int) -> int | None:
        """Take one token; return where the next begins, or None to give up."""
        if kind == "space":
            if self.text[start] == "-":
                self.comments.append((start, end))
            return end
        if kind == "comment":
            return self._skip_comment(start)
        string_before, self.after_string = self.after_string, False
        match kind:
            case "string":
                if string_before:
                    return None  # two strings with only space between may be one
                self.after_string = True
                value = self.text[start + 1 : end - 1]
                if "$" in value or "--" in value or "/*" in value:
                    return None  # sqlglot may see another statement than for other values
                return self._cut_out(start, end, is_number=False)
            case "number":
                if _NAME_START.match(self.text, end):
                    return None  # 0x1, 1_000 and 1from differ between versions
                return self._cut_out(start, end, is_number=True)
            case "prefixed":
                return None
            case "parameter":
                if _NAME_START.match(self.text, end):
                    return None
                self.parameters.append((start, end))
            case "dollar":
                self.dollar_quotes = True
                close = self.text.find(self.text[start:end], end)
                return None if close < 0 else close + (end - start)
            case "other":
                return self._take_other(start)
            case _:
                pass
        return end

    def _take_other(self, start: int) -> int | None:
        character = self.text[start]
        if character in "([":
            self.depth += 1
            self.deepest = max(self.deepest, self.depth)
        elif character in ")]":
            self.depth -= 1
        elif character in _OPERATOR:
            return self._skip_operator(start)
        elif character in "'\"$":
            return None  # not closed
        return start + 1

    def _skip_operator(self, start: int) -> int:
        """Return the end of the run of operator characters; a comment ends it."""
        end = start
        while end < len(self.text) and self.text[end] in _OPERATOR:
            if self.text.startswith(("--", "/*"), end):
                break
            end += 1
        return max(end, start + 1)

    def _skip_comment(self, start: int) -> int | None:
        position, depth = start + 2, 1
        while depth:
            edge = _COMMENT_EDGE.search(self.text, position)
            if edge is None:
                return None
            depth += 1 if edge.group() == "/*" else -1
            position = edge.end()
        self.comments.append((start, position))
        return position

    def _cut_out(self, start: int, end: int, *, is_number: bool) -> int:
        self.parts.append(self.text[self.copied : start])
        self.parts.append(_NUMBER if is_number else _STRING)
        self.copied = end
        self.starts.append(start)
        self.ends.append(end)
        self.is_number.append(is_number)
        return end
