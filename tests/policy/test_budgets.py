"""Budgets as a site writes them: windows, groupings, classes, relations, and what is wrong."""

from __future__ import annotations

import pytest

from proxy.errors import ConfigurationError
from proxy.terms.budget import PER_ROLE, Budget, Grouping, Measure
from proxy.terms.column_class import ColumnClass
from proxy.terms.relation import Relation
from tests.policy.texts import load_with

HEAD = "budgets:\n  - {id: EX211, title: t, severity: low, why: w, roles: [app], "


def load(text: str, more: str = "") -> list[Budget]:
    policy = load_with(f"{HEAD}{text}}}\n{more}")
    return [one for one in policy.budgets if one.id == "EX211"]


def test_one_budget_in_several_windows() -> None:
    """Each window is a budget of its own under the same id, the shortest first."""
    found = load("measure: distinct_subjects, limits: {30 d: 5000, 1 min: 20, 2h: 300, 90s: 30}")

    assert [(one.window_seconds, one.limit) for one in found] == [
        (60, 20),
        (90, 30),
        (7200, 300),
        (2592000, 5000),
    ]
    everything: frozenset[object] = frozenset()
    kind = (Measure.SUBJECTS, PER_ROLE, everything, everything, None)
    assert {one.kind for one in found} == {kind}


@pytest.mark.parametrize(
    ("per", "expected"),
    [
        ("everyone", ()),
        ("[role]", PER_ROLE),
        ("[address, role]", (Grouping.ROLE, Grouping.ADDRESS)),
        ("[certificate, role]", (Grouping.ROLE, Grouping.CERTIFICATE)),
        ("[role, relation]", (Grouping.ROLE, Grouping.RELATION)),
    ],
)
def test_groupings(per: str, expected: tuple[Grouping, ...]) -> None:
    """For whom a budget is one."""
    (found,) = load(f"measure: rows, per: {per}, limits: {{1 h: 5}}")

    assert found.per == expected


def test_a_statement_has_a_limit_and_no_window() -> None:
    """It begins anew with each."""
    (found,) = load("measure: bytes, per: statement, limit: 5")

    assert (found.is_per_statement, found.limit, found.window_seconds) == (True, 5, 0)


def test_classes_and_relations_narrow_what_is_counted() -> None:
    """Relations by name or by a list; the measure of statements has no classes."""
    more = "lists: {sources: [lab.patient]}"
    for said in ("[lab.patient]", "$sources", "$subject_relations"):
        (found,) = load(
            f"measure: rows, classes: [identity], relations: {said}, limits: {{1 h: 5}}",
            more,
        )
        assert found.classes == {ColumnClass.IDENTITY}
        assert found.relations == {Relation("lab", "patient")}


def test_a_budget_may_slow() -> None:
    """From so many percent of the limit on, by up to so many seconds."""
    (found,) = load("measure: rows, limits: {1 h: 5}, slow: {from_percent: 80, by_seconds: 3}")

    assert (found.slows_from_percent, found.slows_by_seconds) == (80, 3.0)


@pytest.mark.parametrize("measure", ["statements", "questions"])
def test_statements_are_measured(measure: str) -> None:
    """All that read about subjects, and those whose answer names nobody."""
    (found,) = load(f"measure: {measure}, limits: {{1 h: 5}}")

    assert found.measure == measure


def test_the_site_changes_all_windows_at_once() -> None:
    """What it writes replaces what was shipped."""
    found = load(
        "measure: rows, limits: {1 h: 5, 1 d: 9}", "overrides: {EX211: {limits: {2 h: 7}, why: w}}"
    )

    assert [(one.window_seconds, one.limit) for one in found] == [(7200, 7)]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("measure: rows", "3:10: neither limits nor limit, expected one of them"),
        (
            "measure: rows, limit: 5",
            "3:10: a limit without window_seconds, expected both, or limits",
        ),
        (
            "measure: rows, limit: 5, limits: {1 h: 5}",
            "3:97: limits beside limit or window_seconds, expected one of them",
        ),
        ("measure: rows, limits: {1 h: 5, 60 min: 6}", "3:87: two limits for the same window"),
        ("measure: rows, limits: {32 d: 5}", "3:87: window '32 d' is longer than 31 d"),
        (
            "measure: rows, limits: {1 hour: 5}",
            "3:88: name '1 hour', expected the form ^[1-9][0-9]{0,6} ?(s|min|h|d)$",
        ),
        (
            "measure: rows, per: statement, limits: {1 h: 5}",
            "3:103: limits by window of a statement, expected limit",
        ),
        (
            "measure: rows, per: statement, limit: 5, window_seconds: 60",
            "3:121: a window of a statement, expected limit alone",
        ),
        (
            "measure: rows, per: [], limits: {1 h: 5}",
            "3:84: 'per' is an empty list, expected everyone, statement or a list",
        ),
        ("measure: rows, per: [role, role], limits: {1 h: 5}", "3:84: the same twice in a list"),
        (
            "measure: questions, classes: [health], limits: {1 h: 5}",
            "3:93: classes do not go with questions, which have no columns",
        ),
        (
            "measure: rows, relations: [lab.patien], limits: {1 h: 5}",
            "3:90: unknown subject relation 'lab.patien', did you mean 'lab.patient'?",
        ),
    ],
)
def test_wrong_budgets(text: str, problem: str) -> None:
    """With the place, and what was expected."""
    with pytest.raises(ConfigurationError) as caught:
        load(text)

    assert caught.value.problems == [f"site/x.yaml:{problem}"]


def test_a_limit_for_one_of_several_windows_says_nothing() -> None:
    """Which of them would it be?"""
    with pytest.raises(ConfigurationError, match=r"is changed by limit .*, expected limits"):
        load("measure: rows, limits: {1 h: 5}", "overrides: {EX211: {limit: 7, why: w}}")


def test_somebody_must_be_left_for_all_others() -> None:
    """A budget that counts only some of what is received bounds nothing."""
    narrowed = "overrides: {}\nbudgets: []"
    assert load_with(narrowed).budgets
