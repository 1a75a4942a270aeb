"""Questions that spell out an identity bit by bit, and show next to nothing.

``select 1 from patient where id = 7 and substr(nir, 3, 1) > '4'`` has no column of a patient, and
sixty of them are a NIR; a number of rows or of seconds spells it out as well. What everyday work
asks is another question: whether a whole value is there, or which patients have names that begin
so, and then it shows them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from proxy.sql.facts.folding import AGGREGATES
from proxy.sql.facts.tree import qualified, walk, without_casts
from proxy.sql.facts.value import derive
from proxy.terms.column_class import ColumnClass
from proxy.terms.facts import Provenance, SubjectFilter

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from proxy.sql.facts.reading import Reading
    from proxy.sql.facts.scope import Result
    from proxy.sql.facts.tree import Node
    from proxy.sql.facts.value import Value
    from proxy.terms.facts import OutputColumn

_TELLING: Final = frozenset({ColumnClass.KEY, ColumnClass.IDENTITY})
_EQUAL: Final = frozenset({"=", "<>"})
_ORDER: Final = frozenset({"<", ">", "<=", ">=", "~", "~*", "!~", "!~*", "~~", "~~*", "^@"})
_KINDS: Final = frozenset(
    {"AEXPR_LIKE", "AEXPR_ILIKE", "AEXPR_SIMILAR", "AEXPR_BETWEEN", "AEXPR_NOT_BETWEEN"}
)
# Under these a value is still the whole value.
_WHOLE: Final = frozenset(
    {"lower", "upper", "btrim", "ltrim", "rtrim", "unaccent", "initcap", "coalesce", "trim"}
)


def note_test(
    reading: Reading, body: Node, sides: Sequence[Value], read: Callable[[Node], Value]
) -> None:
    """Note a comparison that asks for a part of an identity, or says whose values are read.

    Args:
        reading: what is read.
        body: of an A_Expr.
        sides: what its two sides carry.
        read: gives what a column reference carries.
    """
    operator = qualified(body.get("name", ()))[1]
    ordered = body.get("kind") in _KINDS or operator in _ORDER
    if not ordered and operator not in _EQUAL:
        return
    telling = [value.column_class in _TELLING for value in sides]
    if any(telling) and any(value.tells_nothing for value in sides):
        reading.names_subject = True
    against_constant = any(value.tells_nothing for value in sides)
    for side, value in zip((body.get("lexpr"), body.get("rexpr")), sides, strict=True):
        if value.column_class is not ColumnClass.IDENTITY:
            continue
        whole = value.provenance is Provenance.DIRECT or (side and _is_whole(side, read))
        if whole:
            reading.tests_order |= ordered
        else:
            reading.tests_parts = True
        if against_constant and _asks_aside(side or {}, ordered=ordered):
            reading.asks_aside = True


def _asks_aside(node: Node, *, ordered: bool) -> bool:
    """Whether it is a part of what a query within gives, who need not be the one that is shown."""
    query = without_casts(node).get("SubLink")
    if query is None or ordered:
        return any(kind == "SubLink" for kind, _ in walk(node))
    targets = query.get("subselect", {}).get("SelectStmt", {}).get("targetList", ())
    plain = ("ColumnRef" in one.get("ResTarget", {}).get("val", {}) for one in targets)
    return not targets or not all(plain)


def note_row_count(reading: Reading, value: Value) -> Value:
    """Note a value that says how many rows there are; return what each row then carries."""
    reading.spells_rows |= value.column_class is ColumnClass.IDENTITY
    return derive(value)


def _is_whole(node: Node, read: Callable[[Node], Value]) -> bool:
    node = without_casts(node)
    if "ColumnRef" in node:
        return read(node).provenance is Provenance.DIRECT
    call = node.get("FuncCall")
    if call is not None:
        arguments = call.get("args", ())
        named = qualified(call.get("funcname", ()))[1] in _WHOLE
        return named and bool(arguments) and _is_whole(arguments[0], read)
    inner = node.get("CoalesceExpr", {}).get("args", ())
    return bool(inner) and _is_whole(inner[0], read)


def probes_identity(reading: Reading, result: Result, output: Sequence[OutputColumn]) -> bool:
    """Whether the statement asks for a part of one identity, and shows no more than the answer.

    Over many patients a count of parts is a statistic.
    """
    if reading.spells_rows or reading.asks_aside:
        return True
    if not reading.tests_parts and not reading.tests_order:
        return False
    shows = any(
        column.provenance is not Provenance.NONE
        and (column.provenance is not Provenance.DERIVED or column.key_space is not None)
        for column in output
    )
    if shows:
        return False
    held = bool(reading.seeds) or bool(reading.key_filters)
    if not reading.tests_parts:
        return held
    narrow = held or result.strength in {SubjectFilter.KEY, SubjectFilter.SELECTIVE}
    return narrow or AGGREGATES.isdisjoint(name.rsplit(".", 1)[-1] for name in reading.functions)
