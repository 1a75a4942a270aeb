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
    }
)
MAX_PLANNED_BYTES: Final = 16384  # a longer text makes a plan that is longer still
_EXPLAIN: Final = b"EXPLAIN (VERBOSE, FORMAT JSON) "
_CHANGES: Final = "ModifyTable"


@dataclass(frozen=True, slots=True)
class Plan:
    """What a plan reads. ``rows``: how many its result has, or its changes touch, as expected."""

    relations: frozenset[Relation]
    rows: int


def explain_text(statement: bytes) -> bytes:
    """Return the text that asks for the plan of one statement, without its closing semicolon."""
    return _EXPLAIN + statement


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
    shape = None if facts.shape is None else (facts.shape, rows, frozenset(missed))
    if not missed:
        return replace(facts, estimated_rows=rows, shape=shape)
    names = ",".join(sorted(map(str, missed)))
    return replace(
        facts,
        estimated_rows=rows,
        relations=facts.relations | missed,
        subject_relations=facts.subject_relations | missed,
        disagreements=(*facts.disagreements, Disagreement("planner", names, "")),
        one_subject_per_row=False,
        bounded_by_keys=False,
        output=UNKNOWN,
        shape=shape,
    )


def _bounded(rows: int, bound: object) -> int | None:
    if bound is None:
        return rows
    return min(rows, bound) if isinstance(bound, int) else None


def _has_subjects(relation: Relation, catalog: Catalog | None) -> bool:
    if catalog is None:
        return True
    found = catalog.subjects.get(relation)
    return found is not None and found.whole.subject
