"""Rule files become a policy, or every problem in them with its place."""

from __future__ import annotations

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.errors import ConfigurationError
from proxy.policy import load_policy
from proxy.terms.budget import Measure
from proxy.terms.finding import Action, Mode
from tests.policy.texts import BUDGET, MAP, RULE, TODAY, WHOLE, load_when, load_with

RULE_150 = "rules:" + RULE.replace("EX101", "EX150")
BUDGET_202 = BUDGET.strip().replace("EX201", "EX202")
EXCEPTION = (
    "exceptions: [{rule: EX101, unless: {role: {is: x}}, owner: o, expires: 2027-01-01, why: w}]"
)

BAD_CONDITIONS = [
    ("{}", "9:11: empty condition, expected all, any, not or a fact"),
    ("null", "9:11: empty condition, expected all, any, not or a fact"),
    ("yes", "9:11: condition is 'yes', expected all, any, not or a fact"),
    ("{all: []}", "9:17: 'all' is an empty list, expected conditions"),
    ("{any: {}}", "9:17: 'any' is a mapping, expected a list of conditions"),
    ("{row_bouns: {absent: true}}", "9:12: unknown fact 'row_bouns', did you mean 'row_bound'?"),
    ("{kind: {is: selectt}}", "9:23: 'selectt' is no value of 'kind', did you mean 'select'?"),
    (
        "{output_classes: {any_in: [identity, helth]}}",
        "9:48: 'helth' is no value of 'output_classes', did you mean 'health'?",
    ),
    (
        "{kind: {any_of: [select]}}",
        "9:19: unknown operator 'any_of' for the text 'kind', did you mean 'any_in'?",
    ),
    (
        "{opaque: {at_least: 1}}",
        "9:21: unknown operator 'at_least' for the boolean 'opaque', expected one of is, known",
    ),
    ("{opaque: {is: yes}}", "9:25: 'is' is 'yes', expected true or false"),
    ("{row_bound: {at_least: 1_000}}", "9:34: 'at_least' is '1_000', expected an integer"),
    ("{kind: select}", "9:18: 'kind' is 'select', expected one operator"),
    (
        "{kind: {is: select}, opaque: {is: true}}",
        "9:11: 2 conditions side by side, expected all: or any:",
    ),
    (
        "{row_bound: {at_least: 1, at_most: 5}}",
        "9:23: 'row_bound' is 2 operators, expected one operator",
    ),
    (
        "{relations: {any_in: $subject_relation}}",
        "9:32: unknown list '$subject_relation', did you mean '$subject_relations'?",
    ),
    (
        "{relations: {any_in: []}}",
        "9:32: 'any_in' is an empty list, expected a list or $list",
    ),
    (
        "{relations: {any_in: [$subject_relations]}}",
        "9:33: list '$subject_relations' within a list, expected any_in: $subject_relations",
    ),
    (
        "{subject_filter: {any_in: $subject_relations}}",
        (
            "9:37: list '$subject_relations' has 'lab.patient', no value of 'subject_filter',"
            " expected one of key, none, open, selective"
        ),
    ),
    ("{relations: {any_in: [1]}}", "9:33: entry is 1, expected text"),
    (
        "{role: {matches: '*'}}",
        "9:28: pattern '*' matches every name, expected a narrower one",
    ),
    (
        "{all: [{row_bound: {absent: true}}, {row_bound: {at_least: 5}}]}",
        "9:11: can never hold, expected conditions that go together",
    ),
    (
        "{any: [{opaque: {is: true}}, {opaque: {is: false}}]}",
        "9:11: holds for every statement, expected a narrower condition",
    ),
]
BAD_FILES = [
    ("lists: {a: [x], a: [y]}", "2:17: key 'a' is written twice, first in line 2"),
    ("lists: {a: x}", "2:12: 'a' is 'x', expected a list"),
    ("lists: {A: [x]}", "2:9: name 'A', expected the form ^[a-z][a-z0-9_]*$"),
    (
        "lists: {subject_relations: [x]}",
        "2:9: list 'subject_relations' is filled by the schema map",
    ),
    ("rule: []", "2:1: unknown key 'rule', did you mean 'rules'?"),
    ("rules:" + RULE, "3:9: id 'EX101' is used twice, first at base/a.yaml:3:5"),
    (
        RULE_150.replace("{relations}", "{relationz}"),
        "8:14: unknown fact 'relationz' in explain, did you mean 'relations'?",
    ),
    (
        RULE_150.replace("{relations}", "{relations"),
        "8:14: brace without its other half in explain",
    ),
    (
        RULE_150.replace("    action: block\n", ""),
        "3:5: neither weight nor action nor mask, expected one of them",
    ),
    (RULE_150.replace(": block", ": blockk"), "7:13: 'action' is 'blockk', did you mean 'block'?"),
    (
        RULE_150.replace("action: block", "weight: 101"),
        "7:13: 'weight' is 101, expected at most 100",
    ),
    (RULE_150.replace("why: because", "why: ''"), "9:10: 'why' is '', expected something"),
    (EXCEPTION.replace("owner: o, ", ""), "2:14: 'owner' is missing"),
    (
        EXCEPTION.replace("2027-01-01", "2026-11-23"),
        "2:72: exception expired on 2026-11-23, expected a day to come",
    ),
    (
        EXCEPTION.replace("2027-01-01", "2027-02-30"),
        "2:72: '2027-02-30' is no day, expected YYYY-MM-DD",
    ),
    (
        EXCEPTION.replace("EX101", "EX102"),
        "2:21: exception of unknown rule 'EX102', did you mean 'EX101'?",
    ),
    (
        EXCEPTION.replace("is: x", "known: true"),
        "2:36: exempts everybody, expected a narrower condition",
    ),
    (
        EXCEPTION.replace("{role: {is: x}}", "{}"),
        "2:36: empty condition, expected all, any, not or a fact",
    ),
    (
        "overrides: {EX102: {mode: observe, why: w}}",
        "2:13: override of unknown id 'EX102', did you mean 'EX101'?",
    ),
    ("overrides: {EX101: {mode: observe}}", "2:20: 'why' is missing"),
    (
        "overrides: {EX101: {why: w}}",
        "2:20: changes nothing, expected action, weight, mode or limit",
    ),
    ("overrides: {EX101: {limit: 5, why: w}}", "2:21: 'limit' does not go with a rule"),
    ("overrides: {EX201: {weight: 5, why: w}}", "2:21: 'weight' does not go with a budget"),
    (
        "overrides: {EX101: {mode: off, why: w}}",
        "2:27: 'mode' is 'off', expected one of enforce, observe",
    ),
    (BUDGET_202.replace(": 100", ": -1"), "8:12: 'limit' is -1, expected at least 0"),
    (
        BUDGET_202.replace("    limit: 100\n", ""),
        "3:9: neither limits nor limit, expected one of them",
    ),
    (
        BUDGET_202 + "    roles: []\n".replace("    ", "\n    ", 1),
        "10:12: 'roles' is an empty list, expected roles, or no key",
    ),
    (
        BUDGET_202 + "\n    roles: lims_app\n",
        "10:12: 'roles' is 'lims_app', expected a list",
    ),
    (
        "lists: {nobody: []}\n" + BUDGET_202 + "\n    roles: $nobody\n",
        "11:12: list '$nobody' is empty, expected roles",
    ),
    (
        BUDGET_202.replace("3600", "1:00:00"),
        "7:21: 'window_seconds' is '1:00:00', expected an integer",
    ),
    (
        BUDGET_202.replace("distinct_subjects", "subjects"),
        "6:14: 'measure' is 'subjects', did you mean 'distinct_subjects'?",
    ),
    ("thresholds: {flag: 60, block: 20}", "2:13: flag 60 above block 20"),
    (MAP.strip(), "2:1: second schema map, first at site/s.yaml:3:3"),
]


@pytest.mark.parametrize(("when", "problem"), BAD_CONDITIONS, ids=[w for w, _ in BAD_CONDITIONS])
def test_wrong_condition(when: str, problem: str) -> None:
    """A condition that says nothing, or nothing that is known, does not load."""
    with pytest.raises(ConfigurationError) as caught:
        load_when(when)

    assert caught.value.problems == [f"site/x.yaml:{problem}"]


@pytest.mark.parametrize(("text", "problem"), BAD_FILES, ids=[p for _, p in BAD_FILES])
def test_wrong_file(text: str, problem: str) -> None:
    """What is wrong is said with its place, and what was expected."""
    with pytest.raises(ConfigurationError) as caught:
        load_with(text)

    assert caught.value.problems == [f"site/x.yaml:{problem}"]


def test_all_problems_are_told_at_once() -> None:
    """One run names what is wrong in every file."""
    with pytest.raises(ConfigurationError) as caught:
        load_policy(
            {
                **WHOLE,
                "site/x.yaml": "format: 1\nlists: {a: [x]}\nrule: []\n",
                "site/y.yaml": "format: 1\noverrides: {EX999: {mode: observe, why: w}}\n",
                "site/z.yaml": "format: 1\n"
                + RULE_150.replace("subject_filter: {is: none}", "role: {any_in: $a}"),
            },
            today=TODAY,
        )

    assert caught.value.problems == [
        "site/x.yaml:3:1: unknown key 'rule', did you mean 'rules'?",
        "site/y.yaml:2:13: override of unknown id 'EX999', expected one of EX101, EX150, EX201",
    ]


@pytest.mark.parametrize(
    ("files", "problems"),
    [
        ({"a.yaml": ""}, ["a.yaml:1:1: is empty, expected format: 1"]),
        ({"a.yaml": "- 1"}, ["a.yaml:1:1: the whole is a list, expected a mapping"]),
        ({"a.yaml": "format: 2"}, ["a.yaml:1:9: 'format' is 2, expected one of 1"]),
        ({"a.yaml": "rules: []"}, ["a.yaml:1:1: 'format' is missing"]),
        (
            {"base/a.yaml": WHOLE["base/a.yaml"]},
            ["policy: no schema_map, expected one in a file of the site"],
        ),
        (
            {"site/s.yaml": WHOLE["site/s.yaml"]},
            ["policy: no budget of distinct_subjects without roles, expected one for all others"],
        ),
    ],
)
def test_what_is_missing(files: dict[str, str], problems: list[str]) -> None:
    """A policy that would protect nothing does not load."""
    with pytest.raises(ConfigurationError) as caught:
        load_policy(files, today=TODAY)

    assert caught.value.problems == problems


def test_a_list_of_the_site_replaces_the_shipped_one() -> None:
    """The same name in another folder overrides; in the same folder it is a mistake."""
    files = {
        **WHOLE,
        "base/l.yaml": "format: 1\nlists: {maintenance_roles: []}",
        "site/l.yaml": "format: 1\nlists: {maintenance_roles: [dba]}",
    }

    assert load_policy(files, today=TODAY).lists["maintenance_roles"] == {"dba"}
    with pytest.raises(ConfigurationError, match="defined twice, first at site/l"):
        load_policy({**files, "site/m.yaml": files["site/l.yaml"]}, today=TODAY)


def test_the_schema_map_fills_a_list() -> None:
    """Rules may say $subject_relations without the site writing them twice."""
    policy = load_with("lists: {a: [x]}")

    assert policy.lists["subject_relations"] == {"lab.patient"}


def test_the_site_changes_shipped_rules_and_budgets() -> None:
    """An override changes action, weight, mode, limit and window, and nothing else."""
    policy = load_with(
        "overrides:\n  EX101: {mode: observe, action: flag, weight: 7, why: w}\n"
        "  EX201: {limit: 5, window_seconds: 60, why: w}\n"
    )

    (rule,) = policy.rules
    (budget,) = policy.budgets
    assert (rule.mode, rule.action, rule.weight) == (Mode.OBSERVE, Action.FLAG, 7)
    assert (budget.limit, budget.window_seconds) == (5, 60)


def test_an_override_may_lift_a_limit() -> None:
    """A limit of null is an answer, not an absence."""
    (budget,) = load_with("overrides: {EX201: {limit: null, why: w}}").budgets

    assert budget.limit is None


def test_a_sandbox_rule_is_only_recorded() -> None:
    """What is being tried out decides nothing."""
    policy = load_with(RULE_150.replace("severity: high", "severity: high\n    status: sandbox"))

    assert [rule.mode for rule in policy.rules] == [Mode.ENFORCE, Mode.OBSERVE]


def test_an_exception_loads_on_its_last_day() -> None:
    """An exception ends after the day it names."""
    (rule,) = load_with(EXCEPTION.replace("2027-01-01", "2026-11-24")).rules

    assert [one.expires for one in rule.exemptions] == [date(2026, 11, 24)]


def test_the_version_changes_with_any_text_and_with_nothing_else() -> None:
    """The version is a hash of the texts, not of where they lie."""
    elsewhere = {f"other/{name}": text for name, text in WHOLE.items()}
    versions = {load_policy(files, today=TODAY).version for files in (WHOLE, elsewhere)}

    assert len(versions) == 1
    assert load_with("lists: {a: [x]}").version not in versions
    assert all(len(version) == 12 for version in versions)


def test_budgets_of_a_list() -> None:
    """A budget may name its roles by a list."""
    policy = load_with("lists: {desks: [a, b]}\n" + BUDGET_202 + "\n    roles: $desks\n")

    assert [budget.roles for budget in policy.budgets] == [frozenset(), {"a", "b"}]
    assert {budget.measure for budget in policy.budgets} == {Measure.SUBJECTS}


def problems_of(files: dict[str, str]) -> list[str]:
    try:
        load_policy(files, today=TODAY)
    except ConfigurationError as error:
        return error.problems
    return []


@given(st.text(max_size=60))
def test_any_text_is_a_policy_or_problems_with_places(text: str) -> None:
    """Whatever a file holds, loading ends in a policy or in problems of that file."""
    found = problems_of({**WHOLE, "x.yaml": text})

    assert found
    assert all(problem.startswith("x.yaml:") for problem in found)
