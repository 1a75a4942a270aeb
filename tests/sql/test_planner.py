"""What is read from a plan, and what may be planned."""

from __future__ import annotations

import json
from typing import Any

import pytest

from proxy.sql.planner import explain_text, may_be_planned, read_plan
from proxy.terms.facts import Kind, StatementFacts
from proxy.terms.relation import Relation

PATIENT = {"Node Type": "Seq Scan", "Schema": "lab", "Relation Name": "patient", "Plan Rows": 7}


@pytest.mark.parametrize(
    ("root", "relations", "rows"),
    [
        ({"Plans": [PATIENT], "Plan Rows": 3}, {Relation("lab", "patient")}, 3),
        ({"Plans": [{"Plans": [PATIENT]}], "Plan Rows": 1}, {Relation("lab", "patient")}, 1),
        ({"Plan Rows": 3}, set(), 3),
        (
            {
                **PATIENT,
                "Node Type": "ModifyTable",
                "Plan Rows": 0,
                "Plans": [
                    {"Node Type": "Seq Scan", "Relation Name": "x", "Schema": "s", "Plan Rows": 9}
                ],
            },
            {Relation("s", "x")},
            9,
        ),
    ],
)
def test_relations_and_rows_of_a_plan(
    root: dict[str, Any], relations: set[Relation], rows: int
) -> None:
    """Every node that reads a relation counts, how deep soever; what is written does not."""
    found = read_plan(json.dumps([{"Plan": root}]))

    assert (set(found.relations), found.rows) == (relations, rows)


@pytest.mark.parametrize("answer", ["", "[1]", "{}", '[{"Plan": ', "null", '[{"x": 1}]'])
def test_what_is_no_plan_is_an_error(answer: str) -> None:
    """It is never taken for a plan that reads nothing."""
    with pytest.raises(ValueError):  # noqa: PT011 - json's own error is one
        read_plan(answer)


@pytest.mark.parametrize(
    ("facts", "may"),
    [
        (StatementFacts(Kind.SELECT), True),
        (StatementFacts(Kind.SELECT, unknown_functions=frozenset({"f"})), False),
        (StatementFacts(Kind.SELECT, opaque="too deep"), False),
        (StatementFacts(Kind.DO), False),
        (StatementFacts(Kind.COPY_OUT), False),
    ],
)
def test_nothing_unknown_is_planned(facts: StatementFacts, may: bool) -> None:
    """Planning evaluates immutable functions: those that nobody knows must not be reached."""
    assert may_be_planned(facts) is may


def test_the_text_that_asks() -> None:
    """It is never ANALYZE, and the statement stands unchanged behind it."""
    assert explain_text(b"select 1 -- x") == b"EXPLAIN (VERBOSE, FORMAT JSON) select 1 -- x"
