"""Statements within a body that are no queries."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from proxy.sql.facts.plpgsql_tokens import Unreadable
from proxy.sql.facts.tree import unwrap
from proxy.terms.facts import Kind

if TYPE_CHECKING:
    from proxy.sql.facts.reading import Reading
    from proxy.sql.facts.tree import Node

# What a body may do beside queries, and its caller answers for.
_READABLE: Final = frozenset(
    {
        Kind.SELECT,
        Kind.INSERT,
        Kind.UPDATE,
        Kind.DELETE,
        Kind.MERGE,
        Kind.CALL,
        Kind.COPY_FILE,
        Kind.CREATE_TABLE_AS,
        Kind.DDL,
        Kind.SET,
        Kind.SHOW,
        Kind.TRANSACTION,
        Kind.MAINTENANCE,
        Kind.NOTIFY,
        Kind.LISTEN,
    }
)


def run_statement(reading: Reading, node: Node) -> None:
    """Note what a statement of a body reads and does. Errors: ``Unreadable``."""
    from proxy.sql.facts.statements import read_statement  # noqa: PLC0415

    subjects = set(reading.subject_relations)
    outline = read_statement(reading, node)
    reading.subject_relations |= subjects  # one that shows no rows forgets those before it, too
    if outline.opaque is not None:
        raise Unreadable(outline.opaque)
    if outline.kind not in _READABLE:
        raise Unreadable(f"has {outline.kind.value} in it")
    if unwrap(node)[0] == "NotifyStmt":
        reading.tells_others = True
