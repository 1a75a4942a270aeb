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
# data_exception, integrity_constraint_violation, with check option: their texts quote values.
_QUOTING: Final = ("22", "23", "44")
_OWN_CODE: Final = frozenset({Kind.DO, Kind.CALL, Kind.FUNCTION_CALL, Kind.OPAQUE})
_QUOTED: Final = re.compile(
    rb'"([^"]*)"|\(([^()]*)\)|:\s(.*)$|\xab\s?([^\xbb]*?)\s?\xbb', re.DOTALL
)


def disclosed_bytes(
    fields: Mapping[str, bytes], facts: StatementFacts, sent: Sequence[bytes]
) -> int:
    """Return how many bytes of an ErrorResponse or NoticeResponse may be subjects' data.

    Args:
        fields: of the message, by letter.
        facts: of the statement that runs.
        sent: what the frontend sent for it: text and parameters.
    """
    if not facts.reads_subjects and not facts.writes:
        return 0
    if facts.opaque is not None or facts.unknown_functions or facts.kind in _OWN_CODE:
        return sum(len(fields.get(letter, b"")) for letter in _TEXTS)
    if not fields.get("C", b"").decode("latin-1").startswith(_QUOTING):
        return 0  # the server's own wording, names of relations and columns
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
