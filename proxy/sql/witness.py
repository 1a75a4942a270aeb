"""sqlglot as second witness: what it sees that the grammar does not, and the other way.

Where it raises or gives a Command it has no opinion; everyday drivers send such statements. What
both name is compared as written, WITH names included on both sides, so scopes do not matter.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError

from proxy.sql.facts.functions import is_shipped_builtin
from proxy.terms.facts import Disagreement

if TYPE_CHECKING:
    from collections.abc import Sequence

    from proxy.sql.template import Template

MAX_BYTES: Final = 8000
_MAX_DEPTH: Final = 40
_NAME_BYTES: Final = 63
_FAULTS: Final = (RecursionError, ValueError, AttributeError, TypeError, LookupError)
# What the grammar has as syntax and sqlglot takes for calls.
_SYNTAX_NAMES: Final = """
xmlforest xmlconcat xmlelement xmlpi xmlroot xmlparse xmlserialize xmlexists json_object
json_array json_objectagg json_arrayagg json_scalar json_serialize json json_value json_query
json_exists json_table xmltable grouping row nullif coalesce greatest least treat collation
normalize overlay position substring trim cast extract merge_action
"""
_SYNTAX: Final = frozenset(_SYNTAX_NAMES.split())
_COMPARED: Final = (exp.Query, exp.Insert, exp.Update, exp.Delete, exp.Merge)

logging.getLogger("sqlglot").setLevel(logging.CRITICAL)


@dataclass(frozen=True, slots=True)
class Seen:
    """What one witness names in one statement: (schema, name) pairs and function names."""

    relations: frozenset[tuple[str, str]]
    functions: frozenset[str]


def look(text: str, template: Template | None) -> list[Seen | None] | None:
    """Return what sqlglot sees of each statement; None: it has no opinion.

    A statement in the list is None if sqlglot did not read it as a query.
    """
    if len(text) > MAX_BYTES or (template is not None and template.depth > _MAX_DEPTH):
        return None
    try:
        trees = sqlglot.parse(text, read="postgres")
        return [_seen(tree) for tree in trees if tree is not None]
    except (SqlglotError, *_FAULTS):
        return None


def compare(
    text: str, template: Template | None, grammar: Sequence[Seen | None]
) -> tuple[list[Disagreement], list[Seen | None]]:
    """Return where the two witnesses differ, and what sqlglot saw by statement.

    Args:
        text: the whole text.
        template: of it, if there is one.
        grammar: what the grammar saw of each statement; None for those not compared.
    """
    theirs = look(text, template)
    found = [] if theirs is None else _differ(theirs, grammar)
    plain = template is not None and template.parameters and not template.has_dollar_quotes
    if template is not None and plain and (theirs is None or found):
        # sqlglot takes the text between two parameters for a quoted string: not the text's fault
        theirs = look(_without_parameters(text, template), None)
        found = [] if theirs is None else _differ(theirs, grammar)
    return found, theirs or []


def _without_parameters(text: str, template: Template) -> str:
    parts, copied = [], 0
    for start, end in template.parameters:
        parts.append(text[copied:start])
        parts.append(f" :p{text[start + 1 : end]} ")
        copied = end
    parts.append(text[copied:])
    return "".join(parts)


def _differ(theirs: Sequence[Seen | None], ours: Sequence[Seen | None]) -> list[Disagreement]:
    if len(theirs) != len(ours):
        return [Disagreement("statement_count", str(len(theirs)), str(len(ours)))]
    found: list[Disagreement] = []
    for their, our in zip(theirs, ours, strict=True):
        if our is None:
            continue
        if their is None:
            continue
        if their.relations != our.relations:
            found.append(
                Disagreement(
                    "relations",
                    _listed(their.relations - our.relations),
                    _listed(our.relations - their.relations),
                )
            )
        # sqlglot renames what it knows; only calls it does not know can be compared
        strange = their.functions - our.functions - _SYNTAX
        missed = {
            name
            for name in our.functions
            if not is_shipped_builtin(name)
            and name not in their.functions
            and not name.startswith("operator ")
        }
        if strange or missed:
            found.append(
                Disagreement("functions", ",".join(sorted(strange)), ",".join(sorted(missed)))
            )
    return found


def _listed(relations: frozenset[tuple[str, str]]) -> str:
    return ",".join(sorted(f"{schema}.{name}" if schema else name for schema, name in relations))


def _seen(tree: exp.Expr) -> Seen | None:
    if not isinstance(tree, _COMPARED):
        return None
    relations: set[tuple[str, str]] = set()
    functions: set[str] = set()
    for node in tree.walk():
        if isinstance(node, exp.Table):
            name = node.this
            if isinstance(name, exp.Identifier) and node.name:
                relations.add((_fold(node.args.get("db")), _fold(name)))
        elif isinstance(node, exp.Anonymous):
            functions.add(str(node.name).lower())
    return Seen(frozenset(relations), frozenset(functions))


def _fold(identifier: object) -> str:
    """Return the name as PostgreSQL folds and cuts it."""
    if not isinstance(identifier, exp.Identifier):
        return ""
    name = str(identifier.this)
    folded = name if identifier.quoted else name.lower()
    encoded = folded.encode(errors="replace")
    if len(encoded) <= _NAME_BYTES:
        return folded
    return encoded[:_NAME_BYTES].decode(errors="ignore")
