"""What is read from a plan, and what may be planned."""

from __future__ import annotations

import json
from typing import Any

import pytest

from proxy.sql import build_catalog
from proxy.sql.planner import (
    Plan,
    explain_text,
    may_be_planned,
    planned_query,
    read_plan,
    witnessed,
)
from proxy.terms.facts import Kind, StatementFacts
from proxy.terms.relation import Relation
from tests.data.lab_catalog import LAB_MAP, LAB_RESULTS

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
        (StatementFacts(Kind.COPY_IN), False),
    ],
)
def test_nothing_unknown_is_planned(facts: StatementFacts, may: bool) -> None:
    """Planning evaluates immutable functions: those that nobody knows must not be reached."""
    assert may_be_planned(facts) is may


def test_the_text_that_asks() -> None:
    """It is never ANALYZE, and the statement stands unchanged behind it."""
    assert explain_text(b"select 1 -- x") == b"EXPLAIN (VERBOSE, FORMAT JSON) select 1 -- x"


@pytest.mark.parametrize(
    ("text", "query"),
    [
        ("copy (select ')' from t where (a)) to stdout", "select ')' from t where (a)"),
        ("/* ( */ COPY ( table t ) TO STDOUT WITH (FORMAT csv)", " table t "),
        ("copy t (a, b) to stdout", None),
        ("copy (select 1) to stdout; select 2", None),
        ("copy (select 'a", None),
        ("copy (delete from t returning a) to stdout", "delete from t returning a"),
    ],
)
def test_the_query_of_copy(text: str, query: str | None) -> None:
    """What the grammar reads within the parentheses, or nothing."""
    assert planned_query(text.encode()) == (None if query is None else query.encode())


@pytest.mark.parametrize(
    ("relation", "size", "rows", "share"),
    [
        ("patient", "2000", 500, 25),
        ("patient", "-1", 500, None),
        ("patient", "10", 500, 1000),
        ("analyse", "2000", 500, None),
    ],
)
def test_a_share_of_the_subjects(relation: str, size: str, rows: int, share: int | None) -> None:
    """Of what the relation had when it was analysed; of nobody's relation there is none."""
    results = [[[*row] for row in part] for part in LAB_RESULTS]
    results[1] = [[*row, size] for row in results[1]]
    found = witnessed(
        StatementFacts(Kind.SELECT, relations=frozenset({Relation("lab", relation)})),
        Plan(frozenset({Relation("lab", relation)}), rows),
        build_catalog(results, LAB_MAP),
        generic=False,
    )

    assert (found.estimated_rows, found.estimated_share) == (rows, share)


def test_sizes_make_no_other_catalog() -> None:
    """Else each ANALYZE would make all that is known of statements worthless."""

    def sized(size: str) -> list[list[list[str | None]]]:
        return [
            [[*row, size] if index == 1 else [*row] for row in part]
            for index, part in enumerate(LAB_RESULTS)
        ]

    first = build_catalog(sized("1000"), LAB_MAP)
    near, far = (build_catalog(sized(size), LAB_MAP, first) for size in ("1100", "3000"))

    assert near is first
    assert far.version == first.version
    assert far.relations[far.oids[Relation("lab", "patient")]].rows == 3000
