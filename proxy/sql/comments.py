"""What the last comment of a text says, as sqlcommenter writes it: ``/*key='value',key='value'*/``.

Only the last token of the text counts, and nothing but space or a semicolon may follow: what stands
in a string, within the text or behind a second such comment is somebody else's word.

Source: sqlcommenter specification, "Parsing", "Meta characters", "Key value serialization".
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from proxy.sql.text import TextError, decode_text

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from proxy.sql.template import Template

NOTHING_SAID: Final[Mapping[str, str]] = {}
LONGEST_COMMENT: Final = 8192  # characters
_END: Final = b"*/"
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
    if template is None or not template.comments:
        return NOTHING_SAID
    ends_at = len(text.rstrip(_AFTER.decode()))
    *others, (start, end) = template.comments
    said = _pairs(text[start:end]) if end == ends_at else None
    if said is None or any(_pairs(text[one:other]) is not None for one, other in others):
        return NOTHING_SAID
    return said


def _pairs(comment: str) -> Mapping[str, str] | None:
    """Return what a comment says; None for one that says nothing in this form."""
    if not comment.startswith("/*") or len(comment) > LONGEST_COMMENT:
        return None
    inner = comment[2:-2]
    said: dict[str, str] = {}
    doubtful: set[str] = set()
    at = 0
    while found := _PAIR.match(inner, at):
        key, value = _decoded(found[1]), _decoded(found[2].replace("\\'", "'"))
        if key is None or value is None or key in said:
            doubtful.update(one for one in (key,) if one is not None)
        else:
            said[key] = value
        at = found.end()
        if at == len(inner):
            return {key: value for key, value in said.items() if key not in doubtful}
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
