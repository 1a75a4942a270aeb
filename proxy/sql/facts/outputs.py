"""What the value of an expression carries."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from proxy.sql.facts.column_names import column_name
from proxy.sql.facts.constants import FIXED_VALUE, ROW_VALUE
from proxy.sql.facts.folding import AGGREGATES, aggregate_value
from proxy.sql.facts.functions import note_function, note_operator
from proxy.sql.facts.mapped import mapped_call
from proxy.sql.facts.probing import note_test
from proxy.sql.facts.reading import Call
from proxy.sql.facts.relations import STATISTICS, STATISTICS_VALUES
from proxy.sql.facts.session import note_special_call
from proxy.sql.facts.side_doors import doors_of_function
from proxy.sql.facts.statement_texts import FUNCTIONS, text_value
from proxy.sql.facts.tree import (
    Node,
    qualified,
    strings,
    unwrap,
    wrapped_children,
)
from proxy.sql.facts.value import (
    NOTHING,
    UNKNOWN_VALUE,
    Named,
    Value,
    combine,
    derive,
    fold,
)
from proxy.terms.facts import Provenance, SideDoor

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from proxy.sql.facts.reading import Reading
    from proxy.sql.facts.scope import Item, Scope

MAX_COLUMNS: Final = 1664  # MaxTupleAttributeNumber of PostgreSQL
_CONSTANTS: Final = frozenset(
    {"A_Const", "ParamRef", "SQLValueFunction", "SetToDefault", "Constants", "MergeSupportFunc"}
)
_JSON_AGGREGATES: Final = frozenset({"JsonObjectAgg", "JsonArrayAgg"})


def value_of(reading: Reading, node: Node | None, scope: Scope) -> Value:
    """Return what the expression carries, and note relations, functions and side doors in it.

    Comparisons carry the class of what they compare: enough of them spell a value out.
    Errors: none; a node of an unknown kind is derived from all that is under it.
    """
    if not node:
        return NOTHING
    kind, body = unwrap(node)
    match kind:
        case "ColumnRef":
            value = _column(reading, body, scope)
            reading.use(value)
            return value
        case "FuncCall":
            return _call(reading, body, scope)
        case _ if kind in {FIXED_VALUE, ROW_VALUE}:
            held: Value = body["value"]
            reading.use(held)
            return held
        case "SubLink":
            return _sublink(reading, body, scope)
        case "A_Expr":
            known = _note_operator(reading, body.get("name", ()))
            sides = _each(reading, (body.get("lexpr"), body.get("rexpr")), scope)
            note_test(reading, body, sides, lambda side: value_of(reading, side, scope))
            return combine(sides) if known else UNKNOWN_VALUE
        case "NullTest":
            tested = value_of(reading, body.get("arg"), scope)
            return NOTHING if tested.provenance is Provenance.DIRECT else derive(tested)
        case "TypeCast":
            return derive(value_of(reading, body.get("arg"), scope))
        case "A_Indirection":
            value = _indirection(reading, body, scope)
            reading.use(value)
            return value
        case "A_ArrayExpr" | "RowExpr" | "List" | "CoalesceExpr" | "MinMaxExpr" | "BoolExpr":
            inner = body.get("elements") or body.get("args") or body.get("items") or ()
            return combine(_each(reading, inner, scope))
        case _ if kind in _CONSTANTS:
            return NOTHING
        case _ if kind in _JSON_AGGREGATES:
            return _json_aggregate(reading, body, scope)
        case "SelectStmt":
            return _query_value(reading, node, scope)
        case _:
            pass
    return combine(_each(reading, wrapped_children(body), scope))


def _each(reading: Reading, nodes: Iterable[Node | None], scope: Scope) -> list[Value]:
    return [value_of(reading, node, scope) for node in nodes]


def _column(reading: Reading, body: Node, scope: Scope) -> Value:
    fields = body.get("fields", ())
    parts = strings(fields)
    if fields and "A_Star" in fields[-1]:
        return combine(named.value for named in expand_star(reading, parts[:-1], scope))
    if len(parts) == 1:
        if _note_statistics(reading, parts[0], scope.items):
            return UNKNOWN_VALUE
        return scope.column(parts[0])
    alias, schema = parts[-2], "".join(parts[-3:-2])
    item = scope.find_item(alias, schema)
    if item is None:
        return UNKNOWN_VALUE if scope.holds_anything() else NOTHING
    if _note_statistics(reading, parts[-1], (item,)):
        return UNKNOWN_VALUE
    value = item.column(parts[-1])
    if value is None:
        # p.f may stand for f(p)
        called = note_attribute_call(reading, parts[-1])
        return NOTHING if item.whole.tells_nothing and not called else UNKNOWN_VALUE
    return value


def note_attribute_call(reading: Reading, name: str) -> bool:
    """Note ``row.name`` where the row has no such column: it may call a function.

    Returns: whether it may call one that is not known to be harmless.
    """
    catalog = reading.catalog
    if doors_of_function(name) or (catalog is not None and name in catalog.functions):
        return not note_function(reading, "", name).harmless
    return False


def _note_statistics(reading: Reading, name: str, items: Iterable[Item]) -> bool:
    """Note a column that keeps values of other relations; return whether it is one."""
    for item in items:
        if item.alias_of in STATISTICS and (name in STATISTICS_VALUES or name == item.alias):
            reading.side_doors.add(SideDoor.STATISTICS)
            return True
    return False


def expand_star(reading: Reading, parts: Sequence[str], scope: Scope) -> tuple[Named, ...]:
    """Return the columns of ``*``, ``alias.*`` or ``schema.alias.*``."""
    if not parts:
        for item in scope.items:
            _note_star(reading, item)
        return tuple(scope.visible)
    found = scope.find_item(parts[-1], parts[-2] if len(parts) > 1 else "")
    if found is None:
        return (Named("*", UNKNOWN_VALUE if scope.holds_anything() else NOTHING),)
    _note_star(reading, found)
    return found.visible


def _note_star(reading: Reading, item: Item) -> None:
    if item.alias_of in STATISTICS:
        reading.side_doors.add(SideDoor.STATISTICS)


def _indirection(reading: Reading, body: Node, scope: Scope) -> Value:
    argument = body.get("arg", {})
    steps = body.get("indirection", ())
    for step in steps:
        if "A_Indices" in step:
            _each(reading, wrapped_children(step["A_Indices"]), scope)
    first = steps[0] if steps else {}
    name = first.get("String", {}).get("sval", "")
    item = row_item(argument, scope)
    if item is not None and name:
        found = item.column(name)
        if found is not None:
            return found
        called = note_attribute_call(reading, name)
        return NOTHING if item.whole.tells_nothing and not called else UNKNOWN_VALUE
    value = value_of(reading, argument, scope)
    if name and note_attribute_call(reading, name):
        return UNKNOWN_VALUE
    return derive(value)


def row_item(node: Node, scope: Scope) -> Item | None:
    """Return the FROM entry that ``(p)`` is the row of, if it is one."""
    reference = node.get("ColumnRef")
    if reference is None or len(reference.get("fields", ())) != 1:
        return None
    (name,) = strings(reference["fields"])
    return scope.find_item(name) if name and not _names_column(scope, name) else None


def _names_column(scope: Scope, name: str) -> bool:
    return any(column.name == name for column in scope.visible)


def _call(reading: Reading, body: Node, scope: Scope) -> Value:
    schema, name = qualified(body.get("funcname", ()))
    arguments = _each(reading, body.get("args", ()), scope)
    ordering = _each(reading, _sorted(body.get("agg_order", ())), scope)
    conditions = _each(reading, (body.get("agg_filter"),), scope)
    over = body.get("over")
    if over is not None:
        _each(reading, wrapped_children(over), scope)
    nodes: Sequence[Node] = body.get("args", ())
    call = Call(nodes, arguments, bool(body.get("func_variadic")))
    known = note_function(reading, schema, name, call)
    _note_span(reading, body, name)
    if known.called is not None:
        if reading.level.counts:
            reading.level.contributes |= known.called.contributes
        return derive(known.called.value)
    if known.mapped is not None:
        return mapped_call(reading, known.mapped, body.get("args", ()), arguments)
    if not known.harmless:
        return UNKNOWN_VALUE
    note_special_call(reading, name, body.get("args", ()), arguments)
    if name in FUNCTIONS:
        return text_value(name)
    if name not in AGGREGATES:
        return combine([*arguments, *ordering])
    if body.get("agg_within_group"):
        fraction = next(iter(body.get("args", ())), None)
        kept = [*arguments, *ordering]
    else:
        fraction, kept = None, arguments
    windowed = over is not None
    found = aggregate_value(name, kept, conditions, fraction, reading.level, windowed=windowed)
    if over is None:
        reading.level.aggregates = True
    if not found.tells_nothing and (over is not None or not reading.level.groups_are_subjects):
        reading.mixes = True
    return found


def _sorted(nodes: Sequence[Node]) -> list[Node]:
    return [node.get("SortBy", {}).get("node", {}) for node in nodes]


def _note_span(reading: Reading, body: Node, name: str) -> None:
    for door in doors_of_function(name):
        reading.span(body.get("location"), len(name), f"side door {door.value}")


def _note_operator(reading: Reading, names: Sequence[Node]) -> bool:
    """Note an operator; return whether it is PostgreSQL's own."""
    schema, name = qualified(names)
    if schema or (reading.catalog is not None and name in reading.catalog.user_operators):
        return note_operator(reading, schema, name).harmless
    return True


def _json_aggregate(reading: Reading, body: Node, scope: Scope) -> Value:
    value = combine(_each(reading, wrapped_children(body), scope))
    reading.level.aggregates = True
    if not value.tells_nothing:
        reading.mixes = True
    return fold(value)


def _sublink(reading: Reading, body: Node, scope: Scope) -> Value:
    tested = value_of(reading, body.get("testexpr"), scope)
    _note_operator(reading, body.get("operName", ()))
    result = reading.read_query(reading, body.get("subselect", {}), scope)
    if reading.level.counts:
        reading.level.contributes |= result.contributes
    given = combine(column.value for column in result.columns)
    if body.get("subLinkType") == "EXISTS_SUBLINK":
        return combine(result.outer)  # alone it is one bit; by row it spells out
    reading.use(given)
    match body.get("subLinkType"):
        case "ARRAY_SUBLINK":
            return fold(given)
        case "ANY_SUBLINK" | "ALL_SUBLINK":
            return combine((tested, *result.outer))
        case _:
            pass
    return derive(given)


def _query_value(reading: Reading, node: Node, scope: Scope) -> Value:
    result = reading.read_query(reading, node, scope)
    if reading.level.counts:
        reading.level.contributes |= result.contributes
    given = combine(column.value for column in result.columns)
    reading.use(given)
    return derive(given)


def column_value(reading: Reading, node: Node, scope: Scope) -> Value:
    """Return what a target carries; a column that is given as it is, is not used."""
    reference = node.get("ColumnRef")
    if reference is None:
        return value_of(reading, node, scope)
    return _column(reading, reference, scope)


def read_targets(reading: Reading, targets: Sequence[Node], scope: Scope) -> tuple[Named, ...]:
    """Return the columns of a target list, stars expanded."""
    found: list[Named] = []
    for target in targets:
        body: Node = target.get("ResTarget", {})
        node: Node = body.get("val", {})
        star = _star_of(reading, node, scope)
        if star is not None:
            found.extend(star)
            continue
        value = column_value(reading, node, scope)
        found.append(Named(str(body.get("name") or column_name(node)), value))
    if len(found) > MAX_COLUMNS:  # the server refuses it; names of so many are not kept
        return (Named("*", combine(named.value for named in found)),)
    return tuple(found)


def _star_of(reading: Reading, node: Node, scope: Scope) -> tuple[Named, ...] | None:
    reference = node.get("ColumnRef")
    if reference is not None and "A_Star" in reference.get("fields", ({},))[-1]:
        return expand_star(reading, strings(reference["fields"])[:-1], scope)
    indirection = node.get("A_Indirection")
    if indirection is not None and "A_Star" in indirection.get("indirection", ({},))[-1]:
        item = row_item(indirection.get("arg", {}), scope)
        if item is not None and len(indirection["indirection"]) == 1:
            _note_star(reading, item)
            return item.visible
        value = derive(value_of(reading, indirection.get("arg"), scope))
        return (Named("*", value),)
    return None
