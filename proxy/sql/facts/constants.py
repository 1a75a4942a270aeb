"""Constants and parameters of a statement, with where they stand."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from proxy.sql.facts.tree import Node, constant_text, unwrap, walk, without_casts
from proxy.terms.facts import Literal, Parameter

if TYPE_CHECKING:
    from collections.abc import Sequence

MOST_KEYS: Final = 10_000  # more are no bound worth having
# What makes an expression depend on rows.
ROW_VALUE: Final = "RowValue"  # not the grammar's: an argument of a function, put into its body
FIXED_VALUE: Final = "FixedValue"  # the same, of one that is the same for every row
_ROW_DEPENDENT: Final = frozenset(
    {"ColumnRef", "SubLink", "SetToDefault", "CurrentOfExpr", ROW_VALUE}
)


class Constant(NamedTuple):
    """A literal or parameter; ``location``: its byte in the text.

    None for a parameter, and for a literal of a function's body.
    """

    value: Literal | Parameter
    location: int | None


def read_constant(node: Node) -> Constant | None:
    """Return the constant or parameter under any cast; None for NULL and anything else."""
    kind, body = unwrap(without_casts(node))
    if kind == "ParamRef":
        return Constant(Parameter(int(body.get("number", 0))), None)
    if kind == "A_Const":
        text, location = constant_text(body), body.get("location", -1)
        if text is None:
            return None
        return Constant(Literal(text), None if location is None else int(location))
    return None


def read_constants(nodes: Sequence[Node]) -> list[Constant] | None:
    """Return all of them; None if one is neither a constant nor a parameter, or for too many."""
    found: list[Constant] = []
    for node in nodes:
        many = node.get("Constants")
        if len((many or {}).get("values", ())) > MOST_KEYS:
            return None
        if many is not None:  # a long list that the worker made short
            values, places = many.get("values", ()), many.get("locations", ())
            found += map(Constant, map(Literal, map(str, values)), map(int, places))
            continue
        one = read_constant(node)
        if one is None:
            return None
        found.append(one)
    return found


def is_constant(node: Node | None) -> bool:
    """Whether the expression is the same for every row."""
    return bool(node) and all(kind not in _ROW_DEPENDENT for kind, _ in walk(node))


def columns_in(node: Node | None) -> list[Node]:
    """Return the bodies of the column references in an expression."""
    return [body for kind, body in walk(node) if kind == "ColumnRef"]
