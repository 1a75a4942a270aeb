"""Calls of the database's own functions, read where they are called.

A body is read as if it were written in the place of the call, with the caller's arguments: what it
reads, writes and opens is the caller's, and what it returns carries what its columns carry. One
that touches nobody is found out once and then as harmless as a built-in.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

from proxy.sql.facts.binding import argument, bind, held
from proxy.sql.facts.blocks import read_block
from proxy.sql.facts.constants import FIXED_VALUE, ROW_VALUE, is_constant, read_constants
from proxy.sql.facts.outline import QUERIES
from proxy.sql.facts.outputs import value_of
from proxy.sql.facts.plpgsql_tokens import Unreadable
from proxy.sql.facts.queries import unite_results
from proxy.sql.facts.reading import Call, Called, Reading
from proxy.sql.facts.relations import is_subject
from proxy.sql.facts.routine import Routine, read_routine
from proxy.sql.facts.running import run_statement
from proxy.sql.facts.scope import Item, Result, Scope
from proxy.sql.facts.tree import unwrap
from proxy.sql.facts.value import NOTHING, Named, Value, combine, derive
from proxy.terms.column_class import ColumnClass
from proxy.terms.facts import Provenance

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from proxy.sql.catalog import CatalogFunction
    from proxy.sql.facts.tree import Node

_MOST_NESTED: Final = 8
_MOST_BODIES: Final = 200  # in one statement, those that are only tried included
_READ_KINDS: Final = frozenset("fp")
_ANONYMOUS: Final = Routine("", (), (), variadic=False, outputs=(), returns=None)


@dataclass(slots=True)
class _Found:
    """What a body gives, while its statements are read."""

    result: Result = field(default_factory=Result)
    told: list[Value] = field(default_factory=list)  # of those whose result is not returned


def read_call(reading: Reading, functions: Sequence[CatalogFunction], call: Call) -> Called | None:
    """Return what a call of one of these functions gives; None: nobody can tell.

    ``reading.unread`` then says why. Errors: none of its own; RecursionError passes.
    """
    try:
        found = [_read_one(reading, one, call) for one in _fitting(functions, call)]
    except Unreadable as unreadable:
        label = str(functions[0].function)
        reading.unread.setdefault(label, unreadable.reason)
        return None
    called = found[0]
    for other in found[1:]:
        called = _either(called, other)
    return called


def _fitting(functions: Sequence[CatalogFunction], call: Call) -> Sequence[CatalogFunction]:
    if call.nodes is None or call.is_variadic or len(functions) == 1:
        return functions
    count = len(call.nodes)
    return [one for one in functions if _routine(one).takes(count)] or functions


def _routine(function: CatalogFunction) -> Routine:
    if function.kind not in _READ_KINDS:
        raise Unreadable("is an aggregate")
    if not function.definition:
        language = function.language
        known = language in {"sql", "plpgsql"}
        raise Unreadable("has a definition that was not read" if known else f"is in {language}")
    return read_routine(function.definition)


def _either(left: Called, right: Called) -> Called:
    """Return what one of two overloads gives."""
    one, two = (Result(call.columns or ()) for call in (left, right))
    united = unite_results(one, two)
    opened = left.columns is None or right.columns is None or united.is_open
    return Called(
        columns=None if opened else united.columns,
        value=combine((left.value, right.value)),
        contributes=left.contributes | right.contributes,
        strength=left.strength if left.strength == right.strength else None,
        harmless=left.harmless and right.harmless,
    )


def _read_one(reading: Reading, function: CatalogFunction, call: Call) -> Called:
    if not reading.reads_bodies:
        raise Unreadable("may have been changed in this transaction")
    routine = _routine(function)
    if function.oid in reading.calls:
        if reading.is_trial:
            reading.assumes = True
            return Called(harmless=True)
        raise Unreadable("calls itself")
    if not reading.is_trial and _is_harmless(reading, function, routine):
        return Called(harmless=True)
    if call.nodes is None:
        raise Unreadable("reads or writes what is not its caller's")
    return _read_body(reading, function, routine, _arguments(reading, routine, call))


def read_do(reading: Reading, language: str, source: str) -> str | None:
    """Note what a DO block writes; return why it may not be known what it does.

    It has no result, and can show what it reads by messages alone: so it may read nobody.
    """
    if language != "plpgsql":
        return f"DO block in {language}"
    trial = reading.apart(is_trial=True)
    try:
        read_block(trial, replace(_ANONYMOUS, source=source), ())
    except Unreadable as unreadable:
        return f"DO block {unreadable.reason}"
    if _touches(trial) or any(is_subject(reading, one) for one in trial.writes):
        return "DO block reads or writes what it may show in messages"
    reading.writes |= trial.writes
    reading.creates |= trial.creates
    reading.made.update(trial.made)
    reading.inner_functions |= trial.functions | trial.inner_functions
    reading.relations |= trial.relations
    return None


def _touches(trial: Reading) -> bool:
    """Whether subjects' data was read, or what may be."""
    return bool(
        trial.subject_relations
        or trial.unknown_relations
        or trial.unknown_functions
        or trial.subject_functions
        or trial.side_doors
        or trial.stages
        or trial.stages_keys
        or trial.spells_rows
    )


def _is_harmless(reading: Reading, function: CatalogFunction, routine: Routine) -> bool:
    """Whether a body touches no subject's data, nor anything that outlives the call."""
    catalog = reading.catalog
    assert catalog is not None
    key = (function.oid, catalog.version, catalog.search_path)
    keeps = reading.made == catalog.fresh and reading.bodies is not None
    known = reading.bodies.get(key) if keeps and reading.bodies is not None else None
    if known is not None:
        return known
    trial = reading.apart(is_trial=True)
    _read_body(trial, function, routine, [held(NOTHING, fixed=True) for _ in routine.inputs])
    found = not (
        _touches(trial)
        or trial.writes
        or trial.creates
        or trial.changes_catalog
        or trial.changes_session
        or trial.tells_others
    )
    reading.unread.update(trial.unread)
    if keeps and reading.bodies is not None and not trial.assumes:
        reading.bodies.put(key, found, 64)
    return found


def _arguments(reading: Reading, routine: Routine, call: Call) -> list[Node]:
    """Return what stands for each parameter. Errors: ``Unreadable``."""
    given: dict[int, Node] = {}
    rest: list[tuple[Node, Value]] = []
    last = len(routine.inputs) - 1
    pairs = zip(call.nodes or (), call.values, strict=True)
    for index, (node, value) in enumerate(pairs):
        name = node.get("NamedArgExpr", {}).get("name")
        if name is not None:
            if name not in routine.inputs:
                raise Unreadable("has no parameter of this name")
            given[routine.inputs.index(name)] = argument(node, value)
        elif routine.variadic and index >= last and not call.is_variadic:
            rest.append((node, value))
        else:
            given[index] = argument(node, value)
    if routine.variadic and last not in given:
        nodes = [node for node, _ in rest]
        if read_constants(nodes):
            given[last] = {"A_ArrayExpr": {"elements": nodes}}
        else:
            fixed = all(map(is_constant, nodes))
            given[last] = held(combine(value for _, value in rest), fixed=fixed)
    first = len(routine.inputs) - len(routine.defaults)
    for index in range(len(routine.inputs)):
        if index not in given:
            node = routine.defaults[index - first] if index >= first else {"A_Const": {}}
            given[index] = argument(node, value_of(reading, node, Scope()))
    return [given[index] for index in range(len(routine.inputs))]


def _read_body(
    reading: Reading, function: CatalogFunction, routine: Routine, arguments: Sequence[Node]
) -> Called:
    if len(reading.calls) >= _MOST_NESTED:
        raise Unreadable("calls functions that call functions, too many levels of them")
    reading.spent[0] += 1
    if reading.spent[0] > _MOST_BODIES:
        raise Unreadable("calls too many functions")
    before = reading.occurrences
    with _inside(reading, function, routine):
        if routine.source is not None:
            result, told = read_block(reading, routine, arguments)
        else:
            found = _read_sql(reading, routine, arguments)
            result, told = found.result, found.told
    occurred = frozenset(range(before + 1, reading.occurrences + 1))
    if any(map(_is_folded, told)):
        result = replace(result, contributes=occurred, branches=(occurred,))
    result = replace(result, contributes=result.contributes & occurred)
    return _called(reading, routine, result, told, arguments)


@contextmanager
def _inside(reading: Reading, function: CatalogFunction, routine: Routine) -> Iterator[None]:
    """Let names mean what they mean within the body."""
    outside = (reading.catalog, reading.calls, reading.named_relations, reading.level)
    catalog = reading.catalog
    assert catalog is not None
    reading.catalog = catalog.with_search_path(_path_within(reading, function, routine))
    reading.calls = (*reading.calls, function.oid)
    reading.named_relations = set()
    reading.level = reading.new_level(counts=reading.level.counts)
    try:
        yield
    finally:
        reading.catalog, reading.calls, reading.named_relations, reading.level = outside


def _path_within(
    reading: Reading, function: CatalogFunction, routine: Routine
) -> tuple[str, ...] | None:
    """Return the search_path that the body's names are looked up by; None: not known."""
    catalog = reading.catalog
    assert catalog is not None
    if routine.is_parsed:
        return catalog.read_path
    if routine.path:
        if catalog.search_path is None or "$user" in routine.path:
            return None
        own = tuple(part for part in catalog.search_path if part.startswith("pg_temp"))
        path = tuple(part for one in routine.path for part in (own if one == "pg_temp" else (one,)))
        first = () if "pg_temp" in routine.path else own
        return (*first, *path) if "pg_catalog" in path else (*first, "pg_catalog", *path)
    if function.security_definer and function.owner in catalog.schemas:
        return None  # "$user" is another one's
    return catalog.search_path


def _read_sql(reading: Reading, routine: Routine, arguments: Sequence[Node]) -> _Found:
    """Read the statements of a body in SQL; the last one gives its result."""
    named = {name: node for name, node in zip(routine.inputs, arguments, strict=True) if name}
    columns = tuple(Named(name, value_of(reading, node, Scope())) for name, node in named.items())
    outer = Scope(
        None, [Item("", "", columns, NOTHING), Item(routine.name, "", columns, NOTHING)], [*columns]
    )
    qualifiers = frozenset({routine.name})
    found = _Found()
    for index, statement in enumerate(routine.statements):
        bound = bind(reading, statement, named, arguments, qualifiers)
        kind, body = unwrap(bound)
        if kind in QUERIES and "intoClause" not in body:
            result = reading.read_query(reading, bound, outer)
        else:
            run_statement(reading, bound)
            result = Result()
        if index == len(routine.statements) - 1:
            found.result = result
        else:
            found.told += [column.value for column in result.columns]
    return found


def _called(
    reading: Reading,
    routine: Routine,
    result: Result,
    told: Sequence[Value],
    arguments: Sequence[Node],
) -> Called:
    """Return what a call gives whose body gives this."""
    # an error may show what was put together on the way, whatever is returned
    shown = [value for value in told if _is_folded(value)]
    kinds = (ROW_VALUE, FIXED_VALUE)
    given = [node[kind]["value"] for node in arguments for kind in kinds if kind in node]
    asked = derive(combine(given))
    columns = tuple(
        Named(one.name, combine([one.value, *shown]) if shown else _or(one.value, asked))
        for one in result.columns
    )
    if shown and not columns:
        columns = (Named(routine.name, combine(shown)),)
    if routine.returns == ("pg_catalog", "void") and not shown:
        columns = (Named(routine.name, NOTHING),)
    contributes = result.contributes
    return Called(
        columns=_named(reading, routine, columns),
        value=combine(column.value for column in columns),
        contributes=contributes,
        strength=result.strength if contributes else None,
    )


def _is_folded(value: Value) -> bool:
    return value.provenance is Provenance.FOLDED and value.column_class not in {
        ColumnClass.NONE,
        ColumnClass.KEY,
    }


def _or(value: Value, asked: Value) -> Value:
    """Return a value that at least tells what it was asked about."""
    return asked if value.tells_nothing else value


def _named(
    reading: Reading, routine: Routine, columns: Sequence[Named]
) -> tuple[Named, ...] | None:
    """Return the columns under the names a query sees; None: they are not known."""
    if any(column.name == "*" for column in columns):
        return None
    names: Sequence[str] = routine.outputs
    if not names and routine.returns is not None and reading.catalog is not None:
        schema, name = routine.returns
        kinds = reading.catalog.resolve(schema, name) if schema != "pg_catalog" else ()
        if kinds:
            names = reading.catalog.columns_of(kinds[0]) or ()
        elif len(columns) == 1:
            names = (routine.name,)
    if len(names) != len(columns):
        return None
    return tuple(replace(one, name=name) for one, name in zip(columns, names, strict=True))
