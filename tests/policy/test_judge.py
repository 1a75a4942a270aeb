"""Findings add up to a score, and the strongest of what is asked for is the verdict."""

from __future__ import annotations

from typing import Any

import pytest

from proxy.policy import judge
from proxy.policy.facts_view import BOUND
from proxy.policy.judge import display
from proxy.terms.facts import Kind, Parameter, SideDoor, StatementFacts, SubjectFilter
from proxy.terms.finding import Action, Severity
from proxy.terms.principal import Certificate, Principal
from proxy.terms.relation import Relation
from proxy.terms.unknown import UNKNOWN
from tests.policy.texts import load_when, load_with

APP = Principal("lims_app", "lab")
KEYED = StatementFacts(Kind.SELECT, subject_filter=SubjectFilter.KEY)


def rules(*said: tuple[str, str]) -> str:
    """Return rules EX150, EX151, ... that all hold for a statement with KEY, each with its line."""
    entries = [
        f"  - {{id: EX{number}, title: t, severity: low, explain: e, why: w, {line}, when: {when}}}"
        for number, (line, when) in enumerate(said, 150)
    ]
    return "rules:\n" + "\n".join(entries) + "\n"


KEY = "{subject_filter: {is: key}}"


@pytest.mark.parametrize(
    ("lines", "score", "verdict"),
    [
        (["weight: 10"], 10, Action.ALLOW),
        (["weight: 10", "weight: 9"], 19, Action.ALLOW),
        (["weight: 10", "weight: 10"], 20, Action.FLAG),
        (["weight: 40", "weight: 19"], 59, Action.FLAG),
        (["weight: 40", "weight: 20"], 60, Action.BLOCK),
        (["weight: 70", "weight: 70"], 100, Action.BLOCK),
        (["action: flag"], 0, Action.FLAG),
        (["action: allow, weight: 60"], 60, Action.BLOCK),
        (["action: block", "action: flag"], 0, Action.BLOCK),
        (["action: terminate", "weight: 60"], 60, Action.TERMINATE),
        (["action: terminate, mode: observe", "weight: 5"], 5, Action.ALLOW),
        (["weight: 60, mode: observe", "weight: 20"], 20, Action.FLAG),
    ],
)
def test_arithmetic(lines: list[str], score: int, verdict: Action) -> None:
    """The score is the sum of the weights, at most 100; rules in observe mode weigh nothing."""
    policy = load_with(rules(*((line, KEY) for line in lines)))

    judgement = judge(policy, APP, KEYED)

    assert (judgement.score, judgement.verdict) == (score, verdict)
    assert len(judgement.findings) == len(lines)
    assert min(100, sum(finding.weight for finding in judgement.findings)) == score


def test_thresholds_are_the_sites() -> None:
    """A site may ask for less before it flags or refuses."""
    policy = load_with("thresholds: {flag: 5, block: 10}\n" + rules(("weight: 5", KEY)))

    assert judge(policy, APP, KEYED).verdict is Action.FLAG


def test_unknown_matches_in_when_and_not_in_unless() -> None:
    """What nobody knows is taken for the worse on both sides."""
    unknown = StatementFacts(Kind.SELECT, folds=UNKNOWN, subject_filter=SubjectFilter.KEY)
    strict = load_when("{folds: {is: true}}")
    excepted = load_when(KEY, unless="{folds: {is: true}}")

    assert judge(strict, APP, unknown).verdict is Action.BLOCK
    assert judge(excepted, APP, unknown).verdict is Action.BLOCK


def test_a_bound_that_comes_later_is_no_absence() -> None:
    """LIMIT $1 is a LIMIT, of a size that is not known yet."""
    facts = StatementFacts(
        Kind.SELECT, row_bound=Parameter(1), subject_filter=SubjectFilter.SELECTIVE
    )

    assert judge(load_when("{row_bound: {absent: true}}"), APP, facts).findings == ()
    assert judge(load_when("{row_bound: {at_least: 9}}"), APP, facts).verdict is Action.BLOCK


@pytest.mark.parametrize(("role", "verdict"), [("lims_app", Action.BLOCK), ("job", Action.ALLOW)])
def test_exceptions(role: str, verdict: Action) -> None:
    """A rule does not hold for whom it is excepted."""
    policy = load_with(
        rules(("action: block", KEY))
        + "exceptions: [{rule: EX150, unless: {role: {is: job}}, owner: o, expires: 2027-01-01,"
        " why: w}]"
    )

    assert judge(policy, Principal(role, "lab"), KEYED).verdict is verdict


@pytest.mark.parametrize(
    ("role", "certificate", "verdict"),
    [
        ("lims_app", None, Action.BLOCK),
        ("lims_app", Certificate("CN=other", "other"), Action.BLOCK),
        ("lims_app", Certificate("CN=lims,OU=Lab", "lims"), Action.ALLOW),
        ("biologist", None, Action.ALLOW),
    ],
)
def test_a_rule_may_ask_for_a_certificate(
    role: str, certificate: Certificate | None, verdict: Action
) -> None:
    """A role that has to come with its certificate, as docs/tls.md has it."""
    when = "{all: [{role: {is: lims_app}}, {not: {certificate_name: {is: lims}}}]}"
    principal = Principal(role, "lab", certificate=certificate)

    assert judge(load_with(rules(("action: block", when))), principal, KEYED).verdict is verdict


OPAQUE = StatementFacts(Kind.DO, opaque="a DO block")


@pytest.mark.parametrize(
    ("when", "facts", "held"),
    [
        ("{folds: {is: true}}", OPAQUE, False),
        ("{subject_filter: {is: none}}", OPAQUE, False),
        ("{row_bound: {absent: true}}", OPAQUE, False),
        ("{kind: {is: do}}", OPAQUE, True),
        ("{side_doors: {any_in: [remote]}}", OPAQUE, False),
        (
            "{side_doors: {any_in: [remote]}}",
            StatementFacts(Kind.CALL, opaque="?", side_doors=frozenset({SideDoor.REMOTE})),
            True,
        ),
    ],
)
def test_other_rules_want_certainty_of_what_is_opaque(
    when: str, facts: StatementFacts, *, held: bool
) -> None:
    """An opaque statement does not match every rule at once; what was seen in it still counts."""
    found = judge(load_when(when), APP, facts).findings

    assert ("EX150" in [finding.rule for finding in found]) is held


def test_rules_on_opaque_statements_take_the_worse() -> None:
    """EX9xx are the ones for which unknown is a match there."""
    text = rules(("action: block", "{folds: {is: true}}")).replace("EX150", "EX950")

    assert judge(load_with(text), APP, OPAQUE).verdict is Action.BLOCK


def test_a_finding_says_what_decided() -> None:
    """A finding names the rule, its sentence with the values, and the facts it asked for."""
    facts = StatementFacts(Kind.SELECT, relations=frozenset({Relation("lab", "patient")}))

    (finding,) = judge(load_with("lists: {a: [x]}"), APP, facts).findings

    assert finding.rule == "EX101"
    assert finding.severity is Severity.HIGH
    assert finding.explanation == "reads every row of lab.patient"
    assert finding.evidence == (("subject_filter", "none"),)


def test_an_observed_finding_says_so() -> None:
    """Who reads the record sees that the rule decided nothing."""
    policy = load_with("overrides: {EX101: {mode: observe, why: w}}")

    (finding,) = judge(policy, APP, StatementFacts(Kind.SELECT)).findings

    assert finding.evidence[-1] == ("mode", "observe")
    assert finding.action is Action.ALLOW


def test_a_rule_that_raises_is_not_swallowed() -> None:
    """An error of ours reaches whoever asked, who then refuses."""
    facts = StatementFacts(Kind.SELECT, output=5)  # type: ignore[arg-type]

    with pytest.raises(TypeError):
        judge(load_when("{output_classes: {any_in: [key]}}"), APP, facts)


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (None, "absent"),
        (True, "yes"),
        (17, "17"),
        (212122900700090, "1000000 or more"),
        (frozenset("fedcba"), "a, b, c, d and 2 more"),
        (frozenset(), "none"),
        ("x" * 100, "x" * 63),
        (UNKNOWN, "unknown"),
        (BOUND, "bound later"),
    ],
)
def test_values_are_shown_short(value: Any, shown: str) -> None:
    """Evidence never grows with what was sent, and holds no number as long as a NIR."""
    assert display(value) == shown


@pytest.mark.parametrize(
    ("facts", "told"),
    [
        ({"creates": frozenset({Relation("pg_temp", "t")})}, "into pg_temp.t"),
        ({"writes": frozenset({Relation("lab", "copy")})}, "into lab.copy"),
        ({}, "into none"),
    ],
)
def test_a_sentence_shows_those_of_its_facts_that_there_are(
    facts: dict[str, Any], told: str
) -> None:
    """``{a|b}`` is what a or b says, and "none" only if both say so."""
    line = "explain: 'into {writes|creates}', weight: 1"
    policy = load_with(rules((line, KEY)).replace("explain: e, ", ""))
    statement = StatementFacts(Kind.INSERT, subject_filter=SubjectFilter.KEY, **facts)

    explanations = [one.explanation for one in judge(policy, APP, statement).findings]

    assert told in explanations
