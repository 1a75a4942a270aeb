"""How much of the text beside a result may be data of subjects.

Errors and notices of the server quote values: ``invalid input syntax for type integer: "1840..."``
is a row by another door. What the frontend itself sent is no disclosure, and the server's own
wording is not either.

Source: PostgreSQL documentation, "Error and Notice Message Fields", "PostgreSQL Error Codes".
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from proxy.terms.facts import Kind

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from proxy.terms.facts import StatementFacts

_TEXTS: Final = "MDHWq"  # message, detail, hint, context, internal query
_NAMES: Final = "sctdn"  # schema, column, table, data type, constraint
_PAIR: Final = 2
# Classes whose texts hold no value of a row: success, connection, transaction state, login,
# rollback, resources, operator intervention, system. A value that was cast to a name of something
# (nir::regclass) is quoted under any other code.
_WITHOUT_VALUES: Final = frozenset(
    {"00", "08", "25", "26", "28", "2D", "3B", "40", "53", "55", "57", "58", "72", "F0", "XX"}
)
_AT_RUN_TIME: Final = frozenset({"22", "23", "44"})
_OWN_CODE: Final = frozenset({Kind.DO, Kind.CALL, Kind.FUNCTION_CALL, Kind.OPAQUE})
_QUOTED: Final = re.compile(
    rb'"([^"]*)"|\(([^()]*)\)|:\s(.*)$|\xab\s?([^\xbb]*?)\s?\xbb', re.DOTALL
)


def disclosed_bytes(
    fields: Mapping[str, bytes], facts: StatementFacts, sent: Sequence[bytes]
) -> int:
    """Return how many bytes of an ErrorResponse or NoticeResponse may be subjects' data.

    Args:
        fields: of the message, by letter; ``P``: it points into the statement.
        facts: of the statement that runs.
        sent: what the frontend sent for it: text and parameters.
    """
    if not facts.reads_subjects and not facts.writes:
        return 0
    if facts.opaque is not None or facts.unknown_functions or facts.kind in _OWN_CODE:
        return sum(len(fields.get(letter, b"")) for letter in _TEXTS)
    kind = fields.get("C", b"")[:2].decode("latin-1")
    if not kind or kind in _WITHOUT_VALUES:
        return 0  # the server's own wording
    if "P" in fields and kind not in _AT_RUN_TIME:
        return 0  # it points into the text that was sent, and quotes that
    haystack = b"\0".join(sent)
    names = [fields[letter] for letter in _NAMES if fields.get(letter)]
    return sum(
        len(value)
        for letter in _TEXTS
        for value in _quoted(fields.get(letter, b""), names)
        if value not in haystack
    )


def _quoted(text: bytes, names: Sequence[bytes]) -> list[bytes]:
    for name in names:
        text = text.replace(b'"' + name + b'"', b"")
    if text.count(b'"') > _PAIR:  # a value may have quotes of its own
        return [text[text.index(b'"') :]]
    found = []
    for match in _QUOTED.finditer(text):
        value = next((group for group in match.groups() if group), b"")
        found += [part for part in value.strip(b'"').split(b", ") if part]
    return found
