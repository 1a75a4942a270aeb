"""What is known of a function by its name."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from proxy.sql.builtins import BUILTIN_FUNCTIONS
from proxy.sql.catalog import HARMLESS_EXTENSIONS, HARMLESS_SCHEMAS
from proxy.sql.facts.reading import Call
from proxy.sql.facts.side_doors import doors_of_function

if TYPE_CHECKING:
    from collections.abc import Sequence

    from proxy.sql.catalog import CatalogFunction
    from proxy.sql.facts.reading import Called, Reading
    from proxy.terms.schema_map import MappedFunction


@dataclass(frozen=True, slots=True)
class Known:
    """What a call may reach: a built-in, a function of the map or with a body, or nobody knows.

    ``unmapped``: those of the database that the map does not name.
    """

    harmless: bool
    mapped: MappedFunction | None = None
    called: Called | None = None
    unmapped: tuple[CatalogFunction, ...] = ()


_HARMLESS = Known(harmless=True)
_UNKNOWN = Known(harmless=False)


_SOMEHOW = Call()


def note_function(
    reading: Reading, schema: str, name: str, call: Call = _SOMEHOW, *, written: bool = True
) -> Known:
    """Note a call by this name and return what is known of it. Errors: none.

    ``written``: it is in the statement itself, and not in a view that it reads.
    """
    label = f"{schema}.{name}" if schema else name
    inner = not written or bool(reading.calls)
    (reading.inner_functions if inner else reading.functions).add(label)
    doors = doors_of_function(name)
    found = _UNKNOWN if doors else _look_up(reading, schema, name)
    reading.side_doors |= doors
    if found.unmapped:
        found = _read(reading, found.unmapped, call)
    if found.called is not None:
        reading.use(found.called.value, *(one.value for one in found.called.columns or ()))
        return found
    if found.mapped is not None:
        reading.subject_functions.add(label)
    elif not found.harmless:
        reading.unknown_functions.add(label)
        reading.mixes = True
    return found


def _read(reading: Reading, functions: Sequence[CatalogFunction], call: Call) -> Known:
    """Return what the bodies of functions say that the map says nothing of."""
    called = None if reading.read_call is None else reading.read_call(reading, functions, call)
    if called is None:
        return _UNKNOWN
    return _HARMLESS if called.harmless else Known(harmless=False, called=called)


def note_operator(reading: Reading, schema: str, name: str) -> Known:
    """Note an operator: one of the database's own is a function nobody knows."""
    catalog = reading.catalog
    own = schema not in {"", "pg_catalog"}
    if not schema and catalog is not None:
        own = catalog.has_user_operator(name)
    if not own:
        return _HARMLESS
    label = f"operator {schema}.{name}" if schema else f"operator {name}"
    reading.functions.add(label)
    reading.unknown_functions.add(label)
    reading.mixes = True
    return _UNKNOWN


def _look_up(reading: Reading, schema: str, name: str) -> Known:
    if schema in HARMLESS_SCHEMAS:
        return _HARMLESS if schema != "pg_catalog" or _is_builtin(reading, name) else _UNKNOWN
    catalog = reading.catalog
    if catalog is None:
        return _look_up_in_map(reading, schema, name)
    own = catalog.functions_named(schema, name)
    if not own:
        return _HARMLESS if not schema and _is_builtin(reading, name) else _UNKNOWN
    mapped = {
        candidate.function: reading.schema_map.functions.get(candidate.function)
        for candidate in own
        if candidate.extension not in HARMLESS_EXTENSIONS
    }
    if not mapped:
        return _HARMLESS
    unmapped = tuple(
        one
        for one in own
        if one.extension not in HARMLESS_EXTENSIONS and mapped[one.function] is None
    )
    others = [says for says in mapped.values() if says is not None]
    if not schema and _is_builtin(reading, name):
        if not all(says.harmless for says in others):
            return _UNKNOWN
        called = _read(reading, unmapped, _SOMEHOW) if unmapped else _HARMLESS
        return called if called.harmless else _UNKNOWN
    if unmapped:
        harmless = all(says.harmless for says in others)
        return Known(harmless=False, unmapped=unmapped) if harmless else _UNKNOWN
    if len(mapped) > 1:
        return _HARMLESS if all(says.harmless for says in others) else _UNKNOWN
    (only,) = others
    return _HARMLESS if only.harmless else Known(harmless=False, mapped=only)


def _look_up_in_map(reading: Reading, schema: str, name: str) -> Known:
    mapped = [
        says
        for function, says in reading.schema_map.functions.items()
        if function.name == name and (not schema or function.schema == schema)
    ]
    if not mapped:
        return _HARMLESS if not schema and _is_builtin(reading, name) else _UNKNOWN
    if len(mapped) == 1:
        return _HARMLESS if mapped[0].harmless else Known(harmless=False, mapped=mapped[0])
    return _HARMLESS if all(says.harmless for says in mapped) else _UNKNOWN


def is_shipped_builtin(name: str) -> bool:
    """Whether PostgreSQL 15 has a function of this name of its own."""
    return name in BUILTIN_FUNCTIONS


def may_be_own(label: str) -> bool:
    """Whether a call, as facts name it, may reach another function than one of PostgreSQL's."""
    schema, _, name = label.rpartition(".")
    return schema not in {"", *HARMLESS_SCHEMAS} or not is_shipped_builtin(name)


def _is_builtin(reading: Reading, name: str) -> bool:
    catalog = reading.catalog
    if catalog is not None and catalog.builtin_functions:
        return name in catalog.builtin_functions
    return name in BUILTIN_FUNCTIONS
