"""YAML text to plain values, with the line and column of each.

YAML 1.2 core: only ``true`` and ``false`` are booleans, ``no`` is a text, ``1_000`` and ``1:30``
are texts too. Refused: a key written twice, aliases, tags, a second document, deep nesting.

Source: YAML 1.2.2, section 10.3 (core schema), without octal and hexadecimal numbers.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any, Final

import yaml

from proxy.errors import ConfigurationError

Path = tuple[str | int, ...]
Place = tuple[int, int]  # line and column, from 1

_MAX_DEPTH: Final = 32
_INTEGER: Final = re.compile(r"[-+]?(?:0|[1-9][0-9]{0,17})")
_FLOAT: Final = re.compile(r"[-+]?(?:0|[1-9][0-9]*)\.[0-9]+(?:[eE][-+]?[0-9]+)?")
_CONSTANTS: Final = {
    "": None,
    "~": None,
    "null": None,
    "Null": None,
    "NULL": None,
    "true": True,
    "True": True,
    "TRUE": True,
    "false": False,
    "False": False,
    "FALSE": False,
}


@dataclass(frozen=True, slots=True)
class Document:
    """A YAML document as plain values. ``values`` and ``keys``: where each path begins."""

    name: str
    value: Any
    values: dict[Path, Place] = field(default_factory=dict)
    keys: dict[Path, Place] = field(default_factory=dict)

    def at(self, path: Path, *, key: bool = False) -> str:
        """Return ``file:line:column`` of a value, or of its key; of the nearest one above it."""
        for length in range(len(path), -1, -1):
            part = path[:length]
            place = self.keys.get(part) if key else None
            place = place or self.values.get(part)
            if place is not None:
                return f"{self.name}:{place[0]}:{place[1]}"
        return f"{self.name}:1:1"


@dataclass(slots=True)
class _Open:
    """A collection that is being read; ``key`` is the one whose value comes next."""

    path: Path
    value: dict[str, Any] | list[Any]
    key: str | None = None
    skipped: bool = False  # the value that comes next belongs to a key that was refused

    @property
    def wants_key(self) -> bool:
        return isinstance(self.value, dict) and self.key is None and not self.skipped


class _Reader:
    """Builds the values from the parser's events, without recursion."""

    def __init__(self, name: str) -> None:
        self.document = Document(name, None)
        self.root: Any = None
        self.problems: list[str] = []
        self._stack: list[_Open] = []
        self._documents = 0

    def take(self, event: yaml.Event) -> bool:
        """Take the next event; False: reading on makes no sense."""
        match event:
            case yaml.DocumentStartEvent():
                self._documents += 1
                if self._documents > 1:
                    self._complain(event, "second document begins, expected one in each file")
                    return False
            case yaml.AliasEvent():
                self._complain(event, f"alias '*{event.anchor}', expected the value itself")
                self._place(event, None)
            case yaml.ScalarEvent():
                self._take_scalar(event)
            case yaml.MappingStartEvent():
                self._open(event, {})
            case yaml.SequenceStartEvent():
                self._open(event, [])
            case yaml.MappingEndEvent() | yaml.SequenceEndEvent():
                self._stack.pop()
            case _:
                pass  # the stream's own beginning and end
        if len(self._stack) > _MAX_DEPTH:
            self._complain(event, f"nested more than {_MAX_DEPTH} deep")
            return False
        return True

    def _complain(self, event: yaml.Event, what: str) -> None:
        line, column = _place(event)
        self.problems.append(f"{self.document.name}:{line}:{column}: {what}")

    def _check_tag(self, event: yaml.NodeEvent, tag: str | None) -> None:
        if tag is not None:
            self._complain(event, f"tag '{tag}', expected a plain value")

    def _take_scalar(self, event: yaml.ScalarEvent) -> None:
        self._check_tag(event, event.tag)
        if self._stack and self._stack[-1].wants_key:
            self._take_key(event, self._stack[-1])
            return
        plain = event.style in {None, ""}
        self._place(event, _resolve(event.value) if plain else event.value)

    def _take_key(self, event: yaml.ScalarEvent, opened: _Open) -> None:
        assert isinstance(opened.value, dict)
        path = (*opened.path, event.value)
        if path in self.document.keys:
            first = self.document.keys[path]
            self._complain(event, f"key '{event.value}' is written twice, first in line {first[0]}")
            opened.skipped = True
            return
        self.document.keys[path] = _place(event)
        opened.key = event.value

    def _open(self, event: yaml.CollectionStartEvent, value: dict[str, Any] | list[Any]) -> None:
        self._check_tag(event, event.tag)
        if self._stack and self._stack[-1].wants_key:
            self._complain(event, "a key is a list or mapping, expected a word")
            self._stack[-1].skipped = True
            self._stack.append(_Open(("?",), value))
            return
        path = self._place(event, value)
        self._stack.append(_Open(path, value))

    def _place(self, event: yaml.Event, value: Any) -> Path:
        """Put a value where it belongs and return its path."""
        if not self._stack:
            self.root = value
            self.document.values[()] = _place(event)
            return ()
        opened = self._stack[-1]
        if isinstance(opened.value, list):
            path = (*opened.path, len(opened.value))
            opened.value.append(value)
        elif opened.skipped or opened.key is None:
            opened.skipped = False
            return ("?",)
        else:
            path = (*opened.path, opened.key)
            opened.value[opened.key] = value
            opened.key = None
        self.document.values.setdefault(path, _place(event))
        return path


def read_document(text: str, name: str) -> Document:
    """Return the one document of a YAML text; empty text is ``None``.

    Args:
        text: of the file.
        name: of the file, for messages.

    Errors: ConfigurationError with each problem as ``name:line:column: ...``.
    """
    reader = _Reader(name)
    try:
        for event in yaml.parse(text, Loader=yaml.CSafeLoader):
            if not reader.take(event):
                break
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        place = f"{mark.line + 1}:{mark.column + 1}" if mark else "1:1"
        reader.problems.append(f"{name}:{place}: {error.problem or 'no YAML'}")
    except (yaml.YAMLError, UnicodeEncodeError):
        reader.problems.append(f"{name}:1:1: holds characters that YAML does not allow")
    if reader.problems:
        raise ConfigurationError(reader.problems)
    found = reader.document
    return Document(name, reader.root, found.values, found.keys)


def _place(event: yaml.Event) -> Place:
    mark = event.start_mark
    return (mark.line + 1, mark.column + 1) if mark else (1, 1)


def _resolve(text: str) -> Any:
    """Return what a plain scalar means."""
    if text in _CONSTANTS:
        return _CONSTANTS[text]
    if _INTEGER.fullmatch(text):
        return int(text)
    if _FLOAT.fullmatch(text):
        return float(text)
    return text
