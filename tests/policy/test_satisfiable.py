"""Rules that can never hold, or always do, are found before they load."""

from __future__ import annotations

from typing import Any

import pytest

from proxy.policy.conditions import Comparison, Condition, Every, Not, Some, comparisons_of
from proxy.policy.satisfiable import outcomes


def one(fact: str, operator: str, *operand: Any) -> Comparison:
    value = frozenset(operand) if operator.endswith("_in") else operand[0]
    return Comparison(fact, operator, value)


NEVER: list[Condition] = [
    Every((one("kind", "is", "select"), one("kind", "is", "do"))),
    Every((one("row_bound", "absent", True), one("row_bound", "at_least", 1))),
    Every((one("row_bound", "at_least", 10), one("row_bound", "at_most", 9))),
    Every((one("relations", "any_in", "a.b"), one("relations", "none_in", "a.b", "c.d"))),
    Every((one("relations", "all_in", "a", "b"), one("relations", "any_in", "c"))),
    Every((one("opaque", "is", True), Not(one("opaque", "is", True)))),
    Every((one("role", "is", "x"), one("role", "none_in", "x", "y"))),
]
ALWAYS: list[Condition] = [
    Some((one("row_bound", "absent", True), one("row_bound", "absent", False))),
    Some((one("kind", "is", "do"), Not(one("kind", "is", "do")))),
    one("reads_subjects", "known", True),
    Some((one("row_bound", "absent", True), one("row_bound", "at_least", 0))),
]
BOTH: list[Condition] = [
    Every((one("relations", "any_in", "a"), one("relations", "any_in", "b"))),
    Every((one("relations", "any_in", "a"), one("relations", "none_in", "b"))),
    Every(
        (
            one("relations", "any_in", "a"),
            one("relations", "any_in", "b"),
            one("relations", "any_in", "c"),
            one("relations", "none_in", "d"),
        )
    ),
    Every((one("row_bound", "at_least", 1), one("row_bound", "at_most", 1))),
    one("role", "any_in", "dba"),
    Comparison("role", "any_in", frozenset(), "roles_of_the_site"),
    Comparison("kind", "any_in", frozenset(), "kinds_of_the_site"),
    Comparison("relations", "none_in", frozenset(), "relations_of_the_site"),
    one("functions", "matches", "dblink*"),
    Every((one("output_classes", "any_in", "key"), one("output_classes", "none_in", "identity"))),
]


def name(condition: Condition) -> str:
    """Name a case by what it tests, in one order for every worker: sets have none."""
    tests = (f"{t.fact}-{t.operator}-{_shown(t.operand)}" for t in comparisons_of(condition))
    return f"{type(condition).__name__}:{'+'.join(tests)}"


def _shown(operand: object) -> str:
    return ",".join(sorted(operand)) if isinstance(operand, frozenset) else str(operand)


@pytest.mark.parametrize("condition", NEVER, ids=name)
def test_never(condition: Condition) -> None:
    """Parts that contradict each other can never hold together."""
    assert outcomes(condition) == {False}


@pytest.mark.parametrize("condition", ALWAYS, ids=name)
def test_always(condition: Condition) -> None:
    """Parts that leave nothing out always hold."""
    assert outcomes(condition) == {True}


@pytest.mark.parametrize("condition", BOTH, ids=name)
def test_both(condition: Condition) -> None:
    """An honest condition can hold and can fail; a list that the site fills later is honest."""
    assert outcomes(condition) == {True, False}
