"""Arguments put in the place of a body's parameters.

A constant of the caller stays one, so that a look-up by key within a function is one still; any
other argument becomes a node that holds what it carries. A name that may be a column's is left to
the scope, which knows columns before parameters, as PostgreSQL does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from proxy.sql.facts.constants import FIXED_VALUE, ROW_VALUE, is_constant, read_constant
from proxy.sql.facts.functions import is_shipped_builtin
from proxy.sql.facts.relations import resolve
from proxy.sql.facts.tree import Node, qualified, strings, walk, without_casts
from proxy.sql.facts.value import derive

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from proxy.sql.facts.reading import Reading
    from proxy.sql.facts.value import Value

_ANY: Final = None  # the names of columns cannot be told: every name may be one


def argument(node: Node, value: Value) -> Node:
    """Return what stands for an argument within a body."""
    node = node.get("NamedArgExpr", {}).get("arg", node)
    if read_constant(node) is not None or without_casts(node).get("A_Const", {}).get("isnull"):
        return node
    return held(value, fixed=is_constant(node))


def held(value: Value, *, fixed: bool) -> Node:
    """Return a node that holds a value. ``fixed``: it is the same throughout a call."""
    return {(FIXED_VALUE if fixed else ROW_VALUE): {"value": value}}


def bind(
    reading: Reading,
    tree: Node,
    named: Mapping[str, Node],
    numbered: Sequence[Node],
    qualifiers: frozenset[str],
) -> Node:
    """Return the tree with arguments for parameters.

    Args:
        reading: tells which columns there are.
        tree: one statement of a body; it is not changed.
        named: by name of the parameter.
        numbered: those that ``$1`` and so on stand for.
        qualifiers: names of the function and of its blocks, before a parameter.
    """
    columns = _column_names(reading, tree)
    free = {} if columns is _ANY else {k: v for k, v in named.items() if k not in columns}
    aliases = _alias_names(tree)

    def put(node: Any) -> Any:
        if isinstance(node, list):
            return [put(one) for one in node]
        if not isinstance(node, dict):
            return node
        if "ParamRef" in node:
            number = int(node["ParamRef"].get("number", 0))
            return numbered[number - 1] if 0 < number <= len(numbered) else node
        if "ColumnRef" in node:
            return _replaced(strings(node["ColumnRef"].get("fields", ())), node)
        if FIXED_VALUE in node or ROW_VALUE in node:
            return node
        return {key: put(value) for key, value in node.items()}

    def _replaced(parts: Sequence[str], node: Node) -> Node:
        if len(parts) == 1:
            return free.get(parts[0], node)
        first, second = parts[:2]
        if len(parts) == 2 and first in qualifiers - aliases and second in named:  # noqa: PLR2004
            return named[second]
        inner = free.get(first) if first not in aliases else None
        for kind in (FIXED_VALUE, ROW_VALUE):
            if inner is not None and kind in inner:  # a field of a parameter that is a row
                return held(derive(inner[kind]["value"]), fixed=kind == FIXED_VALUE)
        return node

    bound: Node = put(tree)
    return bound


def _alias_names(tree: Node) -> frozenset[str]:
    found = set()
    for kind, body in walk(tree):
        if kind == "RangeVar":
            found.add(str(body.get("relname", "")))
        alias = body.get("alias")
        if isinstance(alias, dict):
            found.add(str(alias.get("aliasname", "")))
        if kind == "CommonTableExpr":
            found.add(str(body.get("ctename", "")))
    return frozenset(found)


def _column_names(reading: Reading, tree: Node) -> frozenset[str] | None:
    """Return every name that may be a column's somewhere in the statement; None: any may."""
    found: set[str] = set(_alias_names(tree))
    ctes = {str(body.get("ctename", "")) for kind, body in walk(tree) if kind == "CommonTableExpr"}
    for kind, body in walk(tree):
        alias = body.get("alias")
        if isinstance(alias, dict):
            found.update(strings(alias.get("colnames", ())))
        match kind:
            case "RangeVar":
                name = str(body.get("relname", ""))
                if "schemaname" not in body and name in ctes:
                    continue
                columns = _columns(reading, str(body.get("schemaname", "")), name)
                if columns is None:
                    return _ANY
                found |= columns
            case "ResTarget":
                found.add(str(body.get("name", "")))
            case "ColumnRef":
                parts = strings(body.get("fields", ()))
                if len(parts) > 1:
                    found.add(parts[-1])  # an outer query may give it on under its name
            case "ColumnDef":
                found.add(str(body.get("colname", "")))
            case "CommonTableExpr":
                found.update(strings(body.get("aliascolnames", ())))
            case "RangeFunction":
                for inner, call in walk(body.get("functions", [])):
                    if inner == "FuncCall" and not _is_plain(call):
                        return _ANY
            case "RangeTableFunc" | "JsonTable":
                return _ANY
            case _:
                pass
    return frozenset(found)


def _is_plain(call: Node) -> bool:
    schema, name = qualified(call.get("funcname", ()))
    return schema in {"", "pg_catalog"} and is_shipped_builtin(name)


def _columns(reading: Reading, schema: str, name: str) -> set[str] | None:
    relations = resolve(reading, schema, name)
    if not relations or reading.catalog is None:
        return None
    found: set[str] = set()
    for relation in relations:
        columns = reading.catalog.columns_of(relation)
        if columns is None:
            return None
        found.update(columns)
    return found
