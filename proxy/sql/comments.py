"""What the comments that end a text say: ``/*key='value',key='value'*/``, as sqlcommenter does.

Nothing but space or a semicolon may follow: what stands in a string, or within the text, is
somebody else's word, and of two for one key nobody knows which is meant.

Source: sqlcommenter specification, "Parsing", "Meta characters", "Key value serialization".
"""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING, Final

from proxy.sql.text import TextError, decode_text

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from proxy.sql.template import Template

_Pair = tuple[str, str | None]
NOTHING_SAID: Final[Mapping[str, str]] = {}
LONGEST_COMMENT: Final = 8192  # characters
_END: Final = b"*/"
_SPACE: Final = " \t\n\r\f"
_AFTER: Final = b" \t\n\r\f;"
_PART: Final = r"(?:[A-Za-z0-9_.~*!()+\-]++|%[0-9A-Fa-f]{2})"
_VALUE: Final = r"(?:[^'\\*%,\x00-\x1f]++|%[0-9A-Fa-f]{2}|\\')*+"
_PAIR: Final = re.compile(rf"\s*+({_PART}++)='({_VALUE})'\s*+", re.ASCII)
_OCTET: Final = re.compile(rb"%([0-9A-Fa-f]{2})")


def said_in_comment(
    raw: bytes, encoding: str, cut: Callable[[str], Template | None]
) -> Mapping[str, str]:
    """Return the values by key; nothing where it is not certain what is said. Errors: none.

    Args:
        raw: the text as it was sent.
        encoding: the session's ``client_encoding``.
        cut: cuts a text into its literals and comments.
    """
    if not raw.rstrip(_AFTER).endswith(_END):
        return NOTHING_SAID
    try:
        text = decode_text(raw, encoding)
    except TextError:
        return NOTHING_SAID
    template = cut(text)
    if template is None:
        return NOTHING_SAID
    pairs: list[_Pair] = []
    others = list(template.comments)
    end = len(text.rstrip(_AFTER.decode()))
    while others and others[-1][1] == end:
        found = _pairs(text[others[-1][0] : end])
        if found is None:
            break
        pairs += found
        end = len(text[: others.pop()[0]].rstrip(_SPACE))
    if any(_pairs(text[start:stop]) is not None for start, stop in others):
        return NOTHING_SAID
    times = Counter(key for key, _ in pairs)
    return {key: value for key, value in pairs if value is not None and times[key] == 1}


def _pairs(comment: str) -> list[_Pair] | None:
    """Return what a comment says, None for a value that is not certain; None if it says nothing."""
    if not comment.startswith("/*") or len(comment) > LONGEST_COMMENT:
        return None
    inner = comment[2:-2]
    said: list[_Pair] = []
    at = 0
    while found := _PAIR.match(inner, at):
        said.append((_decoded(found[1]) or "", _decoded(found[2].replace("\\'", "'"))))
        at = found.end()
        if at == len(inner):
            return said
        if inner[at] != ",":
            return None
        at += 1
    return None


def _decoded(text: str) -> str | None:
    """Return a text without percent-encoding; None if its bytes are no UTF-8."""
    if "%" not in text:
        return text
    octets = _OCTET.sub(lambda found: bytes([int(found[1], 16)]), text.encode())
    try:
        return octets.decode()
    except UnicodeDecodeError:
        return None
