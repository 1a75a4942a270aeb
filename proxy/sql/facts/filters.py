"""How the predicates of a query narrow the subjects it reads."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from proxy.sql.facts.constants import (
    ROW_VALUE,
    Constant,
    columns_in,
    is_constant,
    read_constant,
    read_constants,
)
from proxy.sql.facts.outputs import value_of
from proxy.sql.facts.reading import Edge
from proxy.sql.facts.tree import Node, qualified, strings, unwrap, without_casts
from proxy.terms.facts import KeyFilter, Literal, Provenance, SubjectFilter

if TYPE_CHECKING:
    from collections.abc import Sequence

    from proxy.sql.facts.reading import Reading
    from proxy.sql.facts.scope import Scope
    from proxy.sql.facts.value import Value

RANK: Final = {
    SubjectFilter.NONE: 0,
    SubjectFilter.OPEN: 1,
    SubjectFilter.SELECTIVE: 2,
    SubjectFilter.KEY: 3,
}
# Casts under which an equal key is still one key.
_ONE_TO_ONE: Final = frozenset({"text", "varchar", "int8", "int4", "numeric", "uuid", "bpchar"})
# Functions under which an equality still selects few.
_FOLDS_CASE: Final = frozenset({"lower", "upper", "btrim", "ltrim", "rtrim", "unaccent", "initcap"})
_LOWER: Final = frozenset({">", ">="})
_UPPER: Final = frozenset({"<", "<="})


def strongest(left: SubjectFilter, right: SubjectFilter) -> SubjectFilter:
    """Return the one that narrows more: both hold."""
    return max(left, right, key=RANK.__getitem__)


def weakest(left: SubjectFilter, right: SubjectFilter) -> SubjectFilter:
    """Return the one that narrows less: either holds."""
    return min(left, right, key=RANK.__getitem__)


def conjuncts(node: Node | None) -> list[Node]:
    """Return the predicates that all have to hold."""
    if not node:
        return []
    junction = node.get("BoolExpr")
    if junction is None or junction.get("boolop") != "AND_EXPR":
        return [node]
    return [inner for argument in junction.get("args", ()) for inner in conjuncts(argument)]


def read_conditions(reading: Reading, nodes: Sequence[Node], scope: Scope) -> None:
    """Read predicates for what they call and read; their values do not leave."""
    level = reading.level
    counts, contributes, mixes = level.counts, set(level.contributes), reading.mixes
    level.counts = False
    for node in nodes:
        value_of(reading, node, scope)
    level.counts = counts
    level.contributes = contributes
    if not reading.unknown_functions and not reading.unknown_relations:
        reading.mixes = mixes


def read_filters(
    reading: Reading, nodes: Sequence[Node], scope: Scope, *, where: bool = False
) -> SubjectFilter:
    """Note keys and links that these predicates of WHERE or an inner join state.

    Returns: how strongly they narrow.
    """
    strength = SubjectFilter.NONE
    for node in nodes:
        strength = strongest(strength, _read_one(reading, node, scope, where=where))
    if strength in {SubjectFilter.NONE, SubjectFilter.OPEN} and _has_range(nodes):
        return SubjectFilter.SELECTIVE
    return strength


def _read_one(reading: Reading, node: Node, scope: Scope, *, where: bool) -> SubjectFilter:
    kind, body = unwrap(node)
    if kind == "BoolExpr" and body.get("boolop") == "OR_EXPR":
        branches = [_branch_strength(reading, part, scope) for part in body.get("args", ())]
        found = SubjectFilter.KEY
        for branch in branches:
            found = weakest(found, branch)
        return found
    if kind != "A_Expr" or not _is_builtin_operator(reading, body):
        return SubjectFilter.OPEN
    keys = _key_constants(reading, body, scope)
    if keys is not None:
        key, constants, is_array = keys
        _note_key(reading, key, constants, is_array=is_array, where=where)
        return SubjectFilter.KEY
    _note_link(reading, body, scope, outer=None)
    return _selectivity(reading, body)


def _branch_strength(reading: Reading, node: Node, scope: Scope) -> SubjectFilter:
    """Return how one side of OR narrows; its keys bound nothing."""
    found = SubjectFilter.NONE
    for part in conjuncts(node):
        kind, body = unwrap(part)
        if kind != "A_Expr" or not _is_builtin_operator(reading, body):
            found = strongest(found, SubjectFilter.OPEN)
        elif _key_constants(reading, body, scope) is not None:
            found = SubjectFilter.KEY
        else:
            found = strongest(found, _selectivity(reading, body))
    return found


def _is_builtin_operator(reading: Reading, body: Node) -> bool:
    schema, name = qualified(body.get("name", ()))
    if schema not in {"", "pg_catalog"}:
        return False
    return schema != "" or reading.catalog is None or not reading.catalog.has_user_operator(name)


def _operator(body: Node) -> str:
    return qualified(body.get("name", ()))[1]


def key_column(reading: Reading, node: Node, scope: Scope) -> Value | None:
    """Return the value if the expression is a stored subject key, cast one to one at most."""
    while (cast := node.get("TypeCast")) is not None:
        type_name = cast.get("typeName", {})
        named = strings(type_name.get("names", ()))
        if not named or named[-1] not in _ONE_TO_ONE or type_name.get("typmods"):
            return None
        if type_name.get("arrayBounds"):
            return None
        node = cast.get("arg", {})
    if "ColumnRef" not in node and ROW_VALUE not in node:
        return None
    value = value_of(reading, node, scope)
    if value.provenance is Provenance.DIRECT and value.key_space and value.place:
        return value
    return None


def _key_constants(
    reading: Reading, body: Node, scope: Scope
) -> tuple[Value, list[Constant], bool] | None:
    """Return (key, constants, whether they are one array) of ``key = ...``."""
    if _operator(body) != "=":
        return None
    left, right = body.get("lexpr", {}), body.get("rexpr", {})
    match body.get("kind"):
        case "AEXPR_OP":
            for side, other in ((left, right), (right, left)):
                constant = read_constant(other)
                if constant is not None and (key := key_column(reading, side, scope)):
                    return key, [constant], False
        case "AEXPR_IN":
            key = key_column(reading, left, scope)  # first: the list may be long
            constants = read_constants(right.get("List", {}).get("items", ())) if key else None
            if key and constants:
                return key, constants, False
        case "AEXPR_OP_ANY":
            array = without_casts(right).get("A_ArrayExpr")
            if array is not None:
                constants = read_constants(array.get("elements", ()))
                if constants and (key := key_column(reading, left, scope)):
                    return key, constants, False
            constant = read_constant(right)
            if constant is not None and (key := key_column(reading, left, scope)):
                return key, [constant], True
        case _:
            pass
    return None


def _note_key(
    reading: Reading, key: Value, constants: list[Constant], *, is_array: bool, where: bool
) -> None:
    level, place = reading.level, key.place
    if place is None or key.key_space is None:
        return
    level.splits_by_subject = True
    if not level.counts or place.occurrence not in level.members:
        return  # a query around this one is not narrowed by it
    reading.seeds.add(place.occurrence)
    if where:
        reading.filtered.add((level.number, place.occurrence))
    values = tuple(constant.value for constant in constants)
    places = tuple(constant.location for constant in constants)
    reading.key_filters.append((KeyFilter(key.key_space, values, is_array), places))


def _note_link(
    reading: Reading, body: Node, scope: Scope, outer: tuple[frozenset[int], frozenset[int]] | None
) -> None:
    if body.get("kind") != "AEXPR_OP" or _operator(body) != "=":
        return
    left = key_column(reading, body.get("lexpr", {}), scope)
    right = key_column(reading, body.get("rexpr", {}), scope)
    if left is not None and right is not None:
        link(reading, left, right, outer)


def link(
    reading: Reading,
    left: Value,
    right: Value,
    outer: tuple[frozenset[int], frozenset[int]] | None,
) -> None:
    """Note that two keys are equal.

    Args:
        reading: what is read.
        left: one key.
        right: the other.
        outer: (preserved, nullable) occurrences of an outer join whose ON says it; both sides
            of a full join are given as preserved and nullable at once.
    """
    if left.key_space != right.key_space or left.place is None or right.place is None:
        return
    one, two = left.place.occurrence, right.place.occurrence
    level = reading.level
    own = level.members
    if one == two or not level.counts or (one not in own and two not in own):
        return
    if one not in own or two not in own:
        # a query around: what holds it holds this one, not the other way
        around, inner = (one, two) if two in own else (two, one)
        reading.edges.append(Edge(around, inner, True, False, level.number))
        return
    if outer is None:
        reading.edges.append(Edge(one, two, True, True, level.number))
        return
    _link_outer(reading, one, two, *outer)


def _link_outer(
    reading: Reading, one: int, two: int, preserved: frozenset[int], nullable: frozenset[int]
) -> None:
    level = reading.level
    full = preserved == nullable
    if full:
        reading.edges.append(Edge(one, two, False, False, level.number))
        return
    if one in nullable and two in nullable:
        reading.edges.append(Edge(one, two, True, True, level.number))
        return
    if one in nullable or two in nullable:
        kept, lost = (one, two) if two in nullable else (two, one)
        reading.edges.append(Edge(kept, lost, True, False, level.number, nullable=lost))


def read_outer_join(
    reading: Reading,
    nodes: Sequence[Node],
    scope: Scope,
    preserved: frozenset[int],
    nullable: frozenset[int],
) -> None:
    """Note the links that the ON of an outer join states; it bounds no subject by itself."""
    for node in nodes:
        kind, body = unwrap(node)
        if kind == "A_Expr" and _is_builtin_operator(reading, body):
            _note_link(reading, body, scope, (preserved, nullable))


def _selectivity(reading: Reading, body: Node) -> SubjectFilter:
    left, right = body.get("lexpr", {}), body.get("rexpr", {})
    match body.get("kind"):
        case "AEXPR_OP" if _operator(body) == "=":
            for side, other in ((left, right), (right, left)):
                if _is_plain_column(side) and is_constant(other) and not _is_boolean(other):
                    return SubjectFilter.SELECTIVE
        case "AEXPR_IN" if _operator(body) == "=":
            items = right.get("List", {}).get("items", ())
            if _is_plain_column(left) and all(is_constant(item) for item in items):
                return SubjectFilter.SELECTIVE
        case "AEXPR_OP_ANY" if _operator(body) == "=":
            if _is_plain_column(left) and is_constant(right):
                return SubjectFilter.SELECTIVE
        case "AEXPR_BETWEEN" | "AEXPR_BETWEEN_SYM":
            if _is_plain_column(left) and is_constant(right):
                return SubjectFilter.SELECTIVE
        case "AEXPR_LIKE" | "AEXPR_ILIKE" if not _operator(body).startswith("!"):
            if _is_plain_column(left) and _has_prefix(reading, right):
                return SubjectFilter.SELECTIVE
        case _:
            pass
    return SubjectFilter.OPEN


def _is_plain_column(node: Node) -> bool:
    node = without_casts(node)
    call = node.get("FuncCall")
    if call is not None:
        _, name = qualified(call.get("funcname", ()))
        arguments = call.get("args", ())
        return name in _FOLDS_CASE and len(arguments) == 1 and _is_plain_column(arguments[0])
    return "ColumnRef" in node


def _is_boolean(node: Node) -> bool:
    return "boolval" in without_casts(node).get("A_Const", {})


def _has_prefix(reading: Reading, node: Node) -> bool:
    """Whether a LIKE pattern begins with a letter. A parameter is not known: it may not."""
    inner = without_casts(node)
    call = inner.get("FuncCall")
    if call is not None and qualified(call.get("funcname", ()))[1] in _FOLDS_CASE:
        arguments = call.get("args", ())
        return len(arguments) == 1 and _has_prefix(reading, arguments[0])
    constant = read_constant(inner)
    if constant is None or not isinstance(constant.value, Literal):
        return False
    reading.use_literal(constant.location, "prefix")
    return begins_with_letter(constant.value.value)


def begins_with_letter(pattern: str) -> bool:
    """Whether a LIKE pattern has something before its first wildcard."""
    return bool(pattern) and pattern[0] not in "%_"


def _has_range(nodes: Sequence[Node]) -> bool:
    """Whether some column is bounded on both sides by constants."""
    bounds: dict[str, set[str]] = {}
    for node in nodes:
        body = node.get("A_Expr")
        if body is None or body.get("kind") != "AEXPR_OP":
            continue
        left, right, operator = body.get("lexpr", {}), body.get("rexpr", {}), _operator(body)
        if is_constant(left) and _is_plain_column(right):
            left, right = right, left
            operator = operator.translate(str.maketrans("<>", "><"))
        if not (_is_plain_column(left) and is_constant(right)):
            continue
        side = "lower" if operator in _LOWER else "upper" if operator in _UPPER else ""
        for column in columns_in(left):
            name = ".".join(strings(column.get("fields", ())))
            bounds.setdefault(name, set()).add(side)
    return any({"lower", "upper"} <= sides for sides in bounds.values())
