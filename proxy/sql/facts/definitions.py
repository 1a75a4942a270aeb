"""Statements that define relations, and what of subjects' data goes into them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from proxy.sql.facts.functions import note_function
from proxy.sql.facts.outline import Outline, created, make_relation, name_of, read_as
from proxy.sql.facts.queries import read_query
from proxy.sql.facts.relations import note_read, resolve
from proxy.sql.facts.session import note_set
from proxy.sql.facts.tree import Node, qualified, walk
from proxy.sql.facts.writes import note_write
from proxy.terms.facts import Kind
from proxy.terms.relation import Relation

if TYPE_CHECKING:
    from proxy.sql.facts.reading import Reading


def read_create_as(reading: Reading, body: Node) -> Outline:
    """Return the outline of CREATE TABLE AS or CREATE MATERIALIZED VIEW."""
    query: Node = body.get("query", {})
    if "ExecuteStmt" in query:
        made = created(reading, body.get("into", {}).get("rel", {}))
        reading.creates.add(made)
        reading.made[made] = True
        reading.stages = reading.changes_catalog = True  # what is executed is not known here
        name = str(query["ExecuteStmt"].get("name", ""))
        return Outline(Kind.CREATE_TABLE_AS, prepared=name)
    inner = read_as(reading, query, Kind.SELECT)
    return make_relation(reading, body.get("into", {}), inner)


def read_view(reading: Reading, body: Node) -> Outline:
    """Return the outline of CREATE VIEW; its query is read for what it calls."""
    result = read_query(reading, body.get("query", {}), None)
    reading.use(*(column.value for column in result.columns))
    made = created(reading, body.get("view", {}))
    reading.creates.add(made)
    reads = reading.subject_relations or reading.unknown_relations or reading.unknown_functions
    reading.made[made] = bool(reads)
    reading.changes_catalog = True
    return Outline(Kind.CREATE_VIEW)


def read_definition(reading: Reading, kind: str, body: Node) -> Outline:
    """Return the outline of other DDL. ``kind``: of the grammar's node."""
    reading.changes_catalog = True
    if kind in {"CreateStmt", "CreateForeignTableStmt"}:
        base = body.get("base", body)
        made = created(reading, base.get("relation", {}))
        reading.creates.add(made)
        reading.made[made] = kind == "CreateForeignTableStmt"
    elif kind == "RenameStmt" and body.get("renameType") in {
        "OBJECT_TABLE",
        "OBJECT_VIEW",
        "OBJECT_MATVIEW",
        "OBJECT_FOREIGN_TABLE",
    }:
        _read_rename(reading, body)
    elif kind in {"AlterRoleSetStmt", "AlterDatabaseSetStmt"}:
        note_set(reading, body.get("setstmt", {}))
    elif kind == "TruncateStmt":
        for relation in body.get("relations", ()):
            note_write(reading, relation.get("RangeVar", {}))
        reading.changes_catalog = False
    elif kind == "DropStmt":
        reading.drops = True
    for inner_kind, inner in walk(body):
        if inner_kind == "FuncCall":  # defaults, checks, index expressions
            note_function(reading, *qualified(inner.get("funcname", ())))
    return Outline(Kind.DDL)


def _read_rename(reading: Reading, body: Node) -> None:
    relation: Node = body.get("relation", {})
    found = resolve(reading, *name_of(relation))
    note_read(reading, found)
    for old in found:
        made = Relation(old.schema, str(body.get("newname", "")))
        reading.creates.add(made)
        known_clean = reading.catalog is not None and not reading.unknown_relations
        reading.made[made] = bool(reading.subject_relations) or not known_clean
    reading.subject_relations.clear()  # none of its rows leaves
