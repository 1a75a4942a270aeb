"""From the grammar's statements to StatementFacts, with sqlglot's second opinion."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from proxy.sql.facts.bodies import read_call
from proxy.sql.facts.filters import begins_with_letter
from proxy.sql.facts.probing import probes_identity
from proxy.sql.facts.queries import read_query
from proxy.sql.facts.reading import Reading
from proxy.sql.facts.relations import note_read, resolve
from proxy.sql.facts.statement_texts import holds_texts
from proxy.sql.facts.statements import read_statement
from proxy.sql.witness import Seen, compare
from proxy.terms.column_class import ColumnClass
from proxy.terms.facts import (
    KeyFilter,
    Kind,
    Literal,
    OutputColumn,
    Provenance,
    SideDoor,
    StatementFacts,
    TransactionStep,
)
from proxy.terms.relation import Relation
from proxy.terms.unknown import UNKNOWN, Unknown

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from proxy.sql.catalog import Catalog
    from proxy.sql.facts.outline import Outline
    from proxy.sql.facts.reading import BodyBook
    from proxy.sql.facts.tree import Node
    from proxy.sql.facts.value import Named
    from proxy.sql.template import Template
    from proxy.terms.facts import Disagreement
    from proxy.terms.schema_map import SchemaMap

_COMPARED: Final = frozenset({Kind.SELECT, Kind.INSERT, Kind.UPDATE, Kind.DELETE, Kind.MERGE})


@dataclass(frozen=True, slots=True)
class Slots:
    """Which literals of a template the facts depend on, and what they answered.

    ``used``: (index, 'value' or 'prefix').
    """

    used: tuple[tuple[int, str], ...] = ()
    answers: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Assembled:
    """Facts of one statement; ``slots`` None: they hold for this very text only."""

    facts: StatementFacts
    slots: Slots | None


def assemble(
    text: str,
    template: Template | None,
    statements: Sequence[Node],
    catalog: Catalog | None,
    schema_map: SchemaMap,
    *,
    reduced: bool = False,
    bodies: BodyBook | None = None,
) -> list[Assembled]:
    """Return the facts of each statement of a text.

    Args:
        text: the whole text.
        template: of it, or None.
        statements: of the grammar, in order.
        catalog: what is known of the database.
        schema_map: what the site says.
        reduced: the tree comes from a worker; sqlglot is not asked.
        bodies: which bodies of functions were found to be harmless.

    Errors: RecursionError for a tree that is too deep.
    """
    encoded = text.encode()
    read = _read_all(statements, catalog, schema_map, bodies)
    disagreements: list[Disagreement] = []
    theirs: list[Seen | None] = []
    if not reduced:
        ours = [_seen(reading, outline) for _, reading, outline in read]
        disagreements, theirs = compare(text, template, ours)
    places = _places(text, encoded, template)
    found: list[Assembled] = []
    for index, (statement, reading, outline) in enumerate(read):
        if disagreements and len(theirs) == len(read):
            _take_pessimistic(reading, outline, theirs[index])
        own = tuple(disagreements)
        facts = _facts(encoded, statement, reading, outline, places)
        facts = replace(facts, disagreements=own)
        slots = _slots(reading, facts, template, places) if len(read) == 1 else None
        found.append(Assembled(facts, slots))
    return found


def _read_all(
    statements: Sequence[Node],
    catalog: Catalog | None,
    schema_map: SchemaMap,
    bodies: BodyBook | None,
) -> list[tuple[Node, Reading, Outline]]:
    """Read each statement; what earlier ones make is known to later ones."""
    made: dict[Relation, bool] = {} if catalog is None else dict(catalog.fresh)
    found = []
    reads_bodies = True
    for statement in statements:
        reading = Reading(
            catalog,
            schema_map,
            read_query,
            made=dict(made),
            read_call=read_call,
            reads_bodies=reads_bodies,
            bodies=bodies,
        )
        outline = read_statement(reading, statement.get("stmt", {}))
        made = reading.made
        # a later statement may call what this one makes or lets another name mean
        makes_code = reading.changes_catalog and outline.kind is not Kind.CREATE_TABLE_AS
        reads_bodies &= not (makes_code or reading.unknown_functions)
        found.append((statement, reading, outline))
    return found


def _seen(reading: Reading, outline: Outline) -> Seen | None:
    if outline.kind not in _COMPARED:
        return None
    names = frozenset(
        name if name.startswith("operator ") else name.rsplit(".", 1)[-1]
        for name in reading.functions
    )
    return Seen(frozenset(reading.named_relations), names)


def _take_pessimistic(reading: Reading, outline: Outline, their: Seen | None) -> None:
    """Add what only sqlglot names."""
    if their is None or outline.kind not in _COMPARED:
        return
    for schema, name in their.relations - reading.named_relations:
        relations = resolve(reading, schema, name)
        if relations:
            note_read(reading, relations)
        else:
            reading.unknown_relations.add(Relation(schema, name))


def _facts(
    encoded: bytes,
    statement: Node,
    reading: Reading,
    outline: Outline,
    places: Mapping[int, int],
) -> StatementFacts:
    start = int(statement.get("stmt_location", 0))
    length = int(statement.get("stmt_len", 0))
    own = encoded[start : start + length] if length else encoded[start:]
    output = tuple(_output(column) for column in outline.output)
    unknown = bool(reading.unknown_functions)
    if any(holds_texts(column.sources) for column in output):
        reading.side_doors.add(SideDoor.STATEMENT_TEXTS)
    return StatementFacts(
        kind=outline.kind,
        text=own.decode().strip(),
        opaque=outline.opaque,
        relations=frozenset(reading.relations),
        subject_relations=frozenset(reading.subject_relations),
        writes=frozenset(reading.writes),
        unknown_relations=frozenset(reading.unknown_relations),
        functions=frozenset(reading.functions | reading.inner_functions),
        unread=tuple(sorted(reading.unread.items())),
        unknown_functions=frozenset(reading.unknown_functions),
        subject_functions=frozenset(reading.subject_functions),
        output=output,
        returns_rows=outline.returns_rows,
        one_subject_per_row=outline.one_subject and not unknown,
        subject_filter=outline.result.strength,
        key_filters=_key_filters(reading, places),
        bounded_by_keys=outline.bounded and not unknown,
        row_bound=outline.bound,
        row_bound_slot=_bound_slot(outline, places),
        folds=_folds(output),
        side_doors=frozenset(reading.side_doors),
        stages=reading.stages,
        stages_keys=reading.stages_keys,
        changes_catalog=reading.changes_catalog,
        drops=reading.drops and outline.kind is Kind.DDL,
        changes_session=reading.changes_session,
        creates=frozenset(reading.creates),
        creates_clean=not any(reading.made.get(made, True) for made in reading.creates),
        used_classes=frozenset(reading.used),
        cursor=outline.cursor,
        holds=outline.holds,
        prepared=outline.prepared,
        execute_values=outline.execute_values,
        names_subject=reading.names_subject,
        probes_identity=probes_identity(reading, outline.result, output),
        discards=outline.discards,
        rolls_back_to=outline.transaction is TransactionStep.ROLLBACK_TO,
        settings=tuple(reading.settings),
        transaction=outline.transaction,
        savepoint=outline.savepoint,
        copy_format=outline.copy_format,
        copy_header=outline.copy_header,
        spans=_spans(encoded, start, len(own), reading),
    )


def _bound_slot(outline: Outline, places: Mapping[int, int]) -> int | None:
    return None if outline.bound_location is None else places.get(outline.bound_location)


def _output(column: Named) -> OutputColumn:
    value = column.value
    return OutputColumn(
        column.name,
        value.provenance,
        value.column_class,
        value.sources,
        value.key_space,
        identifies=value.tells_who,
        also=value.also,
        is_one_column=value.place is not None,
    )


def _folds(output: Sequence[OutputColumn]) -> bool | Unknown:
    folded = any(
        column.provenance is Provenance.FOLDED and column.column_class is not ColumnClass.NONE
        for column in output
    )
    if folded:
        return True
    unsure = any(column.provenance is Provenance.UNKNOWN for column in output)
    return UNKNOWN if unsure else False


def _key_filters(reading: Reading, places: Mapping[int, int]) -> tuple[KeyFilter, ...]:
    found = []
    for key, locations in reading.key_filters:
        values = tuple(
            Literal(value.value, places.get(location))
            if isinstance(value, Literal) and location is not None
            else value
            for value, location in zip(key.values, locations, strict=True)
        )
        found.append(KeyFilter(key.space, values, key.is_array))
    return tuple(found)


def _places(text: str, encoded: bytes, template: Template | None) -> dict[int, int]:
    """Return the slot of each literal of the template by the byte it begins at."""
    if template is None:
        return {}
    if len(encoded) == len(text):
        return dict(zip(template.slots.starts, range(len(template.slots)), strict=True))
    places: dict[int, int] = {}
    position = offset = 0
    for index, start in enumerate(template.slots.starts):
        offset += len(text[position:start].encode())
        position = start
        places[offset] = index
    return places


def _slots(
    reading: Reading, facts: StatementFacts, template: Template | None, places: Mapping[int, int]
) -> Slots | None:
    """Return what the facts depend on; None if that is not to be found in the template."""
    if template is None or facts.kind not in _COMPARED:
        return None
    used: list[tuple[int, str]] = []
    answers: list[str] = []
    for location, how in sorted(reading.literals_used.items()):
        index = places.get(location)
        if index is None:
            return None
        value = template.slots[index].value
        used.append((index, how))
        answers.append(str(begins_with_letter(value)) if how == "prefix" else value)
    for key in facts.key_filters:
        if any(isinstance(value, Literal) and value.slot is None for value in key.values):
            return None
    if isinstance(facts.row_bound, int) and facts.row_bound_slot is None:
        return None if facts.row_bound != 1 else Slots(tuple(used), tuple(answers))
    return Slots(tuple(used), tuple(answers))


def _spans(
    encoded: bytes, start: int, length: int, reading: Reading
) -> tuple[tuple[int, int, str], ...]:
    """Return spans in characters of the statement's own text."""
    own = encoded[start : start + length]
    lead = len(own) - len(own.lstrip())
    found = []
    for first, last, what in reading.spans:
        low, high = first - start - lead, last - start - lead
        if 0 <= low < high <= length:
            body = own[lead:]
            found.append(
                (
                    len(body[:low].decode(errors="replace")),
                    len(body[:high].decode(errors="replace")),
                    what,
                )
            )
    return tuple(sorted(set(found)))
