"""Calls of functions that the schema map tells about."""

from __future__ import annotations

from typing import TYPE_CHECKING

from proxy.sql.facts.constants import read_constant
from proxy.sql.facts.reading import Edge
from proxy.sql.facts.scope import direct
from proxy.sql.facts.value import UNKNOWN_VALUE, Named, Value, most_sensitive
from proxy.terms.column_class import ColumnClass
from proxy.terms.facts import KeyFilter, Provenance

if TYPE_CHECKING:
    from collections.abc import Sequence

    from proxy.sql.facts.reading import Reading
    from proxy.sql.facts.tree import Node
    from proxy.terms.schema_map import MappedFunction


def mapped_call(
    reading: Reading, mapped: MappedFunction, nodes: Sequence[Node], values: Sequence[Value]
) -> Value:
    """Return what a call in an expression gives: one value about its subject."""
    _occur(reading, mapped, nodes, values)
    if not mapped.columns:
        return UNKNOWN_VALUE
    worst = most_sensitive(mapped.columns.values())
    return Value(Provenance.DERIVED, worst, also=frozenset(mapped.columns.values()) - {worst})


def mapped_columns(
    reading: Reading, mapped: MappedFunction, nodes: Sequence[Node], values: Sequence[Value]
) -> tuple[tuple[Named, ...] | None, int]:
    """Return the columns of a call in FROM and its occurrence; None: not known."""
    occurrence = _occur(reading, mapped, nodes, values)
    if not mapped.columns:
        return None, occurrence
    return (
        tuple(
            Named(name, _column(mapped, name, column_class, occurrence))
            for name, column_class in mapped.columns.items()
        ),
        occurrence,
    )


def _column(mapped: MappedFunction, name: str, column_class: ColumnClass, occurrence: int) -> Value:
    space = mapped.keys.get(name)
    if column_class is ColumnClass.NONE and space is None:
        return Value()
    if column_class is ColumnClass.UNKNOWN:
        return UNKNOWN_VALUE
    return direct(column_class, space, occurrence, name)


def _occur(
    reading: Reading, mapped: MappedFunction, nodes: Sequence[Node], values: Sequence[Value]
) -> int:
    """Note one more appearance of subjects' data, and the key it is held by."""
    occurrence = reading.new_occurrence()
    reading.level.members.add(occurrence)
    if reading.level.counts:
        reading.level.contributes.add(occurrence)
    number, space = mapped.subject_argument, mapped.key_space
    if number is None or space is None or not 0 < number <= len(nodes):
        return occurrence
    constant = read_constant(nodes[number - 1])
    if constant is not None:
        reading.seeds.add(occurrence)
        reading.key_filters.append((KeyFilter(space, (constant.value,)), (constant.location,)))
        return occurrence
    value = values[number - 1]
    if value.provenance is Provenance.DIRECT and value.key_space == space and value.place:
        edge = Edge(value.place.occurrence, occurrence, True, False, reading.level.number)
        reading.edges.append(edge)
    return occurrence
