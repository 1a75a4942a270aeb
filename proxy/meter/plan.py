"""Choose how the rows of one result are charged: the leak bound.

The first method that applies, most precise first: by the subject keys in the row, by the keys that
the predicates name, by rows, by bytes. Whatever is not known to be harmless is charged.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

from proxy.sql.facts.statement_texts import holds_texts
from proxy.terms.budget import Method
from proxy.terms.column_class import ColumnClass
from proxy.terms.facts import OutputColumn, Provenance, SideDoor, StatementFacts
from proxy.terms.mask import How
from proxy.terms.unknown import UNKNOWN

if TYPE_CHECKING:
    from collections.abc import Sequence

    from proxy.sql.catalog import Catalog
    from proxy.terms.relation import Relation
    from proxy.wire.backend import ResultColumn

FIRST_USER_OID: Final = 16384
_TEXT_OID: Final = 25
_DISCLOSING: Final = frozenset({ColumnClass.IDENTITY, ColumnClass.QUASI, ColumnClass.UNKNOWN})
_IDENTIFYING: Final = frozenset({ColumnClass.KEY, ColumnClass.QUASI, ColumnClass.IDENTITY})
# Through these a relation of PostgreSQL's own holds subjects' data: pg_stats, pg_largeobject.
_DATA_DOORS: Final = frozenset(
    {SideDoor.STATISTICS, SideDoor.LARGE_OBJECT, SideDoor.RAW_PAGES, SideDoor.REMOTE}
)


@dataclass(frozen=True, slots=True)
class KeyColumn:
    """A result column that is a subject key."""

    index: int
    space: str
    type_oid: int
    form: int


@dataclass(frozen=True, slots=True)
class ChargePlan:
    """How each row of a result is charged.

    ``keys``: subject keys found in the row. ``linked``: all of a row is about one subject.
    ``values``: indexes of disclosing values; unless linked, each may be another subject.
    ``texts``: indexes of texts of statements, charged by the literals in them.
    ``packed``: indexes charged by their bytes. ``everything``: the whole row is, by bytes.
    ``fixed``: (space, value) of keys named by the predicates, charged once.
    ``classes`` of the columns and ``relations`` with subjects' data they may come from; empty: not
    known.
    """

    method: Method
    keys: tuple[KeyColumn, ...] = ()
    linked: bool = False
    values: tuple[int, ...] = ()
    packed: tuple[int, ...] = ()
    texts: tuple[int, ...] = ()
    everything: bool = False
    fixed: tuple[tuple[str, bytes], ...] = ()
    counts_rows: bool = False
    classes: frozenset[ColumnClass] = field(default=frozenset(), compare=False)
    relations: frozenset[Relation] = field(default=frozenset(), compare=False)

    @property
    def is_free(self) -> bool:
        """Whether rows need not be looked into."""
        return self.method is Method.FREE and not self.counts_rows


FREE: Final = ChargePlan(Method.FREE)
BY_BYTES: Final = ChargePlan(Method.BYTES, everything=True)


@dataclass(frozen=True, slots=True)
class _Seen:
    """One result column as all witnesses together see it."""

    column_class: ColumnClass
    key_space: str | None
    packed: bool
    derived: bool
    identifies: bool = False
    texts: bool = False


_HARMLESS: Final = _Seen(ColumnClass.NONE, None, packed=False, derived=False)
_TEXT: Final = _Seen(ColumnClass.IDENTITY, None, packed=False, derived=False, texts=True)
_ANYTHING: Final = _Seen(ColumnClass.UNKNOWN, None, packed=True, derived=True)


def plan_charge(
    facts: StatementFacts,
    columns: Sequence[ResultColumn],
    catalog: Catalog | None,
    fixed: Sequence[tuple[str, bytes]] = (),
    masked: Sequence[How | None] = (),
) -> ChargePlan:
    """Return the plan for a result with these columns.

    Args:
        facts: of the statement that is run.
        columns: RowDescription, with the formats of the portal. None of them where facts have an
            output: nobody described it.
        catalog: for the origin of columns; None: nothing is known.
        fixed: (space, canonical value) of the keys in ``facts.key_filters``, all of them known.
        masked: how each column is masked; none of them: nothing is. What is charged is the row as
            it is before that.
    """
    if facts.nobody_in_reach and not facts.unknown_relations:
        return FREE  # columns of a relation made within the transaction have no origin yet
    if facts.opaque is not None or (not columns and facts.output != ()):
        return FREE if facts.nobody_in_reach else BY_BYTES
    seen = [_see(facts, columns, index, catalog) for index in range(len(columns))]
    if masked:
        seen = [_left(one, how) for one, how in zip(seen, masked, strict=True)]
    classes = frozenset(column.column_class for column in seen)
    if classes <= {ColumnClass.NONE}:
        return FREE
    plan = _plan(facts, columns, catalog, fixed, seen)
    is_vague = facts.unknown_relations or facts.unknown_functions
    is_known = not is_vague and _is_foreseen(facts, columns, catalog)
    return replace(
        plan,
        classes=classes - {ColumnClass.NONE},
        relations=facts.subject_relations if is_known else frozenset(),
    )


def _left(seen: _Seen, how: How | None) -> _Seen:
    """Return what a mask leaves of a column: nothing, or what tells two subjects apart."""
    match how:
        case None:
            return seen
        case How.WHOLE:
            return _HARMLESS
        case _:
            return replace(seen, column_class=ColumnClass.KEY)


def _plan(
    facts: StatementFacts,
    columns: Sequence[ResultColumn],
    catalog: Catalog | None,
    fixed: Sequence[tuple[str, bytes]],
    seen: Sequence[_Seen],
) -> ChargePlan:
    classes = {column.column_class for column in seen}
    keys = tuple(
        KeyColumn(index, column.key_space, columns[index].type_oid, columns[index].format)
        for index, column in enumerate(seen)
        if column.key_space
    )
    foreseen = _is_foreseen(facts, columns, catalog)
    bounded = bool(fixed) and facts.bounded_by_keys and foreseen
    discloses = bool(classes & _DISCLOSING) or (
        ColumnClass.HEALTH in classes
        and (
            any(column.identifies for column in seen)
            or bool(facts.key_filters)
            or facts.names_subject
        )
    )
    if not discloses:
        return ChargePlan(Method.FREE, counts_rows=True)
    packed = tuple(index for index, column in enumerate(seen) if column.packed)
    if bounded and (packed or not keys):
        return ChargePlan(Method.BOUND, fixed=tuple(fixed))
    values = tuple(
        index
        for index, column in enumerate(seen)
        if column.column_class not in {ColumnClass.NONE, ColumnClass.KEY}
        and not column.key_space
        and not column.packed
        and not column.texts
    )
    texts = tuple(index for index, column in enumerate(seen) if column.texts)
    if facts.one_subject_per_row and foreseen:
        method = Method.BYTES if packed else Method.KEYS if keys else Method.ROWS
        return ChargePlan(method, keys, linked=True, values=values, packed=packed, texts=texts)
    # a value computed from several occurrences of a relation may hold several subjects
    mixed = tuple(index for index in values if seen[index].derived)
    stored = tuple(index for index in values if not seen[index].derived)
    packed = tuple(sorted({*packed, *mixed}))
    method = Method.BYTES if packed else Method.KEYS if keys and not stored else Method.ROWS
    return ChargePlan(method, keys=keys, values=stored, packed=packed, texts=texts)


def _see(
    facts: StatementFacts,
    columns: Sequence[ResultColumn],
    index: int,
    catalog: Catalog | None,
) -> _Seen:
    column = columns[index]
    if SideDoor.STATEMENT_TEXTS in facts.side_doors:
        shown = _see_text(facts, columns, index)
        if shown is not None:
            return shown
    if column.table_oid >= FIRST_USER_OID:
        return _see_stored(column, catalog)
    if column.table_oid:
        return _HARMLESS if facts.side_doors.isdisjoint(_DATA_DOORS) else _ANYTHING
    output = facts.output
    if output is not UNKNOWN and len(output) == len(columns):
        return _see_computed(output[index])
    return _ANYTHING if facts.reads_subjects else _HARMLESS


def _see_text(facts: StatementFacts, columns: Sequence[ResultColumn], index: int) -> _Seen | None:
    """Return what a column is where texts of statements are shown; None: it is none of them."""
    column, output = columns[index], facts.output
    opened = output is UNKNOWN or any(one.name == "*" for one in output)
    if output is UNKNOWN or opened or len(output) != len(columns):
        # by a star, as it is stored; what is computed may be such a text in any disguise
        if not column.table_oid:
            return _ANYTHING
        return _TEXT if column.type_oid == _TEXT_OID else None
    if not holds_texts(output[index].sources):
        return None
    return _TEXT if output[index].provenance is Provenance.DIRECT else _ANYTHING


def _is_foreseen(
    facts: StatementFacts, columns: Sequence[ResultColumn], catalog: Catalog | None
) -> bool:
    # The backend may read another relation than the parsers saw: a name that means another now.
    # What they proved about keys then holds for nothing.
    if catalog is None:
        return True
    stored = (column.table_oid for column in columns if column.table_oid >= FIRST_USER_OID)
    found = (catalog.relations.get(oid) for oid in stored)
    return all(one is not None and one.relation in facts.relations for one in found)


def _see_stored(column: ResultColumn, catalog: Catalog | None) -> _Seen:
    if catalog is None:
        return _ANYTHING
    origin = catalog.origin(column.table_oid, column.attribute_number)
    if origin.column_class is ColumnClass.UNKNOWN:
        return _ANYTHING  # a copy or a view, and perhaps one that folds
    told = origin.column_class in _IDENTIFYING or origin.key_space is not None
    return _Seen(
        origin.column_class, origin.key_space, packed=False, derived=False, identifies=told
    )


def _see_computed(output: OutputColumn) -> _Seen:
    unread = output.provenance is Provenance.DIRECT and output.column_class is ColumnClass.UNKNOWN
    if unread or output.provenance is Provenance.UNKNOWN:
        return _ANYTHING
    if output.provenance is Provenance.NONE:
        return _HARMLESS
    folded = output.provenance is Provenance.FOLDED
    return _Seen(
        output.column_class,
        output.key_space if output.provenance is Provenance.DIRECT else None,
        packed=folded and output.column_class is not ColumnClass.NONE,
        derived=output.provenance is not Provenance.DIRECT,
        identifies=output.identifies,
    )
