"""The outline of a statement, and of the queries that others wrap."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from proxy.sql.facts.bounds import is_bounded_by_keys, is_one_subject_per_row, row_bound
from proxy.sql.facts.queries import read_query
from proxy.sql.facts.scope import Result
from proxy.sql.facts.staging import Put, note_staging
from proxy.sql.facts.tree import Node, unwrap
from proxy.terms.facts import CopyFormat, Kind, Literal, Parameter, TransactionStep
from proxy.terms.relation import Relation

if TYPE_CHECKING:
    from proxy.sql.facts.reading import Reading
    from proxy.sql.facts.value import Named
    from proxy.terms.unknown import Unknown

QUERIES: Final = {
    "SelectStmt": Kind.SELECT,
    "InsertStmt": Kind.INSERT,
    "UpdateStmt": Kind.UPDATE,
    "DeleteStmt": Kind.DELETE,
    "MergeStmt": Kind.MERGE,
}


@dataclass(slots=True)
class Outline:
    """What a statement is and gives, beside what its reading gathered."""

    kind: Kind
    output: tuple[Named, ...] = ()
    returns_rows: bool = False
    result: Result = field(default_factory=Result)
    bound: int | Parameter | Unknown | None = None
    bound_location: int | None = None
    one_subject: bool = False
    bounded: bool = False
    opaque: str | None = None
    cursor: str | None = None
    holds: bool = False
    prepared: str | None = None
    execute_values: tuple[Literal | Parameter | Unknown | None, ...] = ()
    discards: bool = False
    transaction: TransactionStep | None = None
    savepoint: str = ""
    copy_format: CopyFormat | None = None
    copy_header: bool = False


def read_as(reading: Reading, node: Node, kind: Kind) -> Outline:
    """Return the outline of a query or change of data, as of this kind."""
    _, body = unwrap(node)
    result = read_query(reading, node, None)
    outline = Outline(kind, result.columns, bool(result.columns), result)
    if kind is Kind.SELECT:
        outline.returns_rows = True
        outline.bound, outline.bound_location = row_bound(reading, body, result)
        into = _into_of(body)
        if into is not None:
            return make_relation(reading, into, outline)
    outline.one_subject = is_one_subject_per_row(reading, result)
    outline.bounded = is_bounded_by_keys(reading, result)
    return outline


def _into_of(select: Node) -> Node | None:
    """Return the INTO clause: of a set operation, that of its first query."""
    while "larg" in select and "intoClause" not in select:
        select = select["larg"]
    into: Node | None = select.get("intoClause")
    return into


def make_relation(reading: Reading, into: Node, outline: Outline) -> Outline:
    """Return the outline of a query whose rows go to a new relation."""
    relation: Node = into.get("rel", {})
    made = created(reading, relation)
    values = [column.value for column in outline.output]
    reading.use(*values)
    staged = note_staging(reading, [made], [Put(None, value) for value in values])
    reading.creates.add(made)
    reading.made[made] = staged or reading.stages_keys
    reading.changes_catalog = True
    return Outline(Kind.CREATE_TABLE_AS, result=outline.result)


def created(reading: Reading, relation: Node) -> Relation:
    """Return the relation that a CREATE of this name makes.

    ``pg_temp`` is the schema of a temporary one as long as the catalog shows no other.
    """
    schema, name = name_of(relation)
    path = reading.catalog.search_path if reading.catalog is not None else None
    if relation.get("relpersistence") == "t" or schema == "pg_temp":
        own = [part for part in path or () if part.startswith("pg_temp_")]
        return Relation(own[0] if own else "pg_temp", name)
    if not schema:
        usable = [part for part in path or () if not part.startswith("pg_")]
        schema = usable[0] if usable else ""
    return Relation(schema, name)


def name_of(relation: Node) -> tuple[str, str]:
    """Return (schema, name) of a RangeVar."""
    return str(relation.get("schemaname", "")), str(relation.get("relname", ""))
