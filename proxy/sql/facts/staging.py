"""Whether what a statement writes takes subjects' data away from where it is counted.

Data is away in a relation or column that is nobody's; and in another subject's row, where it would
be received as that one's. What stays in a row of its own subject, in a column that is mapped, is
not copied anywhere new.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from proxy.sql.facts.bounds import reach
from proxy.sql.facts.relations import is_subject
from proxy.terms.column_class import ColumnClass
from proxy.terms.facts import Provenance
from proxy.terms.relation import Column

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from proxy.sql.facts.reading import Reading
    from proxy.sql.facts.tree import Node
    from proxy.sql.facts.value import Value
    from proxy.terms.relation import Relation

_SENSITIVE: Final = frozenset({ColumnClass.QUASI, ColumnClass.IDENTITY, ColumnClass.HEALTH})
_COUNTED: Final = frozenset({ColumnClass.QUASI, ColumnClass.IDENTITY, ColumnClass.UNKNOWN})


class Put(NamedTuple):
    """A value and the column that it is put into; None: which one is not known."""

    column: str | None
    value: Value


def puts_of_insert(
    reading: Reading, body: Node, written: Sequence[Relation], values: Sequence[Value]
) -> list[Put]:
    """Return what an INSERT puts where."""
    listed = [str(one.get("ResTarget", {}).get("name")) for one in body.get("cols", ())]
    names: Sequence[str] = listed
    if not names and len(written) == 1 and reading.catalog is not None:
        names = reading.catalog.columns_of(written[0]) or ()
    if len(values) > len(names):
        return [Put(None, value) for value in values]
    return [Put(name, value) for name, value in zip(names, values, strict=False)]


def note_staging(
    reading: Reading,
    targets: Collection[Relation],
    puts: Iterable[Put],
    *,
    own: Collection[int] = (),
) -> bool:
    """Note if this takes subjects' data away; whether it does.

    Args:
        reading: of the statement.
        targets: the relations that are written.
        puts: what is put into which of their columns.
        own: occurrences whose subject the written row is about, if it was there before.

    Values of many rows in one are a copy wherever they are put.
    """
    carried = [put for put in puts if not put.value.tells_nothing]
    keys = any(put.value.column_class is ColumnClass.KEY for put in carried)
    keys = keys and not all(is_subject(reading, target) for target in targets)
    reading.stages_keys |= keys
    owners = set(own) or _owners(reading, targets, carried)
    staged = any(
        _is_folded(put.value)
        or any(_is_away(reading, target, put) for target in targets)
        or (put.value.column_class in _SENSITIVE and not _is_own(reading, put.value, owners))
        for put in carried
    )
    reading.stages |= staged
    if staged or keys:
        # the next statement has to know: of this text for one made in it, of this body for any
        within = bool(reading.calls) or reading.is_trial
        reading.made.update((one, True) for one in targets if within or one in reading.made)
    return staged


def _is_folded(value: Value) -> bool:
    return value.provenance is Provenance.FOLDED and value.column_class is not ColumnClass.NONE


def _is_away(reading: Reading, target: Relation, put: Put) -> bool:
    """Whether nobody would count the value there as what it is."""
    what = put.value.column_class
    if not is_subject(reading, target):
        return what in _SENSITIVE or what is ColumnClass.UNKNOWN
    if what not in _SENSITIVE:
        return False
    there = _class_of(reading, target, put.column)
    return there not in _COUNTED and not (there is what is ColumnClass.HEALTH)


def _class_of(reading: Reading, target: Relation, column: str | None) -> ColumnClass:
    if column is None:
        return ColumnClass.NONE
    catalog = reading.catalog
    if catalog is None:
        return reading.schema_map.classes.get(Column(target, column), ColumnClass.NONE)
    known = catalog.subjects.get(target)
    if known is None:
        return ColumnClass.UNKNOWN  # made a moment ago, of subjects' data
    return known.columns.get(column, known.rest).column_class


def _owners(reading: Reading, targets: Collection[Relation], puts: Iterable[Put]) -> set[int]:
    """Return the occurrences whose key a new row gets as its own."""
    found = set()
    for put in puts:
        place, space = put.value.place, put.value.key_space
        if place is None or space is None or put.column is None:
            continue
        if all(_key_of(reading, target, put.column) == space for target in targets):
            found.add(place.occurrence)
    return found


def _key_of(reading: Reading, target: Relation, column: str) -> str | None:
    known = None if reading.catalog is None else reading.catalog.subjects.get(target)
    if known is None:
        return reading.schema_map.keys.get(Column(target, column))
    return known.columns.get(column, known.rest).key_space


def _is_own(reading: Reading, value: Value, owners: set[int]) -> bool:
    """Whether a value surely is of the subject that the row is about."""
    if not owners or reading.mixes:
        return False
    linked = reach(owners, reading.edges)
    if value.place is not None:
        return value.place.occurrence in linked
    return linked >= set(range(1, reading.occurrences + 1))
