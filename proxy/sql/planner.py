"""The planner as a witness: what it would read for a statement, and how many rows it expects.

The text to ask with and the reader of its answer; whoever asks sends it by Parse, which takes one
statement only. Its estimates are the attacker's to choose: they accuse, and never clear. It does
not see into functions, so a plan without a relation says nothing.

Source: PostgreSQL documentation, "EXPLAIN"; ``explain.c``.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from proxy.sql.facts.functions import may_be_own
from proxy.sql.facts.plpgsql_tokens import Unreadable, tokens_of
from proxy.sql.facts.routine import without_places
from proxy.sql.grammar import GrammarError, parse
from proxy.terms.facts import Disagreement, Kind
from proxy.terms.relation import Relation
from proxy.terms.unknown import UNKNOWN

if TYPE_CHECKING:
    from proxy.sql.catalog import Catalog
    from proxy.terms.facts import StatementFacts

# What EXPLAIN takes and the relay sends; never ANALYZE, which would run it.
PLANNED: Final = frozenset(
    {
        Kind.SELECT,
        Kind.INSERT,
        Kind.UPDATE,
        Kind.DELETE,
        Kind.MERGE,
        Kind.DECLARE,
        Kind.EXECUTE,
        Kind.CREATE_TABLE_AS,
        Kind.COPY_OUT,  # by its query
    }
)
MAX_PLANNED_BYTES: Final = 16384  # a longer text makes a plan that is longer still
_EXPLAIN: Final = b"EXPLAIN (VERBOSE, FORMAT JSON) "
_CHANGES: Final = "ModifyTable"
_MOST_PERCENT: Final = 1000


@dataclass(frozen=True, slots=True)
class Plan:
    """What a plan reads. ``rows``: how many its result has, or its changes touch, as expected."""

    relations: frozenset[Relation]
    rows: int


def explain_text(statement: bytes) -> bytes:
    """Return the text that asks for the plan of one statement, without its closing semicolon."""
    return _EXPLAIN + statement


def planned_query(text: bytes) -> bytes | None:
    """Return the query of ``COPY (query) TO STDOUT``; None if it cannot be told for certain.

    What stands in the parentheses has to be read by the grammar as the very query of the COPY.
    """
    try:
        decoded = text.decode()
        (whole,) = parse(decoded)
        tokens = tokens_of(decoded)
        first = next(index for index, one in enumerate(tokens) if one.value == "(")
        depth = 0
        for one in tokens[first:]:
            depth += (one.value == "(") - (one.value == ")")
            if not depth:
                query = decoded[tokens[first].end : one.start]
                (inner,) = parse(query)
                break
        else:
            return None
    except (ValueError, GrammarError, Unreadable, StopIteration):
        return None
    meant = whole.get("stmt", {}).get("CopyStmt", {}).get("query")
    same = without_places(meant) == without_places(inner.get("stmt"))
    return query.encode() if meant and same else None


def may_be_planned(facts: StatementFacts) -> bool:
    """Whether planning runs nothing that is not known: planning evaluates immutable functions.

    That a function calls itself immutable keeps nothing within it from writing.
    """
    if facts.kind not in PLANNED or facts.opaque is not None or facts.unknown_functions:
        return False
    does_more = facts.writes or facts.side_doors or facts.changes_session or facts.changes_catalog
    return not (does_more and facts.kind is Kind.SELECT and _calls_own(facts))


def _calls_own(facts: StatementFacts) -> bool:
    return any(map(may_be_own, facts.functions))


def read_plan(answer: bytes | str) -> Plan:
    """Return what the plan reads. Errors: ``ValueError`` for what is no plan in JSON."""
    try:
        (entry,) = json.loads(answer)
        pending: list[Any] = [entry["Plan"]]
    except (KeyError, TypeError, RecursionError) as error:
        raise ValueError("no plan") from error
    relations: set[Relation] = set()
    root = pending[0]
    if root.get("Node Type") == _CHANGES:  # its own estimate is 0 without RETURNING
        root = next(iter(root.get("Plans", ())), root)
    while pending:
        node = pending.pop()
        name = node.get("Relation Name")
        if name is not None and node.get("Node Type") != _CHANGES:
            relations.add(Relation(str(node.get("Schema", "")), str(name)))
        pending.extend(node.get("Plans", ()))
    return Plan(frozenset(relations), int(root.get("Plan Rows", 0)))


def witnessed(
    facts: StatementFacts, plan: Plan, catalog: Catalog | None, *, generic: bool
) -> StatementFacts:
    """Return the facts with what the plan says.

    Args:
        facts: as the parsers found them.
        plan: of the same statement, in the same session.
        catalog: tells which relations have subjects' data; None: every relation may.
        generic: it was made without the values of its parameters; its estimate says nothing.
    """
    rows = None if generic else _bounded(plan.rows, facts.row_bound)
    missed = {
        relation
        for relation in plan.relations - facts.relations
        if not relation.schema.startswith("pg_") and _has_subjects(relation, catalog)
    }
    if _calls_own(facts):
        missed = set()  # of a function in the schema map, whose body the planner sees
    if rows is None and not missed:
        return facts
    share = _share(rows, plan, catalog)
    shape = None if facts.shape is None else (facts.shape, rows, share, frozenset(missed))
    if not missed:
        return replace(facts, estimated_rows=rows, estimated_share=share, shape=shape)
    names = ",".join(sorted(map(str, missed)))
    return replace(
        facts,
        estimated_rows=rows,
        estimated_share=share,
        relations=facts.relations | missed,
        subject_relations=facts.subject_relations | missed,
        disagreements=(*facts.disagreements, Disagreement("planner", names, "")),
        one_subject_per_row=False,
        bounded_by_keys=False,
        output=UNKNOWN,
        shape=shape,
    )


def _share(rows: int | None, plan: Plan, catalog: Catalog | None) -> int | None:
    """Return the rows in percent of those of the largest subject relation that is read."""
    if rows is None or catalog is None:
        return None
    sizes = []
    for relation in plan.relations:
        known = catalog.subjects.get(relation)
        entry = catalog.relations.get(catalog.oids.get(relation, 0))
        if known is not None and known.whole.subject and entry is not None:
            sizes.append(entry.rows)
    largest = max((size for size in sizes if size is not None), default=0)
    return min(100 * rows // largest, _MOST_PERCENT) if largest else None


def _bounded(rows: int, bound: object) -> int | None:
    if bound is None:
        return rows
    return min(rows, bound) if isinstance(bound, int) else None


def _has_subjects(relation: Relation, catalog: Catalog | None) -> bool:
    if catalog is None:
        return True
    found = catalog.subjects.get(relation)
    return found is not None and found.whole.subject
