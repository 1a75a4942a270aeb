"""Copies of subjects' data and renamed relations in the state file, by database."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from proxy.session.catalog_book import KeptTaint
from proxy.sql.catalog import ColumnOrigin
from proxy.sql.kept import KeptColumn, KeptRelation
from proxy.terms.column_class import ColumnClass
from proxy.terms.relation import Relation

if TYPE_CHECKING:
    import sqlite3

TAINT_TABLES: Final = """
CREATE TABLE IF NOT EXISTS subject_relation (
    database TEXT NOT NULL,
    oid INTEGER NOT NULL,
    schema TEXT NOT NULL,
    name TEXT NOT NULL,
    columns TEXT NOT NULL,
    PRIMARY KEY (database, oid)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS copied_into (
    database TEXT NOT NULL,
    schema TEXT NOT NULL,
    name TEXT NOT NULL,
    PRIMARY KEY (database, schema, name)
) WITHOUT ROWID;
"""


def read_taint(connection: sqlite3.Connection) -> KeptTaint:
    """Return all that was kept. Errors: those of sqlite3."""
    relations: dict[str, set[KeptRelation]] = {}
    for database, oid, schema, name, columns in connection.execute(
        "SELECT * FROM subject_relation"
    ):
        whole, *others = json.loads(columns)
        found = tuple(
            KeptColumn(number, column, type_oid, _origin(said))
            for number, column, type_oid, said in others
        )
        kept = KeptRelation(oid, Relation(schema, name), _origin(whole), found)
        relations.setdefault(database, set()).add(kept)
    named = frozenset(
        (database, Relation(schema, name))
        for database, schema, name in connection.execute("SELECT * FROM copied_into")
    )
    return KeptTaint({name: frozenset(found) for name, found in relations.items()}, named)


def write_taint(connection: sqlite3.Connection, taint: KeptTaint) -> None:
    """Write what has changed, within a transaction of the caller. Errors: those of sqlite3."""
    run, run_many = connection.execute, connection.executemany
    for database, relations in taint.relations.items():
        run("DELETE FROM subject_relation WHERE database = ?", (database,))
        run_many(
            "INSERT INTO subject_relation VALUES (?, ?, ?, ?, ?)",
            (
                (database, one.oid, one.relation.schema, one.relation.name, _columns(one))
                for one in relations
            ),
        )
    run("DELETE FROM copied_into")
    run_many(
        "INSERT INTO copied_into VALUES (?, ?, ?)",
        ((database, one.schema, one.name) for database, one in taint.named),
    )


def _columns(kept: KeptRelation) -> str:
    columns = [[one.number, one.name, one.type_oid, _said(one.origin)] for one in kept.columns]
    return json.dumps([_said(kept.whole), *columns])


def _said(origin: ColumnOrigin) -> list[Any]:
    return [origin.column_class.value, origin.key_space, origin.subject]


def _origin(said: list[Any]) -> ColumnOrigin:
    column_class, key_space, subject = said
    return ColumnOrigin(ColumnClass(column_class), key_space, bool(subject))
