"""The names PostgreSQL gives to columns without AS: outer queries refer to them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from proxy.sql.facts.tree import strings, unwrap

if TYPE_CHECKING:
    from proxy.sql.facts.tree import Node

_NAMES: Final = {
    "CoalesceExpr": "coalesce",
    "A_ArrayExpr": "array",
    "RowExpr": "row",
    "GroupingFunc": "grouping",
    "XmlSerialize": "xmlserialize",
    "MergeSupportFunc": "merge_action",
    "JsonObjectConstructor": "json_object",
    "JsonArrayConstructor": "json_array",
    "JsonArrayQueryConstructor": "json_array",
    "JsonObjectAgg": "json_objectagg",
    "JsonArrayAgg": "json_arrayagg",
    "JsonParseExpr": "json",
    "JsonScalarExpr": "json_scalar",
    "JsonSerializeExpr": "json_serialize",
}
_ANONYMOUS: Final = "?column?"


def column_name(node: Node) -> str:
    """Return the name PostgreSQL gives a column without AS.

    Source: ``FigureColname`` in PostgreSQL's ``parse_target.c``.
    """
    return _figure_name(node)[0] or _ANONYMOUS


def _figure_name(node: Node) -> tuple[str, bool]:
    """Return (name, whether it is better than a type's name)."""
    kind, body = unwrap(node)
    match kind:
        case "ColumnRef" | "FuncCall":
            parts = strings(body.get("fields") or body.get("funcname") or ())
            return (parts[-1] if parts else ""), True
        case "A_Indirection":
            named = [name for name in strings(body.get("indirection", ())) if name]
            return (named[-1], True) if named else _figure_name(body.get("arg", {}))
        case "TypeCast":
            name, strong = _figure_name(body.get("arg", {}))
            if strong:
                return name, True
            return strings(body.get("typeName", {}).get("names", ()))[-1], False
        case "CollateClause":
            return _figure_name(body.get("arg", {}))
        case "CaseExpr":
            name, strong = _figure_name(body.get("defresult", {}))
            return (name, True) if strong else ("case", False)
        case "SubLink":
            return _figure_sublink(body)
        case "A_Expr":
            return ("nullif", True) if body.get("kind") == "AEXPR_NULLIF" else ("", False)
        case "MinMaxExpr":
            return ("least" if body.get("op") == "IS_LEAST" else "greatest"), True
        case "SQLValueFunction":
            return str(body.get("op", "")).removeprefix("SVFOP_").lower().removesuffix("_n"), True
        case "XmlExpr":
            return str(body.get("op", "")).removeprefix("IS_").lower(), True
        case "JsonFuncExpr":
            return str(body.get("op", "")).removesuffix("_OP").lower(), True
        case _:
            pass
    return _NAMES.get(kind, ""), kind in _NAMES


def _figure_sublink(body: Node) -> tuple[str, bool]:
    match body.get("subLinkType"):
        case "EXISTS_SUBLINK":
            return "exists", True
        case "ARRAY_SUBLINK":
            return "array", True
        case "EXPR_SUBLINK":
            targets: list[Any] = (
                body.get("subselect", {}).get("SelectStmt", {}).get("targetList", [])
            )
            if targets:
                target = targets[0].get("ResTarget", {})
                if target.get("name"):
                    return str(target["name"]), True
                return _figure_name(target.get("val", {}))
        case _:
            pass
    return "", False
