"""Conditions answer true, false or unknown, and unknown is neither."""

from __future__ import annotations

from itertools import product
from typing import Any

import pytest

from proxy.policy.conditions import (
    Comparison,
    Every,
    Not,
    Some,
    Truth,
    answer,
    compile_condition,
    glob,
)
from proxy.policy.facts_view import BOUND, FACTS, FactValue
from proxy.terms.unknown import UNKNOWN

TRUTHS: tuple[Truth, ...] = (True, False, None)
A = Comparison("folds", "is", True)
B = Comparison("stages", "is", True)


def values_for(first: Truth, second: Truth) -> dict[str, FactValue]:
    return {
        "folds": UNKNOWN if first is None else first,
        "stages": UNKNOWN if second is None else second,
    }


@pytest.mark.parametrize(("first", "second"), list(product(TRUTHS, TRUTHS)))
def test_kleene(first: Truth, second: Truth) -> None:
    """All is the weaker of its parts and any the stronger; unknown lies between."""
    order: dict[Truth, int] = {False: 0, None: 1, True: 2}
    values = values_for(first, second)

    every = compile_condition(Every((A, B)))(values)
    some = compile_condition(Some((A, B)))(values)

    assert every is min(first, second, key=order.__getitem__)
    assert some is max(first, second, key=order.__getitem__)


@pytest.mark.parametrize(("value", "opposite"), [(True, False), (False, True), (None, None)])
def test_not(value: Truth, opposite: Truth) -> None:
    """The opposite of unknown is unknown."""
    assert compile_condition(Not(A))(values_for(value, True)) is opposite


def test_tautologies_stay_unknown() -> None:
    """A fact that is unknown is not made known by asking it twice."""
    values = values_for(None, None)

    assert compile_condition(Some((A, Not(A))))(values) is None
    assert compile_condition(Every((A, Not(A))))(values) is None


@pytest.mark.parametrize(
    ("fact", "operator", "operand", "value", "expected"),
    [
        ("kind", "is", "select", "select", True),
        ("kind", "is", "select", "do", False),
        ("kind", "is", "select", UNKNOWN, None),
        ("kind", "any_in", frozenset({"select", "do"}), "do", True),
        ("kind", "none_in", frozenset({"select", "do"}), "do", False),
        ("kind", "none_in", frozenset({"select"}), UNKNOWN, None),
        ("relations", "any_in", frozenset({"a", "b"}), frozenset({"b", "c"}), True),
        ("relations", "any_in", frozenset({"a"}), frozenset(), False),
        ("relations", "any_in", frozenset(), frozenset({"a"}), False),
        ("relations", "any_in", frozenset({"a"}), UNKNOWN, None),
        ("relations", "all_in", frozenset({"a", "b"}), frozenset({"a"}), True),
        ("relations", "all_in", frozenset({"a"}), frozenset({"a", "b"}), False),
        ("relations", "all_in", frozenset({"a"}), frozenset(), False),
        ("relations", "none_in", frozenset({"a"}), frozenset({"b"}), True),
        ("relations", "none_in", frozenset({"a"}), frozenset({"a", "b"}), False),
        ("row_bound", "at_least", 5, 5, True),
        ("row_bound", "at_least", 5, 4, False),
        ("row_bound", "at_least", 5, None, False),
        ("row_bound", "at_least", 5, UNKNOWN, None),
        ("row_bound", "at_least", 5, BOUND, None),
        ("row_bound", "at_most", 5, 5, True),
        ("row_bound", "at_most", 5, 6, False),
        ("row_bound", "at_most", 5, None, False),
        ("row_bound", "absent", True, None, True),
        ("row_bound", "absent", True, 0, False),
        ("row_bound", "absent", True, UNKNOWN, None),
        ("row_bound", "absent", True, BOUND, False),
        ("row_bound", "absent", False, BOUND, True),
        ("row_bound", "known", True, BOUND, False),
        ("row_bound", "known", True, None, True),
        ("row_bound", "known", False, UNKNOWN, True),
        ("relations", "absent", True, frozenset(), True),
        ("relations", "absent", False, frozenset({"a"}), True),
        ("application_name", "absent", True, "", True),
        ("functions", "matches", "dblink*", frozenset({"now", "dblink_exec"}), True),
        ("functions", "matches", "dblink*", frozenset({"my_dblink"}), False),
        ("role", "matches", "app_?", "app_1", True),
        ("role", "matches", "app_?", "app_12", False),
        ("opaque_reason", "matches", "DO*", None, False),
        ("role", "matches", "a*", UNKNOWN, None),
    ],
)
def test_operators(
    fact: str, operator: str, operand: Any, value: FactValue, expected: Truth
) -> None:
    """Each operator has one answer for a value, for none, and for one nobody knows."""
    assert fact in FACTS
    assert answer(Comparison(fact, operator, operand), value) is expected


def test_patterns_have_two_signs_and_no_more() -> None:
    """Whatever else a pattern holds stands for itself."""
    assert glob("a.b[c]*").fullmatch("a.b[c]d")
    assert not glob("a.b").fullmatch("axb")
