"""Reading of FROM: relations, joins, functions and queries in it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from proxy.sql.facts.filters import (
    RANK,
    conjuncts,
    link,
    read_conditions,
    read_filters,
    read_outer_join,
    strongest,
)
from proxy.sql.facts.functions import note_function
from proxy.sql.facts.mapped import mapped_columns
from proxy.sql.facts.outputs import value_of
from proxy.sql.facts.probing import note_row_count
from proxy.sql.facts.reading import Call
from proxy.sql.facts.relations import read_relation
from proxy.sql.facts.scope import Cte, Item, Scope
from proxy.sql.facts.session import note_special_call
from proxy.sql.facts.statement_texts import FUNCTIONS, text_value
from proxy.sql.facts.tree import Node, qualified, strings, unwrap, wrapped_children
from proxy.sql.facts.value import (
    NOTHING,
    UNKNOWN_VALUE,
    Named,
    Value,
    combine,
    derive,
    unite,
)
from proxy.terms.facts import SideDoor, SubjectFilter

if TYPE_CHECKING:
    from collections.abc import Sequence

    from proxy.sql.facts.reading import Reading

# Built-in functions in FROM that give one column, named as the function or its alias.
_ONE_COLUMN_NAMES: Final = """
generate_series generate_subscripts regexp_split_to_table string_to_table regexp_matches
unnest json_array_elements jsonb_array_elements json_array_elements_text
jsonb_array_elements_text json_object_keys jsonb_object_keys
"""
_ONE_COLUMN: Final = frozenset(_ONE_COLUMN_NAMES.split())


def read_from(reading: Reading, nodes: Sequence[Node], scope: Scope) -> SubjectFilter:
    """Read the entries of FROM into the scope. Return how what is in them is narrowed."""
    strength: SubjectFilter | None = None
    for node in nodes:
        visible, _ = _read_entry(reading, node, scope)
        scope.visible.extend(visible)
    for item in scope.items:
        if item.strength is not None:
            weaker = strength is None or RANK[item.strength] < RANK[strength]
            strength = item.strength if weaker else strength
    return strongest(strength or SubjectFilter.NONE, reading.level.joined)


def _read_entry(reading: Reading, node: Node, scope: Scope) -> tuple[list[Named], frozenset[int]]:
    """Return the columns that an entry shows and the occurrences in it."""
    kind, body = unwrap(node)
    if kind == "JoinExpr":
        return _read_join(reading, body, scope)
    item = _read_item(reading, kind, body, scope)
    alias = body.get("alias", {})
    item = item.renamed(str(alias.get("aliasname", "")), strings(alias.get("colnames", ())))
    scope.items.append(item)
    return list(item.visible), item.members


def _read_item(reading: Reading, kind: str, body: Node, scope: Scope) -> Item:
    match kind:
        case "RangeVar":
            return read_range(reading, body, scope)
        case "RangeSubselect":
            return _read_subselect(reading, body, scope)
        case "RangeFunction":
            return _read_functions(reading, body, scope)
        case "RangeTableSample":
            inner_kind, inner = unwrap(body.get("relation", {}))
            for part in (*body.get("args", ()), body.get("repeatable")):
                value = value_of(reading, part, scope)
                if not value.tells_nothing:
                    reading.level.row_counts.append(note_row_count(reading, value))
            item = _read_item(reading, inner_kind, inner, scope)
            alias = inner.get("alias", {})
            return item.renamed(str(alias.get("aliasname", "")), strings(alias.get("colnames", ())))
        case _:
            pass
    # XMLTABLE and JSON_TABLE: every column comes from the document
    rest = combine([value_of(reading, child, scope) for child in wrapped_children(body)])
    return Item("", "", None, rest)


def read_range(reading: Reading, body: Node, scope: Scope) -> Item:
    """Return the entry of a relation or WITH query named in FROM."""
    schema, name = str(body.get("schemaname", "")), str(body.get("relname", ""))
    reading.named_relations.add((schema, name))
    cte = None if schema else scope.cte(name)
    if cte is not None:
        return _read_cte(reading, name, cte)
    return read_relation(reading, body)


def _read_cte(reading: Reading, name: str, cte: Cte) -> Item:
    cte.uses += 1
    result = cte.result
    contributes, columns = result.contributes, result.columns
    level = reading.level
    if cte.uses > 1 and contributes:
        # each further reference is another appearance of the same subjects
        fresh = {occurrence: reading.new_occurrence() for occurrence in contributes}
        contributes = frozenset(fresh.values())
        columns = tuple(_moved(column, fresh) for column in columns)
    level.members |= contributes
    level.contributes |= contributes
    return Item(
        name,
        "",
        None if result.is_open else columns,
        combine(column.value for column in columns) if result.is_open else NOTHING,
        members=contributes,
        strength=result.strength if contributes else None,
    )


def _moved(column: Named, fresh: dict[int, int]) -> Named:
    place = column.value.place
    if place is None or place.occurrence not in fresh:
        return column
    moved = replace(place, occurrence=fresh[place.occurrence])
    return Named(column.name, replace(column.value, place=moved))


def _read_subselect(reading: Reading, body: Node, scope: Scope) -> Item:
    result = reading.read_query(reading, body.get("subquery", {}), scope)
    level = reading.level
    level.members |= result.contributes
    level.contributes |= result.contributes
    opened = result.is_open
    return Item(
        "",
        "",
        None if opened else result.columns,
        combine(column.value for column in result.columns) if opened else NOTHING,
        members=result.contributes,
        strength=result.strength if result.contributes else None,
    )


def _read_functions(reading: Reading, body: Node, scope: Scope) -> Item:
    before = reading.occurrences
    alias = body.get("alias", {})
    defined = _definition(body)
    calls = [
        (call, definition)
        for entry in body.get("functions", ())
        for call, definition in [_split_entry(entry)]
    ]
    columns: list[Named] = []
    opened = False
    rest: list[Value] = []
    strengths: list[SubjectFilter | None] = []
    for call, definition in calls:
        named_as = str(alias.get("aliasname", ""))
        found, value = _read_call(reading, call, scope, named_as, strengths)
        rest.append(value)
        named = definition or (defined if len(calls) == 1 else ())
        if named:
            columns.extend(Named(name, value) for name in named)
        elif found is None:
            opened = True
        else:
            columns.extend(found)
    if body.get("ordinality"):
        columns.append(Named("ordinality", NOTHING))
    members = frozenset(range(before + 1, reading.occurrences + 1)) & reading.level.members
    name = _call_name(calls[0][0]) if calls else ""
    return Item(
        name,
        "",
        None if opened else tuple(columns),
        combine(rest),
        members=members,
        strength=_weakest_of(strengths) if members else None,
    )


def _weakest_of(strengths: Sequence[SubjectFilter | None]) -> SubjectFilter:
    known = [strength for strength in strengths if strength is not None]
    return min(known, key=RANK.__getitem__, default=SubjectFilter.NONE)


def _split_entry(entry: Node) -> tuple[Node, tuple[str, ...]]:
    items = entry.get("List", {}).get("items", ())
    call = items[0] if items else {}
    definition = _definition({"coldeflist": items[1].get("List", {}).get("items", ())}
                             if len(items) > 1 else {})  # fmt: skip
    return call, definition


def _definition(body: Node) -> tuple[str, ...]:
    return tuple(
        str(column.get("ColumnDef", {}).get("colname", "")) for column in body.get("coldeflist", ())
    )


def _call_name(call: Node) -> str:
    return qualified(call.get("FuncCall", {}).get("funcname", ()))[1]


def _read_call(
    reading: Reading,
    call: Node,
    scope: Scope,
    alias: str,
    strengths: list[SubjectFilter | None],
) -> tuple[tuple[Named, ...] | None, Value]:
    """Return the columns of a function in FROM (None: not known) and what each carries.

    How what is in it is narrowed goes to ``strengths``.
    """
    body = call.get("FuncCall")
    if body is None:
        value = value_of(reading, call, scope)  # CURRENT_DATE, COALESCE(..)
        return (Named(alias, value),), value
    schema, name = qualified(body.get("funcname", ()))
    nodes: Sequence[Node] = body.get("args", ())
    values = [value_of(reading, node, scope) for node in nodes]
    call_of = Call(nodes, values, bool(body.get("func_variadic")))
    known = note_function(reading, schema, name, call_of)
    if known.called is not None:
        contributes = known.called.contributes
        reading.level.members |= contributes
        reading.level.contributes |= contributes
        strengths.append(known.called.strength)
        return known.called.columns, known.called.value
    strengths.append(SubjectFilter.NONE)
    if known.mapped is not None:
        columns, _ = mapped_columns(reading, known.mapped, nodes, values)
        if columns is None:
            return None, UNKNOWN_VALUE
        return columns, combine(column.value for column in columns)
    if not known.harmless:
        occurrence = reading.new_occurrence()
        reading.level.members.add(occurrence)
        reading.level.contributes.add(occurrence)
        return None, UNKNOWN_VALUE
    note_special_call(reading, name, nodes, values)
    if name in FUNCTIONS:
        reading.side_doors.add(SideDoor.STATEMENT_TEXTS)
        return None, text_value(name)
    value = combine(values)
    if not value.tells_nothing:
        counted = note_row_count(reading, value) if name == "generate_series" else derive(value)
        reading.level.row_counts.append(counted)
    if name in _ONE_COLUMN:
        return tuple(Named(alias or name, value) for _ in range(_width(name, nodes))), value
    return None, value


def _width(name: str, nodes: Sequence[Node]) -> int:
    return max(len(nodes), 1) if name == "unnest" else 1


def _read_join(reading: Reading, body: Node, scope: Scope) -> tuple[list[Named], frozenset[int]]:
    first = len(scope.items)
    left, left_members = _read_entry(reading, body.get("larg", {}), scope)
    right, right_members = _read_entry(reading, body.get("rarg", {}), scope)
    kind = body.get("jointype")
    sides = _sides(str(kind), left_members, right_members)
    on = conjuncts(body.get("quals"))
    # ON sees only the two sides, but names there cannot be ambiguous with others
    inner = Scope(scope.parent, list(scope.items[first:]), [*left, *right], scope.ctes)
    read_conditions(reading, on, inner)
    scope.outer.extend(inner.outer)
    if sides is None:
        level = reading.level
        level.joined = strongest(level.joined, read_filters(reading, on, inner))
    else:
        read_outer_join(reading, on, inner, *sides)
    using = _using_columns(body, left, right)
    if body.get("isNatural") and any(column.name == "*" for column in (*left, *right)):
        reading.use(*(column.value for column in (*left, *right)))
    visible = _merge_using(reading, using, left, right, sides) if using else [*left, *right]
    return _aliased_join(body, scope, first, visible, left_members | right_members)


def _sides(
    kind: str, left: frozenset[int], right: frozenset[int]
) -> tuple[frozenset[int], frozenset[int]] | None:
    match kind:
        case "JOIN_LEFT":
            return left, right
        case "JOIN_RIGHT":
            return right, left
        case "JOIN_FULL":
            return left | right, left | right
        case _:
            pass
    return None


def _using_columns(body: Node, left: Sequence[Named], right: Sequence[Named]) -> list[str]:
    named = [name for name in strings(body.get("usingClause", ())) if name]
    if body.get("isNatural"):
        shown = {column.name for column in right}
        named = [column.name for column in left if column.name in shown and column.name != "*"]
    return named


def _merge_using(
    reading: Reading,
    using: Sequence[str],
    left: Sequence[Named],
    right: Sequence[Named],
    sides: tuple[frozenset[int], frozenset[int]] | None,
) -> list[Named]:
    merged: list[Named] = []
    for name in using:
        one, two = _find(left, name), _find(right, name)
        reading.use(one, two)
        if one.key_space and two.key_space:
            link(reading, one, two, sides)
        if sides is None:
            value = one if one.key_space or not two.key_space else two
        else:
            value = unite(one, two)
            value = derive(value) if sides[0] == sides[1] else value
        merged.append(Named(name, value))
    names = set(using)
    return [
        *merged,
        *(column for column in left if column.name not in names),
        *(column for column in right if column.name not in names),
    ]


def _find(columns: Sequence[Named], name: str) -> Value:
    for column in columns:
        if column.name == name:
            return column.value
    return combine(column.value for column in columns if column.name == "*")


def _aliased_join(
    body: Node, scope: Scope, first: int, visible: list[Named], members: frozenset[int]
) -> tuple[list[Named], frozenset[int]]:
    alias = body.get("alias", {}) or body.get("join_using_alias", {})
    name = str(alias.get("aliasname", ""))
    if not name:
        return visible, members
    opened = any(column.name == "*" for column in visible)
    rest = combine(column.value for column in visible)
    strengths = [item.strength for item in scope.items[first:] if item.strength is not None]
    item = Item(
        "",
        "",
        None if opened else tuple(visible),
        rest if opened else NOTHING,
        members=members,
        strength=min(strengths, key=RANK.__getitem__, default=None),
    ).renamed(name, strings(alias.get("colnames", ())))
    if body.get("alias"):
        scope.items[first:] = [item]
        return list(item.visible), members
    scope.items.append(replace(item, strength=None))
    return visible, members
