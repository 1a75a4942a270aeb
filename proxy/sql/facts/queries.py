"""Reading of SELECT, VALUES, TABLE and set operations, with their scopes."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from proxy.sql.facts import writes
from proxy.sql.facts.filters import (
    conjuncts,
    read_conditions,
    read_filters,
    strongest,
    weakest,
)
from proxy.sql.facts.folding import fold_recursive
from proxy.sql.facts.from_clause import read_from
from proxy.sql.facts.outputs import column_value, read_targets, value_of
from proxy.sql.facts.probing import note_row_count
from proxy.sql.facts.scope import Cte, Result, Scope
from proxy.sql.facts.tree import Node, strings, unwrap, wrapped_children
from proxy.sql.facts.value import NOTHING, Named, Value, combine, unite
from proxy.terms.column_class import ColumnClass
from proxy.terms.facts import Provenance
from proxy.terms.relation import Column, Relation

if TYPE_CHECKING:
    from collections.abc import Sequence

    from proxy.sql.facts.reading import Level, Reading

_SPLITTING: Final = frozenset({ColumnClass.KEY, ColumnClass.IDENTITY, ColumnClass.UNKNOWN})
_ROW_KEYS: Final = ("id", "barcode", "ctid")
# Marks values of the row before in WITH RECURSIVE; never leaves this module.
_SELF: Final = frozenset({Column(Relation("", ""), "")})


def read_query(
    reading: Reading, node: Node, parent: Scope | None, *, counts: bool | None = None
) -> Result:
    """Return what a query gives. ``counts``: whether its values reach the result.

    Errors: none; RecursionError passes, for a statement too deep to be read.
    """
    kind, body = unwrap(node)
    if kind in {"InsertStmt", "UpdateStmt", "DeleteStmt", "MergeStmt"}:
        return writes.read_write(reading, kind, body, parent)
    if kind != "SelectStmt":
        return Result()
    outside = reading.level
    level = reading.new_level(counts=outside.counts if counts is None else counts)
    reading.level = level
    scope = Scope(parent)
    try:
        read_with(reading, body.get("withClause"), scope)
        if body.get("op", "SETOP_NONE") != "SETOP_NONE":
            result = _read_set_operation(reading, body, scope)
        elif body.get("valuesLists"):
            result = _read_values(reading, body, scope, level)
        else:
            result = _read_select(reading, body, scope, level)
        level.row_counts += _read_tail(reading, body, scope, result.columns)
    finally:
        reading.level = outside
    result = _with_row_count(result, level)
    return replace(result, outer=tuple(scope.outer))


def _with_row_count(result: Result, level: Level) -> Result:
    """Return what the query gives where a subject's value says how many rows there are."""
    if not level.row_counts or (result.one_row and not result.columns):
        return result
    columns = tuple(
        Named(column.name, combine([column.value, *level.row_counts])) for column in result.columns
    )
    return result if level.aggregates and not level.grouped else replace(result, columns=columns)


def _read_tail(reading: Reading, body: Node, scope: Scope, columns: Sequence[Named]) -> list[Value]:
    """Read what orders and bounds; return the values of subjects in LIMIT and OFFSET."""
    outside, mixes = reading.level, reading.mixes
    reading.level = reading.new_level(counts=False)
    for sort in body.get("sortClause", ()):
        _read_order(reading, sort.get("SortBy", {}).get("node"), scope, columns)
    limits = [value_of(reading, body.get(part), scope) for part in ("limitCount", "limitOffset")]
    for distinct in body.get("distinctClause", ()):
        if distinct:
            _read_order(reading, distinct, scope, columns)
        else:
            reading.use(*(column.value for column in columns))
    for window in body.get("windowClause", ()):
        for child in wrapped_children(window.get("WindowDef", {})):
            value_of(reading, child, scope)
    reading.level = outside
    if not reading.unknown_functions and not reading.unknown_relations:
        reading.mixes = mixes
    return [note_row_count(reading, value) for value in limits if not value.tells_nothing]


def _read_order(
    reading: Reading, node: Node | None, scope: Scope, columns: Sequence[Named]
) -> None:
    """Read an expression of ORDER BY or DISTINCT ON, where outputs have numbers and names."""
    if not node:
        return
    if _use_ordinal(reading, node, columns):
        return
    names = strings(node.get("ColumnRef", {}).get("fields", ()))
    named = [column.value for column in columns if (column.name,) == names]
    if named:
        reading.use(*named)
        column_value(reading, node, scope)
    else:
        value_of(reading, node, scope)


def _use_ordinal(reading: Reading, node: Node, columns: Sequence[Named]) -> bool:
    """Note the use of an output by its number; return whether the expression is one."""
    constant = node.get("A_Const")
    if constant is None or "ival" not in constant:
        return False
    values = [column.value for column in columns]
    if all(value.tells_nothing for value in values):
        return True
    reading.use_literal(constant.get("location"))
    number = int(constant["ival"].get("ival", 0))
    if not any(column.name == "*" for column in columns):
        values = values[number - 1 : number] if number > 0 else []
    reading.use(*values)
    return True


def _use_groups(reading: Reading, groups: Sequence[Node], columns: Sequence[Named]) -> None:
    """Note what GROUP BY uses by number; within grouping sets it may be any."""
    for group in groups:
        if "GroupingSet" in group:
            reading.use(*(column.value for column in columns))
        else:
            _use_ordinal(reading, group, columns)


def _read_select(reading: Reading, body: Node, scope: Scope, level: Level) -> Result:
    strength = read_from(reading, body.get("fromClause", ()), scope)
    where = conjuncts(body.get("whereClause"))
    read_conditions(reading, where, scope)
    if where:
        strength = strongest(strength, read_filters(reading, where, scope, where=True))
    targets: Sequence[Node] = body.get("targetList", ())
    _read_groups(reading, body.get("groupClause", ()), targets, scope, level)
    columns = read_targets(reading, targets, scope)
    if level.aggregates and not level.splits_by_subject and _any_splitting(columns):
        # a mean beside a key may be the mean of one value
        level.splits_by_subject = True
        columns = read_targets(reading, targets, scope)
    _use_groups(reading, body.get("groupClause", ()), columns)
    if body.get("havingClause"):
        read_conditions(reading, [body["havingClause"]], scope)
    if level.grouped and not level.groups_are_subjects and _any_sensitive(columns):
        reading.mixes = True
    contributes = frozenset(level.contributes)
    return Result(
        columns,
        contributes,
        (contributes,),
        strength,
        one_row=level.aggregates and not level.grouped,
    )


def _any_splitting(columns: Sequence[Named]) -> bool:
    return any(
        column.value.column_class in _SPLITTING and not column.value.tells_nothing
        for column in columns
    )


def _any_sensitive(columns: Sequence[Named]) -> bool:
    """Whether a grouped row may hold values of several subjects: two columns or more."""
    return sum(not column.value.tells_nothing for column in columns) > 1


def _read_groups(
    reading: Reading,
    groups: Sequence[Node],
    targets: Sequence[Node],
    scope: Scope,
    level: Level,
) -> None:
    """Note whether groups are single subjects. GROUP BY 1 and aliases are looked up."""
    named = {
        target["ResTarget"]["name"]: target["ResTarget"].get("val", {})
        for target in targets
        if target.get("ResTarget", {}).get("name")
    }
    for group in groups:
        level.grouped = True
        node = group
        constant = group.get("A_Const")
        if constant is not None and "ival" in constant:
            reading.use_literal(constant.get("location"))
            ordinal = int(constant["ival"].get("ival", 0))
            if 0 < ordinal <= len(targets):
                node = targets[ordinal - 1].get("ResTarget", {}).get("val", {})
        reference = group.get("ColumnRef")
        if reference is not None:
            (first, *rest) = strings(reference.get("fields", ()))
            if not rest and first in named and scope.own_column(first) is None:
                node = named[first]
        if "FuncCall" in node:
            value = _quiet(reading, node, scope)
        else:
            value = value_of(reading, node, scope)
        if "GroupingSet" in node:
            level.splits_by_subject |= value.column_class in _SPLITTING
            continue
        if value.column_class in _SPLITTING and not value.tells_nothing:
            level.splits_by_subject = True
        if value.place is not None and value.place.column.endswith(_ROW_KEYS):
            level.splits_by_subject = True  # a key of the row, mapped or not
        if value.provenance is Provenance.DIRECT and value.key_space and value.place:
            level.groups_are_subjects = True


def _quiet(reading: Reading, node: Node, scope: Scope) -> Value:
    mixes = reading.mixes
    value = value_of(reading, node, scope)
    if not reading.unknown_functions:
        reading.mixes = mixes
    return value


def _read_values(reading: Reading, body: Node, scope: Scope, level: Level) -> Result:
    columns: list[Value] = []
    rows = 0
    for row in body["valuesLists"]:
        rows += 1
        for index, node in enumerate(row.get("List", {}).get("items", ())):
            value = NOTHING if "A_Const" in node else value_of(reading, node, scope)
            if index == len(columns):
                columns.append(value)
            elif not value.tells_nothing:
                columns[index] = unite(columns[index], value)
    named = tuple(Named(f"column{index + 1}", value) for index, value in enumerate(columns))
    contributes = frozenset(level.contributes)
    return Result(named, contributes, (contributes,), one_row=rows == 1)


def _read_set_operation(reading: Reading, body: Node, scope: Scope) -> Result:
    left = read_query(reading, {"SelectStmt": body.get("larg", {})}, scope)
    right = read_query(reading, {"SelectStmt": body.get("rarg", {})}, scope)
    _use_compared(reading, body, left, right)
    return unite_results(left, right)


def _use_compared(reading: Reading, body: Node, *sides: Result) -> None:
    """Note that UNION and its like, but for ALL, compare each row with the others."""
    if body.get("op") != "SETOP_UNION" or not body.get("all"):
        reading.use(*(column.value for side in sides for column in side.columns))


def unite_results(left: Result, right: Result) -> Result:
    """Return what a set operation gives."""
    if left.is_open or right.is_open or len(left.columns) != len(right.columns):
        everything = combine(column.value for column in (*left.columns, *right.columns))
        columns: tuple[Named, ...] = (Named("*", everything),)
    else:
        columns = tuple(
            Named(one.name, unite(one.value, two.value))
            for one, two in zip(left.columns, right.columns, strict=True)
        )
    return Result(
        columns,
        left.contributes | right.contributes,
        (*left.branches, *right.branches),
        weakest(left.strength, right.strength)
        if left.contributes and right.contributes
        else strongest(left.strength, right.strength),
    )


def read_with(reading: Reading, clause: Node | None, scope: Scope) -> None:
    """Read the queries of WITH into the scope."""
    if not clause:
        return
    recursive = bool(clause.get("recursive"))
    for entry in clause.get("ctes", ()):
        body: Node = entry.get("CommonTableExpr", {})
        name = str(body.get("ctename", ""))
        query: Node = body.get("ctequery", {})
        select = query.get("SelectStmt", {})
        if recursive and select.get("op", "SETOP_NONE") != "SETOP_NONE":
            result = _read_recursive(reading, name, body, select, scope)
        else:
            result = read_query(reading, query, scope)
        scope.ctes[name] = Cte(_renamed(result, body))


def _renamed(result: Result, body: Node) -> Result:
    names = strings(body.get("aliascolnames", ()))
    columns = result.columns
    if names and not result.is_open:
        columns = tuple(
            Named(names[index], column.value) if index < len(names) else column
            for index, column in enumerate(columns)
        )
    elif names:
        columns = (Named("*", combine(column.value for column in columns)),)
    added = [
        Named(str(name), combine(column.value for column in columns))
        for clause, fields in (
            ("search_clause", ("search_seq_column",)),
            ("cycle_clause", ("cycle_mark_column", "cycle_path_column")),
        )
        for field in fields
        if (name := body.get(clause, {}).get(field))
    ]
    return replace(result, columns=(*columns, *added))


def _read_recursive(reading: Reading, name: str, body: Node, select: Node, scope: Scope) -> Result:
    """Read WITH RECURSIVE: the second part sees the first as the row before."""
    inner = Scope(scope)
    read_with(reading, select.get("withClause"), inner)
    left = read_query(reading, {"SelectStmt": select.get("larg", {})}, inner)
    marked = tuple(
        Named(
            column.name,
            Value(Provenance.DERIVED, column.value.column_class, _SELF, also=column.value.also),
        )
        for column in left.columns
    )
    before = Cte(_renamed(replace(left, columns=marked, contributes=frozenset()), body))
    inner.ctes[name] = before
    right = read_query(reading, {"SelectStmt": select.get("rarg", {})}, inner)
    _use_compared(reading, select, left, right)
    united = unite_results(left, right)
    if not before.uses:
        return united
    worst = combine(column.value for column in united.columns)
    if worst.column_class is ColumnClass.NONE and worst.provenance is not Provenance.UNKNOWN:
        columns = tuple(Named(column.name, NOTHING) for column in united.columns)
        return replace(united, columns=columns)
    reading.mixes = True
    worst = replace(worst, sources=worst.sources - _SELF)
    if united.is_open or len(left.columns) != len(right.columns):
        return replace(united, columns=(Named("*", fold_recursive(worst, worst, worst, worst)),))
    columns = tuple(
        Named(whole.name, _recursive_column(one.value, two.value, whole.value, worst))
        for one, two, whole in zip(left.columns, right.columns, united.columns, strict=True)
    )
    return replace(united, columns=columns)


def _recursive_column(left: Value, right: Value, united: Value, worst: Value) -> Value:
    found = fold_recursive(left, right, united, worst)
    return replace(found, sources=found.sources - _SELF)
