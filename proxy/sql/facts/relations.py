"""Which relations a name of FROM reads, and what their columns carry."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from proxy.sql.catalog import (
    HARMLESS_COLUMN,
    HARMLESS_SCHEMAS,
    UNLISTED,
    ColumnOrigin,
)
from proxy.sql.catalog_build import map_origin
from proxy.sql.facts.functions import note_function
from proxy.sql.facts.scope import Item, direct
from proxy.sql.facts.statement_texts import COLUMNS, OTHERS, text_value
from proxy.sql.facts.value import NOTHING, UNKNOWN_VALUE, Named, Value, combine
from proxy.terms.column_class import ColumnClass
from proxy.terms.facts import SideDoor, SubjectFilter
from proxy.terms.relation import Column, Relation

if TYPE_CHECKING:
    from collections.abc import Iterable

    from proxy.sql.facts.reading import Reading
    from proxy.sql.facts.tree import Node

# Values of other people's columns, kept by ANALYZE.
STATISTICS: Final = frozenset(
    {"pg_stats", "pg_statistic", "pg_stats_ext", "pg_stats_ext_exprs", "pg_statistic_ext_data"}
)
STATISTICS_VALUES: Final = frozenset(
    {
        "most_common_vals",
        "most_common_elems",
        "histogram_bounds",
        "range_bounds_histogram",
        "stavalues1",
        "stavalues2",
        "stavalues3",
        "stavalues4",
        "stavalues5",
        "stxdmcv",
        "stxdexpr",
    }
)


def resolve(reading: Reading, schema: str, name: str) -> tuple[Relation, ...]:
    """Return what the name may stand for; () if it is nowhere known."""
    if schema in HARMLESS_SCHEMAS:
        return (Relation(schema, name),)
    catalog = reading.catalog
    for made in reading.made:
        if made.name == name and (not schema or schema == made.schema or not made.schema):
            return (made,)
    found: tuple[Relation, ...] = ()
    if catalog is not None:
        found = catalog.resolve(schema, name)
    else:
        mapped = {*reading.schema_map.subject_relations}
        mapped.update(column.relation for column in reading.schema_map.classes)
        found = tuple(
            sorted(r for r in mapped if r.name == name and (not schema or r.schema == schema))
        )
    if not found and not schema and name.startswith("pg_"):
        return (Relation("pg_catalog", name),)
    return found


def read_relation(reading: Reading, body: Node) -> Item:
    """Return the FROM entry of a RangeVar that is no WITH query, and note what it reads."""
    schema, name = str(body.get("schemaname", "")), str(body.get("relname", ""))
    only = not body.get("inh", False)
    found = resolve(reading, schema, name)
    if not found:
        reading.unknown_relations.add(Relation(schema, name))
        reading.mixes = True
        if schema == "pg_toast":
            reading.side_doors.add(SideDoor.RAW_PAGES)
        occurrence = _occur(reading)
        return Item(name, schema, None, UNKNOWN_VALUE, members=frozenset({occurrence}))
    _note_doors(reading, found)
    held = _occur(reading) if note_read(reading, found, only=only) else None
    if held is not None:
        reading.span(body.get("location"), len(name), "subject relation")
    items = [_item_of(reading, relation, held) for relation in found]
    item = items[0] if len(items) == 1 else _merge_items(items)
    members = frozenset() if held is None else frozenset({held})
    strength = None if held is None else SubjectFilter.NONE
    return replace(item, alias=name, schema=schema, members=members, strength=strength)


def note_read(reading: Reading, found: Iterable[Relation], *, only: bool = False) -> bool:
    """Note that these are read, with what is under them. Return whether subjects' data is."""
    reached = {base for one in found for base in _opened(reading, one, only=only)}
    reading.relations |= reached
    subjects = {one for one in reached if is_subject(reading, one)}
    if subjects:  # a view over a subject relation is one
        subjects |= {one for one in found if _is_over(reading, one, subjects)}
    reading.subject_relations |= subjects
    catalog = reading.catalog
    if catalog is not None:
        for one in reached:
            for function in catalog.view_functions.get(one, ()):
                note_function(reading, function.schema, function.name, written=False)
    return bool(subjects)


def is_subject(reading: Reading, relation: Relation) -> bool:
    """Whether the relation is known to have subjects' data of its own."""
    if reading.made.get(relation):
        return True
    if reading.catalog is None:
        return relation in reading.schema_map.subject_relations
    known = reading.catalog.subjects.get(relation)
    return known is not None and known.whole.subject


def _opened(reading: Reading, relation: Relation, *, only: bool) -> set[Relation]:
    catalog = reading.catalog
    if catalog is None:
        return {relation}
    opened = {relation, *catalog.view_sources.get(relation, ())}
    if not only:
        opened |= {child for one in opened for child in catalog.children.get(one, ())}
    return opened


def _is_over(reading: Reading, relation: Relation, subjects: set[Relation]) -> bool:
    catalog = reading.catalog
    if catalog is None or relation in subjects:
        return False
    known = catalog.subjects.get(relation)
    if known is not None and not known.whole.subject:
        return False  # the map says that this view is harmless
    return not subjects.isdisjoint(catalog.view_sources.get(relation, ()))


def _item_of(reading: Reading, relation: Relation, occurrence: int | None) -> Item:
    if relation.name in COLUMNS and not is_subject(reading, relation):
        return _item_of_texts(reading, relation)
    if relation.schema in HARMLESS_SCHEMAS:
        return Item(relation.name, relation.schema, None, NOTHING, alias_of=relation.name)
    catalog = reading.catalog
    if reading.made.get(relation) is not None and catalog is not None:
        rest = UNKNOWN_VALUE if reading.made[relation] else NOTHING
        return Item(relation.name, relation.schema, None, rest)
    if catalog is None:
        return _item_of_map(reading, relation, occurrence)
    subject = catalog.subjects.get(relation)
    names = catalog.columns_of(relation)
    if subject is None:
        if occurrence is not None and names is not None:
            # it reads subjects' data but is no view of it: a rule of a table
            subject = UNLISTED
        elif names is None:
            return Item(relation.name, relation.schema, None, NOTHING)
        else:
            columns = tuple(Named(name, NOTHING) for name in names)
            return Item(relation.name, relation.schema, columns, NOTHING)
    columns = tuple(
        Named(name, _value(relation, name, subject.columns.get(name, subject.rest), occurrence))
        for name in names or ()
    )
    return Item(relation.name, relation.schema, columns, NOTHING)


def _item_of_texts(reading: Reading, relation: Relation) -> Item:
    """Return the entry of a relation that shows texts of statements."""
    text, shown = text_value(relation.name), COLUMNS[relation.name]
    names = None if reading.catalog is None else reading.catalog.columns_of(relation)
    if names is None:
        listed = dict.fromkeys(OTHERS, NOTHING)
        return Item(relation.name, relation.schema, None, text, listed, alias_of=relation.name)
    columns = tuple(Named(name, text if name == shown else NOTHING) for name in names)
    return Item(relation.name, relation.schema, columns, NOTHING, alias_of=relation.name)


def _item_of_map(reading: Reading, relation: Relation, occurrence: int | None) -> Item:
    """Return the entry of a mapped relation whose columns no catalog tells."""
    listed: dict[str, Value] = {}
    for column in (*reading.schema_map.classes, *reading.schema_map.keys):
        if column.relation == relation:
            origin = map_origin(reading.schema_map, column)
            listed[column.name] = _value(relation, column.name, origin, occurrence)
    if not listed:
        return Item(relation.name, relation.schema, None, UNKNOWN_VALUE)
    rest = combine([*listed.values()])
    return Item(relation.name, relation.schema, None, rest, listed)


def stored_columns(reading: Reading, relation: Relation) -> tuple[Named, ...]:
    """Return what the columns of one row of a relation carry."""
    return _item_of(reading, relation, reading.new_occurrence()).visible


def _value(relation: Relation, name: str, origin: ColumnOrigin, occurrence: int | None) -> Value:
    if origin == HARMLESS_COLUMN:
        return NOTHING
    source = frozenset({Column(relation, name)})
    if origin.column_class is ColumnClass.UNKNOWN:
        return replace(UNKNOWN_VALUE, sources=source)
    value = direct(origin.column_class, origin.key_space, occurrence, name)
    return replace(value, sources=source)


def _merge_items(items: list[Item]) -> Item:
    """Return an entry as sensitive as any of these: the name may stand for each."""
    first = items[0]
    rest = combine([item.whole for item in items])
    if all(item.columns == first.columns for item in items):
        return first
    return Item(first.alias, first.schema, None, rest)


def _note_doors(reading: Reading, found: Iterable[Relation]) -> None:
    for relation in found:
        if relation.schema == "pg_catalog" and relation.name == "pg_largeobject":
            reading.side_doors.add(SideDoor.LARGE_OBJECT)
        if relation.schema == "pg_toast":
            reading.side_doors.add(SideDoor.RAW_PAGES)


def _occur(reading: Reading) -> int:
    occurrence = reading.new_occurrence()
    reading.level.members.add(occurrence)
    reading.level.contributes.add(occurrence)
    return occurrence
