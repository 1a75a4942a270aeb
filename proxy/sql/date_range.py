"""Does a SELECT provably read only rows of a relation whose date lies within a range?

Asked for work orders only, of the text itself: facts hold for all constants of a template.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from proxy.sql.facts.filters import conjuncts
from proxy.sql.facts.tree import constant_text, qualified, strings, unwrap, walk, without_casts
from proxy.sql.grammar import GrammarError, parse

if TYPE_CHECKING:
    from proxy.sql.facts.tree import Node
    from proxy.terms.relation import Column

_LONGEST: Final = 16384
_LOWER: Final = frozenset({">", ">="})
_UPPER: Final = frozenset({"<", "<="})
_DATES: Final = frozenset({"date", "timestamp", "timestamptz"})


def is_within(text: str, column: Column, begin: datetime, end: datetime) -> bool:
    """Whether a SELECT, or what COPY copies, is held within the range by its WHERE.

    So it is if the relation is named once in the whole statement, in the outermost FROM, and two
    conditions that must both hold compare the column with constants inside of it. Whatever is
    not as plain as that is not within.
    """
    if len(text) > _LONGEST:
        return False
    try:
        statements = parse(text)
    except GrammarError:
        return False
    if len(statements) != 1:
        return False
    select = _select_of(statements[0].get("stmt", {}))
    if select is None or select.get("op", "SETOP_NONE") != "SETOP_NONE" or "withClause" in select:
        return False
    named = [
        body
        for kind, body in walk(statements[0])
        if kind == "RangeVar" and body.get("relname") == column.relation.name
    ]
    if len(named) != 1 or not _is_outermost(select, named[0]):
        return False
    alone = sum(kind == "RangeVar" for kind, _ in walk(select.get("fromClause", []))) == 1
    name = named[0].get("alias", {}).get("aliasname") or column.relation.name
    low = high = False
    for condition in conjuncts(select.get("whereClause")):
        for operator, moment in _bounds(condition, name, column.name, alone=alone):
            low |= operator in _LOWER and moment >= begin
            high |= (operator == "<" and moment <= end) or (operator == "<=" and moment < end)
    return low and high


def _select_of(statement: Node) -> Node | None:
    kind, body = unwrap(statement)
    if kind == "CopyStmt":
        kind, body = unwrap(body.get("query", {}))
    return body if kind == "SelectStmt" else None


def _is_outermost(select: Node, relation: Node) -> bool:
    """Whether a relation stands in FROM itself or in joins of it, not in a subquery."""
    waiting = list(select.get("fromClause", []))
    while waiting:
        kind, body = unwrap(waiting.pop())
        if kind == "RangeVar" and body is relation:
            return True
        if kind == "JoinExpr":
            waiting += [body.get("larg", {}), body.get("rarg", {})]
    return False


def _bounds(
    condition: Node, relation: str, column: str, *, alone: bool
) -> list[tuple[str, datetime]]:
    kind, body = unwrap(condition)
    if kind != "A_Expr" or not _is_column(body.get("lexpr", {}), relation, column, alone=alone):
        return []
    schema, operator = qualified(body.get("name", ()))
    right = body.get("rexpr", {})
    if body.get("kind") == "AEXPR_BETWEEN":
        ends = [_moment(one) for one in right.get("List", {}).get("items", ())]
        return [
            (operator, moment)
            for operator, moment in zip((">=", "<="), ends, strict=False)
            if moment is not None
        ]
    moment = _moment(right)
    is_plain = body.get("kind", "AEXPR_OP") == "AEXPR_OP" and schema in {"", "pg_catalog"}
    return [(operator, moment)] if is_plain and moment is not None else []


def _is_column(node: Node, relation: str, column: str, *, alone: bool) -> bool:
    reference = node.get("ColumnRef")
    if reference is None:
        return False
    parts = strings(reference.get("fields", ()))
    return parts == (relation, column) or (alone and parts == (column,))


def _moment(node: Node) -> datetime | None:
    cast = node.get("TypeCast")
    if cast is not None:
        names = strings(cast.get("typeName", {}).get("names", ()))
        if not names or names[-1] not in _DATES:
            return None
    constant = without_casts(node).get("A_Const")
    text = None if constant is None else constant_text(constant)
    try:
        found = datetime.fromisoformat(text or "")
    except ValueError:
        return None
    return found if found.tzinfo is not None else found.replace(tzinfo=UTC)
