"""COPY, cursors and prepared statements: queries whose rows leave another way or later."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from proxy.sql.facts.bounds import is_one_subject_per_row
from proxy.sql.facts.constants import read_constant
from proxy.sql.facts.filters import conjuncts, read_conditions
from proxy.sql.facts.outline import QUERIES, Outline, name_of, read_as
from proxy.sql.facts.outputs import value_of
from proxy.sql.facts.relations import STATISTICS, read_relation
from proxy.sql.facts.scope import Result, Scope
from proxy.sql.facts.tree import Node, strings, unwrap, without_casts
from proxy.sql.facts.value import Named
from proxy.sql.facts.writes import note_write
from proxy.terms.facts import CopyFormat, Kind, SideDoor
from proxy.terms.unknown import UNKNOWN, Unknown

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from proxy.sql.facts.reading import Reading
    from proxy.terms.facts import Literal, Parameter


_HOLD: Final = 0x0020  # CURSOR_OPT_HOLD of parsenodes.h


def read_copy(reading: Reading, body: Node) -> Outline:
    """Return the outline of COPY in any direction."""
    on_host = bool(body.get("filename"))
    if on_host:
        door = SideDoor.PROGRAM if body.get("is_program") else SideDoor.FILE
        reading.side_doors.add(door)
    if body.get("is_from"):
        written = note_write(reading, body.get("relation", {}))
        if body.get("whereClause"):
            read_conditions(reading, conjuncts(body["whereClause"]), Scope())
        if on_host:
            reading.made.update(dict.fromkeys(written, True))
        return Outline(Kind.COPY_FILE if on_host else Kind.COPY_IN)
    if body.get("query"):
        query_kind = unwrap(body["query"])[0]
        outline = read_as(reading, body["query"], QUERIES.get(query_kind, Kind.SELECT))
    else:
        outline = _read_copied_table(reading, body)
    outline.kind = Kind.COPY_FILE if on_host else Kind.COPY_OUT
    outline.returns_rows = not on_host
    if on_host:
        outline.output = ()
    else:
        outline.copy_format = _copy_format(body.get("options", ()))
        outline.copy_header = _has_header(body.get("options", ()))
    return outline


def _has_header(options: Iterable[Node]) -> bool:
    """Whether the first line is one of names for sure."""
    for option in options:
        element: Node = option.get("DefElem", {})
        if element.get("defname") == "header":
            argument = element.get("arg")
            if argument is None:
                return True
            _, body = unwrap(argument)
            value = body.get("sval", body.get("boolval", body.get("ival")))
            return str(value).lower() in {"true", "on", "1"}
    return False


def _copy_format(options: Iterable[Node]) -> CopyFormat:
    """Return how the rows are written; any option that could move a separator is OTHER."""
    found = CopyFormat.TEXT
    for option in options:
        element: Node = option.get("DefElem", {})
        name = str(element.get("defname", ""))
        value = str(element.get("arg", {}).get("String", {}).get("sval", ""))
        if name == "format" and value in {"text", "csv", "binary"}:
            found = CopyFormat(value)
        elif name != "header":
            return CopyFormat.OTHER
    return found


def _read_copied_table(reading: Reading, body: Node) -> Outline:
    relation: Node = body.get("relation", {})
    reading.level = reading.new_level(counts=True)
    reading.named_relations.add(name_of(relation))
    item = read_relation(reading, {**relation, "inh": False})
    if item.alias_of in STATISTICS:
        reading.side_doors.add(SideDoor.STATISTICS)
    names = strings(body.get("attlist", ()))
    scope = Scope(None, [item], list(item.visible))
    columns = tuple(Named(name, scope.column(name)) for name in names) if names else item.visible
    contributes = frozenset(reading.level.contributes)
    result = Result(columns, contributes, (contributes,))
    return Outline(
        Kind.COPY_OUT,
        columns,
        result=result,
        one_subject=is_one_subject_per_row(reading, result),
    )


def read_declare(reading: Reading, body: Node) -> Outline:
    """Return the outline of DECLARE CURSOR: that of its query, whose rows come later."""
    outline = read_as(reading, body.get("query", {}), Kind.SELECT)
    outline.kind, outline.returns_rows = Kind.DECLARE, False
    outline.cursor = str(body.get("portalname", ""))
    outline.holds = bool(int(body.get("options", 0)) & _HOLD)
    return outline


def read_execute(reading: Reading, body: Node) -> Outline:
    """Return the outline of EXECUTE; the session knows what was prepared."""
    outline = Outline(Kind.EXECUTE, returns_rows=True, prepared=str(body.get("name", "")))
    parameters: Sequence[Node] = body.get("params", ())
    outline.execute_values = tuple(_execute_value(parameter) for parameter in parameters)
    values = [value_of(reading, parameter, Scope()) for parameter in parameters]
    if not all(value.tells_nothing for value in values):
        outline.opaque = "parameters computed from what cannot be read"
    return outline


def _execute_value(node: Node) -> Literal | Parameter | Unknown | None:
    if without_casts(node).get("A_Const", {}).get("isnull"):
        return None
    constant = read_constant(node)
    return UNKNOWN if constant is None else constant.value


_FETCH_ALL: Final = 2**31


def read_fetch(reading: Reading, body: Node) -> Outline:
    """Return the outline of FETCH or MOVE; the session knows the cursor."""
    del reading
    count = int(body.get("howMany", 0))
    bound = count if 0 <= count < _FETCH_ALL else None
    if body.get("direction") in {"FETCH_ABSOLUTE", "FETCH_RELATIVE"}:
        bound = 1
    elif count < 0:
        bound = None if count <= -_FETCH_ALL else -count
    moves = bool(body.get("ismove"))
    return Outline(
        Kind.FETCH,
        returns_rows=not moves,
        bound=bound,
        cursor=str(body.get("portalname", "")),
    )
