"""The tokens of a source in PL/pgSQL, and a way through them.

Source: PostgreSQL documentation, "Lexical Structure"; ``pl_gram.y`` (an expression ends at the
first THEN or LOOP outside of parentheses).
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple


class Unreadable(Exception):  # noqa: N818 - not an error: it is told as a reason
    """A body that cannot be understood. ``reason``: in words, without anything of its text."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Token(NamedTuple):
    """One token. ``start`` and ``end``: where it is, in characters."""

    kind: str
    value: str  # words folded to lower case
    start: int
    end: int


_TOKEN: Final = re.compile(
    r"""
    (?P<space>\s+|--[^\r\n]*)
    |(?P<comment>/\*)
    |(?P<string>[eE]'(?:[^'\\]|\\.|'')*'|(?:[bBxXnN]|[uU]&)?'(?:[^']|'')*')
    |(?P<quoted>"(?:[^"]|"")+")
    |(?P<dollar>\$(?:[A-Za-z_\x80-\U0010ffff][\w\x80-\U0010ffff]*)?\$)
    |(?P<word>[A-Za-z_\x80-\U0010ffff][\w$\x80-\U0010ffff]*)
    |(?P<parameter>\$\d+)
    |(?P<number>(?:\d+(?:\.(?!\.)\d*)?|\.\d+)(?:[eE][+-]?\d+)?)
    |(?P<mark>:=|\.\.|::|(?:(?!--|/\*)[-+*/<>=~!@\#%^&|`?])+|[()\[\],;:.])
    """,
    re.VERBOSE | re.DOTALL,
)
_OPENING: Final = frozenset("([")
_CLOSING: Final = frozenset(")]")
ASSIGNS: Final = frozenset({":=", "="})
_MOST_TOKENS: Final = 20_000


def tokens_of(source: str) -> list[Token]:
    """Return the tokens, without space and comments. Errors: ``Unreadable``."""
    found: list[Token] = []
    at = 0
    while at < len(source):
        match = _TOKEN.match(source, at)
        if match is None:
            raise Unreadable("a character that PL/pgSQL does not have")
        kind, end = str(match.lastgroup), match.end()
        if kind == "comment":
            end = _comment_end(source, end)
        elif kind == "dollar":
            closing = source.find(match.group(), end)
            if closing < 0:
                raise Unreadable("a quote that does not end")
            kind, end = "string", closing + len(match.group())
        if kind not in {"space", "comment"}:
            value = source[at:end]
            if kind == "word":
                value = value.lower()
            elif kind == "quoted":
                value = value[1:-1].replace('""', '"')
            found.append(Token(kind, value, at, end))
        at = end
        if len(found) > _MOST_TOKENS:
            raise Unreadable("too long")
    return found


def _comment_end(source: str, at: int) -> int:
    depth = 1
    while depth:
        opening, closing = source.find("/*", at), source.find("*/", at)
        if closing < 0:
            raise Unreadable("a comment that does not end")
        if 0 <= opening < closing:
            depth, at = depth + 1, opening + 2
        else:
            depth, at = depth - 1, closing + 2
    return at


class Tokens:
    """A place in a source, and what is taken from there on. Errors: ``Unreadable``."""

    def __init__(self, source: str) -> None:
        self.source = source
        self.tokens = tokens_of(source)
        self.at = 0

    def word(self, ahead: int = 0) -> str:
        """Return the token as a word or mark; '' for quoted names, strings and the end."""
        index = self.at + ahead
        if index >= len(self.tokens):
            return ""
        token = self.tokens[index]
        return token.value if token.kind in {"word", "mark"} else ""

    def take(self, *expected: str) -> str:
        """Take one word or mark, which has to be one of these."""
        word = self.word()
        if expected and word not in expected:
            raise Unreadable(f"{' or '.join(expected).upper()} is missing")
        self.at += 1
        return word

    def name(self) -> str:
        """Take a name."""
        if self.at >= len(self.tokens) or self.tokens[self.at].kind not in {"word", "quoted"}:
            raise Unreadable("a name is missing")
        self.at += 1
        return self.tokens[self.at - 1].value

    def until(self, *ends: str) -> str:
        """Return the text up to one of these outside of parentheses, which is not taken."""
        first, depth = self.at, 0
        while self.at < len(self.tokens):
            word = self.word()
            if depth == 0 and word in ends:
                return self.text(first, self.at)
            depth += (word in _OPENING) - (word in _CLOSING)
            if depth < 0 or word == ";":
                break
            self.at += 1
        raise Unreadable(f"{' or '.join(ends).upper()} is missing")

    def text(self, first: int, last: int) -> str:
        """Return the source of these tokens."""
        if first >= last:
            return ""
        return self.source[self.tokens[first].start : self.tokens[last - 1].end]

    def listed(self, *ends: str) -> tuple[str, ...]:
        """Return the texts between commas, up to one of these."""
        found = [self.until(",", *ends)]
        while self.word() == ",":
            self.at += 1
            found.append(self.until(",", *ends))
        return tuple(found)

    def targets(self, *, strict: bool = True) -> tuple[tuple[str, ...], bool]:
        """Return the first names of targets, and whether one is an element or a field."""
        if strict and self.word() == "strict":
            self.at += 1
        found, partly = [], False
        while True:
            found.append(self.name())
            partly |= self.path()
            if self.word() != ",":
                return tuple(found), partly
            self.at += 1

    def path(self) -> bool:
        """Pass over ``.field`` and ``[subscript]``; whether there are any."""
        began = self.at
        while self.word() in {".", "["}:
            if self.take() == ".":
                self.name()
            else:
                self.until("]")
                self.at += 1
        return self.at > began
