"""Errors and notices of the backend, without what may be a value of a masked column.

``Failing row contains (...)`` shows a row, ``Key (nir)=(...)`` a value, and code of the database
may say anything. To somebody whose columns are masked, only texts leave that the backend itself
makes of the statement's own words; of others the code is left.

Source: PostgreSQL documentation, "Error and Notice Message Fields", "PostgreSQL Error Codes".
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from proxy.wire.encode import frame

if TYPE_CHECKING:
    from collections.abc import Mapping

# Success is none of them: a notice of that class may come from anywhere.
_OWN_WORDS: Final = frozenset(
    {"08", "0A", "25", "26", "28", "2B", "2D", "34", "3B", "3D", "3F", "40", "42", "53", "54"}
    | {"55", "57", "58", "XX"}
)
_SAID_BY_CODE: Final = frozenset({b"exec_stmt_raise", b"exec_stmt_assert", b"PLy_output"})
_KEPT: Final = "SVCMPFLR"  # and neither detail, hint, context, query, nor names
_WITHHELD: Final = (
    b"the database refused this; its message is not shown, as it may hold masked values"
)


def is_harmless(fields: Mapping[str, bytes]) -> bool:
    """Whether an ErrorResponse or NoticeResponse says nothing but the statement's own words."""
    kind = fields.get("C", b"")[:2].decode("latin-1")
    return kind in _OWN_WORDS and fields.get("R", b"") not in _SAID_BY_CODE and "R" in fields


def without_values(tag: int, fields: Mapping[str, bytes]) -> bytes:
    """Return the message as far as it can hold no value of a row."""
    kept = {letter: fields[letter] for letter in _KEPT if letter in fields}
    if not is_harmless(fields):
        kept["M"] = _WITHHELD
    body = b"".join(letter.encode() + value + b"\0" for letter, value in kept.items())
    return frame(tag, body + b"\0")
