"""The planner as a witness: what it would read for a statement, and how many rows it expects.

The text to ask with and the reader of its answer; whoever asks sends it by Parse, which takes one
statement only. Its estimates are the attacker's to choose: they accuse, and never clear. It does
not see into functions, so a plan without a relation says nothing.

Source: PostgreSQL documentation, "EXPLAIN"; ``explain.c``.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from proxy.terms.facts import Kind
from proxy.terms.relation import Relation

if TYPE_CHECKING:
    from proxy.terms.facts import StatementFacts

# What EXPLAIN takes and the relay sends; never ANALYZE, which would run it.
PLANNED: Final = frozenset({Kind.SELECT, Kind.INSERT, Kind.UPDATE, Kind.DELETE, Kind.MERGE})
_EXPLAIN: Final = b"EXPLAIN (VERBOSE, FORMAT JSON) "
_CHANGES: Final = "ModifyTable"


@dataclass(frozen=True, slots=True)
class Plan:
    """What a plan reads. ``rows``: the most that any node with rows of a relation expects."""

    relations: frozenset[Relation]
    rows: int


def explain_text(statement: bytes) -> bytes:
    """Return the text that asks for the plan of one statement, without its closing semicolon."""
    return _EXPLAIN + statement


def may_be_planned(facts: StatementFacts) -> bool:
    """Whether planning runs nothing that is not known: planning evaluates immutable functions."""
    return facts.kind in PLANNED and facts.opaque is None and not facts.unknown_functions


def read_plan(answer: bytes | str) -> Plan:
    """Return what the plan reads. Errors: ``ValueError`` for what is no plan in JSON."""
    try:
        (entry,) = json.loads(answer)
        pending: list[Any] = [entry["Plan"]]
    except (KeyError, TypeError, RecursionError) as error:
        raise ValueError("no plan") from error
    relations: set[Relation] = set()
    rows = 0
    while pending:
        node = pending.pop()
        name = node.get("Relation Name")
        if name is not None and node.get("Node Type") != _CHANGES:
            relations.add(Relation(str(node.get("Schema", "")), str(name)))
        rows = max(rows, int(node.get("Plan Rows", 0)))
        pending.extend(node.get("Plans", ()))
    return Plan(frozenset(relations), rows)
