"""Copies that triggers make: a log of changes to patients is a table of patients.

Source: PostgreSQL documentation, "Trigger Functions".
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from proxy.sql.facts.blocks import read_block
from proxy.sql.facts.bodies import read_call
from proxy.sql.facts.plpgsql_tokens import Unreadable
from proxy.sql.facts.queries import read_query
from proxy.sql.facts.reading import Reading
from proxy.sql.facts.relations import stored_columns
from proxy.sql.facts.routine import read_routine
from proxy.sql.grammar import GrammarError

if TYPE_CHECKING:
    from proxy.sql.catalog import Catalog, CatalogFunction
    from proxy.sql.facts.value import Named
    from proxy.terms.relation import Relation
    from proxy.terms.schema_map import SchemaMap


def copied_by_triggers(catalog: Catalog, schema_map: SchemaMap) -> frozenset[Relation]:
    """Return the relations of nobody into which triggers of subject relations copy subjects' data.

    Of a body that cannot be read nothing is known. Errors: none.
    """
    found: set[Relation] = set()
    for functions in catalog.functions.values():
        for function in functions:
            for oid in function.triggers:
                entry = catalog.relations.get(oid)
                if entry is not None and entry.relation in catalog.subjects:
                    found |= _copied(catalog, schema_map, function, entry.relation)
    return frozenset(found)


def _copied(
    catalog: Catalog, schema_map: SchemaMap, function: CatalogFunction, relation: Relation
) -> set[Relation]:
    reading = Reading(catalog, schema_map, read_query, read_call=read_call)
    reading.calls = (function.oid,)
    columns: tuple[Named, ...] = stored_columns(reading, relation)
    try:
        routine = read_routine(function.definition)
        read_block(reading, routine, (), rows={"new": columns, "old": columns})
    except (Unreadable, GrammarError, RecursionError):
        return set()
    if not reading.stages:
        return set()
    return {one for one in reading.writes if _is_nobodys(catalog, one)}


def _is_nobodys(catalog: Catalog, relation: Relation) -> bool:
    """Whether it is there, and nobody knows of subjects' data in it."""
    known = catalog.subjects.get(relation)
    return relation in catalog.oids and (known is None or not known.whole.subject)
